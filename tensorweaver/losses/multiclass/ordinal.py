"""Classes in an order: cut points on one line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ShapeError
from tensorweaver.loss import composed
from tensorweaver.loss.arguments import check_labels
from tensorweaver.losses.spoil import spoil

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cumulative_link_loss"]

LOSS = "cumulative_link_loss"


def check_cumulative_link(given: Mapping[str, Any]) -> None:
    thresholds, targets = given["thresholds"], given["targets"]
    if len(thresholds) != 1 or not thresholds[0]:
        message = f"{LOSS}: thresholds of shape {thresholds} must be one axis of K - 1 cut points"
        raise ShapeError(message)
    labels = tuple(targets if isinstance(targets, tuple) else targets.shape)
    if labels != tuple(given["predictions"]):
        message = (
            f"{LOSS}: targets of shape {labels} must be one label a prediction, "
            f"{tuple(given['predictions'])}"
        )
        raise ShapeError(message)
    if not isinstance(targets, tuple):
        check_labels(LOSS, "targets", targets, thresholds[0] + 1, None)


@composed(
    roles={"targets": "label"}, wrt=("predictions", "thresholds"), check=check_cumulative_link
)
def cumulative_link_loss(predictions: Any, targets: Any, thresholds: Any) -> Any:
    """Ordinal regression by proportional odds: one number a row, and cut points between grades.

    Formula: with `a` the threshold below the class of the label and `b` the one above (`-inf` and
    `inf` at the ends), `-log(sigmoid(b - prediction) - sigmoid(a - prediction))`.

    Shapes: `predictions` of any shape; `targets` the same, integer labels from 0 to K - 1;
    `thresholds` `(K - 1,)`, rising. A loss a prediction.

    Domain: all real predictions. Thresholds that do not rise are not refused: the classes between
    them have no probability, and cost infinity or NaN.

    Gradient: by the predictions and by the thresholds, a tuple.

    Numerics: the difference of sigmoids is `sigmoid(b - x) sigmoid(x - a) (1 - exp(a - b))`, whose
    logarithm is a sum without cancellation, exact in the tails.

    Errors: `LabelError` for a label that is no class (NaN where labels cannot be looked at).

    Same as: statsmodels' `OrderedModel(distr="logit")` and mord's `LogisticAT`, whose sum over
    thresholds is another loss; for two classes `binary_cross_entropy_with_logits_loss(predictions -
    threshold, targets)`.

    Reference: P. McCullagh, Regression Models for Ordinal Data, 1980.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.cumulative_link_loss([0.5, -1.0], [1, 0], [-1.0, 1.0]).round(6)
    np.float64(0.757025)
    """
    xp = array_namespace(predictions)
    count = thresholds.shape[0]
    classes = xp.arange(count, device=predictions.device)
    label = targets[..., None]
    below, above = label == classes + 1, label == classes
    lower, upper = (xp.sum(xp.where(chosen, thresholds, 0.0), axis=-1) for chosen in (below, above))
    first, last = targets == 0, targets == count
    log_upper = xp.where(last, 0.0, xp.log_sigmoid(upper - predictions))
    log_lower = xp.where(first, 0.0, xp.log_sigmoid(predictions - lower))
    width = xp.where(xp.logical_or(first, last), math.inf, upper - lower)
    unknown = xp.logical_or(targets < 0, targets > count)
    return spoil(xp, -(log_upper + log_lower + log_of_rest(xp, width)), predictions, unknown)


def log_of_rest(xp: Any, x: Any) -> Any:
    """`log(1 - exp(-x))`: of a small `x` the difference, of a large one the logarithm keeps all."""
    is_small = x < math.log(2.0)
    return xp.where(is_small, xp.log(-xp.expm1(-x)), xp.log1p(-xp.exp(-x)))
