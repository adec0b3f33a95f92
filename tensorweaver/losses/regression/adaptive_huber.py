"""The Huber loss whose line begins where the largest errors are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["adaptive_delta_huber_loss"]


def check_adaptive(given: Mapping[str, Any], *, quantile: float) -> None:
    loss = "adaptive_delta_huber_loss"
    if not 0 < quantile <= 1:
        message = f"{loss}: quantile must be above 0 and at most 1, got {quantile!r}"
        raise ArgumentError(message)
    shape, targets = tuple(given["predictions"]), tuple(given["targets"])
    if not fits(targets, shape):
        message = (
            f"{loss}: targets of shape {targets} must have the shape {shape} of predictions, or "
            "broadcast to it"
        )
        raise ShapeError(message)


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether an array of that shape broadcasts to the wanted one."""
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False


@composed(check=check_adaptive)
def adaptive_delta_huber_loss(predictions: Any, targets: Any, *, quantile: float = 0.9) -> Any:
    """Huber loss whose `delta` is a quantile of the absolute errors: a square for most of the data,
    a straight line for the worst of it, whatever its unit.

    Formula: `huber_loss(predictions, targets, delta=delta)`; of the `n` absolute errors of the
    call, `delta` is the one that `ceil(quantile n)` of them do not exceed.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it. All elements
    together have one `delta`.

    Domain: all real numbers; NaN in one error is NaN in all losses. `quantile` above 0 and at most
    1, else `ArgumentError`; with 1 all errors are squared. Where `delta` is 0, because so many
    predictions meet their targets, the loss is 0 everywhere.

    Gradient: the error limited to `[-delta, delta]`: `delta` is held constant, so that it is not
    the slope of the value. Hessian: 1 up to `delta`, 0 beyond.

    Numerics: `delta` is one of the errors, none is interpolated. What `sample_weight` and `where`
    leave out costs nothing, and remains among the errors that `delta` is found from.

    Same as: scikit-learn's `HuberLoss(quantile)` at the `delta` that `GradientBoostingRegressor`
    gives it before each tree.

    Reference: J. H. Friedman, Greedy Function Approximation: A Gradient Boosting Machine, 2001.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> predictions = [0.5, -1.0, 2.0, 9.0]
    >>> tw.adaptive_delta_huber_loss(predictions, 0.0, quantile=0.75, reduction="none")
    array([ 0.125,  0.5  ,  2.   , 16.   ])
    >>> tw.adaptive_delta_huber_loss.grad(predictions, 0.0, quantile=0.75, reduction="sum")
    array([ 0.5, -1. ,  2. ,  2. ])
    """
    xp = array_namespace(predictions)
    difference = predictions - targets
    if not difference.size:
        return difference
    distance = xp.abs(xp.stop_gradient(difference))
    place = math.ceil(quantile * distance.size) - 1
    delta = xp.sort(xp.reshape(distance, (-1,)))[place]
    unknown = xp.any(xp.isnan(distance))
    return huber(xp, difference, xp.where(unknown, math.nan, delta))


def huber(xp: Any, difference: Any, delta: Any) -> Any:
    """As `huber_loss`, but each branch is only given what it is for: no infinity meets another."""
    is_near = xp.abs(difference) <= delta
    near = xp.where(is_near, difference, 0.0)
    far = xp.where(is_near, 0.0, xp.abs(difference))
    linear = xp.where(is_near, 0.0, delta * (far - 0.5 * delta))
    return 0.5 * near**2 + linear
