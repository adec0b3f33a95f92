"""Losses that care less for what is already right."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["sigmoid_focal_loss"]

FARTHEST = 2.0**100
SMOOTH_POWER = 2


@pointwise(domains={"targets": "probability"})
def sigmoid_focal_loss(
    logits: Any, targets: Any, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> Any:
    """Focal loss of logits: binary cross-entropy that turns to the elements that are still wrong.

    Formula: with `p = sigmoid(logits)`, `alpha_t (1 - p_t)**gamma` times the binary cross-entropy,
    where `1 - p_t = (1 - targets) p + targets (1 - p)` and `alpha_t = alpha targets + (1 - alpha)
    (1 - targets)`.

    Shapes: `logits` of any shape; `targets` the same, or broadcasting to it.

    Domain: all logits, infinite ones included: the loss is then its limit, 0 or infinity. Targets
    in [0, 1]; booleans and integers are welcome.

    Gradient: for a target of 1, `-alpha (1 - p)**gamma (1 - p + gamma p softplus(-logits))`; for a
    target of 0 the mirror image. Hessian: not positive everywhere, for the loss is not convex.

    Numerics: `1 - p` is a sigmoid, not a difference. With a `gamma` below 2, where a slope or a
    curvature is a power with a negative exponent, the factor is `exp(gamma log_sigmoid(...))` for
    targets of 0 and 1: value, gradient and Hessian are exact however confident the model is.

    Parameters
    ----------
    alpha
        The share of the positive class in [0, 1], that of the negative is `1 - alpha`; None weighs
        neither. Else `ArgumentError`.
    gamma
        Finite and at least 0, else `ArgumentError`; 0 is binary cross-entropy.

    Same as: torchvision's `sigmoid_focal_loss` (there -1 turns `alpha` off, and the default
    reduction is none); optax's `sigmoid_focal_loss`, where `alpha` is None by default, soft targets
    included; Keras's `binary_focal_crossentropy` from logits with class balancing.

    Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.sigmoid_focal_loss([0.0, 3.0], [1.0, 1.0], reduction="none").round(6)
    array([4.3322e-02, 2.7000e-05])
    >>> tw.sigmoid_focal_loss.grad([0.0, 3.0], [1.0, 1.0], reduction="sum").round(6)
    array([-7.4572e-02, -7.9000e-05])
    """
    if not (alpha is None or 0 <= alpha <= 1):
        message = f"sigmoid_focal_loss: alpha must be in [0, 1], or None, got {alpha!r}"
        raise ArgumentError(message)
    check_exponent("sigmoid_focal_loss", "gamma", gamma)
    xp = array_namespace(logits)
    negatives = 1 - targets
    cross_entropy = xp.outcome_cost(logits, negatives, targets)
    loss = modulation(xp, logits, targets, gamma) * cross_entropy
    if alpha is None:
        return loss
    balance = alpha * targets + (1 - alpha) * negatives
    return balance * loss


def check_exponent(loss: str, name: str, exponent: float) -> None:
    """Refuse an exponent that would raise what is right above what is wrong, or leave nothing."""
    if not 0 <= exponent < math.inf:
        message = f"{loss}: {name} must be finite and not negative, got {exponent!r}"
        raise ArgumentError(message)


def modulation(xp: Any, logits: Any, targets: Any, gamma: float) -> Any:
    """`(1 - p_t)**gamma`. Its slope at infinity is 0, by which an infinite loss is not multiplied.

    Where the class that the logit is against has no share of the target, `1 - p_t` is a sigmoid
    which may underflow while its power does not.
    """
    if gamma == 0:
        return 1.0
    finite = xp.clip(logits, -FARTHEST, FARTHEST)
    wrongness = (1 - targets) * xp.sigmoid(finite) + targets * xp.sigmoid(-finite)
    if gamma == 1 or gamma >= SMOOTH_POWER:
        return wrongness**gamma
    is_negative = finite < 0
    contradicted = xp.where(is_negative, targets, 1 - targets)
    confident = xp.exp(gamma * xp.log_sigmoid(xp.where(is_negative, finite, -finite)))
    return xp.where(contradicted == 0, confident, wrongness**gamma)


def power_of_sigmoid(xp: Any, x: Any, exponent: float) -> Any:
    """`sigmoid(x)**exponent`, whose slope at infinity is 0 whatever it is multiplied by."""
    if exponent == 0:
        return 1.0
    finite = xp.clip(x, -FARTHEST, FARTHEST)
    if exponent == 1 or exponent >= SMOOTH_POWER:
        return xp.sigmoid(finite) ** exponent
    return xp.exp(exponent * xp.log_sigmoid(finite))
