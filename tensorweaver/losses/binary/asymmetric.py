"""A focal loss that treats the many negatives of multi-label data otherwise than the positives."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.binary.focal import check_exponent, power_of_sigmoid

__all__ = ["asymmetric_loss"]

HALF = 0.5


@pointwise(domains={"targets": "probability"})
def asymmetric_loss(
    logits: Any,
    targets: Any,
    *,
    gamma_pos: float = 1.0,
    gamma_neg: float = 4.0,
    clip: float = 0.05,
) -> Any:
    """Asymmetric loss of logits: a focal loss that leaves the easy negatives out, for multi-label
    rows with few positives.

    Formula: with `p = sigmoid(logits)` and `p_m = max(p - clip, 0)`, `-targets (1 - p)**gamma_pos
    log(p) - (1 - targets) p_m**gamma_neg log(1 - p_m)`.

    Shapes: `logits` of any shape; `targets` the same, or broadcasting to it.

    Domain: all logits, infinite ones included. Targets in [0, 1]; booleans and integers are
    welcome. With a `clip` a negative costs at most `-log(clip)`, and its slope vanishes.

    Gradient: of each power times logarithm by the product rule; 0 for negatives with `p <= clip`.

    Numerics: `1 - p` is a sigmoid and `1 - p_m` is `1 - p + clip`, not differences; nothing is
    limited by an epsilon.

    Parameters
    ----------
    gamma_pos, gamma_neg
        The focal exponents of either side, not negative, else `ArgumentError`.
    clip
        The margin by which the probability of a negative is lowered, in [0, 1), else
        `ArgumentError`; 0 for none.

    Same as: the authors' `AsymmetricLoss`, which sums, and limits logarithms at 1e-8;
    `sigmoid_focal_loss(alpha=None)` for targets of 0 and 1, equal exponents and `clip=0`.

    Reference: T. Ridnik et al., Asymmetric Loss for Multi-Label Classification, 2021.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.asymmetric_loss([0.0, 0.0, -4.0], [1.0, 0.0, 0.0], reduction="none").round(6)
    array([0.346574, 0.024515, 0.      ])
    """
    check_exponent("asymmetric_loss", "gamma_pos", gamma_pos)
    check_exponent("asymmetric_loss", "gamma_neg", gamma_neg)
    if not 0 <= clip < 1:
        message = f"asymmetric_loss: clip must be in [0, 1), got {clip!r}"
        raise ArgumentError(message)
    xp = array_namespace(logits)
    loss_if_positive = power_of_sigmoid(xp, -logits, gamma_pos) * xp.softplus(-logits)
    if clip == 0:
        loss_if_negative = power_of_sigmoid(xp, logits, gamma_neg) * xp.softplus(logits)
    else:
        loss_if_negative = shifted(xp, logits, gamma_neg, clip)
    positive = xp.multiply_no_nan(loss_if_positive, targets)
    return positive + xp.multiply_no_nan(loss_if_negative, 1 - targets)


def shifted(xp: Any, logits: Any, gamma: float, clip: float) -> Any:
    """`-p_m**gamma log(1 - p_m)`."""
    lowered = xp.sigmoid(logits) - clip
    far = -xp.log(xp.sigmoid(-logits) + clip)
    cost = xp.where(lowered < HALF, -xp.log1p(-lowered), far)
    if gamma > 0:
        cost = lowered**gamma * cost
    return xp.where(lowered <= 0, 0.0, cost)
