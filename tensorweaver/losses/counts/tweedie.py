"""Losses of amounts whose variance is a power of their mean."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["tweedie_deviance_loss", "tweedie_nll_loss"]

LARGEST_POWER = 3


@pointwise(domains={"targets": "nonnegative"})
def tweedie_nll_loss(predictions: Any, targets: Any, *, power: float = 1.5) -> Any:
    """Negative log-likelihood of amounts, many of them 0, under a Tweedie distribution, from the
    logarithm of its mean.

    Formula: with `a = 1 - power` and `b = 2 - power`, `expm1(b predictions) / b - targets expm1(a
    predictions) / a`, where `expm1(0 x) / 0` means `x`. It is counted from what a mean of 1 costs,
    for only so is it continuous in `power`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all finite predictions; targets from 0 on, others are refused; `power` from 0 to 3.

    Gradient: `exp(b predictions) - targets exp(a predictions)`. Hessian: `b exp(b predictions) - a
    targets exp(a predictions)`.

    Numerics: near a mean of 1 cost and gain of a target near 1 are joined before they cancel: a
    prediction of 1e-20 costs 5e-41 there. Where both are infinite, the larger one gives value,
    gradient and Hessian their sign. Elsewhere value and gradient are the difference of two terms,
    right to the last digits of the larger one.

    Same as: scikit-learn's `HalfTweedieLoss`, XGBoost's `reg:tweedie` and LightGBM's `tweedie`,
    less `1 / b - targets / a`, which does not depend on the predictions but grows beyond all bounds
    where `power` comes near 1 or 2. With power 1 `poisson_nll_loss` less 1, with power 2
    `gamma_nll_loss` less the target.

    Reference: B. Jorgensen, Exponential Dispersion Models, 1987.

    Parameters
    ----------
    power
        The variance is the mean to this power: 1 for Poisson, 2 for gamma, between for sums of a
        random number of amounts.

    Errors: `ArgumentError` where `power` is not between 0 and 3.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.tweedie_nll_loss([0.0, 1.0], [0.0, 2.0], reduction="none").round(4)
    array([ 0.    , -0.2764])
    >>> tw.tweedie_nll_loss.grad([0.0, 0.0], [1.0, 3.0], reduction="sum")
    array([ 0., -2.])
    """
    check_power("tweedie_nll_loss", power)
    xp = array_namespace(predictions)
    return xp.amount_cost(predictions, targets, power)


@pointwise
def tweedie_deviance_loss(predictions: Any, targets: Any, *, power: float = 1.5) -> Any:
    """Tweedie deviance: how far a positive mean is from an amount whose variance is a power of it.

    Formula: `2 (targets**b / (a b) - targets predictions**a / a + predictions**b / b)` with `a = 1
    - power` and `b = 2 - power`, and its limits: the squared error with power 0, the Poisson
    deviance with 1, the gamma deviance with 2. It is twice the integral of `(targets - t) /
    t**power` from prediction to target.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: positive predictions and targets; a target of 0 costs infinity from power 2 on. With
    power 0 all real numbers; otherwise negative ones give NaN.

    Gradient: `2 (predictions - targets) / predictions**power`. Hessian: `2 ((1 - power) predictions
    + power targets) / predictions**(power + 1)`.

    Numerics: near the target the deviance is a power series in the relative distance, and powers
    that are nearly logarithms are computed by `expm1`, so that no digit is lost at either limit.

    Same as: scikit-learn's `mean_tweedie_deviance`; twice its `HalfTweedieLossIdentity`.

    Reference: B. Jorgensen, Exponential Dispersion Models, 1987.

    Parameters
    ----------
    power
        The variance is the mean to this power: 0 for normal, 1 for Poisson, 2 for gamma, 3 for
        inverse Gaussian.

    Errors: `ArgumentError` where `power` is not between 0 and 3.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.tweedie_deviance_loss([1.0, 4.0], [0.0, 1.0], reduction="none")
    array([4., 2.])
    >>> tw.tweedie_deviance_loss.grad([1.0, 4.0], [0.0, 1.0], reduction="sum")
    array([2.  , 0.75])
    """
    check_power("tweedie_deviance_loss", power)
    xp = array_namespace(predictions)
    return 2 * xp.power_divergence(targets, predictions, power)


def check_power(loss: str, power: float) -> None:
    if not 0 <= power <= LARGEST_POWER:
        message = f"{loss}: power must be from 0 to {LARGEST_POWER}, got {power!r}"
        raise ArgumentError(message)
