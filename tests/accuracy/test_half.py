"""Half precision computes in float32: elements keep their dtype, reductions are float32."""

import ml_dtypes
import numpy as np
import pytest

import tensorweaver as tw

HALVES = ("float16", "bfloat16")
ROWS = 70_000
RANDOM = np.random.default_rng(5)
LOGITS = RANDOM.normal(size=(6, 4)) * 4
LABELS = np.array([0, 3, 2, 1, 0, 2])
PROBABILITIES = RANDOM.uniform(0.05, 0.95, (6, 4))
TARGETS = RANDOM.uniform(0.05, 0.95, (6, 4))

LOSSES = {
    "mse": (tw.mse_loss, LOGITS, TARGETS),
    "l1": (tw.l1_loss, LOGITS, TARGETS),
    "huber": (tw.huber_loss, LOGITS, TARGETS),
    "smooth_l1": (tw.smooth_l1_loss, LOGITS, TARGETS),
    "binary_cross_entropy": (tw.binary_cross_entropy_loss, PROBABILITIES, TARGETS),
    "with_logits": (tw.binary_cross_entropy_with_logits_loss, LOGITS, TARGETS),
    "kl_div": (tw.kl_div_loss, np.log(PROBABILITIES), TARGETS),
    "cross_entropy": (tw.cross_entropy_loss, LOGITS, TARGETS),
    "cross_entropy labels": (tw.cross_entropy_loss, LOGITS, LABELS),
    "nll": (tw.nll_loss, np.log(PROBABILITIES), LABELS),
}


def half(array, name):
    return np.asarray(array).astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def arguments(name, dtype):
    loss, predictions, targets = LOSSES[name]
    targets = targets if targets.dtype.kind == "i" else half(targets, dtype)
    return loss, half(predictions, dtype), targets


def widened(array):
    return array if array.dtype.kind == "i" else array.astype(np.float32)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", LOSSES)
def test_elements_are_float32_results_rounded_once(name, dtype):
    loss, predictions, targets = arguments(name, dtype)
    got = loss(predictions, targets, reduction="none")
    wide = loss(widened(predictions), widened(targets), reduction="none")
    assert got.dtype == predictions.dtype
    np.testing.assert_array_equal(got, wide.astype(predictions.dtype))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions_are_those_of_float32(name, reduction, dtype):
    loss, predictions, targets = arguments(name, dtype)
    got, slopes = loss.value_and_grad(predictions, targets, reduction=reduction)
    wide = (widened(predictions), widened(targets))
    value, gradient = loss.value_and_grad(*wide, reduction=reduction)
    assert got.dtype == np.float32
    assert got == value
    assert slopes.dtype == predictions.dtype
    np.testing.assert_array_equal(slopes, gradient.astype(predictions.dtype))
    np.testing.assert_array_equal(loss.grad(predictions, targets, reduction=reduction), slopes)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sigmoid", "softplus"])
def test_functions_keep_the_dtype(name, dtype):
    x = half(LOGITS, dtype)
    got = getattr(tw, name)(x)
    assert got.dtype == x.dtype
    wide = getattr(tw, name)(x.astype(np.float32))
    np.testing.assert_array_equal(got, wide.astype(x.dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_a_sum_over_many_rows_is_finite_and_right(dtype):
    ones, zeros = half(np.ones(ROWS), dtype), half(np.zeros(ROWS), dtype)
    assert tw.mse_loss(ones, zeros, reduction="sum") == ROWS
    assert tw.mse_loss(ones, zeros) == 1
    logits = half(np.zeros((ROWS, 2)), dtype)
    got = tw.cross_entropy_loss(logits, np.zeros(ROWS, int), reduction="sum")
    assert got.dtype == np.float32
    assert got == np.float32(ROWS * float(np.float32(np.log(2))))
    gradient = tw.cross_entropy_loss.grad(logits, np.zeros(ROWS, int))
    np.testing.assert_array_equal(gradient, half([[-0.5 / ROWS, 0.5 / ROWS]] * ROWS, dtype))


def test_a_mean_beyond_the_range_of_float16_is_a_float32():
    error = half([300.0, 0.0], "float16")
    assert tw.mse_loss(error, half([0.0, 0.0], "float16")) == 45000
    assert tw.mse_loss(error, half([0.0, 0.0], "float16"), reduction="sum") == 90000
