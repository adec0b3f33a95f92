"""Cross-entropy of two classes, from probabilities and from logits."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["binary_cross_entropy_loss", "binary_cross_entropy_with_logits_loss"]

HALF = 0.5


@pointwise(arrays=("weight",), domains={"predictions": "probability", "targets": "probability"})
def binary_cross_entropy_loss(
    predictions: Any,
    targets: Any,
    *,
    weight: Any = None,
    label_smoothing: float = 0.0,
    clip: Any = None,
) -> Any:
    """Binary cross-entropy of probabilities.

    Formula: `-(targets log(predictions) + (1 - targets) log(1 - predictions))`, with `0 log 0 = 0`.

    Shapes: `predictions` of any shape; `targets` and `weight` the same, or broadcasting to it.

    Domain: probabilities and targets in [0, 1]; others are refused, booleans and integers welcome.
    Nothing is clipped: a certain and wrong prediction costs infinity, and the gradient keeps its
    true value.

    Gradient: `(predictions - targets) / (predictions (1 - predictions))`, computed as
    `-targets / predictions + (1 - targets) / (1 - predictions)`, a term with factor 0 being 0.
    Hessian: `targets / predictions**2 + (1 - targets) / (1 - predictions)**2`.

    Parameters
    ----------
    weight
        A factor for each element; as in PyTorch the mean still divides by the number of elements
        (`sample_weight` divides by the weights).
    label_smoothing
        In [0, 1], else `ArgumentError`: replaces the targets by `targets (1 - label_smoothing) +
        label_smoothing / 2`.
    clip
        On request, limit the predictions to `[clip, 1 - clip]`; the gradient is 0 beyond.

    Same as: PyTorch's `binary_cross_entropy`, which limits every logarithm to -100; this does not.
    Keras's `binary_crossentropy`, which clips.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.binary_cross_entropy_loss([0.5, 0.75], [1, 1], reduction="none").round(4)
    array([0.6931, 0.2877])
    >>> tw.binary_cross_entropy_loss.grad([0.5, 0.75], [1, 0], reduction="sum")
    array([-2.,  4.])
    """
    xp = array_namespace(predictions)
    if clip is not None:
        if not (isinstance(clip, int | float) and 0 <= clip < HALF):
            message = f"binary_cross_entropy_loss: clip must be in [0, 0.5), got {clip!r}"
            raise ArgumentError(message)
        predictions = xp.clip(predictions, clip, 1 - clip)
    positives, negatives = shares("binary_cross_entropy_loss", targets, label_smoothing)
    positive = xp.xlogy(positives, predictions)
    negative = xp.xlog1py(negatives, -predictions)
    loss = 0.0 - (positive + negative)
    return loss if weight is None else xp.multiply_no_nan(loss, weight)


@pointwise(arrays=("weight", "pos_weight"), domains={"targets": "probability"})
def binary_cross_entropy_with_logits_loss(
    logits: Any,
    targets: Any,
    *,
    weight: Any = None,
    pos_weight: Any = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Binary cross-entropy of logits: the sigmoid and the loss in one, exact in the tails.

    Formula: `pos_weight targets softplus(-logits) + (1 - targets) softplus(logits)`.

    Shapes: `logits` of any shape; `targets`, `weight` and `pos_weight` the same, or broadcasting to
    it.

    Domain: all logits, infinite ones included: the loss is then its limit, 0 or infinity. Targets
    in [0, 1]; others are refused, booleans and integers welcome.

    Gradient: `(1 - targets) sigmoid(logits) - pos_weight targets sigmoid(-logits)`: without
    `pos_weight`, `sigmoid(logits) - targets` without its cancellation. Hessian: the same sum of
    `sigmoid(logits) sigmoid(-logits)`.

    Parameters
    ----------
    weight
        A factor for each element; as in PyTorch the mean still divides by the number of elements.
    pos_weight
        A factor for the positive part, to trade recall for precision.
    label_smoothing
        In [0, 1], else `ArgumentError`: replaces the targets by `targets (1 - label_smoothing) +
        label_smoothing / 2`.

    Same as: PyTorch's `binary_cross_entropy_with_logits`, optax's `sigmoid_binary_cross_entropy`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.binary_cross_entropy_with_logits_loss([0.0, -50.0], [1.0, 0.0], reduction="none")
    array([6.93147181e-01, 1.92874985e-22])
    >>> tw.binary_cross_entropy_with_logits_loss.grad([0.0, 0.0], [1.0, 0.0], reduction="sum")
    array([-0.5,  0.5])
    """
    xp = array_namespace(logits)
    name = "binary_cross_entropy_with_logits_loss"
    positives, negatives = shares(name, targets, label_smoothing)
    if pos_weight is not None:
        positives = pos_weight * positives
    loss = xp.outcome_cost(logits, negatives, positives)
    return loss if weight is None else xp.multiply_no_nan(loss, weight)


def shares(loss: str, targets: Any, label_smoothing: float) -> tuple[Any, Any]:
    """How much of an element is positive, and how much negative; neither is one less the other
    where smoothing makes both small.
    """
    if not 0 <= label_smoothing <= 1:
        message = f"{loss}: label_smoothing must be in [0, 1], got {label_smoothing!r}"
        raise ArgumentError(message)
    if label_smoothing == 0:
        return targets, 1 - targets
    kept, spread = 1 - label_smoothing, label_smoothing / 2
    return kept * targets + spread, kept * (1 - targets) + spread
