"""Several right classes, each to be above every wrong one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ShapeError
from tensorweaver.loss import composed
from tensorweaver.loss.arguments import refuse_labels
from tensorweaver.losses.spoil import spoil

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["multilabel_margin_loss"]

LOSS = "multilabel_margin_loss"


def check_multilabel(given: Mapping[str, Any]) -> None:
    shape, targets = tuple(given["predictions"]), given["targets"]
    found = tuple(targets if isinstance(targets, tuple) else targets.shape)
    if not shape or not shape[-1] or found != shape:
        message = (
            f"{LOSS}: targets of shape {found} must have the shape {shape} of predictions: the "
            "right classes first, then -1"
        )
        raise ShapeError(message)
    if not isinstance(targets, tuple):
        bad = (targets < -1) | (targets >= shape[-1])
        refuse_labels(LOSS, "targets", targets, bad, shape[-1], ", and -1 stands after the last")


@composed(roles={"targets": "label"}, check=check_multilabel)
def multilabel_margin_loss(predictions: Any, targets: Any) -> Any:
    """Multi-label margin: every right class is to be above every wrong one by 1.

    Formula: `sum(max(0, 1 - (predictions[j] - predictions[i])) for j in Y for i not in Y) / K`,
    `Y` the entries of `targets` before the first -1.

    Shapes: `predictions` `(..., K)`, the classes last; `targets` the same, integer labels, filled
    up with -1; a loss a row. All pairs of classes are in memory: `K**2` numbers a row.

    Domain: all real predictions; NaN in a row makes its loss NaN. A label that comes twice counts
    twice. A row without labels costs 0.

    Gradient: 0 where the margin is met exactly.

    Errors: `LabelError` for a label below -1 or beyond the classes (NaN where labels cannot be
    looked at).

    Same as: PyTorch's `multilabel_margin_loss`, where rows of NaN cost 0.

    Reference: PyTorch's convention.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.multilabel_margin_loss([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]]).round(6)
    np.float64(0.85)
    """
    xp = array_namespace(predictions)
    count = predictions.shape[-1]
    dtype = predictions.dtype
    seen = xp.cumulative_sum(xp.astype(targets == -1, dtype), axis=-1) == 0
    valid = xp.logical_and(targets >= 0, targets < count)
    classes = xp.arange(count, device=predictions.device)
    hot = xp.logical_and(targets[..., None] == classes, xp.logical_and(seen, valid)[..., None])
    times = xp.sum(xp.astype(hot, dtype), axis=-2)
    gaps = predictions[..., :, None] - predictions[..., None, :]
    costs = xp.maximum(1.0 - gaps, 0.0)
    pairs = times[..., :, None] * xp.astype(times == 0, dtype)[..., None, :]
    loss = xp.sum(xp.where(pairs > 0, costs * pairs, 0.0), axis=(-2, -1)) / count
    wrong = xp.logical_and(seen, xp.logical_not(valid))
    unknown = xp.logical_or(xp.any(wrong, axis=-1), xp.any(xp.isnan(predictions), axis=-1))
    return spoil(xp, loss, xp.sum(predictions, axis=-1), unknown)
