"""Losses whose minimum is a quantile or an expectile."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise, rowwise
from tensorweaver.losses.regression.options import require_inside

__all__ = ["expectile_loss", "multi_quantile_loss", "quantile_loss"]


def pinball(xp: Any, difference: Any, level: Any) -> Any:
    """What is too high costs `1 - level`, what is too low `level`; a level of 0 or 1 is exact."""
    too_high = xp.maximum(difference, 0.0)
    too_low = xp.maximum(-difference, 0.0)
    return xp.multiply_no_nan(too_high, 1.0 - level) + xp.multiply_no_nan(too_low, level)


@pointwise
def quantile_loss(predictions: Any, targets: Any, *, quantile: float = 0.5) -> Any:
    """Quantile (pinball) loss: the best prediction is that quantile of the targets, so it trains
    forecasts with a margin.

    Formula: `quantile (targets - predictions)` where the prediction is too low, `(1 - quantile)
    (predictions - targets)` where it is too high.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `quantile` in [0, 1], else `ArgumentError`.

    Gradient: `-quantile` where the prediction is too low, `1 - quantile` where it is too high; at
    the kink, where they are equal, the subgradient of smallest norm, 0. Hessian: 0.

    Same as: scikit-learn's `mean_pinball_loss(alpha=quantile)` and `PinballLoss`, XGBoost's
    `reg:quantileerror`, LightGBM's `quantile`; `quantile=0.5` is half of `l1_loss`.
    `multi_quantile_loss` takes several levels.

    Reference: R. Koenker and G. Bassett, Regression Quantiles, 1978.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.quantile_loss([1.0, 5.0], [3.0, 3.0], quantile=0.75, reduction="none")
    array([1.5, 0.5])
    >>> tw.quantile_loss.grad([1.0, 3.0, 5.0], [3.0, 3.0, 3.0], quantile=0.75, reduction="sum")
    array([-0.75,  0.  ,  0.25])
    """
    if not 0 <= quantile <= 1:
        message = f"quantile_loss: quantile must be in [0, 1], got {quantile!r}"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    difference = predictions - targets
    return pinball(xp, difference, quantile)


@rowwise(
    arrays=("quantiles",),
    roles={"targets": "row", "quantiles": "class"},
    domains={"quantiles": "probability"},
)
def multi_quantile_loss(predictions: Any, targets: Any, *, quantiles: Any = None) -> Any:
    """Mean quantile loss of several levels: one model forecasts a whole distribution.

    Formula: for each row the mean over the levels `q` of `quantile_loss(predictions[..., q],
    targets, quantile=quantiles[q])`.

    Shapes: `predictions` `(..., Q)` with the levels on `axis`; `targets` the same without that
    axis; `quantiles` `(Q,)`.

    Domain: all real numbers; levels in [0, 1], others are refused. The
    levels need no order, and crossing predictions cost nothing extra.

    Gradient: that of `quantile_loss` divided by Q; 0 at the kinks. Hessian: 0.

    Parameters
    ----------
    quantiles
        The levels, one for each entry of the last axis. There is no default: `ArgumentError`.

    Same as: XGBoost's `reg:quantileerror` with several `quantile_alpha`, divided by their number;
    twice the loss of many evenly spaced levels approximates the continuous ranked probability
    score.

    Reference: R. Koenker and G. Bassett, Regression Quantiles, 1978.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> levels = [0.25, 0.5, 0.75]
    >>> tw.multi_quantile_loss([[1.0, 2.0, 5.0]], [3.0], quantiles=levels, reduction="none")
    array([0.5])
    >>> tw.multi_quantile_loss.grad([[1.0, 3.0, 7.0]], [3.0], quantiles=levels) * 3
    array([[-0.25,  0.  ,  0.25]])
    """
    if quantiles is None:
        message = "multi_quantile_loss: quantiles must be the levels, such as [0.1, 0.5, 0.9]"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    difference = predictions - targets
    is_level = xp.logical_and(quantiles >= 0, quantiles <= 1)
    level = xp.where(is_level, quantiles, math.nan)
    loss_of_level = pinball(xp, difference, level)
    return xp.mean(loss_of_level, axis=-1)


@pointwise
def expectile_loss(predictions: Any, targets: Any, *, expectile: float = 0.5) -> Any:
    """Expectile loss: a square that is steeper on one side, the smooth sibling of the quantile
    loss.

    Formula: with `e = predictions - targets`, `w e**2 / 2` where the weight `w` is `expectile` for
    predictions that are too low and `1 - expectile` for those that are too high.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `expectile` between 0 and 1, else `ArgumentError`.

    Gradient: `w e`, continuous. Hessian: `w`; at the target, where it jumps, that of predictions
    that are too high, as in XGBoost.

    Same as: XGBoost's `reg:expectileerror`, whose `expectile_alpha` is `expectile` here; half of
    Newey and Powell's loss; `expectile=0.5` is half of `half_mse_loss`.

    Reference: W. K. Newey and J. L. Powell, Asymmetric Least Squares Estimation and Testing, 1987.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.expectile_loss([1.0, 5.0], [3.0, 3.0], expectile=0.75, reduction="none")
    array([1.5, 0.5])
    >>> tw.expectile_loss.grad([1.0, 5.0], [3.0, 3.0], expectile=0.75, reduction="sum")
    array([-1.5,  0.5])
    """
    require_inside("expectile_loss", "expectile", expectile)
    xp = array_namespace(predictions)
    difference = predictions - targets
    weight = xp.where(difference < 0, 0.5 * expectile, 0.5 * (1 - expectile))
    return (weight * difference) * difference
