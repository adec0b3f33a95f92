"""How far a floating-point result is from the truth, and how far it may be.

The error is counted in ulp: the distance between neighbouring numbers of the result's dtype at the
true value, which among subnormal numbers is the smallest subnormal. Allowed are a fixed number of
ulp, plus what moving each input to its neighbour would change: a result cannot be more exact than
the numbers it is computed from. The second part is found by moving them and computing the truth
again. Infinities and NaN must match exactly.
"""

from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from tests.accuracy.truth import digits

__all__ = ["Exact", "assert_accurate", "exact_results", "neighbours", "ulp_error"]

ELEMENTWISE = 4
OVER_CLASSES = 8


class Exact(NamedTuple):
    """A true result, how much a step of one ulp in every input could change it, and how large the
    terms are that it is the difference of: ulp are counted at the size of these.
    """

    want: mpf
    allowance: mpf
    scale: mpf = mpf(0)


# ------------------------------------------------------------------------------- the truth
def exact_results(reference, inputs, dtype, *, fixed=(), steps=1):
    """What `reference(*inputs)` is, as a list of `Exact`; an input is a number or a list of them.

    The inputs at the places `fixed` are not moved: they are options, or exact by nature. The others
    move by one step; `steps` multiplies what that changes.
    """
    with digits(dtype):
        numbers = [as_exact(x) for x in inputs]
        wants = listed(reference(*numbers))
        changes = [mpf(0)] * len(wants)
        for place, given in enumerate(inputs):
            if place in fixed:
                continue
            for alternatives in moved(given, dtype):
                largest = [mpf(0)] * len(wants)
                for other in alternatives:
                    changed = listed(reference(*numbers[:place], other, *numbers[place + 1 :]))
                    by_this = [abs(a - b) for a, b in zip(changed, wants, strict=True)]
                    largest = [
                        max(a, b) if mpmath.isfinite(b) else a
                        for a, b in zip(largest, by_this, strict=True)
                    ]
                changes = [a + b for a, b in zip(changes, largest, strict=True)]
        return [Exact(want, steps * change) for want, change in zip(wants, changes, strict=True)]


def as_exact(x):
    return [mpf(float(v)) for v in x] if np.ndim(x) else mpf(float(x))


def listed(results):
    return list(results) if isinstance(results, tuple | list) else [results]


def moved(given, dtype):
    """For each number of an input, the input with that number moved down and up by one step."""
    if not np.ndim(given):
        yield [mpf(float(x)) for x in neighbours(given, dtype)]
        return
    exact = as_exact(given)
    for i, x in enumerate(given):
        yield [[*exact[:i], mpf(float(y)), *exact[i + 1 :]] for y in neighbours(x, dtype)]


def neighbours(x, dtype):
    """The finite numbers next to `x`; none for an infinity or NaN, which nothing is near to."""
    x = np.dtype(dtype).type(x)
    if not np.isfinite(x):
        return []
    with np.errstate(all="ignore"):
        both = [np.nextafter(x, x.dtype.type(way)) for way in (-np.inf, np.inf)]
    return [y for y in both if np.isfinite(y)]


# ------------------------------------------------------------------------------- the judge
def spacing(want, dtype):
    """The distance between neighbours of `dtype` at `want`, above its range as just below."""
    limits = np.finfo(dtype)
    if want == 0:
        return mpf(float(limits.smallest_subnormal))
    exponent = min(max(mpmath.mag(want), limits.minexp + 1), limits.maxexp)
    return mpmath.ldexp(1, int(exponent - 1 - limits.nmant))


def within_range(x, dtype):
    """`x`, or the power of two above `dtype`'s range where it lies beyond: an overflow."""
    limit = mpmath.ldexp(1, int(np.finfo(dtype).maxexp))
    return min(max(x, -limit), limit)


def ulp_error(got, exact, dtype):
    """How many ulp `got` is off beyond the allowance; infinite where NaN or infinity is wrong."""
    got, want = mpf(float(got)), exact.want
    if mpmath.isnan(got) or mpmath.isnan(want):
        return 0.0 if mpmath.isnan(got) and mpmath.isnan(want) else np.inf
    if mpmath.isinf(want):
        return 0.0 if got == want else np.inf
    error = abs(within_range(got, dtype) - within_range(want, dtype))
    size = max(abs(want), exact.scale)
    return float(max(error - exact.allowance, 0) / spacing(size, dtype))


def assert_accurate(got, exact, dtype, *, limit, describe=lambda i: f"element {i}"):
    """Raise unless each of `got` is within `limit` ulp and its allowance; say what was worst.

    Returns the largest error beyond the allowance.
    """
    __tracebackhide__ = True
    got = np.asarray(got)
    if got.dtype != np.dtype(dtype):
        raise AssertionError(f"dtype: got {got.dtype}, expected {dtype}")
    flat = got.reshape(-1)
    if len(flat) != len(exact):
        raise AssertionError(f"size: got {len(flat)}, expected {len(exact)}")
    if not len(flat):
        raise AssertionError("nothing to judge")
    with digits(dtype):
        errors = [ulp_error(g, e, dtype) for g, e in zip(flat, exact, strict=True)]
    worst = int(np.argmax(errors))
    if errors[worst] > limit:
        count = sum(e > limit for e in errors)
        want = mpmath.nstr(exact[worst].want, 12)
        raise AssertionError(
            f"{count} of {len(errors)} results are off by more than {limit} ulp and what their "
            f"inputs allow; worst {errors[worst]:.3g} ulp: {describe(worst)}: got "
            f"{flat[worst]!r}, want {want}, allowance {mpmath.nstr(exact[worst].allowance, 3)}"
        )
    return errors[worst]
