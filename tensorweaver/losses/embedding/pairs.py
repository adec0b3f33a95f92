"""Losses of distances: of a pair, or of a pair against another."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise, rowwise
from tensorweaver.losses.signs import signs
from tensorweaver.losses.vectors import norm

__all__ = [
    "contrastive_loss",
    "hinge_embedding_loss",
    "margin_mse_loss",
    "triplet_margin_loss",
]


@pointwise(domains={"targets": "sign"})
def hinge_embedding_loss(predictions: Any, targets: Any, *, margin: float = 1.0) -> Any:
    """Hinge loss of distances: those of like pairs count as they are, those of unlike pairs as far
    as they fall short of a margin.

    Formula: for a target of 1, `predictions`; for -1, `max(0, margin - predictions)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all numbers, usually distances. Targets -1 or +1; any other, 0 included, is refused.
    `margin` not negative, else `ArgumentError`.

    Gradient: 1 for like pairs; -1 for unlike ones within the margin, 0 beyond and at the margin.
    Hessian: 0.

    Same as: PyTorch's `hinge_embedding_loss`, whose slope at the margin is -1.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.hinge_embedding_loss([0.25, 0.25, 3.0], [1, -1, -1], reduction="none")
    array([0.25, 0.75, 0.  ])
    """
    refuse_negative("hinge_embedding_loss", "margin", margin)
    xp = array_namespace(predictions)
    like = signs(xp, targets)
    shortfall = xp.maximum(-like * (margin - predictions), 0.0)
    return xp.where(like == 1, predictions, shortfall)


@rowwise(roles={"targets": "row"}, wrt=("x1", "x2"))
def contrastive_loss(x1: Any, x2: Any, targets: Any, *, margin: float = 1.0) -> Any:
    """Contrastive loss of pairs of vectors: the squared distance of like pairs, the squared
    shortfall from a margin of unlike ones.

    Formula: with `d = norm(x1 - x2)`, `targets d**2 + (1 - targets) max(0, margin - d)**2`.

    Shapes: `x1` `(..., K)` with the components on `axis`; `x2` the same, or broadcasting to it;
    `targets` the same without that axis.

    Domain: all finite vectors. Targets 1 for like pairs and 0 for unlike ones, or between; booleans
    and integers are welcome. `margin` not negative, else `ArgumentError`.

    Gradient: a pair, by `x1` and by `x2`: `2 (x1 - x2)` for like pairs, `-2 max(0, margin - d)
    (x1 - x2) / d` for unlike ones, 0 where these coincide; the other is its opposite.

    Numerics: the distance is that of the vectors divided by their largest difference, so that no
    square overflows or vanishes on the way.

    Same as: tensorflow-addons' `contrastive_loss` of distances; sentence-transformers'
    `ContrastiveLoss` is half of it; pytorch-metric-learning's does not square.

    Reference: R. Hadsell, S. Chopra, Y. LeCun, Dimensionality Reduction by Learning an Invariant
    Mapping, 2006.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> x1, x2 = [[0.0, 0.0], [0.0, 0.0]], [[3.0, 4.0], [0.3, 0.4]]
    >>> tw.contrastive_loss(x1, x2, [1, 0], reduction="none")
    array([25.  ,  0.25])
    """
    refuse_negative("contrastive_loss", "margin", margin)
    xp = array_namespace(x1)
    difference = x1 - x2
    squared_distance = xp.sum(difference**2, axis=-1, keepdims=True)
    shortfall = xp.maximum(margin - norm(xp, difference), 0.0)
    loss_if_like = xp.multiply_no_nan(squared_distance, targets)
    return loss_if_like + xp.multiply_no_nan(shortfall**2, 1 - targets)


@rowwise(wrt=("anchor", "positive", "negative"))
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
) -> Any:
    """Triplet loss of vectors: an anchor is to be nearer to the positive than to the negative, by a
    margin.

    Formula: `max(0, d(anchor, positive) - d(anchor, negative) + margin)` with `d(a, b)` the p-norm
    of `a - b + eps`.

    Shapes: `anchor` `(..., K)` with the components on `axis`; `positive` and `negative` the same,
    or broadcasting to it.

    Domain: all finite vectors.

    Gradient: a triple, by `anchor`, `positive` and `negative`; 0 where the margin is kept or just
    met. A distance of 0 has slope 0.

    Numerics: vectors are divided by their largest component before they are raised to a power, so
    that a distance overflows only where it is itself too large.

    Parameters
    ----------
    margin
        Not negative, else `ArgumentError`.
    p
        At least 1, infinity included, else `ArgumentError`.
    eps
        Added to each difference, which keeps the distance of equal vectors from its kink; not
        negative, else `ArgumentError`. With 0 the distance is the plain one.
    swap
        Whether the distance of the positive from the negative counts instead where it is smaller.

    Same as: PyTorch's `triplet_margin_loss`; optax's has its `eps` inside the root.

    Reference: V. Balntas et al., Learning Local Feature Descriptors with Triplets and Shallow
    Convolutional Neural Networks, 2016.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.triplet_margin_loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]], eps=0.0)
    np.float64(4.0)
    >>> tw.triplet_margin_loss.grad([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]], eps=0.0)[1]
    array([[0.6, 0.8]])
    """
    refuse_negative("triplet_margin_loss", "margin", margin)
    refuse_negative("triplet_margin_loss", "eps", eps)
    if not p >= 1:
        message = f"triplet_margin_loss: p must be at least 1, got {p!r}"
        raise ArgumentError(message)
    xp = array_namespace(anchor)
    to_positive = norm(xp, anchor - positive + eps, p)
    to_negative = norm(xp, anchor - negative + eps, p)
    if swap:
        to_negative = xp.minimum(to_negative, norm(xp, positive - negative + eps, p))
    return xp.maximum(to_positive - to_negative + margin, 0.0)


@pointwise(wrt=("positive", "negative"))
def margin_mse_loss(positive: Any, negative: Any, targets: Any) -> Any:
    """Squared error of the margin between two scores, to learn a teacher's.

    Formula: `((positive - negative) - targets)**2`.

    Shapes: `positive` of any shape; `negative` and `targets` the same, or broadcasting to it.

    Domain: all real numbers. `targets` is the teacher's score of the positive less that of the
    negative.

    Gradient: a pair, by `positive` and `negative`: twice the error, and its opposite. Hessian: 2.

    Same as: sentence-transformers' `MarginMSELoss` of scores.

    Reference: S. Hofstätter et al., Improving Efficient Neural Ranking Models with
    Cross-Architecture Knowledge Distillation, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.margin_mse_loss([3.0], [1.0], [1.5])
    np.float64(0.25)
    """
    return ((positive - negative) - targets) ** 2


def refuse_negative(loss: str, name: str, number: float) -> None:
    """Refuse what must be a finite number from 0 up."""
    if not 0 <= number < math.inf:
        message = f"{loss}: {name} must be finite and not negative, got {number!r}"
        raise ArgumentError(message)
