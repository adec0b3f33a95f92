"""Losses of the angle between two vectors."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise
from tensorweaver.losses.signs import signs
from tensorweaver.losses.vectors import cosine_distance, cosine_similarity

__all__ = ["cosine_embedding_loss", "cosine_similarity_loss"]


@rowwise
def cosine_similarity_loss(predictions: Any, targets: Any) -> Any:
    """Cosine distance of two vectors, 0 where they point the same way, 2 where they are opposed;
    their lengths do not matter.

    Formula: `1 - sum(predictions targets) / (norm(predictions) norm(targets))` over a row.

    Shapes: `predictions` `(..., K)` with the components on `axis`; `targets` the same, or
    broadcasting to it.

    Domain: all finite vectors. There is no epsilon: vectors of length 1e-30 or 1e30 have a
    direction too. A zero vector has none; its cosine is taken as 0, its gradient as 0.

    Gradient: with the unit vectors `u` and `v`, `(cos u - v) / norm(predictions)`. By the targets
    with `wrt="targets"`, by both with `wrt=("predictions", "targets")`.

    Numerics: of nearly parallel or opposed vectors the sine of the angle is found from the part of
    their difference, or sum, that is not along them; no square overflows. Of vectors of the same
    length loss and gradient keep their digits. Where the lengths differ by a share `r`, at most 1,
    the relative error is about `r` roundings divided by the angle: at an angle of 1e-3 and `r=0.2`,
    1e-5 in float32.

    Same as: optax's `cosine_distance`; 1 more than Keras's `cosine_similarity`, which has the sign
    of a loss; `cosine_embedding_loss` with targets of 1.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.cosine_similarity_loss([[3.0, 4.0], [1.0, 0.0]], [[3.0, 4.0], [0.0, 2.0]])
    np.float64(0.5)
    >>> tw.cosine_similarity_loss.grad([[2.0, 0.0]], [[0.0, 1.0]])
    array([[ 0. , -0.5]])
    """
    return cosine_distance(array_namespace(predictions), predictions, targets)


@rowwise(roles={"targets": "row"}, wrt=("x1", "x2"), domains={"targets": "sign"})
def cosine_embedding_loss(x1: Any, x2: Any, targets: Any, *, margin: float = 0.0) -> Any:
    """Cosine loss of pairs: like vectors are turned towards each other, unlike ones apart.

    Formula: for a target of 1, `1 - cos(x1, x2)`; for -1, `max(0, cos(x1, x2) - margin)`.

    Shapes: `x1` `(..., K)` with the components on `axis`; `x2` the same, or broadcasting to it;
    `targets` the same without that axis.

    Domain: all finite vectors, zero vectors as for `cosine_similarity_loss`. Targets -1 or +1, any
    other is refused. `margin` in [-1, 1], else `ArgumentError`.

    Gradient: a pair, by `x1` and by `x2`: that of the cosine distance, or its opposite, or 0 where
    an unlike pair is at the margin or beyond.

    Numerics: as for `cosine_similarity_loss`.

    Same as: PyTorch's `cosine_embedding_loss`, which adds 1e-12 to each squared length.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> x1, x2 = [[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [3.0, 4.0]]
    >>> tw.cosine_embedding_loss(x1, x2, [1, -1], reduction="none")
    array([1. , 0.6])
    """
    if not -1 <= margin <= 1:
        message = f"cosine_embedding_loss: margin must be in [-1, 1], got {margin!r}"
        raise ArgumentError(message)
    xp = array_namespace(x1)
    like = signs(xp, targets)
    closeness = xp.maximum(-like * (cosine_similarity(xp, x1, x2) - margin), 0.0)
    return xp.where(like == 1, cosine_distance(xp, x1, x2), closeness)
