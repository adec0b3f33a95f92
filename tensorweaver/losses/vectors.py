"""Lengths and directions of rows, whatever their size."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

__all__ = ["cosine_distance", "cosine_similarity", "direction", "norm"]

HALF = 0.5
ALIKE = 0.75
"""Half the ratio up to which two rows are taken from each other as they are."""


def largest_size(xp: Any, x: Any) -> tuple[Any, Any]:
    """The largest absolute value of a row, or 1 for a row of zeros; and whether it is one."""
    largest = xp.stop_gradient(xp.max(xp.abs(x), axis=-1, keepdims=True))
    is_zero = largest == 0
    return xp.where(is_zero, 1.0, largest), is_zero


def direction(xp: Any, x: Any) -> tuple[Any, Any]:
    """A row divided by its length, and whether it has none; that direction is 0, with slope 0."""
    largest, is_zero = largest_size(xp, x)
    scaled = x / largest
    return scaled / xp.where(is_zero, 1.0, length(xp, scaled)), is_zero


class Angle(NamedTuple):
    """How two rows lie: the cosine of their angle, 1 less its size, and whether there is no angle.

    `gap` is exact where the rows are nearly parallel or opposed, and means nothing elsewhere.
    """

    cosine: Any
    gap: Any
    none: Any


def length(xp: Any, x: Any) -> Any:
    return xp.sqrt(xp.sum(x**2, axis=-1, keepdims=True))


def angle(xp: Any, a: Any, b: Any) -> Angle:
    """The part of one row that is not along the other, from the difference of both.

    Of rows of nearly the same length the difference is exact, and what it has along the row is
    small: what is left keeps its digits. Otherwise what is along the row is rounded in proportion
    to how much the lengths differ; rows of far other lengths are brought to one, which rounds them.
    """
    (size_a, a_is_zero), (size_b, b_is_zero) = largest_size(xp, a), largest_size(xp, b)
    none = xp.logical_or(a_is_zero, b_is_zero)
    alike = xp.logical_and(HALF * size_a < ALIKE * size_b, HALF * size_b < ALIKE * size_a)
    unit = xp.where(alike, xp.maximum(size_a, size_b), size_a)
    of_a, of_b = a / unit, b / xp.where(alike, unit, size_b)
    length_a = xp.where(a_is_zero, 1.0, length(xp, of_a))
    length_b = xp.where(b_is_zero, 1.0, length(xp, of_b))
    cosine = xp.sum(of_a * of_b, axis=-1, keepdims=True) / (length_a * length_b)
    side = xp.where(cosine < 0, -1.0, 1.0)
    factor = xp.stop_gradient(xp.where(alike, side, side * (length_a / length_b)))
    half = xp.where(unit > 1, HALF, 1.0)  # the difference of large components may be too large
    exact = (half * a - (half * side) * b) / (half * unit)
    difference = xp.where(alike, exact, of_a - factor * of_b)
    along = xp.sum(of_a * difference, axis=-1, keepdims=True) / length_a**2
    sine = (difference - along * of_a) / (factor * length_b)
    gap = xp.sum(sine**2, axis=-1, keepdims=True) / (1 + xp.abs(cosine))
    return Angle(cosine, gap, none)


def cosine_similarity(xp: Any, a: Any, b: Any) -> Any:
    """The cosine of the angle between two rows; 0 with slope 0 where one of them is zero.

    Where the rows are nearly parallel or opposed, its slope is a difference that a sum of products
    would lose.
    """
    cosine, gap, none = angle(xp, a, b)
    blunt = xp.where(cosine < -HALF, gap - 1, cosine)
    return xp.where(none, 0.0, xp.where(cosine > HALF, 1 - gap, blunt))


def cosine_distance(xp: Any, a: Any, b: Any) -> Any:
    """`1 - cosine_similarity`, of which nothing is lost where the rows are nearly parallel."""
    cosine, gap, none = angle(xp, a, b)
    blunt = xp.where(cosine < -HALF, 2 - gap, 1 - cosine)
    return xp.where(none, 1.0, xp.where(cosine > HALF, gap, blunt))


def norm(xp: Any, x: Any, p: float = 2.0) -> Any:
    """The p-norm of a row, which overflows only where the result does; its slope at 0 is 0."""
    size = xp.abs(x)
    if p == math.inf:
        return xp.max(size, axis=-1, keepdims=True)
    if p == 1:
        return xp.sum(size, axis=-1, keepdims=True)
    largest, is_zero = largest_size(xp, x)
    total = xp.sum((size / largest) ** p, axis=-1, keepdims=True)
    return xp.where(is_zero, 0.0, largest * total ** (1 / p))
