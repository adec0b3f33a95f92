"""Boxes: where they touch, have no area, or are equal; what is refused."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

LOSSES = [
    tw.box_iou_loss,
    tw.generalized_box_iou_loss,
    tw.distance_box_iou_loss,
    tw.complete_box_iou_loss,
]
UNIT = [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [1e-30, 1e-4, 1.0, 1e30])
def test_equal_boxes_cost_nothing_in_any_unit(loss, size):
    """V02 of the catalogue: torchvision's formula gives 0.91 for squares of 1e-4."""
    box = np.asarray([[size, 2 * size, 3 * size, 2.5 * size]], np.float32)
    value, gradient = loss.value_and_grad(box, box.copy())
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((1, 4)))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_unit_does_not_matter(loss):
    a, b = np.asarray([[0.0, 0.0, 2.0, 1.0]]), np.asarray([[0.5, 0.25, 1.5, 3.0]])
    expected = loss(a, b)
    for size in (2.0**-400, 2.0**400):
        assert loss(a * size, b * size) == expected


def test_boxes_without_area():
    flat, other = [[0.0, 0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0, 2.0]]
    assert tw.box_iou_loss(flat, flat) == 0
    assert tw.box_iou_loss(flat, other) == 1
    assert tw.box_iou_loss([[1.0, 1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0, 1.0]]) == 0
    for loss in LOSSES:
        for pair in ((flat, flat), (flat, other), (flat, [UNIT])):
            value, gradient = loss.value_and_grad(*pair)
            assert np.isfinite(value)
            assert np.all(np.isfinite(gradient))


def test_a_box_without_height_has_a_finite_aspect():
    """V03: the published term has a gradient of NaN there."""
    value, gradient = tw.complete_box_iou_loss.value_and_grad([[0.0, 0.0, 1.0, 0.0]], [UNIT])
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_touching_boxes_share_nothing():
    value, gradient = tw.box_iou_loss.value_and_grad([UNIT], [[1.0, 0.0, 2.0, 1.0]])
    assert value == 1
    np.testing.assert_array_equal(gradient, np.zeros((1, 4)))
    assert tw.generalized_box_iou_loss([UNIT], [[1.0, 0.0, 2.0, 1.0]]) == 1


def test_the_trade_off_may_be_held_constant():
    a, b = np.asarray([[0.0, 0.0, 2.0, 1.0]]), np.asarray([[0.5, 0.25, 1.5, 3.0]])
    held = tw.complete_box_iou_loss.grad(a, b, trade_off_gradient=False)
    step = 1e-6
    angle = lambda box: np.arctan2(box[2] - box[0], box[3] - box[1])  # noqa: E731

    def with_constant(box):
        ratio = (2 / np.pi * (angle(box) - angle(b[0]))) ** 2
        return tw.distance_box_iou_loss(box[None], b) + constant * ratio

    ratio = (2 / np.pi * (angle(a[0]) - angle(b[0]))) ** 2
    constant = ratio / (tw.box_iou_loss(a, b) + ratio)
    for i in range(4):
        unit = step * np.eye(4)[i]
        difference = (with_constant(a[0] + unit) - with_constant(a[0] - unit)) / (2 * step)
        np.testing.assert_allclose(held[0, i], difference, rtol=1e-6, atol=1e-9)
    assert tw.complete_box_iou_loss(a, b, trade_off_gradient=False) == tw.complete_box_iou_loss(
        a, b
    )


def test_images_of_boxes(rng):
    a = np.sort(rng.random((2, 3, 4)))[..., [0, 1, 2, 3]]
    b = np.sort(rng.random((2, 3, 4)))
    losses = tw.box_iou_loss(a, b, reduction="none")
    assert losses.shape == (2, 3)
    kept = np.asarray([[True, False, True], [False, False, True]])
    np.testing.assert_allclose(tw.box_iou_loss(a, b, where=kept), losses[kept].mean(), rtol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_refusals(loss):
    name = loss.formula.name
    with pytest.raises(tw.ShapeError, match=f"{name}: predictions of shape .2, 3. must end"):
        loss(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(tw.ShapeError, match=f"{name}: predictions of shape .* must be alike"):
        loss(np.zeros((2, 4)), np.zeros((3, 4)))


@pytest.mark.parametrize(("dtype", "side"), [
    (np.float32, 1.0), (np.float32, 1e-25), (np.float32, 2e19), (np.float32, 1e38),
    (np.float64, 1e-170), (np.float64, 2e300),
])  # fmt: skip
def test_the_aspect_has_the_slope_of_its_ratio_whatever_the_unit(dtype, side):
    boxes = np.asarray([[0.0, 0.0, side, side]], dtype), np.asarray([[0, 0, 2 * side, side]], dtype)
    slope = tw.complete_box_iou_loss.grad(*boxes) * dtype(side)
    right = [[0.0636596, 0.1148420, -0.6164121, -0.1148420]]
    assert_close(slope.astype(float), right, rtol=2e-6)
