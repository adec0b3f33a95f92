"""Cross-entropy that counts by the probability of the true class, held constant."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import rowwise
from tensorweaver.losses.multiclass.cross_entropy import (
    adjusted,
    check_options,
    cost_at_label,
    kept_labels,
    where_kept,
)

__all__ = ["dft_loss"]


@rowwise(arrays=("weight",), roles={"targets": "label", "weight": "class"})
def dft_loss(
    logits: Any,
    targets: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
) -> Any:
    """Dynamic fine-tuning: cross-entropy of each token times the probability that the model gives
    it, so that tokens that it would never say do not rule the gradient.

    Formula: with `p = softmax(logits)`, for a label `c`, `-weight[c] p[c] log(p[c])`, in which the
    factor `p[c]` is held constant.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis, integer labels; `weight` `(K,)`.

    Domain: all logits. A label of probability 0 costs nothing. Masked and certain classes as for
    `cross_entropy_loss`.

    Gradient: `weight[c] p[c] (p - one_hot(c))`, cross-entropy's times `p[c]`. It is not the slope
    of the value, in which the factor moves too. Hessian of a row: `weight[c] p[c]` times that of
    cross-entropy.

    Numerics: as `cross_entropy_loss`.

    Parameters
    ----------
    weight, ignore_index, temperature, softcap
        As for `cross_entropy_loss`; the mean divides by the total weight of the true classes.

    Errors: labels as for `cross_entropy_loss`.

    Same as: TRL's `loss_type="dft"`; Liger's fused cross-entropy with `use_token_scaling=True`,
    whose factor, with a softcap, is that of the capped logits too.

    Reference: Y. Wu et al., On the Generalization of SFT: A Reinforcement Learning Perspective with
    Reward Rectification, 2025.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.dft_loss([[0.0, 0.0]], [0]).round(6)
    np.float64(0.346574)
    >>> tw.dft_loss.grad([[0.0, 0.0]], [0])
    array([[-0.25,  0.25]])
    """
    check_options("dft_loss", 0.0, temperature, softcap, 0.0)
    xp = array_namespace(logits)
    log_probabilities = xp.log_softmax(adjusted(xp, logits, temperature, softcap), axis=-1)
    labels, kept = kept_labels(xp, targets, ignore_index)
    loss, count = cost_at_label(xp, log_probabilities, labels, weight)
    at_label = xp.take_along_axis(log_probabilities, labels, axis=-1)
    factor = xp.exp(xp.stop_gradient(at_label))
    return where_kept(xp, kept, xp.multiply_no_nan(loss, factor), count)
