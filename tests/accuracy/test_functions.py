"""softmax, log_softmax and logsumexp, and rows of a thousand classes, on any axis."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.accuracy import truth
from tests.accuracy.conditioning import exact_row
from tests.accuracy.inputs import distribution_like, label_of, rows, wide_rows
from tests.accuracy.judge import OVER_CLASSES, Exact, assert_accurate, exact_results

DTYPES = ("float32", "float64")
WIDE = 1000
FUNCTIONS = ("softmax", "log_softmax")
LABEL = 1
AXES = (-1, 0)
SOFT_STEPS = 3  # as in test_rows.py


def gradient_of(function, table, axis, cotangent):
    tensor = tw.Tensor(table, requires_grad=True)
    function(tensor, axis=axis).backward(cotangent)
    return np.asarray(getattr(tensor.grad, "data", tensor.grad))


def on_axis(array, axis):
    """The classes moved from the last axis to `axis`, in memory order too."""
    return np.ascontiguousarray(np.moveaxis(array, -1, axis))


def judged(name, what, got, exact, table, *, worst_errors):
    """Keep the worst of several calls."""
    dtype = table.dtype.name
    width = len(exact) // len(table)
    worst = assert_accurate(
        got,
        exact,
        dtype,
        limit=OVER_CLASSES,
        describe=lambda i: f"{name}: {table[i // width].tolist()[:8]}…, place {i % width}",
    )
    key = (f"{name} K={table.shape[1]}", dtype, what)
    worst_errors[key] = max(worst, worst_errors.get(key, 0))


def flattened(results):
    return [e for row in results for e in row]


def judge_functions(name, table, exact, worst_errors):
    """`exact(reference)` is what a reference gives for each row."""
    function = getattr(tw, name)
    values, slopes = flattened(exact(name)), flattened(exact(f"{name}_slopes"))
    hot = np.zeros_like(table)
    hot[:, LABEL] = 1
    for axis in AXES:
        there = on_axis(table, axis)
        got = np.moveaxis(np.asarray(function(there, axis=axis)), axis, -1)
        judged(name, "value", got, values, table, worst_errors=worst_errors)
        got = np.moveaxis(gradient_of(function, there, axis, on_axis(hot, axis)), axis, -1)
        judged(name, "gradient", got, slopes, table, worst_errors=worst_errors)


def judge_logsumexp(table, exact, worst_errors):
    wanted = exact("logsumexp")
    values, slopes = [e[0] for e in wanted], flattened(e[1:] for e in wanted)
    for axis in AXES:
        there = on_axis(table, axis)
        got = tw.logsumexp(there, axis=axis)
        judged("logsumexp", "value", got, values, table, worst_errors=worst_errors)
        got = gradient_of(tw.logsumexp, there, axis, np.ones(len(table), table.dtype))
        got = np.moveaxis(got, axis, -1)
        judged("logsumexp", "gradient", got, slopes, table, worst_errors=worst_errors)


def few_classes(table, dtype):
    def exact(name):
        chosen = [LABEL] if name.endswith("slopes") else []
        reference = getattr(truth, name)

        def call(row, *label):
            return reference(row, *map(int, label))

        return [exact_results(call, [row, *chosen], dtype, fixed=(1,)) for row in table]

    return exact


def many_classes(table, dtype):
    return lambda name: [exact_row(name, row, dtype, label=LABEL) for row in table]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_over_few_classes(name, dtype, worst_errors):
    table = rows(dtype, 4)
    judge_functions(name, table, few_classes(table, dtype), worst_errors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logsumexp_over_few_classes(dtype, worst_errors):
    table = rows(dtype, 4)
    judge_logsumexp(table, few_classes(table, dtype), worst_errors)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_over_a_thousand_classes(name, dtype, worst_errors):
    table = wide_rows(dtype, WIDE)
    judge_functions(name, table, many_classes(table, dtype), worst_errors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logsumexp_over_a_thousand_classes(dtype, worst_errors):
    table = wide_rows(dtype, WIDE)
    judge_logsumexp(table, many_classes(table, dtype), worst_errors)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_over_a_thousand_classes(soft, dtype, worst_errors):
    table = wide_rows(dtype, WIDE)
    if soft:
        targets = np.stack([distribution_like(row, f"wide {i}") for i, row in enumerate(table)])
        exact = [
            exact_row("cross_entropy", row, dtype, distribution=q)
            for row, q in zip(table, targets, strict=True)
        ]
        exact = [[Exact(e.want, SOFT_STEPS * e.allowance) for e in row] for row in exact]
    else:
        targets = np.array([label_of(row, "largest") for row in table])
        exact = [
            exact_row("cross_entropy", row, dtype, label=label)
            for row, label in zip(table, targets, strict=True)
        ]
    name = f"cross_entropy of {'probabilities' if soft else 'labels'}"
    values, slopes = [e[0] for e in exact], flattened(e[1:] for e in exact)
    for axis in AXES:
        arrays = on_axis(table, axis), on_axis(targets, axis) if soft else targets
        got = tw.cross_entropy_loss(*arrays, axis=axis, reduction="none")
        judged(name, "value", got, values, table, worst_errors=worst_errors)
        got = tw.cross_entropy_loss.grad(*arrays, axis=axis, reduction="sum")
        got = np.moveaxis(got, axis, -1)
        judged(name, "gradient", got, slopes, table, worst_errors=worst_errors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logsumexp_of_log_probabilities_is_nearly_zero(dtype, worst_errors):
    """The maximum and the rest cancel: two steps of the inputs, where float32 reaches 1.1."""
    random = np.random.default_rng(0)
    table = np.log(random.dirichlet(np.ones(5), 60)).astype(dtype)
    exact = [exact_results(truth.logsumexp, [row], dtype, steps=2)[0] for row in table]
    judged(
        "logsumexp near 0", "value", tw.logsumexp(table), exact, table, worst_errors=worst_errors
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "log_softmax_slopes"])
def test_the_first_order_bound_is_what_moving_each_logit_gives(name):
    table = rows("float32", 4)[:9]
    moved = flattened(few_classes(table, "float32")(name))
    bounds = flattened(many_classes(table, "float32")(name))
    for one, other in zip(moved, bounds, strict=True):
        assert one.want == other.want
        assert 0.4 * one.allowance <= other.allowance <= 2.5 * one.allowance + 1e-38
