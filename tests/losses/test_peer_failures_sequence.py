"""Inputs on which PyTorch, optax and Keras are wrong about sequences, by the catalogue's number."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

UNNORMALISED = np.asarray(
    [[[0.1, 0.2, 0.3]], [[0.4, 0.1, 0.0]], [[0.3, 0.3, 0.1]], [[0.2, 0.5, 0.4]]]
)


def ctc(log_probs, targets, steps, labels):
    return tw.ctc_loss.value_and_grad(log_probs, targets, [steps], [labels], reduction="sum")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_t41_o22_a_class_of_probability_zero_that_no_alignment_needs(dtype):
    """PyTorch's gradient is NaN there, optax's value already."""
    log_probs = np.full((4, 1, 3), np.log(0.5), dtype)
    log_probs[..., 2] = -np.inf
    value, gradient = ctc(log_probs, [[1, 1]], 4, 2)
    # 5 of 16 alignments: 1 0 1 with one of five places repeated
    assert_close(value, np.dtype(dtype).type(np.log(16 / 5)), ulp=2)
    expected = -np.asarray([[1, 4, 0], [3, 2, 0], [3, 2, 0], [1, 4, 0]]) / 5
    assert_close(gradient[:, 0], expected.astype(dtype), rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_t42_o21_k27_labels_without_room(zero_infinity):
    """PyTorch's gradient is NaN; optax and Keras say 99999.49, and pull."""
    log_probs = np.log(np.full((1, 1, 3), 1 / 3, np.float32))
    value, gradient = tw.ctc_loss.value_and_grad(
        log_probs, [[1, 2]], [1], [2], zero_infinity=zero_infinity
    )
    assert value == (0 if zero_infinity else np.inf)
    np.testing.assert_array_equal(gradient, np.zeros_like(log_probs))


def test_t43_the_gradient_is_the_derivative_of_the_value():
    """PyTorch's is another function's where its log-probabilities are not normalised."""
    value, gradient = ctc(UNNORMALISED, [[1, 2]], 4, 2)
    assert_close(value, -3.58893, rtol=2e-6)
    assert_close(gradient[0, 0], [-0.32882, -0.67118, 0.0], rtol=2e-5)
    step = 1e-6
    for place in np.ndindex(UNNORMALISED.shape):
        moved = UNNORMALISED.copy()
        moved[place] += step
        after = ctc(moved, [[1, 2]], 4, 2)[0]
        moved[place] -= 2 * step
        before = ctc(moved, [[1, 2]], 4, 2)[0]
        assert abs((after - before) / (2 * step) - gradient[place]) < 1e-8


@pytest.mark.parametrize("label", [-1, 3, 100_000])
def test_t44_labels_outside_the_classes_are_refused(label):
    """PyTorch reads or writes beyond the array: a wrong number, or the process ends."""
    with pytest.raises(tw.LabelError, match=rf"targets\[0, 0\] is {label}, but the 3 classes are"):
        ctc(UNNORMALISED, [[label, 2]], 4, 2)


def test_o23_a_loss_of_two_hundred_thousand():
    """optax cuts it at 99999.31."""
    log_probs = np.asarray([[[0.0, -2e5]]], np.float32)
    value, gradient = ctc(log_probs, [[1]], 1, 1)
    assert value == 200_000
    np.testing.assert_array_equal(gradient, [[[0, -1]]])
