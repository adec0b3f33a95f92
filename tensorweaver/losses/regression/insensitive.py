"""Losses that small errors do not enter."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.regression.options import require_nonnegative

__all__ = ["epsilon_insensitive_loss", "squared_epsilon_insensitive_loss"]


@pointwise
def epsilon_insensitive_loss(predictions: Any, targets: Any, *, epsilon: float = 0.1) -> Any:
    """Epsilon-insensitive loss: errors up to `epsilon` are free, the rest costs in proportion, as
    in support vector regression.

    Formula: with `e = predictions - targets`, `max(0, abs(e) - epsilon)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `epsilon` finite and not negative, else `ArgumentError`. `epsilon=0`
    is `l1_loss`.

    Gradient: `sign(e)` where `abs(e) > epsilon`, else 0; at the kink, too, the subgradient of
    smallest norm is 0. Hessian: 0.

    Same as: the `epsilon_insensitive` of scikit-learn's `SGDRegressor` and `SVR`.

    Reference: V. Vapnik, The Nature of Statistical Learning Theory, 1995.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.epsilon_insensitive_loss([0.25, 3.0], [0.0, 0.0], epsilon=0.5, reduction="none")
    array([0. , 2.5])
    >>> tw.epsilon_insensitive_loss.grad([0.25, 3.0], [0.0, 0.0], epsilon=0.5, reduction="sum")
    array([0., 1.])
    """
    require_nonnegative("epsilon_insensitive_loss", "epsilon", epsilon)
    xp = array_namespace(predictions)
    distance = xp.abs(predictions - targets)
    return xp.maximum(distance - epsilon, 0.0)


@pointwise
def squared_epsilon_insensitive_loss(
    predictions: Any, targets: Any, *, epsilon: float = 0.1
) -> Any:
    """Squared epsilon-insensitive loss: errors up to `epsilon` are free, the rest costs its square.

    Formula: with `e = predictions - targets`, `max(0, abs(e) - epsilon)**2`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `epsilon` finite and not negative, else `ArgumentError`. `epsilon=0`
    is `mse_loss`.

    Gradient: `2 sign(e) max(0, abs(e) - epsilon)`, continuous. Hessian: 2 where `abs(e) > epsilon`,
    else 0.

    Same as: the `squared_epsilon_insensitive` of scikit-learn's `SGDRegressor` and `LinearSVR`.

    Reference: V. Vapnik, The Nature of Statistical Learning Theory, 1995.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.squared_epsilon_insensitive_loss([0.25, 3.0], [0.0, 0.0], epsilon=1.0, reduction="none")
    array([0., 4.])
    """
    require_nonnegative("squared_epsilon_insensitive_loss", "epsilon", epsilon)
    xp = array_namespace(predictions)
    difference = predictions - targets
    if epsilon == 0:
        return difference**2
    return xp.maximum(xp.abs(difference) - epsilon, 0.0) ** 2
