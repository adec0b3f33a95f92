"""Proper scores of predicted distributions, in the unit of the target."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["crps_gaussian_loss", "interval_score_loss"]


@pointwise(wrt=("predictions", "scale"), domains={"scale": "nonnegative"})
def crps_gaussian_loss(predictions: Any, targets: Any, scale: Any) -> Any:
    """Continuous ranked probability score of a normal distribution: its distance from the target,
    less half of its distance from itself, for forecasts whose outliers must not dominate.

    Formula: with `z = (targets - predictions) / scale`, `scale (z erf(z / sqrt(2)) + sqrt(2 / pi)
    exp(-z**2 / 2) - 1 / sqrt(pi))`.

    Shapes: `predictions`, the means, of any shape; `targets` and `scale`, the standard deviations,
    the same, or broadcasting to it.

    Domain: all real predictions and targets; scales from 0 on, others are refused. With scale 0
    it is the absolute error.

    Gradient: by both predictions and scale: `-erf(z / sqrt(2))`, and `sqrt(2 / pi) exp(-z**2 / 2) -
    1 / sqrt(pi)`. Hessian: `sqrt(2 / pi) exp(-z**2 / 2) / scale` by the predictions.

    Same as: `crps_gaussian` of the package properscoring.

    Reference: T. Gneiting and A. E. Raftery, Strictly Proper Scoring Rules, Prediction, and
    Estimation, 2007.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.crps_gaussian_loss([0.0, 0.0], [0.0, 3.0], [1.0, 1.0], reduction="none").round(4)
    array([0.2337, 2.4366])
    >>> mean, scale = tw.crps_gaussian_loss.grad([0.0], [1.0], [1.0])
    >>> print(mean.round(4), scale.round(4))
    [-0.6827] [-0.0802]
    """
    xp = array_namespace(predictions)
    return xp.mean_distance(predictions - targets, scale) - scale / math.sqrt(math.pi)


@pointwise(wrt=("lower", "upper"))
def interval_score_loss(lower: Any, upper: Any, targets: Any, *, alpha: float = 0.1) -> Any:
    """Interval score (Winkler score): the width of a predicted interval, and a fine for a target
    outside it, for forecasts that should cover `1 - alpha` of the targets.

    Formula: `upper - lower + (2 / alpha) (max(lower - targets, 0) + max(targets - upper, 0))`.

    Shapes: `lower` of any shape; `upper` and `targets` the same, or broadcasting to it.

    Domain: all real numbers; ends that have changed places are not put right.

    Gradient: by both ends: -1 and 1 where the target is inside or on the end, else with `2 / alpha`
    the other way. Hessian: 0.

    Same as: twice the sum of `quantile_loss` at both ends' quantiles, `alpha / 2` and `1 - alpha /
    2`, divided by `alpha`.

    Reference: R. L. Winkler, A Decision-Theoretic Approach to Interval Estimation, 1972.

    Parameters
    ----------
    alpha
        The share of the targets that may be outside.

    Errors: `ArgumentError` where `alpha` is not between 0 and 1.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.interval_score_loss([0.0, 0.0], [1.0, 1.0], [0.5, 3.0], alpha=0.5, reduction="none")
    array([1., 9.])
    >>> lower, upper = tw.interval_score_loss.grad([0.0], [1.0], [3.0], alpha=0.5)
    >>> print(lower, upper)
    [-1.] [-3.]
    """
    if not 0 < alpha < 1:
        message = f"interval_score_loss: alpha must be between 0 and 1, got {alpha!r}"
        raise ArgumentError(message)
    xp = array_namespace(lower)
    outside = xp.maximum(lower - targets, 0.0) + xp.maximum(targets - upper, 0.0)
    return upper - lower + (2 / alpha) * outside
