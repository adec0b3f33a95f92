"""The mean squared error."""

from __future__ import annotations

from typing import Any

from tensorweaver.loss import pointwise

__all__ = ["mse_loss"]


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
