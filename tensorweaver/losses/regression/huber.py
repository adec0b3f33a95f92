"""Losses that are quadratic near zero and linear far out."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["huber_loss", "smooth_l1_loss"]


@pointwise
def huber_loss(predictions: Any, targets: Any, *, delta: float = 1.0) -> Any:
    """Huber loss: a square within `delta` of the target, a straight line beyond.

    Formula: with `e = predictions - targets`, `e**2 / 2` where `abs(e) <= delta`, else `delta
    (abs(e) - delta / 2)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `delta > 0`, else `ArgumentError`.

    Gradient: `e` limited to `[-delta, delta]`; finite at infinite errors. Hessian: 1 within, 0
    beyond.

    Same as: PyTorch's and optax's `huber_loss`; `delta` times `smooth_l1_loss(beta=delta)`.

    Reference: P. J. Huber, Robust Estimation of a Location Parameter, 1964.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.huber_loss([0.5, 4.0], [0.0, 0.0], reduction="none")
    array([0.125, 3.5  ])
    >>> tw.huber_loss.grad([0.5, 4.0], [0.0, 0.0], reduction="sum")
    array([0.5, 1. ])
    """
    if not delta > 0:
        message = f"huber_loss: delta must be positive, got {delta!r}"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    difference = predictions - targets
    distance = xp.abs(difference)
    quadratic = (0.5 * difference) * difference
    linear = delta * (distance - 0.5 * delta)
    return xp.where(distance <= delta, quadratic, linear)


@pointwise
def smooth_l1_loss(predictions: Any, targets: Any, *, beta: float = 1.0) -> Any:
    """Smooth L1 loss: the absolute error with its kink rounded off within `beta` of the target.

    Formula: with `e = predictions - targets`, `e**2 / (2 beta)` where `abs(e) < beta`, else `abs(e)
    - beta / 2`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `beta >= 0`, else `ArgumentError`. `beta=0` is `l1_loss`.

    Gradient: `e / beta` within, `sign(e)` beyond. Hessian: `1 / beta` within, 0 beyond.

    Numerics: `e` is divided by `beta` before it is multiplied by `e`, so that tiny errors with a
    tiny `beta` do not underflow.

    Same as: PyTorch's `smooth_l1_loss`; `huber_loss(delta=beta) / beta`.

    Reference: R. Girshick, Fast R-CNN, 2015.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.smooth_l1_loss([0.5, 4.0], [0.0, 0.0], reduction="none")
    array([0.125, 3.5  ])
    """
    if not beta >= 0:
        message = f"smooth_l1_loss: beta must not be negative, got {beta!r}"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    difference = predictions - targets
    distance = xp.abs(difference)
    if beta == 0:
        return distance
    quadratic = distance * (distance / (2 * beta))
    linear = distance - 0.5 * beta
    return xp.where(distance < beta, quadratic, linear)
