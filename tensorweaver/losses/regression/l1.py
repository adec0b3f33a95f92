"""The mean absolute error."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["l1_loss"]


@pointwise
def l1_loss(predictions: Any, targets: Any) -> Any:
    """Mean absolute error: outliers count no more than in proportion.

    Formula: `abs(predictions - targets)`, averaged.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers.

    Gradient: `sign(predictions - targets)`; at the kink, where they are equal, the subgradient of
    smallest norm, 0. Hessian: 0.

    Same as: PyTorch's `l1_loss`, scikit-learn's `mean_absolute_error`, twice the quantile loss of
    the median.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.l1_loss([1.0, 2.0, 3.0], [1.0, 4.0, 2.0])
    np.float64(1.0)
    >>> tw.l1_loss.grad([1.0, 2.0, 3.0], [1.0, 4.0, 2.0], reduction="sum")
    array([ 0., -1.,  1.])
    """
    difference = predictions - targets
    absolute = array_namespace(difference).abs(difference)
    return absolute  # noqa: RET504 - the step has a name for explain()
