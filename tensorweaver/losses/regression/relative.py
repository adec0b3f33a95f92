"""Losses of relative errors."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.regression.options import require_nonnegative

__all__ = ["mape_loss", "msle_loss", "smape_loss"]


@pointwise
def mape_loss(predictions: Any, targets: Any, *, eps: float = 0.0) -> Any:
    """Mean absolute percentage error: the error as a share of the target, for targets well away
    from zero.

    Formula: with `e = predictions - targets`, `abs(e) / max(abs(targets), eps)`. A fraction: 0.1 is
    ten per cent.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `eps` finite and not negative, else `ArgumentError`. A target of 0
    costs infinity for every prediction but 0, which costs nothing: nothing hides that the loss is
    not meant for such targets. `where=` leaves them out.

    Gradient: `sign(e) / max(abs(targets), eps)`; at the kink, where the error is 0, the subgradient
    of smallest norm, 0. Hessian: 0.

    Parameters
    ----------
    eps
        On request, the smallest denominator; 1.0 is LightGBM's choice, 1e-7 Keras's, 2.2e-16
        scikit-learn's.

    Same as: scikit-learn's `mean_absolute_percentage_error` with `eps=2.2e-16`; LightGBM's `mape`
    with `eps=1`; Keras's `mean_absolute_percentage_error` is 100 times as much, with `eps=1e-7`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.mape_loss([90.0, 1.5], [100.0, 1.0], reduction="none")
    array([0.1, 0.5])
    >>> tw.mape_loss([0.5], [0.0]), tw.mape_loss([0.5], [0.0], eps=1.0)
    (np.float64(inf), np.float64(0.5))
    """
    require_nonnegative("mape_loss", "eps", eps)
    xp = array_namespace(predictions)
    difference = predictions - targets
    size = xp.abs(targets)
    denominator = size if eps == 0 else xp.maximum(size, eps)
    return xp.where(difference == 0, 0.0, xp.abs(difference) / denominator)


@pointwise
def smape_loss(predictions: Any, targets: Any) -> Any:
    """Symmetric mean absolute percentage error: the error as a share of the mean size of prediction
    and target, from 0 to 2, as forecasting competitions score it.

    Formula: with `e = predictions - targets`, `2 abs(e) / (abs(predictions) + abs(targets))`. A
    fraction: 0.1 is ten per cent. 0 where both are 0.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers. Signs that differ cost 2, whatever the sizes; so does one infinite
    value beside a finite one.

    Gradient: `4 sign(e) abs(targets) / (abs(predictions) + abs(targets))**2` where the signs agree,
    else 0; at the kinks, where the prediction is the target or 0, the subgradient of smallest norm,
    0.

    Numerics: `1 / (1 + 2 m / abs(e))` with the smaller size `m`, in whose derivative nothing
    cancels.

    Same as: the sMAPE of the M4 competition, which multiplies it by 100.

    Reference: S. Makridakis, E. Spiliotis and V. Assimakopoulos, The M4 Competition, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.smape_loss([3.0, -1.0, 0.0], [1.0, 1.0, 0.0], reduction="none")
    array([1., 2., 0.])
    >>> tw.smape_loss.grad([3.0, -1.0, 0.0], [1.0, 1.0, 0.0], reduction="sum")
    array([0.25, 0.  , 0.  ])
    """
    xp = array_namespace(predictions)
    difference = predictions - targets
    same_side = xp.sign(predictions) * xp.sign(targets) > 0
    smaller = xp.minimum(xp.abs(predictions), xp.abs(targets))
    overlap = xp.where(same_side, smaller, 0.0) / xp.abs(difference)
    return xp.where(difference == 0, 0.0, 2.0 / (1.0 + 2.0 * overlap))


@pointwise
def msle_loss(predictions: Any, targets: Any) -> Any:
    """Mean squared logarithmic error: relative errors count, for targets over orders of magnitude.

    Formula: `(log(1 + predictions) - log(1 + targets))**2`, averaged.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: numbers from -1 up; below, the result is NaN, and at -1 the logarithm is -inf. Nothing
    is limited to 0.

    Gradient: `2 (log(1 + predictions) - log(1 + targets)) / (1 + predictions)`. Hessian: `2 (1 -
    log(1 + predictions) + log(1 + targets)) / (1 + predictions)**2`.

    Numerics: one logarithm of one quotient, so that predictions near their target keep their
    digits.

    Same as: scikit-learn's `mean_squared_log_error`; twice XGBoost's `reg:squaredlogerror`; Keras's
    `mean_squared_logarithmic_error`, which raises both arguments to 1e-7 first.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.msle_loss([1.0, 3.0], [1.0, 1.0], reduction="none").round(6)
    array([0.      , 0.480453])
    >>> tw.msle_loss.grad([1.0, 3.0], [1.0, 1.0], reduction="sum").round(6)
    array([0.      , 0.346574])
    """
    xp = array_namespace(predictions)
    log_ratio = xp.log1p_ratio(predictions, targets)
    # What is infinite needs no square, whose slope would be infinite, too.
    return xp.where(log_ratio == math.inf, log_ratio, log_ratio**2)
