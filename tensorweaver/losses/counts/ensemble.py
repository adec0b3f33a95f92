"""The continuous ranked probability score of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.closed import closed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["crps_ensemble_loss"]


def check_ensemble(given: Mapping[str, Any], *, fair: bool) -> None:
    shape, targets = tuple(given["predictions"]), tuple(given["targets"])
    if not shape or shape[:-1] != targets or shape[-1] < 1 + fair:
        least = "two members" if fair else "a member"
        message = (
            f"crps_ensemble_loss: predictions of shape {shape} must be the shape {targets} of "
            f"targets with an axis of at least {least} behind it"
        )
        raise ShapeError(message)


def sorted_sum(xp: Any, predictions: Any, targets: Any, fair: bool) -> Any:  # noqa: FBT001
    """Each gap between neighbours times the squared share of members on the target's other side;
    `fair`, the share of their pairs.
    """
    count = predictions.shape[-1]
    ranked, y = xp.sort(predictions, axis=-1), targets[..., None]
    below, above = xp.minimum(ranked, y), xp.maximum(ranked, y)
    left = xp.astype(xp.arange(1, count, device=predictions.device), predictions.dtype)
    right = count - left
    others = 1.0 if fair else 0.0
    pairs = count * (count - others)
    gaps = (below[..., 1:] - below[..., :-1]) * (left * (left - others) / pairs) + (
        above[..., 1:] - above[..., :-1]
    ) * (right * (right - others) / pairs)
    ends = (above[..., 0] - targets) + (targets - below[..., -1])
    return xp.sum(gaps, axis=-1) + ends


def with_known_slopes(predictions: Any, targets: Any, *, fair: bool = False) -> Any:
    """The same, with its slopes counted."""
    xp = array_namespace(predictions)
    x, y = predictions.off_tape(), targets.off_tape()
    count = predictions.shape[-1]
    value = sorted_sum(xp, x, y, fair)
    side = xp.sign(x - y[..., None])
    # Equal members take consecutive ranks in their order, and in the reverse: twice their mean.
    ranks = xp.flip(rank_of(xp, xp.flip(x, axis=-1)), axis=-1) + rank_of(xp, x)
    spread = xp.astype(ranks, x.dtype) - (count - 1.0)
    divisor = count * (count - 1.0) if fair else 1.0 * count * count
    slope = (side * (divisor / count) - spread) / divisor
    slope = slope + 0.0 * value[..., None]  # NaN of another member is one of all
    return closed(value, [(predictions, slope), (targets, -xp.mean(side, axis=-1))])


def rank_of(xp: Any, x: Any) -> Any:
    """How many members come before each, in the order of size and then of place."""
    return xp.argsort(xp.argsort(x, axis=-1), axis=-1)


@composed(check=check_ensemble, first_order=with_known_slopes)
def crps_ensemble_loss(predictions: Any, targets: Any, *, fair: bool = False) -> Any:
    """Continuous ranked probability score of an ensemble: how well a sample forecasts a number.

    Formula: `mean(abs(x[i] - y)) - mean(abs(x[i] - x[j])) / 2` over the members `i` and pairs `i,
    j` of the ensemble.

    Shapes: `predictions` `(..., M)`, the members last; `targets` `(...)`; a loss a target.

    Domain: all real numbers. Never negative; 0 where all members meet the target.

    Gradient: of a member `(sign(x[i] - y) - mean(sign(x[i] - x[j]))) / M`: none where it meets the
    target and all others, and pairs of equal members pull neither way. Hessian: 0.

    Numerics: the members are sorted, and the squared distance of their distribution from the
    target's is summed gap by gap: `M log M` steps, and no difference of sums.

    Parameters
    ----------
    fair
        Divide the pairs by `M (M - 1)` in place of `M**2`: then the mean over random ensembles does
        not depend on how many members they have.

    Same as: properscoring's `crps_ensemble`; with `fair=True` the almost-fair score of weather
    models in its limit.

    Reference: T. Gneiting, A. Raftery, Strictly Proper Scoring Rules, 2007.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.crps_ensemble_loss([[1.0, 2.0, 4.0]], [2.0]).round(6)
    np.float64(0.333333)
    """
    return sorted_sum(array_namespace(predictions), predictions, targets, fair)
