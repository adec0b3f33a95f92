"""Lovász losses and generalised Dice: kinks, ties, absent classes, empty images, refusals."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

ONE_HOT = np.asarray([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])


# ------------------------------------------------------------------------------------ Lovász
def test_decided_pixels_cost_one_less_the_jaccard_index(rng):
    targets = rng.integers(0, 2, (6, 9))
    decided = rng.integers(0, 2, (6, 9))
    want = 1 - (targets & decided).sum(1) / (targets | decided).sum(1)
    images = np.stack([1.0 - decided, decided], axis=-1)
    found = tw.lovasz_softmax_loss(images, targets, reduction="none")
    others = 1 - ((1 - targets) & (1 - decided)).sum(1) / ((1 - targets) | (1 - decided)).sum(1)
    assert_close(found, (want + others) / 2, rtol=1e-14)


def test_an_image_without_foreground_costs_its_largest_error():
    value, gradient = tw.lovasz_hinge_loss.value_and_grad([[0.5, 2.0, -3.0]], [[0.0, 0.0, 0.0]])
    assert value == 3.0
    np.testing.assert_array_equal(gradient, [[0, 1, 0]])
    assert tw.lovasz_hinge_loss([[-2.0, -3.0]], [[0.0, 0.0]]) == 0


def test_a_hinge_just_met_has_no_slope():
    value, gradient = tw.lovasz_hinge_loss.value_and_grad([[1.0, -1.0]], [[1.0, 0.0]])
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_ties_come_in_their_order():
    """At a tie the value does not depend on the order, and the slopes add up to the same."""
    gradient = tw.lovasz_hinge_loss.grad([[0.0, 0.0, 0.0]], [[1.0, 0.0, 1.0]])
    assert_close(gradient, [[-1 / 2, 1 / 6, -1 / 3]], ulp=2)


def test_many_pixels_keep_the_slopes_of_single_ones():
    """A difference of ratios near 1 would lose most of their digits."""
    count = 50_000
    logits = np.linspace(0.5, -0.5, count, dtype=np.float32)[None]
    targets = np.zeros((1, count), np.float32)
    targets[0, -3:] = 1.0
    gradient = tw.lovasz_hinge_loss.grad(logits, targets)[0].astype(float)
    order = np.argsort(-(1 - logits[0].astype(float) * (2 * targets[0] - 1)), kind="stable")
    union = 3 + np.cumsum(1 - targets[0][order])
    common = 3 - np.cumsum(targets[0][order])
    is_background = targets[0][order] == 0
    want = common / (union * (union - 1))
    np.testing.assert_allclose(
        gradient[order][is_background], want[is_background], rtol=1e-6, atol=1e-12
    )


def test_absent_classes_count_only_where_told():
    probabilities, targets = [[[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]]], [[0, 0]]
    present = tw.lovasz_softmax_loss(probabilities, targets)
    assert present == 0.375
    found = tw.lovasz_softmax_loss(probabilities, targets, classes="all")
    assert_close(found, (0.375 + 0.25 + 0.25) / 3, rtol=1e-15)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3)])
@pytest.mark.parametrize("classes", ["present", "all"])
def test_images_of_nothing(shape, classes):
    labels = np.zeros(shape[:2], int)
    value, gradient = tw.lovasz_softmax_loss.value_and_grad(np.ones(shape), labels, classes=classes)
    assert value == 0
    assert gradient.shape == shape
    mask = np.zeros(shape[:2])
    assert tw.lovasz_hinge_loss(mask, mask) == 0
    assert tw.generalized_dice_loss(np.zeros(shape), np.zeros(shape)) == 0


# -------------------------------------------------------------------------------------- Dice
@pytest.mark.parametrize("weighting", ["square", "simple", "uniform"])
@pytest.mark.parametrize("name", ["K21 Keras", "O25 optax"])
def test_nothing_against_nothing_costs_nothing(weighting, name):
    value, gradient = tw.generalized_dice_loss.value_and_grad(
        np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), weighting=weighting
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((1, 3, 2)))


@pytest.mark.parametrize("weighting", ["square", "simple", "uniform"])
def test_little_that_is_missed_is_exact(weighting):
    predictions = np.abs(ONE_HOT - 1e-9)
    value = tw.generalized_dice_loss(predictions[None], ONE_HOT[None], weighting=weighting)
    weights = {"square": (0.25, 1.0), "simple": (0.5, 1.0), "uniform": (1.0, 1.0)}[weighting]
    total = sum(w * (p + t) for w, p, t in
                zip(weights, predictions.sum(0), ONE_HOT.sum(0), strict=True))  # fmt: skip
    assert_close(value, 3e-9 * sum(weights) / total, rtol=1e-6)
    right = 1 - 2 * (np.asarray(weights) * (predictions * ONE_HOT).sum(0)).sum() / total
    assert_close(value, right, rtol=1e-6)


def test_smoothing_is_in_the_units_of_the_formula():
    """The weights are 1 / 4 and 1, whatever unit they are computed in."""
    predictions = np.full((1, 3, 2), 0.5)
    found = tw.generalized_dice_loss(predictions, ONE_HOT[None] * [1, 0], smooth=0.5)
    weights, common = np.asarray([0.25, 0.25]), np.asarray([1.0, 0.0])
    total = (weights * ([1.5 + 2, 1.5])).sum() + 0.5
    assert_close(found, 1 - (2 * (weights * common).sum() + 0.5) / total, rtol=1e-15)


def test_one_class_is_dice(rng):
    p, t = rng.random((3, 8)), rng.integers(0, 2, (3, 8)).astype(float)
    found = tw.generalized_dice_loss(p[..., None], t[..., None], weighting="uniform", smooth=1.0)
    assert_close(found, tw.dice_loss(p, t, smooth=1.0), rtol=1e-14)


REFUSED = {
    "hinge": (
        lambda: tw.lovasz_hinge_loss(np.ones((2, 3)), np.ones((2, 4))),
        tw.ShapeError,
        r"lovasz_hinge_loss: logits of shape \(2, 3\) and targets of shape \(2, 4\) must be alike",
    ),
    "labels": (
        lambda: tw.lovasz_softmax_loss(np.ones((2, 3, 4)), np.ones((2, 4), int)),
        tw.ShapeError,
        r"lovasz_softmax_loss: probabilities of shape \(2, 3, 4\) must be \(..., pixels, classes\)",
    ),
    "no classes": (
        lambda: tw.lovasz_softmax_loss(np.ones((2, 3, 0)), np.ones((2, 3), int)),
        tw.ShapeError,
        r"lovasz_softmax_loss: probabilities of shape \(2, 3, 0\) must be",
    ),
    "which classes": (
        lambda: tw.lovasz_softmax_loss(np.ones((2, 3, 4)), np.ones((2, 3), int), classes="some"),
        tw.ArgumentError,
        "lovasz_softmax_loss: classes must be 'present' or 'all', got 'some'",
    ),
    "weighting": (
        lambda: tw.generalized_dice_loss(ONE_HOT, ONE_HOT, weighting="cube"),
        tw.ArgumentError,
        "generalized_dice_loss: weighting must be one of 'square', 'simple', 'uniform', got 'cube'",
    ),
    "smooth": (
        lambda: tw.generalized_dice_loss(ONE_HOT, ONE_HOT, smooth=-1.0),
        tw.ArgumentError,
        "generalized_dice_loss: smooth must not be negative, got -1.0",
    ),
    "masks": (
        lambda: tw.generalized_dice_loss(ONE_HOT, ONE_HOT[:2]),
        tw.ShapeError,
        r"generalized_dice_loss: probabilities of shape \(3, 2\) and targets of shape \(2, 2\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()
