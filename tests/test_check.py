"""`check_gradient`: what it takes, what it finds, and how it says so."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.primitives import VOCABULARY

LOGITS = [[2.0, 1.0, 0.1], [0.3, 0.2, -1.0]]
LABELS = [0, 1]
CLASS_WEIGHT = [0.5, 1.0, 2.0]
SAMPLE_WEIGHT = [1.0, 3.0]
REDUCTIONS = ("mean", "sum", "none")
CLOSE = 1e-8


# -------------------------------------------------------------------------------- what passes
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_class_weights_may_be_differentiated_by(reduction, to_array):
    found = tw.check_gradient(
        tw.cross_entropy_loss,
        to_array(LOGITS),
        to_array(LABELS),
        weight=to_array(CLASS_WEIGHT),
        wrt="weight",
        reduction=reduction,
    )
    assert max(found) < CLOSE


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_sample_weights_may_be_differentiated_by(reduction):
    options = {"sample_weight": SAMPLE_WEIGHT, "wrt": "sample_weight", "reduction": reduction}
    assert max(tw.check_gradient(tw.cross_entropy_loss, LOGITS, LABELS, **options)) < CLOSE
    assert max(tw.check_gradient(tw.mse_loss, LOGITS, CLASS_WEIGHT, **options)) < CLOSE


def test_weights_and_masks_take_part(to_array):
    logits = [LOGITS[0], [np.nan] * 3]
    options = {"sample_weight": to_array(SAMPLE_WEIGHT), "where": to_array([True, False])}
    found = tw.check_gradient(tw.cross_entropy_loss, to_array(logits), to_array(LABELS), **options)
    assert max(found) < CLOSE


def test_tensors_are_checked_by_their_numbers(backend, to_array):
    logits = tw.Tensor(to_array(LOGITS, "float32"), requires_grad=True)
    weight = tw.Tensor(to_array(CLASS_WEIGHT))
    found = tw.check_gradient(
        tw.cross_entropy_loss, logits, tw.Tensor(to_array(LABELS)), weight=weight, backend=backend
    )
    assert max(found) < CLOSE
    assert logits.grad is None


def test_lists_are_checked_in_float64_whatever_the_default_backend(backend):
    with tw.use_backend(backend):
        assert max(tw.check_gradient(tw.cross_entropy_loss, LOGITS, LABELS)) < CLOSE


def test_the_arrays_may_be_given_by_name():
    by_name = tw.check_gradient(tw.mse_loss, targets=[0.5], predictions=[0.1])
    assert by_name == tw.check_gradient(tw.mse_loss, [0.1], [0.5])


@pytest.mark.parametrize("wrt", [None, "predictions", "targets"])
def test_single_numbers(wrt):
    assert max(tw.check_gradient(tw.mse_loss, 0.3, 1.0, wrt=wrt)) < CLOSE


def test_options_may_be_arrays_without_axes(to_array):
    found = tw.check_gradient(tw.huber_loss, [0.3, 2.5], [0.0, 0.0], delta=to_array(2.0))
    assert max(found) < CLOSE


def test_nothing_to_compare_is_no_mismatch():
    assert tw.check_gradient(tw.mse_loss, [], []) == (0.0, 0.0, 0.0)


def test_inputs_are_left_alone():
    predictions = np.asarray([0.1, 0.2])
    tw.check_gradient(tw.mse_loss, predictions, [0.0, 1.0])
    assert predictions.tolist() == [0.1, 0.2]


# -------------------------------------------------------------------------------- what is found
def spoil(monkeypatch, name, factor):
    """Multiply the derivative of a row of the vocabulary by a factor."""
    row = VOCABULARY[name]
    right = row.rules[0]
    assert right is not None

    def wrong(xp, g, *rest, **options):
        return factor * right(xp, g, *rest, **options)

    spoiled = dataclasses.replace(row, rules=(wrong, *row.rules[1:]))
    monkeypatch.setitem(VOCABULARY, name, spoiled)


def exponential_loss():
    """A loss of the user's, made anew, for a loss keeps what it has traced."""

    @tw.pointwise
    def grows(predictions, targets):
        return tw.array_namespace(predictions).exp(predictions) * targets

    return grows


def test_a_right_user_loss_passes():
    assert max(tw.check_gradient(exponential_loss(), [[0.1, 0.2]], [[1.0, 2.0]])) < CLOSE


def test_a_wrong_derivative_is_reported_with_place_and_numbers(monkeypatch):
    spoil(monkeypatch, "exp", 2.0)
    predictions = [[0.0, -1.0], [3.0, 1.0]]
    with pytest.raises(tw.GradientMismatchError) as caught:
        tw.check_gradient(exponential_loss(), predictions, 1.0, reduction="sum")
    message = str(caught.value)
    assert message.startswith("grows.gradient[1, 0] is 40.17")
    assert "but finite differences give 20.08" in message
    assert message.endswith("(off by 9.5e-01, allowed 1.0e-06)")


def test_a_wrong_derivative_of_a_single_number_has_no_place(monkeypatch):
    spoil(monkeypatch, "exp", 2.0)
    with pytest.raises(tw.GradientMismatchError, match=r"^grows\.gradient is 2\.0, but"):
        tw.check_gradient(exponential_loss(), 0.0, 1.0)


def test_a_wrong_derivative_by_the_other_argument(monkeypatch):
    spoil(monkeypatch, "log", 3.0)

    @tw.pointwise
    def logarithm(predictions, targets):
        return predictions * tw.array_namespace(targets).log(targets)

    arrays = [1.0, 2.0], [2.0, 0.5]
    assert tw.check_gradient(logarithm, *arrays).gradient < CLOSE
    with pytest.raises(tw.GradientMismatchError, match=r"logarithm\.gradient\[1\]"):
        tw.check_gradient(logarithm, *arrays, wrt="targets")


def test_the_tolerance_decides(monkeypatch):
    spoil(monkeypatch, "exp", 1.001)
    found = tw.check_gradient(exponential_loss(), [0.5], [1.0], tolerance=0.01)
    assert 1e-4 < found.gradient < 1e-3
    with pytest.raises(tw.GradientMismatchError, match=r"allowed 1\.0e-05"):
        tw.check_gradient(exponential_loss(), [0.5], [1.0], tolerance=1e-5)


def test_nan_is_a_mismatch():
    with pytest.raises(
        tw.GradientMismatchError,
        match=r"^mse_loss\.gradient\[0\] is nan, and so are finite differences$",
    ):
        tw.check_gradient(tw.mse_loss, [np.nan, 0.3], [1.0, 2.0])


def test_an_infinite_derivative_is_a_mismatch():
    root = tw.pointwise(lambda predictions: tw.array_namespace(predictions).sqrt(predictions))
    with pytest.raises(tw.GradientMismatchError, match=r"gradient\[1\] is inf"):
        tw.check_gradient(root, [1.0, 0.0])


def test_a_mismatch_is_an_assertion_error():
    with pytest.raises(AssertionError, match=r"huber_loss\.hessian_diag\[0\]"):
        tw.check_gradient(tw.huber_loss, [1.0], [0.0])


# -------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize("wrt", ["weight", "sample_weight", "where", "nothing"])
def test_an_argument_that_was_not_given_cannot_be_differentiated_by(wrt):
    with pytest.raises(tw.ArgumentError, match=f"wrt must be among logits, got '{wrt}'"):
        tw.check_gradient(tw.cross_entropy_loss, LOGITS, LABELS, wrt=wrt)


def test_labels_cannot_be_differentiated_by():
    with pytest.raises(tw.ArgumentError, match="wrt must be among logits, got 'targets'"):
        tw.check_gradient(tw.cross_entropy_loss, LOGITS, LABELS, wrt="targets")


@pytest.mark.parametrize("wrt", ["targets", "sample_weight"])
def test_whole_numbers_cannot_be_differentiated_by(wrt):
    with pytest.raises(tw.DTypeError, match=f"a gradient by {wrt} .* int64"):
        tw.check_gradient(tw.mse_loss, [0.3, 0.1], [1, 2], sample_weight=[1, 3], wrt=wrt)


def test_what_is_no_loss_is_refused():
    name: Any = "mse"
    with pytest.raises(tw.ArgumentError, match=r"loss must be a loss, such as tw.mse_loss, got 'm"):
        tw.check_gradient(name, [1.0], [1.0])


def test_calls_that_the_loss_refuses():
    with pytest.raises(TypeError, match="targets is missing"):
        tw.check_gradient(tw.mse_loss, [0.3])
    with pytest.raises(TypeError, match="got 3 arrays"):
        tw.check_gradient(tw.mse_loss, [0.3], [0.1], [0.2])
    with pytest.raises(TypeError, match="no argument 'delta'"):
        tw.check_gradient(tw.mse_loss, [0.3], [0.1], delta=1.0)
    with pytest.raises(tw.DTypeError, match="predictions must be floating point"):
        tw.check_gradient(tw.mse_loss, [1], [0.1])
