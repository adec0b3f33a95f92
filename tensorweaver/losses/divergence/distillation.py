"""Learning from a teacher's logits and from labels at once."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise
from tensorweaver.losses.divergence.log_ratio import relative_entropy, tempered

__all__ = ["distillation_loss"]


@rowwise(roles={"labels": "label"})
def distillation_loss(
    logits: Any,
    teacher_logits: Any,
    labels: Any,
    *,
    temperature: float = 1.0,
    weight_hard_loss: float = 0.5,
    weight_soft_loss: float = 0.5,
    ignore_index: int | None = -100,
) -> Any:
    """Distillation: cross-entropy with the labels and divergence from a teacher, weighed together.

    Formula: `weight_hard_loss CE + weight_soft_loss temperature**2 KL`, with `CE` the cross-entropy
    of `logits` with the label, and `KL` the divergence of `softmax(logits / temperature)` from
    `softmax(teacher_logits / temperature)`, the teacher's probabilities weighing.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `teacher_logits` the same, or
    broadcasting to it; `labels` the same without the class axis, integers.

    Domain: all logits. A class that is masked in both, by -inf, takes no part; one that only the
    student masks costs infinity.

    Gradient: `weight_hard_loss (softmax(logits) - one_hot(labels)) + weight_soft_loss temperature
    (softmax(logits / temperature) - softmax(teacher_logits / temperature))`. Hessian: from the
    formula.

    Numerics: the divergence is found from the logits' differences and does not cancel where student
    and teacher are nearly the same; the cross-entropy is that of `cross_entropy_loss`.

    Parameters
    ----------
    temperature
        Evens out both distributions of the divergence; positive and finite, else `ArgumentError`.
        Its square keeps the divergence's gradient as large as the other's.
    weight_hard_loss, weight_soft_loss
        The factors; finite and not negative, else `ArgumentError`.
    ignore_index
        Rows with this label contribute nothing, to the divisor of the mean either; None ignores no
        label.

    Errors: a label that is neither a class nor `ignore_index` raises `LabelError`; where looking at
    labels would stall (a GPU, a lazy or traced array), its row is NaN instead.

    Same as: Hinton's distillation; sentence-transformers' `DistillKLDivLoss` has its divergence
    alone, Liger's base class the sum without `temperature**2`.

    Reference: G. Hinton et al., Distilling the Knowledge in a Neural Network, 2015.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> logits, teacher = [[0.0, 0.0]], [[2.0, 0.0]]
    >>> tw.distillation_loss(logits, teacher, [0], temperature=2.0).round(6)
    np.float64(0.568462)
    >>> tw.distillation_loss.grad(logits, teacher, [0], temperature=2.0).round(6)
    array([[-0.481059,  0.481059]])
    """
    check_options(temperature, weight_hard_loss, weight_soft_loss)
    xp = array_namespace(logits)
    kept = None if ignore_index is None else labels != ignore_index
    known = labels if kept is None else xp.where(kept, labels, 0)
    hard_loss = -xp.take_along_axis(xp.log_softmax(logits, axis=-1), known, axis=-1)
    ratio = xp.log_softmax_ratio(logits, teacher_logits, temperature)
    q = xp.softmax(tempered(logits, temperature), axis=-1)
    p = xp.softmax(tempered(teacher_logits, temperature), axis=-1)
    soft_loss = xp.sum(relative_entropy(xp, p, q, ratio), axis=-1, keepdims=True)
    hard = xp.multiply_no_nan(hard_loss, weight_hard_loss)
    loss = hard + xp.multiply_no_nan(soft_loss, weight_soft_loss * temperature**2)
    if kept is None:
        return loss
    return xp.where(kept, loss, 0.0), xp.where(kept, 1.0, 0.0)


def check_options(temperature: float, weight_hard_loss: float, weight_soft_loss: float) -> None:
    """Refuse what is out of range."""
    if not 0 < temperature < math.inf:
        message = f"distillation_loss: temperature must be positive and finite, got {temperature!r}"
        raise ArgumentError(message)
    for name, value in (
        ("weight_hard_loss", weight_hard_loss),
        ("weight_soft_loss", weight_soft_loss),
    ):
        if not 0 <= value < math.inf:
            message = f"distillation_loss: {name} must be finite and not negative, got {value!r}"
            raise ArgumentError(message)
