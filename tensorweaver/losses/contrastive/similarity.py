"""Cosines of many vectors with many others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_vectors", "positive", "unit_rows"]

MATRIX = 2


def unit_rows(xp: Any, x: Any) -> Any:
    """Vectors of length one in the direction of the rows; a row of zeros stays one, with no slope.

    Each row is divided by its largest number first, so that no square overflows or vanishes.
    """
    largest = xp.max(xp.abs(x), axis=-1, keepdims=True).detach()
    scaled = x / xp.where(largest == 0, 1.0, largest)
    square = xp.sum(scaled**2, axis=-1, keepdims=True)
    nothing = square == 0
    return xp.where(nothing, 0.0, scaled / xp.sqrt(xp.where(nothing, 1.0, square)))


def check_vectors(loss: str, given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse what is no matrix with a vector a row, all of one length and number."""
    shapes = [given[name] for name in names]
    for name, shape in zip(names, shapes, strict=True):
        if len(shape) != MATRIX or not shape[1]:
            message = f"{loss}: {name} of shape {shape} must be a matrix with a vector a row"
            raise ShapeError(message)
    if len(set(shapes)) > 1:
        told = " and ".join(f"{n} of shape {s}" for n, s in zip(names, shapes, strict=True))
        message = f"{loss}: {told} must be alike"
        raise ShapeError(message)


def positive(loss: str, name: str, value: float) -> None:
    """Refuse an option that has to be above 0."""
    if not value > 0:
        message = f"{loss}: {name} must be positive, got {value!r}"
        raise ArgumentError(message)
