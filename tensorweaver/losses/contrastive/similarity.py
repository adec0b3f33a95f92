"""Cosines of many vectors with many others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import rowwise
from tensorweaver.losses.multiclass.cross_entropy import expected_cost
from tensorweaver.losses.vectors import direction

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_vectors", "cost_among_others", "positive", "unit_rows"]

MATRIX = 2


@rowwise
def units(x: Any) -> Any:
    """The elements of a row divided by its length, in one pass and back in another."""
    unit, _ = direction(array_namespace(x), x)
    return unit


def unit_rows(x: Any) -> Any:
    """The rows divided by their lengths; a row of zeros stays one, with no slope."""
    return units(x, reduction="none")


@rowwise(roles={"targets": "target", "itself": "label"})
def cost_among_others(scores: Any, targets: Any, itself: Any) -> Any:
    """Cross-entropy over all of a row but the class `itself`, which no matrix is masked for."""
    xp = array_namespace(scores)
    others = xp.put_along_axis(scores, itself, -math.inf, axis=-1)
    log_probabilities = xp.log_softmax(others, axis=-1)
    if not xp.isdtype(targets.dtype, "integral"):
        return expected_cost(xp, log_probabilities, targets, None)
    return -xp.take_along_axis(log_probabilities, targets, axis=-1)


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
