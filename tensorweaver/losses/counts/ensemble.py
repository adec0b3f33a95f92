"""The continuous ranked probability score of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ShapeError
from tensorweaver.loss import composed

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


@composed(check=check_ensemble)
def crps_ensemble_loss(predictions: Any, targets: Any, *, fair: bool = False) -> Any:
    """Continuous ranked probability score of an ensemble: how well a sample forecasts a number.

    Formula: `mean(abs(x[i] - y)) - mean(abs(x[i] - x[j])) / 2` over the members `i` and pairs `i,
    j` of the ensemble.

    Shapes: `predictions` `(..., M)`, the members last; `targets` `(...)`; a loss a target.

    Domain: all real numbers. Never negative, unless `fair`.

    Gradient: at ties and where a member meets the target the slope of smallest size of each member
    by itself; pairs of equal members pull neither way.

    Numerics: the members are sorted, and of the spread only the gaps between neighbours are summed:
    `M log M` steps, and no cancellation between far members.

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
    xp = array_namespace(predictions)
    count = predictions.shape[-1]
    distance = xp.mean(xp.abs(predictions - targets[..., None]), axis=-1)
    if count == 1:
        return distance
    ranked = xp.sort(predictions, axis=-1)
    gaps = ranked[..., 1:] - ranked[..., :-1]
    below = xp.astype(xp.arange(1, count, device=predictions.device), predictions.dtype)
    pairs = count * (count - 1) if fair else count * count
    return distance - xp.sum(gaps * (below * (count - below) / pairs), axis=-1)
