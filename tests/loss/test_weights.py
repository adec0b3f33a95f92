"""`sample_weight` counts, `where` leaves out; what does not count contributes nothing at all."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, ROWS, convert

COUNTS = np.asarray([2, 0, 1, 3, 1])
POISONS = [np.nan, np.inf, -np.inf]


@pytest.fixture(params=[name for name in CASES if "weights" not in name and name != "bce, weight"])
def case(request):
    """A loss, without elementwise weights of its own."""
    return CASES[request.param]


def rows_of(case, chosen):
    """The arguments' rows in `chosen`."""
    return [array[chosen] for array in case.arrays]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_whole_weights_are_repeated_rows(case, reduction, to_array):
    repeated = np.repeat(np.arange(ROWS), COUNTS)
    arrays, options = convert(case, to_array)
    options["reduction"] = reduction
    value, gradient = case.loss.value_and_grad(
        *arrays, sample_weight=to_array(COUNTS.astype(float)), **options
    )
    value_of_rows, gradient_of_rows = case.loss.value_and_grad(
        *rows_of(case, repeated), reduction=reduction, **case.options
    )
    expected = np.zeros((ROWS, CLASSES))
    np.add.at(expected, repeated, gradient_of_rows)
    assert_close(value, value_of_rows, like=arrays[0], rtol=1e-13, atol=1e-16)
    assert_close(gradient, expected, like=arrays[0], of="gradient", atol=1e-16)


@pytest.mark.parametrize("how", ["zero weight", "where"])
@pytest.mark.parametrize("poison", POISONS)
def test_what_does_not_count_is_removed_whatever_it_holds(case, how, poison, to_array):
    keep = np.asarray([0, 2, 3])
    first = case.arrays[0].copy()
    first[1] = poison
    first[4, 2] = poison
    arrays, options = convert(case._replace(arrays=(first, *case.arrays[1:])), to_array)
    counted = np.isin(np.arange(ROWS), keep)
    mask = {
        "zero weight": {"sample_weight": to_array(counted.astype(float))},
        "where": {"where": to_array(counted)},
    }[how]
    value, gradient = case.loss.value_and_grad(*arrays, **mask, **options)
    expected = np.zeros((ROWS, CLASSES))
    value_of_rows, expected[keep] = case.loss.value_and_grad(*rows_of(case, keep), **case.options)
    assert_close(value, value_of_rows, like=arrays[0], rtol=1e-13, atol=1e-16)
    assert_close(gradient, expected, like=arrays[0], of="gradient", atol=1e-16)
    losses = case.loss(*arrays, reduction="none", **mask, **options)
    whole = np.zeros(losses.shape)
    whole[keep] = case.loss(*rows_of(case, keep), reduction="none", **case.options)
    assert_close(losses, whole, like=arrays[0], rtol=1e-13, atol=1e-16)
    diagonal = case.loss.hessian_diag(*arrays, **mask, **options)
    expected[keep] = case.loss.hessian_diag(*rows_of(case, keep), **case.options)
    assert_close(diagonal, expected, like=arrays[0], of="hessian", atol=1e-15)


@pytest.mark.parametrize("poison", POISONS)
def test_poisoned_targets_are_left_out_too(poison, to_array):
    predictions = to_array([1.0, 2.0, 3.0])
    targets = to_array([0.5, poison, 0.75])
    for loss in (tw.mse_loss, tw.l1_loss, tw.huber_loss, tw.binary_cross_entropy_with_logits_loss):
        value, gradient = loss.value_and_grad(
            predictions, targets, where=to_array([True, False, True])
        )
        expected = loss.value_and_grad(np.asarray([1.0, 3.0]), np.asarray([0.5, 0.75]))
        assert_close(value, expected[0], like=predictions, rtol=1e-14)
        left = np.insert(expected[1], 1, 0.0)
        assert_close(gradient, left, like=predictions, rtol=1e-14, atol=1e-17)


def test_weights_multiply(to_array):
    x, y = to_array([1.0, 2.0, 4.0]), to_array([0.0, 0.0, 0.0])
    weight = to_array([0.5, 1.5, 2.0])
    total = (0.5 * 1 + 1.5 * 4 + 2 * 16) / 4
    assert_close(tw.mse_loss(x, y, sample_weight=weight), total, like=x)
    unreduced = tw.mse_loss(x, y, sample_weight=weight, reduction="none")
    assert_close(unreduced, [0.5, 6.0, 32.0], like=x)
    kept = to_array([True, True, False])
    both = tw.mse_loss(x, y, sample_weight=weight, where=kept)
    assert_close(both, 6.5 / 2.0, like=x)


def test_weights_for_the_first_axes(to_array, rng):
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    for shape in [(2,), (2, 1), (2, 3), (2, 3, 4), (1, 3)]:
        weight = rng.uniform(0.5, 2.0, size=shape)
        wide = np.broadcast_to(weight.reshape(shape + (1,) * (3 - len(shape))), (2, 3, 4))
        found = tw.mse_loss(to_array(x), to_array(y), sample_weight=to_array(weight))
        expected = np.sum(wide * (x - y) ** 2) / np.sum(wide)
        assert_close(found, expected, like=to_array(x), rtol=1e-13)
        kept = weight > 1.2
        found = tw.mse_loss(to_array(x), to_array(y), where=to_array(kept))
        every = (x - y)[np.broadcast_to(wide > 1.2, x.shape)] ** 2
        mean = np.mean(every) if every.size else 0.0
        assert_close(found, mean, like=to_array(x), rtol=1e-13)


def test_gradient_by_the_weights(to_array):
    x, y = to_array([1.0, 2.0, 4.0]), to_array([0.0, 0.0, 0.0])
    weight = to_array([0.5, 1.5, 2.0])
    losses, total = np.asarray([1.0, 4.0, 16.0]), 4.0
    mean = np.sum(losses * [0.5, 1.5, 2.0]) / total
    found = tw.mse_loss.grad(x, y, sample_weight=weight, wrt="sample_weight")
    assert_close(found, (losses - mean) / total, like=x, rtol=1e-13)
    found = tw.mse_loss.grad(x, y, sample_weight=weight, wrt="sample_weight", reduction="sum")
    assert_close(found, losses, like=x)
    value, (by_x, by_weight) = tw.mse_loss.value_and_grad(
        x, y, sample_weight=weight, wrt=("predictions", "sample_weight")
    )
    assert_close(value, mean, like=x, rtol=1e-14)
    assert_close(by_x, tw.mse_loss.grad(x, y, sample_weight=weight), rtol=1e-14)
    assert_close(by_weight, (losses - mean) / total, like=x, rtol=1e-13)


def test_gradient_by_class_weights_agrees_with_differences(rng):
    logits, labels = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    weight = np.asarray([0.5, 1.0, 2.5])
    found = tw.cross_entropy_loss.grad(logits, labels, weight=weight, wrt="weight")
    for place in range(3):
        step = np.eye(3)[place] * 1e-6
        up, down = (tw.cross_entropy_loss(logits, labels, weight=weight + s) for s in (step, -step))
        assert_close(found[place], (up - down) / 2e-6, rtol=1e-7, atol=1e-9)


def test_second_derivatives_by_the_weights_of_a_mean_are_refused():
    x, weight = np.asarray([1.0, 2.0]), np.asarray([1.0, 2.0])
    with pytest.raises(tw.ArgumentError, match=r'depends on sample_weight.*reduction="sum"'):
        tw.mse_loss.hessian_diag(x, 0 * x, sample_weight=weight, wrt="sample_weight")
    zero = tw.mse_loss.hessian_diag(
        x, 0 * x, sample_weight=weight, wrt="sample_weight", reduction="sum"
    )
    assert zero.tolist() == [0.0, 0.0]


# --------------------------------------------------------------------- nothing to average
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("how", ["masked", "weightless", "empty"])
def test_nothing_to_average_is_zero_with_a_zero_gradient(case, how, reduction, to_array):
    given = {
        "masked": {"where": to_array(np.zeros(ROWS, bool))},
        "weightless": {"sample_weight": to_array(np.zeros(ROWS))},
        "empty": {},
    }[how]
    chosen = case
    if how == "empty":
        chosen = case._replace(arrays=tuple(array[:0] for array in case.arrays))
    arrays, options = convert(chosen, to_array)
    value, gradient = case.loss.value_and_grad(*arrays, reduction=reduction, **given, **options)
    assert_close(value, 0.0, like=arrays[0], rtol=0.0)
    assert_close(gradient, np.zeros(arrays[0].shape), like=arrays[0], rtol=0.0)


@pytest.mark.parametrize("loss", [tw.cross_entropy_loss, tw.nll_loss], ids=["ce", "nll"])
def test_all_ignored_is_nothing(loss, to_array):
    x = to_array(np.full((2, 3), np.nan))
    value, gradient = loss.value_and_grad(x, to_array([7, 7]), ignore_index=7)
    assert_close(value, 0.0, like=x)
    assert_close(gradient, np.zeros((2, 3)), like=x)


def test_all_true_classes_weightless_is_nothing(to_array):
    x = to_array([[1.0, 2.0], [3.0, -1.0]])
    weight = to_array([0.0, 1.0])
    value, gradient = tw.cross_entropy_loss.value_and_grad(x, to_array([0, 0]), weight=weight)
    assert_close(value, 0.0, like=x)
    assert_close(gradient, np.zeros((2, 2)), like=x)


def test_smoothing_alone_is_nothing_where_no_true_class_counts(to_array):
    # Smoothing costs something here, but there is nothing to divide by: value and gradient agree.
    x = to_array([[1.0, 2.0], [3.0, -1.0]])
    options = {"weight": to_array([0.0, 1.0]), "label_smoothing": 0.2}
    value, gradient = tw.cross_entropy_loss.value_and_grad(x, to_array([0, 0]), **options)
    assert_close(value, 0.0, like=x)
    assert_close(gradient, np.zeros((2, 2)), like=x)
    total = tw.cross_entropy_loss(x, to_array([0, 0]), reduction="sum", **options)
    assert_close(total, 0.1 * (np.log1p(np.exp(-1.0)) + 4 + np.log1p(np.exp(-4.0))), like=x)
