"""Triplets by any distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.vectors import norm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["triplet_margin_with_distance_loss"]

LOSS = "triplet_margin_with_distance_loss"
VECTORS = ("anchor", "positive", "negative")


def check_triplet(
    given: Mapping[str, Any], *, distance_function: Any, margin: float, **_options: Any
) -> None:
    if not margin >= 0:
        message = f"{LOSS}: margin must not be negative, got {margin!r}"
        raise ArgumentError(message)
    if distance_function is not None and not callable(distance_function):
        message = (
            f"{LOSS}: distance_function must be a function of two arrays, got {distance_function!r}"
        )
        raise ArgumentError(message)
    shapes = [tuple(given[name]) for name in VECTORS]
    if distance_function is None and not (all(shapes) and len({s[-1] for s in shapes}) == 1):
        message = (
            f"{LOSS}: anchor, positive and negative of shapes {shapes[0]}, {shapes[1]} and "
            f"{shapes[2]} must have as many components on the last axis"
        )
        raise ShapeError(message)


@composed(wrt=VECTORS, check=check_triplet)
def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
) -> Any:
    """Triplet loss by any distance: an anchor is to be nearer to the positive than to the negative.

    Formula: `max(0, d(anchor, positive) - d(anchor, negative) + margin)`.

    Shapes: those that `distance_function` takes; a loss for each distance that it gives. Without
    one, `(..., D)` with the components last.

    Domain: all finite vectors.

    Gradient: a triple, by `anchor`, `positive` and `negative`; 0 where the margin is just met,
    and of the Euclidean distance where it is 0.

    Numerics: the Euclidean distance overflows only where the result does.

    Parameters
    ----------
    distance_function
        A function of two Tensors, of array-API functions; the Euclidean distance without one.
    margin
        Not negative, else `ArgumentError`.
    swap
        Whether the distance of the positive from the negative counts instead where it is smaller.

    Same as: PyTorch's `triplet_margin_with_distance_loss`, whose own distance adds 1e-6 to each
    difference.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> def city_block(a, b):
    ...     xp = tw.array_namespace(a)
    ...     return xp.sum(xp.abs(a - b), axis=-1)
    >>> vectors = [[0.0, 0.0]], [[1.0, 2.0]], [[0.0, 2.5]]
    >>> tw.triplet_margin_with_distance_loss(*vectors, distance_function=city_block)
    np.float64(1.5)
    """
    xp = array_namespace(anchor)
    distance = euclidean if distance_function is None else distance_function
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        to_negative = xp.minimum(to_negative, distance(positive, negative))
    return xp.maximum(to_positive - to_negative + margin, 0.0)


def euclidean(a: Any, b: Any) -> Any:
    """The length of each difference; without components it is 0."""
    xp, apart = array_namespace(a), a - b
    return norm(xp, apart)[..., 0] if apart.shape[-1] else xp.sum(apart, axis=-1)
