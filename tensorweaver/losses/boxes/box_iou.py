"""Losses of boxes by how much they overlap: IoU, GIoU, DIoU, CIoU."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import composed
from tensorweaver.losses.boxes.geometry import check_boxes, overlap_of

__all__ = [
    "box_iou_loss",
    "complete_box_iou_loss",
    "distance_box_iou_loss",
    "generalized_box_iou_loss",
]


@composed(check=partial(check_boxes, "box_iou_loss"))
def box_iou_loss(predictions: Any, targets: Any) -> Any:
    """One less intersection over union of two boxes: how little they overlap.

    Formula: `1 - I / U` with the areas `I` of the intersection and `U` of the union.

    Shapes: `predictions` and `targets` `(..., 4)`, boxes as `x1, y1, x2, y2`; a loss a box.

    Domain: `x1 <= x2` and `y1 <= y2`, not checked; any unit: nothing is added to a denominator.
    Two boxes without area cost 0 where they are the same, else 1. In [0, 1].

    Gradient: 0 where the boxes are apart, and where they are equal.

    Numerics: lengths are taken as fractions of the box around both, and what is not shared is added
    up from the distances of the edges: no area overflows, and nearly equal boxes keep their
    relative accuracy. The sides of the box around both must be finite numbers of the dtype; where
    one is not (edges at -3e38 and 3e38 in float32), the loss is NaN or wrong.

    Reference: J. Yu et al., UnitBox, 2016 (whose loss is minus the logarithm).

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.box_iou_loss([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]]).round(6)
    np.float64(0.666667)
    """
    return overlap_of(predictions, targets).apart


@composed(check=partial(check_boxes, "generalized_box_iou_loss"))
def generalized_box_iou_loss(predictions: Any, targets: Any) -> Any:
    """Generalized IoU of boxes: it also tells how far apart boxes are that do not overlap.

    Formula: `1 - I / U + (C - U) / C` with the area `C` of the smallest box around both.

    Shapes, Domain, Numerics: as for `box_iou_loss`. In [0, 2].

    Gradient: 0 where the boxes are equal.

    Same as: torchvision's `generalized_box_iou_loss` with `eps=0`, which is added to areas there:
    identical boxes of area 1e-8 cost 0.91.

    Reference: H. Rezatofighi et al., Generalized Intersection over Union, 2019.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.generalized_box_iou_loss([[0.0, 0.0, 1.0, 1.0]], [[3.0, 0.0, 4.0, 1.0]])
    np.float64(1.5)
    """
    found = overlap_of(predictions, targets)
    return found.apart + found.outside


@composed(check=partial(check_boxes, "distance_box_iou_loss"))
def distance_box_iou_loss(predictions: Any, targets: Any) -> Any:
    """Distance IoU of boxes: the overlap, and the distance of the centres.

    Formula: `1 - I / U + d**2 / D**2` with the distance `d` of the centres and the diagonal `D` of
    the smallest box around both.

    Shapes, Domain, Numerics: as for `box_iou_loss`. In [0, 2].

    Same as: torchvision's `distance_box_iou_loss` with `eps=0`.

    Reference: Z. Zheng et al., Distance-IoU Loss, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.distance_box_iou_loss([[0.0, 0.0, 1.0, 1.0]], [[3.0, 0.0, 4.0, 1.0]]).round(6)
    np.float64(1.529412)
    """
    found = overlap_of(predictions, targets)
    return found.apart + distance(predictions, found)


@composed(check=partial(check_boxes, "complete_box_iou_loss"))
def complete_box_iou_loss(
    predictions: Any, targets: Any, *, trade_off_gradient: bool = True
) -> Any:
    """Complete IoU of boxes: the overlap, the distance of the centres, and the aspect ratio.

    Formula: `distance_box_iou_loss + a v` with `v = (4 / pi**2) (atan(w_t / h_t) - atan(w /
    h))**2` and `a = v / (1 - I / U + v)`.

    Shapes, Domain, Numerics: as for `box_iou_loss`. A box without height has the angle `pi / 2`,
    one without width and height 0.

    Parameters
    ----------
    trade_off_gradient
        Whether the gradient is that of the value; False holds `a` constant in it, as the paper
        and torchvision do.

    Same as: torchvision's `complete_box_iou_loss` with `eps=0`; its gradient for
    `trade_off_gradient=False`.

    Reference: Z. Zheng et al., Distance-IoU Loss, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.complete_box_iou_loss([[0.0, 0.0, 1.0, 1.0]], [[0.0, 0.0, 2.0, 1.0]]).round(6)
    np.float64(0.553248)
    """
    xp = array_namespace(predictions)
    found = overlap_of(predictions, targets)
    angles = [aspect(xp, boxes) for boxes in (predictions, targets)]
    ratio = (2.0 / math.pi * (angles[0] - angles[1])) ** 2
    whole = found.apart + ratio
    nothing = whole == 0
    trade_off = xp.where(nothing, 0.0, ratio / xp.where(nothing, 1.0, whole))
    if not trade_off_gradient:
        trade_off = trade_off.detach()
    return found.apart + distance(predictions, found) + trade_off * ratio


def distance(predictions: Any, found: Any) -> Any:
    """The squared distance of the centres over the squared diagonal of the box around both."""
    xp = array_namespace(predictions)
    x, y = found.sides
    diagonal = xp.hypot(x.whole, y.whole)
    nothing = diagonal == 0
    safe = xp.where(nothing, 1.0, diagonal)
    between = xp.hypot(x.between * (x.whole / safe), y.between * (y.whole / safe))
    return between**2


def aspect(xp: Any, boxes: Any) -> Any:
    """The angle of a box's diagonal from the upright."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    nothing = xp.logical_and(width == 0, height == 0)
    return xp.where(nothing, 0.0, xp.atan2(width, xp.where(nothing, 1.0, height)))
