"""Squared errors of probabilities."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise, rowwise

__all__ = ["brier_loss", "multiclass_brier_loss"]


@pointwise(domains={"predictions": "probability", "targets": "probability"})
def brier_loss(predictions: Any, targets: Any) -> Any:
    """Brier score of a probability: its squared error, a proper score that stays bounded.

    Formula: `(predictions - targets)**2`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: probabilities, and targets in [0, 1]; others are refused, booleans and integers
    welcome.

    Gradient: `2 (predictions - targets)`. Hessian: 2.

    Same as: scikit-learn's `brier_score_loss` of two classes, which halves the sum over both: half
    of `multiclass_brier_loss` of `[1 - p, p]`; `mse_loss`.

    Reference: G. W. Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.brier_loss([0.5, 0.75], [1, 0])
    np.float64(0.40625)
    """
    return (predictions - targets) ** 2


@rowwise(roles={"targets": "target"})
def multiclass_brier_loss(
    predictions: Any, targets: Any, *, ignore_index: int | None = -100
) -> Any:
    """Brier score of probabilities of several classes: the squared distance from what happened.

    Formula: `sum((predictions - targets)**2)` over the classes; for a label `c` the target is 1 at
    `c` and 0 elsewhere.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same without the
    class axis (integer labels), or the same shape (probabilities).

    Domain: probabilities; they are not checked, nor that a row sums to 1.

    Gradient: `2 (predictions - targets)`. Hessian: twice the identity.

    Parameters
    ----------
    ignore_index
        Rows with this label contribute nothing, to the divisor of the mean either; None ignores no
        label.

    Errors: a label that is neither a class nor `ignore_index` raises `LabelError`; where looking at
    labels would stall, its row is NaN instead.

    Same as: scikit-learn's `brier_score_loss` with `scale_by_half=False`, its default for more than
    two classes; with `scale_by_half=True` that is half of this.

    Reference: G. W. Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.multiclass_brier_loss([[0.5, 0.25, 0.25]], [0])
    np.float64(0.375)
    >>> tw.multiclass_brier_loss.grad([[0.5, 0.25, 0.25]], [0])
    array([[-1. ,  0.5,  0.5]])
    """
    xp = array_namespace(predictions)
    if not xp.isdtype(targets.dtype, "integral"):
        return xp.sum((predictions - targets) ** 2, axis=-1)
    kept = None if ignore_index is None else targets != ignore_index
    labels = targets if kept is None else xp.where(kept, targets, 0)
    missing = 1 - xp.take_along_axis(predictions, labels, axis=-1)
    others = xp.put_along_axis(predictions, labels, 0.0, axis=-1)
    loss = missing**2 + xp.sum(others**2, axis=-1, keepdims=True)
    if kept is None:
        return loss
    return xp.where(kept, loss, 0.0), xp.where(kept, 1.0, 0.0)
