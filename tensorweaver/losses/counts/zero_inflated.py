"""Losses of counts among which there are more zeros than their law explains."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.counts.poisson import divergence, plain

__all__ = ["zero_inflated_poisson_nll_loss"]


@pointwise(wrt=("predictions", "zero_logits"), domains={"targets": "nonnegative"})
def zero_inflated_poisson_nll_loss(
    predictions: Any, targets: Any, zero_logits: Any, *, full: bool = False
) -> Any:
    """Negative log-likelihood of counts that are 0 for a reason of their own with some probability,
    and else Poisson's, from the logarithm of the rate and the logit of that probability.

    Formula: `softplus(zero_logits) - log(exp(zero_logits) + exp(-exp(predictions)))` for a target
    of 0, else `softplus(zero_logits) + exp(predictions) - targets predictions`, and
    `log(targets!)` where `full`.

    Shapes: `predictions` of any shape; `targets` and `zero_logits` the same, or broadcasting to it.

    Domain: all predictions and logits; targets from 0 on, others are refused.

    Gradient: by both predictions and logits. With `p = sigmoid(zero_logits)` and, for a target of
    0, `q = sigmoid(zero_logits + exp(predictions))`, how likely the reason is: `(1 - q)
    exp(predictions)` and `p - q`; else `exp(predictions) - targets` and `p`.

    Numerics: the likelihood of a 0 is the difference of `softplus` at two places, computed from
    their distance, the rate: nothing cancels where the reason is nearly certain.

    Same as: `poisson_nll_loss` of the same rate where `zero_logits` is -inf.

    Reference: D. Lambert, Zero-Inflated Poisson Regression, 1992.

    Parameters
    ----------
    full
        Whether to add `log(targets!)`, which depends on the targets alone.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> loss = tw.zero_inflated_poisson_nll_loss
    >>> loss([0.0, 1.0], [0.0, 2.0], [0.0, 0.0], reduction="none").round(4)
    array([0.3799, 1.4114])
    >>> rate, zero = loss.grad([0.0], [0.0], [0.0])
    >>> print(rate.round(4), zero.round(4))
    [0.2689] [-0.2311]
    """
    xp = array_namespace(predictions)
    zero = xp.inflated_zero_cost(predictions, zero_logits)
    counts = xp.where(targets == 0, 1.0, targets)
    if full:
        apart = divergence(xp, predictions, counts, log_input=True, eps=0.0)
        apart = apart + xp.log_factorial_excess(counts)
    else:
        apart = plain(xp, predictions, counts, log_input=True, eps=0.0)
    counted = xp.softplus(zero_logits) + apart
    return xp.where(targets == 0, zero, xp.where(targets < 0, math.nan, counted))
