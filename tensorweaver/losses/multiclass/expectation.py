"""What a cost of each class's probability comes to under a target: a label or probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.losses.multiclass.cross_entropy import (
    kept_labels,
    smoothed,
    uniform,
    where_kept,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["expectation"]


def expectation(
    logits: Any,
    targets: Any,
    cost: Callable[[Any, Any], Any],
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    log_complement: bool = False,
) -> Any:
    """The cost expected under the target, `cost(log_probability, complement)` being that of a
    class with `complement = 1 - probability`, or its logarithm, both exact; ignored rows count for
    nothing.
    """
    xp = array_namespace(logits)
    log_probabilities = xp.log_softmax(logits, axis=-1)
    rest_of = xp.log_softmax_complement if log_complement else xp.softmax_complement
    complements = rest_of(logits, axis=-1)

    def spread_over(probabilities: Any) -> Any:
        factor = probabilities if weight is None else weight * probabilities
        costs = cost(log_probabilities, complements)
        return xp.sum(xp.multiply_no_nan(costs, factor), axis=-1, keepdims=True)

    if not xp.isdtype(targets.dtype, "integral"):
        return spread_over(smoothed(xp, logits, targets, label_smoothing))
    labels, kept = kept_labels(xp, targets, ignore_index)
    log_probability = xp.take_along_axis(log_probabilities, labels, axis=-1)
    complement = xp.take_along_axis(complements, labels, axis=-1)
    loss = cost(log_probability, complement)
    if weight is not None:
        loss = xp.multiply_no_nan(loss, xp.take_along_axis(weight, labels, axis=-1))
    if label_smoothing > 0:
        spread_loss = spread_over(uniform(xp, logits))
        loss = (1 - label_smoothing) * loss + label_smoothing * spread_loss
    return where_kept(xp, kept, loss, 1.0)
