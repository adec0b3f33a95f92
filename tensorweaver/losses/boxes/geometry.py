"""What two boxes have in common, without units and without cancellation.

All lengths are fractions of the smallest box around both, so that neither the unit nor the size of
the numbers matters; what the boxes do not share is added up from the distances of their edges, and
not found as a difference of areas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Overlap", "check_boxes", "overlap_of"]

CORNERS = 4


class Side(NamedTuple):
    """Two intervals on one axis, in fractions of `whole`, the length of the one around both.

    Attributes
    ----------
    first, second, common
        Their lengths, and that of what they share.
    only_first, only_second
        What one has and the other has not.
    missing
        What the first lacks to be the whole.
    between
        The distance of their middles.
    """

    first: Any
    second: Any
    common: Any
    only_first: Any
    only_second: Any
    missing: Any
    whole: Any
    between: Any


class Overlap(NamedTuple):
    """Two boxes.

    Attributes
    ----------
    apart
        One less intersection over union.
    outside
        The share of the box around both that neither covers.
    sides
        The two axes.
    """

    apart: Any
    outside: Any
    sides: tuple[Side, Side]


def check_boxes(loss: str, given: Mapping[str, Any], **_options: Any) -> None:
    """Refuse what is no array of corners."""
    shapes = {name: shape for name, shape in given.items() if name in {"predictions", "targets"}}
    for name, shape in shapes.items():
        if not shape or shape[-1] != CORNERS:
            message = (
                f"{loss}: {name} of shape {shape} must end in an axis of 4: x1, y1, x2, y2 "
                "with x1 <= x2 and y1 <= y2"
            )
            raise ShapeError(message)
    if len(set(shapes.values())) > 1:
        a, b = shapes.values()
        message = f"{loss}: predictions of shape {a} and targets of shape {b} must be alike"
        raise ShapeError(message)


def side_of(xp: Any, low: Any, high: Any, other_low: Any, other_high: Any) -> Side:
    """One axis: where an interval and another one begin and end."""
    whole = xp.maximum(high, other_high) - xp.minimum(low, other_low)
    meet = xp.logical_and(high > other_low, other_high > low)
    unit = xp.where(whole == 0, 1.0, whole)
    first, second = (high - low) / unit, (other_high - other_low) / unit
    before, after = other_low - low, high - other_high
    only_first = xp.where(meet, (positive(xp, before) + positive(xp, after)) / unit, first)
    only_second = xp.where(meet, (positive(xp, -before) + positive(xp, -after)) / unit, second)
    missing = (positive(xp, -before) + positive(xp, -after)) / unit
    shared = (xp.minimum(high, other_high) - xp.maximum(low, other_low)) / unit
    common = xp.where(meet, shared, 0.0)
    between = (0.5 * (low - other_low) + 0.5 * (high - other_high)) / unit
    return Side(first, second, common, only_first, only_second, missing, whole, between)


def positive(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0.0)


def overlap_of(predictions: Any, targets: Any) -> Overlap:
    """What two arrays of boxes have in common, box by box."""
    xp = array_namespace(predictions)
    edges = [(predictions[..., i], targets[..., i]) for i in range(CORNERS)]
    (x1, a1), (y1, b1), (x2, a2), (y2, b2) = edges
    x, y = side_of(xp, x1, x2, a1, a2), side_of(xp, y1, y2, b1, b2)
    only_first = x.only_first * y.first + x.common * y.only_first
    only_second = x.only_second * y.second + x.common * y.only_second
    unshared = only_first + only_second
    union = unshared + x.common * y.common
    nothing = union == 0
    same = (x.only_first + x.only_second + y.only_first + y.only_second) == 0
    flat = xp.where(same, xp.zeros_like(union), xp.ones_like(union))
    apart = xp.where(nothing, flat, unshared / xp.where(nothing, 1.0, union))
    around_first = x.missing + x.first * y.missing
    outside = xp.where(nothing, 0.0, around_first - only_second)
    return Overlap(apart, outside, (x, y))
