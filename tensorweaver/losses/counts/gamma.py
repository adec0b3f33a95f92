"""Losses of positive amounts whose standard deviation is proportional to their mean."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["gamma_deviance_loss", "gamma_nll_loss"]


@pointwise(domains={"targets": "nonnegative"})
def gamma_nll_loss(predictions: Any, targets: Any) -> Any:
    """Negative log-likelihood of positive amounts under a gamma distribution, from the logarithm of
    its mean.

    Formula: `predictions + targets exp(-predictions)`, the terms without the prediction left out.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all predictions, infinite ones included; targets from 0 on, others are
    refused.

    Gradient: `1 - targets exp(-predictions)`. Hessian: `targets exp(-predictions)`.

    Numerics: half of the exponential meets the target before the other half, so that a tiny target
    and a low prediction do not overflow.

    Same as: scikit-learn's `HalfGammaLoss`, XGBoost's `reg:gamma`, LightGBM's `gamma`; half of
    `gamma_deviance_loss` of `exp(predictions)` but for `log(targets) + 1`.

    Reference: P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.gamma_nll_loss([0.0, 1.0], [1.0, 2.0], reduction="none").round(4)
    array([1.    , 1.7358])
    >>> tw.gamma_nll_loss.grad([0.0, 0.0], [1.0, 2.0], reduction="sum")
    array([ 0., -1.])
    """
    xp = array_namespace(predictions)
    relative = xp.times_exp(targets, -predictions)
    return xp.where(relative == math.inf, relative, predictions + relative)


@pointwise(domains={"predictions": "nonnegative", "targets": "nonnegative"})
def gamma_deviance_loss(predictions: Any, targets: Any) -> Any:
    """Gamma deviance: how far a positive mean is from a positive amount, whatever their unit.

    Formula: `2 (log(predictions / targets) + targets / predictions - 1)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: positive predictions and targets; negative ones are refused, a target of 0 costs
    infinity.

    Gradient: `2 (predictions - targets) / predictions**2`. Hessian: `2 (2 targets - predictions) /
    predictions**3`.

    Numerics: near the target the deviance is a power series in the relative distance, so that no
    digit is lost.

    Same as: scikit-learn's `mean_gamma_deviance`; `tweedie_deviance_loss(power=2)`; twice the
    Itakura-Saito divergence of the targets from the predictions.

    Reference: P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.gamma_deviance_loss([1.0, 2.0], [1.0, 1.0], reduction="none").round(4)
    array([0.    , 0.3863])
    >>> tw.gamma_deviance_loss.grad([1.0, 2.0], [1.0, 1.0], reduction="sum")
    array([0. , 0.5])
    """
    xp = array_namespace(predictions)
    return 2 * xp.power_divergence(targets, predictions, 2)
