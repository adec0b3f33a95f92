"""Cross-entropy of an event that had more or less time to happen."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["cross_entropy_lambda_loss"]

LOWEST = -40.0
TINY = 1e-20


@pointwise(arrays=("weight",), domains={"targets": "probability"})
def cross_entropy_lambda_loss(logits: Any, targets: Any, *, weight: Any = None) -> Any:
    """Binary cross-entropy of whether an event of rate `softplus(logits)` happens within an
    exposure, the weight.

    Formula: with `r = weight softplus(logits)` and `p = 1 - exp(-r)`, `-targets log(p) - (1 -
    targets) log(1 - p)`; here `log(1 - p) = -r`.

    Shapes: `logits` of any shape; `targets` and `weight` the same, or broadcasting to it.

    Domain: all logits, infinite ones included: the loss is then its limit. Targets in [0, 1];
    booleans and integers are welcome. `weight` not negative; an exposure of 0 makes an event cost
    infinity.

    Gradient: `weight sigmoid(logits) ((1 - targets) - targets / expm1(r))`. Hessian: of an event,
    far below 0, a difference that cancels: it is right to rounding errors of 1.

    Numerics: value and gradient are exact in both tails: `log(p)` is `log(weight) + logits` where
    the rate underflows.

    Parameters
    ----------
    weight
        The exposure, 1 by default. It is no factor of the loss, and the mean divides by the number
        of elements.

    Same as: LightGBM's `cross_entropy_lambda`; without weight
    `binary_cross_entropy_with_logits_loss`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> exposure = [2.0, 2.0]
    >>> tw.cross_entropy_lambda_loss([0, 0.0], [0, 1], weight=exposure, reduction="none").round(6)
    array([1.386294, 0.287682])
    """
    xp = array_namespace(logits)
    softplus = xp.softplus(logits)
    log_rate = xp.where(logits < LOWEST, logits, xp.log(softplus))
    rate = softplus
    if weight is not None:
        rate = weight * softplus
        log_rate = log_rate + xp.log(weight)
    within = xp.where(rate < math.log(2), xp.log(-xp.expm1(-rate)), xp.log1p(-xp.exp(-rate)))
    log_probability = xp.where(rate < TINY, log_rate, within)
    event = xp.multiply_no_nan(-log_probability, targets)
    return event + xp.multiply_no_nan(rate, 1 - targets)
