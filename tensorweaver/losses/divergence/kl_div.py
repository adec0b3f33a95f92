"""The Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["kl_div_loss"]


@pointwise(reductions=("batchmean",))
def kl_div_loss(predictions: Any, targets: Any, *, log_target: bool = False) -> Any:
    """Kullback-Leibler divergence of the targets from the predictions, `KL(targets ||
    predictions)`.

    Formula: `targets (log(targets) - predictions)` where `predictions` are log-probabilities and
    `targets` probabilities, with `0 log 0 = 0`; with `log_target`, `exp(targets) (targets -
    predictions)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: log-probabilities up to 0, -inf included; targets in [0, 1], negative ones give NaN. A
    target of probability 0 costs nothing, whatever is predicted.

    Gradient: `-targets`. By the targets: `log(targets) + 1 - predictions`. Hessian: 0.

    Reductions: beside the common ones `"batchmean"`, the sum divided by the length of the first
    axis, which is the divergence as defined; `"mean"` divides by all elements, as PyTorch does.
    `"batchmean"` divides by that length whatever `where` leaves out and `sample_weight` counts.

    Same as: PyTorch's `kl_div`; optax's `kl_divergence` is its sum over an axis.

    Examples
    --------
    >>> import numpy as np, tensorweaver as tw
    >>> tw.kl_div_loss(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean").round(6)
    np.float64(0.693147)
    >>> tw.kl_div_loss(np.log([[0.5, 0.5]]), [[0.5, 0.5]], reduction="sum")
    np.float64(0.0)
    """
    xp = array_namespace(predictions)
    if log_target:
        return xp.multiply_no_nan(targets - predictions, xp.exp(targets))
    return xp.multiply_no_nan(xp.log(targets) - predictions, targets)
