"""The mean squared error, and half of it."""

from __future__ import annotations

from typing import Any

from tensorweaver.loss import pointwise

__all__ = ["half_mse_loss", "mse_loss"]


@pointwise
def mse_loss(predictions: Any, targets: Any) -> Any:
    """Mean squared error: the square of the difference, the usual loss of regression.

    Formula: `(predictions - targets)**2`, averaged.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers.

    Gradient: `2 (predictions - targets)`, smooth everywhere. Hessian: `2`.

    Numerics: infinite once the error passes the square root of the largest number; the gradient is
    then still finite.

    Same as: PyTorch's `mse_loss`, scikit-learn's `mean_squared_error`; twice optax's `l2_loss`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.mse_loss([[10.0], [60.0]], [[32.0], [212.0]])
    np.float64(11794.0)
    >>> tw.mse_loss.grad([[10.0], [60.0]], [[32.0], [212.0]])
    array([[ -22.],
           [-152.]])
    """
    difference = predictions - targets
    squared = difference**2
    return squared  # noqa: RET504 - the step has a name for explain()


@pointwise
def half_mse_loss(predictions: Any, targets: Any) -> Any:
    """Half the mean squared error: its gradient is the plain error and its Hessian 1, as boosting
    and least squares want it.

    Formula: `(predictions - targets)**2 / 2`, averaged.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers.

    Gradient: `predictions - targets`, smooth everywhere. Hessian: 1.

    Numerics: infinite only where half the square is beyond the largest number; the gradient is then
    still finite.

    Same as: optax's `l2_loss`, scikit-learn's `HalfSquaredError`, XGBoost's `reg:squarederror`,
    LightGBM's `regression`; half of `mse_loss`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.half_mse_loss([1.0, 4.0], [0.0, 0.0], reduction="none")
    array([0.5, 8. ])
    >>> tw.half_mse_loss.grad([1.0, 4.0], [0.0, 0.0], reduction="sum")
    array([1., 4.])
    """
    difference = predictions - targets
    half_square = (0.5 * difference) * difference
    return half_square  # noqa: RET504 - the step has a name for explain()
