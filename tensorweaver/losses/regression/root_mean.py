"""Losses in the unit of the target: roots of a row's mean square."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import rowwise

__all__ = ["rmse_loss", "rmsle_loss"]


@rowwise(arrays=("weight",))
def rmse_loss(predictions: Any, targets: Any, *, weight: Any = None) -> Any:
    """Root mean squared error: the size of a row's usual error, in the unit of the targets.

    Formula: with `e = predictions - targets`, `sqrt(mean(e**2))` over `axis`; the reduction is over
    the roots.

    Shapes: `predictions` `(..., K)` with what is averaged on `axis`; `targets` and `weight` the
    same, or broadcasting to it. One loss a row: of a single axis a number, of a table with
    `axis=0` one a column.

    Domain: all real numbers. An infinite error costs infinity.

    Gradient: `e / (K sqrt(mean(e**2)))`, of length `1 / sqrt(K)` however small the error; where all
    errors of a row are 0, the subgradient of smallest norm, 0. Hessian of a row: `(I - u u^T) / (K
    sqrt(mean(e**2)))` with the errors' direction `u`.

    Numerics: errors are divided by the row's largest before they are squared, so that none
    overflows or vanishes on the way.

    Parameters
    ----------
    weight
        A factor for each square, not negative: `sqrt(sum(weight e**2) / sum(weight))`. What has
        weight 0 contributes nothing, even where it is NaN; a row without weight costs nothing and
        does not count in the mean. (`sample_weight` and `where` are for whole rows.)

    Same as: scikit-learn's `root_mean_squared_error`, whose samples are on the first axis: with
    `axis=0`, and its `sample_weight` as `weight`. The root of `mse_loss` of each row.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.rmse_loss([1.0, 5.0], [0.0, -2.0])
    np.float64(5.0)
    >>> tw.rmse_loss.grad([1.0, 5.0], [0.0, -2.0])
    array([0.1, 0.7])
    >>> tw.rmse_loss([[3.0, 1.0], [4.0, 1.0]], 0.0, axis=0, reduction="none").round(4)
    array([3.5355, 1.    ])
    """
    return root_mean_square(array_namespace(predictions), predictions - targets, weight)


@rowwise(arrays=("weight",))
def rmsle_loss(predictions: Any, targets: Any, *, weight: Any = None) -> Any:
    """Root mean squared logarithmic error: the size of a row's usual relative error, for targets
    over orders of magnitude.

    Formula: with `e = log(1 + predictions) - log(1 + targets)`, `sqrt(mean(e**2))` over `axis`; the
    reduction is over the roots.

    Shapes: `predictions` `(..., K)` with what is averaged on `axis`; `targets` and `weight` the
    same, or broadcasting to it. One loss a row.

    Domain: numbers from -1 up; below, the row is NaN, and at -1 the logarithm is -inf. Nothing is
    limited to 0.

    Gradient: `e / (K sqrt(mean(e**2)) (1 + predictions))`; where all errors of a row are 0, the
    subgradient of smallest norm, 0.

    Numerics: one logarithm of one quotient an element, and squares of errors divided by the row's
    largest.

    Parameters
    ----------
    weight
        A factor for each square, as for `rmse_loss`.

    Same as: scikit-learn's `root_mean_squared_log_error`, whose samples are on the first axis: with
    `axis=0`; XGBoost's metric `rmsle`. The root of `msle_loss` of each row.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.rmsle_loss([1.0, 3.0], [1.0, 1.0]).round(6)
    np.float64(0.490129)
    >>> tw.rmsle_loss.grad([1.0, 3.0], [1.0, 1.0]).round(6)
    array([0.      , 0.176777])
    """
    xp = array_namespace(predictions)
    return root_mean_square(xp, xp.log1p_ratio(predictions, targets), weight)


def root_mean_square(xp: Any, errors: Any, weight: Any) -> Any:
    """`largest sqrt(mean((errors / largest)**2))`; with weights also whether a row counts."""
    size = xp.abs(errors)
    if weight is None:
        return root(xp, size, lambda x: xp.mean(x, axis=-1, keepdims=True))
    total = xp.sum(weight, axis=-1, keepdims=True)
    shares = weight / xp.where(total == 0, 1.0, total)
    known = xp.where(weight == 0, 0.0, size)
    loss = root(xp, known, lambda x: xp.sum(shares * x, axis=-1, keepdims=True))
    return loss, xp.where(total == 0, 0.0, 1.0)


def root(xp: Any, size: Any, mean: Any) -> Any:
    largest = xp.max(size, axis=-1, keepdims=True)
    held = xp.stop_gradient(largest)
    known = xp.where((held == 0) | (held == math.inf), 1.0, held)
    usual = known * xp.sqrt(mean(xp.square(size / known)))
    infinite = largest * xp.sqrt(mean(xp.where(size == math.inf, xp.ones_like(size), 0.0)))
    return xp.where(held == 0, 0.0, xp.where(held == math.inf, infinite, usual))
