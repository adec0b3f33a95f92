"""Cross-entropy of an event that had more or less time to happen."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["cross_entropy_lambda_loss"]


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

    Gradient: `weight sigmoid(logits) ((1 - targets) - targets / expm1(r))`. Hessian: of
    an event it is never negative; far below 0 it is `(1 + weight) exp(logits) / 2`.

    Numerics: value, gradient and Hessian are exact in both tails: `log(p)` is `log(weight) +
    logits` where the rate underflows, and the Hessian is a sum of what is positive.

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
    exposure = 1.0 if weight is None else weight
    rate = xp.softplus(logits) if weight is None else weight * xp.softplus(logits)
    event = xp.multiply_no_nan(xp.event_cost(logits, exposure), targets)
    return event + xp.multiply_no_nan(rate, 1 - targets)
