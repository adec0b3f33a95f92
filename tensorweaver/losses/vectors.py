"""Lengths and directions of rows, whatever their size."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

__all__ = ["cosine_distance", "cosine_similarity", "direction", "norm"]

CLOSE = 0.5


def largest_size(xp: Any, x: Any) -> tuple[Any, Any]:
    """The largest absolute value of a row, or 1 for a row of zeros; and whether it is one."""
    largest = xp.stop_gradient(xp.max(xp.abs(x), axis=-1, keepdims=True))
    is_zero = largest == 0
    return xp.where(is_zero, 1.0, largest), is_zero


def direction(xp: Any, x: Any) -> tuple[Any, Any]:
    """A row divided by its length, and whether it has none; that direction is 0, with slope 0."""
    largest, is_zero = largest_size(xp, x)
    scaled = x / largest
    length = xp.sqrt(xp.sum(scaled**2, axis=-1, keepdims=True))
    return scaled / xp.where(is_zero, 1.0, length), is_zero


class Angle(NamedTuple):
    """How two rows lie: the sum of their directions' products, half the squared distance of the
    directions and of one from the other's opposite, and whether there is no angle.
    """

    product: Any
    distance: Any
    to_opposite: Any
    none: Any


def angle(xp: Any, a: Any, b: Any) -> Angle:
    (unit_a, a_is_zero), (unit_b, b_is_zero) = direction(xp, a), direction(xp, b)
    return Angle(
        xp.sum(unit_a * unit_b, axis=-1, keepdims=True),
        0.5 * xp.sum((unit_a - unit_b) ** 2, axis=-1, keepdims=True),
        0.5 * xp.sum((unit_a + unit_b) ** 2, axis=-1, keepdims=True),
        xp.logical_or(a_is_zero, b_is_zero),
    )


def cosine_similarity(xp: Any, a: Any, b: Any) -> Any:
    """The cosine of the angle between two rows; 0 with slope 0 where one of them is zero.

    Where the rows are nearly parallel or opposed, its slope is a difference that a sum of products
    would lose.
    """
    product, distance, to_opposite, none = angle(xp, a, b)
    blunt = xp.where(product < -CLOSE, to_opposite - 1, product)
    return xp.where(none, 0.0, xp.where(product > CLOSE, 1 - distance, blunt))


def cosine_distance(xp: Any, a: Any, b: Any) -> Any:
    """`1 - cosine_similarity`, of which nothing is lost where the rows are nearly parallel."""
    product, distance, to_opposite, none = angle(xp, a, b)
    blunt = xp.where(product < -CLOSE, 2 - to_opposite, 1 - product)
    return xp.where(none, 1.0, xp.where(product > CLOSE, distance, blunt))


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
