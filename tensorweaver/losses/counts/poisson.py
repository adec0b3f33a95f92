"""Losses of counts whose variance is their mean."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["poisson_deviance_loss", "poisson_nll_loss"]


@pointwise(domains={"targets": "nonnegative"})
def poisson_nll_loss(
    predictions: Any, targets: Any, *, log_input: bool = True, full: Any = False, eps: float = 0.0
) -> Any:
    """Negative log-likelihood of counts under a Poisson distribution, from the logarithm of its
    rate.

    Formula: `exp(predictions) - targets predictions`; with `log_input=False`, where predictions are
    rates, `predictions - targets log(predictions + eps)`, with `0 log 0 = 0`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all predictions, infinite ones included: a log-rate of -inf costs nothing for a target
    of 0. Rates from 0 on, negative ones give NaN. Targets from 0 on, others are refused; they need
    not be whole.

    Gradient: `exp(predictions) - targets`; of rates, `1 - targets / (predictions + eps)`. Hessian:
    `exp(predictions)`; of rates, `targets / (predictions + eps)**2`.

    Numerics: nothing is added to a rate: one of 1e-12 costs `-log(1e-12)` and not `-log(1e-8)`.
    With `full="exact"` the terms, which cancel near the best prediction, are brought together
    first: what is left is half the deviance and a rest that depends on the target alone.

    Same as: PyTorch's `poisson_nll_loss`, whose `eps` is 1e-8; scikit-learn's `HalfPoissonLoss`,
    XGBoost's `count:poisson`; Keras' `poisson` is `log_input=False, eps=1e-7`.

    Parameters
    ----------
    log_input
        Whether predictions are logarithms of rates.
    full
        True adds what depends on targets alone, by PyTorch's approximation: Stirling's `targets
        log(targets) - targets + log(2 pi targets) / 2` for targets above 1. `"exact"` adds
        `log(targets!)`, for any targets from 0 on: the loss is then the negative log-likelihood.
    eps
        What is added to rates inside the logarithm, as PyTorch does with 1e-8.

    Errors: `ArgumentError` where `full` is neither a truth value nor `"exact"`, or `eps` negative.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.poisson_nll_loss([0.0, 1.0], [0.0, 2.0], reduction="none").round(4)
    array([1.    , 0.7183])
    >>> tw.poisson_nll_loss([2.0], [3.0], log_input=False, full="exact").round(6)
    np.float64(1.712318)
    >>> tw.poisson_nll_loss.grad([0.0, 1.0], [1.0, 1.0], reduction="sum").round(4)
    array([0.    , 1.7183])
    """
    if not (isinstance(full, bool) or full == "exact"):
        message = f'poisson_nll_loss: full must be True, False or "exact", got {full!r}'
        raise ArgumentError(message)
    if not 0 <= eps < math.inf:
        message = f"poisson_nll_loss: eps must be 0 or positive and finite, got {eps!r}"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    loss = plain(xp, predictions, targets, log_input, eps)
    if not full:
        return loss
    apart = divergence(xp, predictions, targets, log_input, eps)
    if full == "exact":
        # Below 1 nothing cancels, but in the slope by the target infinite logarithms would.
        near_zero = loss + xp.log_factorial(targets)
        return xp.where(targets < 1, near_zero, apart + xp.log_factorial_excess(targets))
    return xp.where(targets > 1, apart + 0.5 * xp.log(2 * math.pi * targets), loss)


def plain(xp: Any, predictions: Any, targets: Any, log_input: bool, eps: float) -> Any:  # noqa: FBT001
    """`rate - targets log(rate)`; an infinite rate is infinite whatever is taken from it."""
    if not log_input:
        loss = predictions - xp.xlogy(targets, predictions + eps)
        return xp.where(predictions < 0, math.nan * predictions, loss)
    rate = xp.exp(predictions)
    gain = xp.multiply_no_nan(predictions, targets)
    return xp.where(predictions == math.inf, rate, rate - gain)


def divergence(xp: Any, predictions: Any, targets: Any, log_input: bool, eps: float) -> Any:  # noqa: FBT001
    """`rate - targets + targets log(targets / rate)`, half of the deviance."""
    if not log_input:
        loss = xp.power_divergence(targets, predictions + eps, 1) - eps
        return xp.where(predictions < 0, math.nan * predictions, loss)
    surprise = xp.log(targets) - predictions
    apart = xp.exp(predictions) - targets + xp.multiply_no_nan(surprise, targets)
    close = targets * xp.expm1mx(-surprise)
    loss = xp.where(xp.abs(surprise) < 1, close, apart)
    return xp.where(predictions == math.inf, xp.exp(predictions), loss)


@pointwise(domains={"predictions": "nonnegative", "targets": "nonnegative"})
def poisson_deviance_loss(predictions: Any, targets: Any) -> Any:
    """Poisson deviance: how far a positive mean is from a count, 0 where they are the same.

    Formula: `2 (targets log(targets / predictions) - targets + predictions)`, with `0 log 0 = 0`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: predictions and targets from 0 on, others are refused. A prediction of 0 costs
    infinity unless the target is 0 too.

    Gradient: `2 (predictions - targets) / predictions`. Hessian: `2 targets / predictions**2`.

    Numerics: near the target the deviance is a power series in the relative distance, so that
    no digit is lost: that of 1 and 1 + 1e-8 is 1e-16, where the plain formula gives 0.

    Same as: scikit-learn's `mean_poisson_deviance`; `tweedie_deviance_loss(power=1)`; twice
    `poisson_nll_loss(log_input=False)` but for what depends on the targets alone.

    Reference: P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.poisson_deviance_loss([1.0, 3.0], [0.0, 3.0], reduction="none")
    array([2., 0.])
    >>> tw.poisson_deviance_loss.grad([1.0, 4.0], [0.0, 3.0], reduction="sum")
    array([2. , 0.5])
    """
    xp = array_namespace(predictions)
    return 2 * xp.power_divergence(targets, predictions, 1)
