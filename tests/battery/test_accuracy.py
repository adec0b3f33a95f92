"""Value and gradient within a few ulp of the textbook formula, and what the inputs allow."""

import itertools

import mpmath
import numpy as np

from tests.accuracy.judge import ELEMENTWISE, OVER_CLASSES, Exact, assert_accurate, spacing
from tests.battery.exact import exact_element, exact_row
from tests.battery.select import THOROUGH, in_turn, of
from tests.battery.test_laws import several

DTYPES = ("float32", "float64")
#: Most of the time goes into the truth. `nox -s battery` asks for all of it, a usual run for a part
#: that is the same on every run.
MOST_HOSTILE = 150 if THOROUGH else 40
ORDINARY = 24 if THOROUGH else 8
ROWS = 6 if THOROUGH else 4
WHOLES = 2 if THOROUGH else 1


def in_dtype(draw, values, dtype):
    """Numbers as the dtype has them, labels as they are."""
    return np.asarray(values, dtype) if draw.real else np.asarray(values)


def options_in(options, dtype):
    """Options as a kernel of that dtype has them: a number rounded to it."""
    return {
        name: float(np.dtype(dtype).type(v)) if isinstance(v, float) else v
        for name, v in options.items()
    }


def elements(case, random, dtype):
    """The columns of a pointwise loss's arguments: hostile combinations, ordinary and near ones."""
    specimen = case.specimen
    draws = list(specimen.draws) + (list(specimen.arrays.values()) if case.with_arrays else [])
    lists = [draw.hostile(dtype) or draw.ordinary(random, (3,)).tolist() for draw in draws]
    hostile = list(itertools.product(*lists))
    if len(hostile) > MOST_HOSTILE:
        chosen = random.choice(len(hostile), MOST_HOSTILE, replace=False)
        hostile = [hostile[i] for i in chosen]
    columns = [draw.ordinary(random, (ORDINARY,)) for draw in draws]
    close = []
    if len(draws) > 1 and draws[0] == draws[1]:
        near = columns[1] * (1 + 1e-5 * random.normal(size=ORDINARY))
        close = list(zip(near, *columns[1:], strict=True))
    points = [*hostile, *specimen.hostile, *zip(*columns, strict=True), *close]
    points = [p for p in points if not (specimen.avoid(*p) or specimen.refuses(p))]
    turned = zip(*points, strict=True)
    return [in_dtype(d, column, dtype) for d, column in zip(draws, turned, strict=True)]


@in_turn(*DTYPES)
@of(lambda case: not (case.loss.formula.rowwise or case.loss.formula.composed))
def test_value_and_gradient_of_elements(case, dtype, random):
    columns = elements(case, random, dtype)
    specimen, count = case.specimen, len(case.specimen.draws)
    arrays, more = columns[:count], dict(zip(specimen.arrays, columns[count:], strict=False))
    options = {**case.options, **more}
    values = case.loss(*arrays, reduction="none", **options)
    slopes = several(case.loss.grad(*arrays, reduction="sum", **options))
    plain = options_in(case.options, dtype)

    reference = by_name(specimen.reference, specimen)
    slopes_of = by_name(specimen.exact_slopes, specimen)
    exact = [
        exact_element(
            reference, point, plain, dtype,
            slopes=slopes_of, terms=by_name(specimen.terms, specimen), wrt=places(case),
        )
        for point in zip(*columns, strict=True)
    ]  # fmt: skip

    def describe(i):
        return f"{case.id} at {[float(c[i]) for c in columns]}"

    limit = case.limit(ELEMENTWISE)
    assert_accurate(values, [e[0] for e in exact], dtype, limit=limit, describe=describe)
    points = list(zip(*columns, strict=True))
    for number, (place, slope) in enumerate(zip(places(case), slopes, strict=True), 1):
        # NaN in one argument need not reach the slope by another, as in a sum of two functions.
        known = [
            i
            for i, point in enumerate(points)
            if judged(point, specimen)
            and (len(slopes) == 1 or np.isnan(point[place]) or not np.isnan(point).any())
        ]
        wanted = [exact[i][number] for i in known]
        assert_accurate(
            slope[known], wanted, dtype, limit=limit,
            describe=lambda i: f"slope by argument {place} of {describe(known[i])}",  # noqa: B023
        )  # fmt: skip


def places(case):
    """Where among the arguments those stand that the loss is differentiated by."""
    formula = case.loss.formula
    return tuple(formula.arguments.index(name) for name in formula.differentiable)


def by_name(function, specimen):
    """The function, given the arrays that are options by their names; None stays None."""
    count = len(specimen.draws)

    def call(*arguments, **options):
        given = dict(zip(specimen.arrays, arguments[count:], strict=False))
        return function(*arguments[:count], **given, **options)

    return function and call


def judged(arguments, specimen):
    """Whether differences, or the specimen, know the slopes there."""
    numbers = np.concatenate([np.ravel(np.asarray(a, float)) for a in arguments])
    some_nan, all_finite = np.isnan(numbers).any(), np.isfinite(numbers).all()
    alone = len(specimen.loss.formula.differentiable) == 1
    return some_nan or all_finite or (specimen.exact_slopes is not None and alone)


def rows_of(case, random, dtype):
    """Rows of a loss's arguments: ordinary, small, large, and the specimen's own, one by one."""
    specimen = case.specimen
    found = []
    for scale in (1.0, 1.0, 1e-3, 8.0):
        arrays, options = case.draw(random, (ROWS // 2, 4))
        if specimen.draws[0].ordinary is not None and scale != 1.0:
            arrays = scaled(specimen, arrays, scale)
        given = {name: options[name] for name in specimen.arrays} if case.with_arrays else {}
        found += [
            ([a[i] for a in arrays], {n: row_of(specimen, n, v, i) for n, v in given.items()})
            for i in range(ROWS // 2)
        ]
    hostile = [row for row in specimen.hostile if not specimen.refuses(row)]
    found += [(list(row), {}) for row in hostile if not case.with_arrays]
    return found


def row_of(specimen, name, value, i):
    return value if specimen.arrays[name].level == "class" else value[i]


def scaled(specimen, arrays, scale):
    """Logits and real numbers multiplied; what has another domain stays."""
    free = {"REAL", "LOGIT", "VECTOR"}
    from tests.battery import draws

    known = {id(getattr(draws, name).ordinary) for name in free}
    return [
        a * scale if id(d.ordinary) in known else a
        for d, a in zip(specimen.draws, arrays, strict=True)
    ]


@in_turn(*DTYPES)
@of(lambda case: case.loss.formula.rowwise and case.specimen.rows_are_independent)
def test_value_and_gradient_of_rows(case, dtype, random):
    specimen = case.specimen
    plain = options_in(case.options, dtype)
    limit = case.limit(OVER_CLASSES)
    fixed = [i for i, draw in enumerate(specimen.draws) if not draw.real]
    reference = by_name(specimen.reference, specimen)
    slopes_of = by_name(specimen.exact_slopes, specimen)
    for arguments, given in rows_of(case, random, dtype):
        row = [in_dtype(d, a, dtype) for d, a in zip(specimen.draws, arguments, strict=True)]
        more = {n: np.asarray(v, dtype) for n, v in given.items()}
        arrays = [a[None] for a in row]
        whole = {n: v if specimen.arrays[n].level == "class" else v[None] for n, v in more.items()}
        options = {**case.options, **whole}
        value = case.loss(*arrays, reduction="sum", **options)
        slopes = several(case.loss.grad(*arrays, reduction="sum", **options))
        gradient = np.concatenate([np.ravel(slope) for slope in slopes])
        everything = [*row, *more.values()]
        exact = exact_row(
            reference, everything, plain, dtype, fixed=fixed, slopes=slopes_of, wrt=places(case)
        )

        def describe(i):
            what = "value" if not i else f"slope {i - 1}"
            return f"{case.id} {what} at {[np.asarray(a).tolist() for a in everything]}"  # noqa: B023

        got = np.asarray([value, *gradient], dtype)
        known = list(range(len(got) if judged(everything, specimen) else 1))
        assert_accurate(
            got[known], [exact[i] for i in known], dtype, limit=limit,
            describe=lambda i: describe(known[i]),  # noqa: B023
        )  # fmt: skip


def nested(flat, shape):
    """A flat list in the form of an array of that shape."""
    if not shape:
        return flat[0]
    size = len(flat) // shape[0] if shape[0] else 0
    return [nested(flat[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def beside_the_largest(slopes, dtype, limit):
    """Slopes that are sums of many: each within so many ulp of the largest."""
    sizes = [abs(e.want) for e in slopes if mpmath.isfinite(e.want)]
    more = limit * spacing(max(sizes, default=mpmath.mpf(0)), dtype)
    return [Exact(e.want, e.allowance + more) for e in slopes]


@in_turn(*DTYPES)
@of(lambda case: case.specimen.whole)
def test_value_and_gradient_of_whole_arrays(case, dtype, random):
    specimen = case.specimen
    drawn = [case.draw(random, specimen.tiny) for _ in range(WHOLES)]
    given = [(a, {n: o[n] for n in specimen.arrays if n in o}) for a, o in drawn]
    given += [(list(row), {}) for row in specimen.hostile if not case.with_arrays]
    for arguments, more in given:
        arrays = [in_dtype(d, a, dtype) for d, a in zip(specimen.draws, arguments, strict=True)]
        named = {n: in_dtype(specimen.arrays[n], v, dtype) for n, v in more.items()}
        everything = [*arrays, *named.values()]
        options = {**case.options, **named}
        value = case.loss(*arrays, reduction="sum", **options)
        slopes = several(case.loss.grad(*arrays, reduction="sum", **options))
        gradient = np.concatenate([np.ravel(slope) for slope in slopes])

        def reference(*flat, **plain):
            whole = [
                nested(list(x), a.shape) if a.shape else x[0]
                for x, a in zip(flat, everything, strict=True)  # noqa: B023
            ]
            more = dict(zip(named, whole[len(arrays) :], strict=True))  # noqa: B023
            return sum(specimen.reference(*whole[: len(arrays)], **more, **plain))  # noqa: B023

        fixed = [i for i, a in enumerate(everything) if a.dtype.kind != "f"]
        flat = [np.ravel(a) for a in everything]
        plain = options_in(case.options, dtype)
        exact = exact_row(
            reference, flat, plain, dtype, fixed=fixed, slopes=specimen.exact_slopes,
            wrt=places(case),
        )  # fmt: skip

        def describe(i):
            what = "value" if not i else f"slope {i - 1}"
            return f"{case.id} {what} at {[a.tolist() for a in everything]}"  # noqa: B023

        limit = specimen.limit or OVER_CLASSES
        count = 1 + np.size(gradient) if judged(everything, specimen) else 1
        exact = [exact[0], *beside_the_largest(exact[1:], dtype, limit)]
        got = np.asarray([value, *gradient], dtype)[:count]
        assert_accurate(got, exact[:count], dtype, limit=limit, describe=describe)
