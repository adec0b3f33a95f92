"""The Kullback-Leibler divergence of measures, which need not add up to one."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import rowwise

__all__ = ["generalized_kl_div_loss"]


@rowwise
def generalized_kl_div_loss(predictions: Any, targets: Any) -> Any:
    """Generalized Kullback-Leibler divergence: for amounts that need not add up to one.

    Formula: `sum(targets (log(targets) - predictions) + exp(predictions) - targets)`, where
    `predictions` are logarithms and `targets` are not, with `0 log 0 = 0`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same, or broadcasting
    to it.

    Domain: all predictions, -inf included; targets not negative, else NaN. A target of 0 costs
    `exp(predictions)`.

    Gradient: `exp(predictions) - targets`. Hessian: `exp(predictions)`.

    Numerics: near the target the cost is `targets (exp(d) - 1 - d)` with `d = predictions -
    log(targets)`, by a function that does not cancel; it is never negative.

    Same as: optax's `generalized_kl_divergence`; half the Poisson deviance, summed.

    Reference: I. Csiszar, Why Least Squares and Maximum Entropy?, 1991.

    Examples
    --------
    >>> import numpy as np, tensorweaver as tw
    >>> tw.generalized_kl_div_loss(np.log([[1.0, 2.0]]), [[2.0, 2.0]]).round(6)
    np.float64(0.386294)
    >>> tw.generalized_kl_div_loss.grad(np.log([[1.0, 2.0]]), [[2.0, 2.0]])
    array([[-1.,  0.]])
    """
    xp = array_namespace(predictions)
    surplus = predictions - xp.log(targets)
    near = targets * xp.expm1mx(surplus)
    far = xp.exp(predictions) - targets - xp.multiply_no_nan(surplus, targets)
    return xp.sum(xp.where(xp.abs(surplus) < 1, near, far), axis=-1, keepdims=True)
