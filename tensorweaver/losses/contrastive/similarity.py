"""Cosines of many vectors with many others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.losses.vectors import direction

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_vectors", "positive", "unit_rows"]

MATRIX = 2


def unit_rows(xp: Any, x: Any) -> Any:
    """The rows divided by their lengths; a row of zeros stays one, with no slope."""
    unit, _ = direction(xp, x)
    return unit


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
