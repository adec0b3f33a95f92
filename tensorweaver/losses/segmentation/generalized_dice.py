"""Dice over all classes at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["generalized_dice_loss"]

LOSS = "generalized_dice_loss"
WEIGHTINGS = ("square", "simple", "uniform")


def check_generalized(given: Mapping[str, Any], *, weighting: str, smooth: float) -> None:
    if weighting not in WEIGHTINGS:
        known = ", ".join(map(repr, WEIGHTINGS))
        message = f"{LOSS}: weighting must be one of {known}, got {weighting!r}"
        raise ArgumentError(message)
    if not smooth >= 0:
        message = f"{LOSS}: smooth must not be negative, got {smooth!r}"
        raise ArgumentError(message)
    shape, targets = tuple(given["probabilities"]), tuple(given["targets"])
    if not (len(shape) > 1 and shape[-1] and targets == shape):
        message = (
            f"{LOSS}: probabilities of shape {shape} and targets of shape {targets} must be alike, "
            "(..., pixels, classes)"
        )
        raise ShapeError(message)


@composed(
    check=check_generalized, domains={"probabilities": "probability", "targets": "probability"}
)
def generalized_dice_loss(
    probabilities: Any, targets: Any, *, weighting: str = "square", smooth: float = 0.0
) -> Any:
    """Generalized Dice: overlap of all classes in one ratio, in which small classes count as much.

    Formula: `1 - (2 sum(w I) + s) / (sum(w (P + T)) + s)` over the classes, `I` the sum of
    `probabilities * targets` over the pixels, `P` and `T` the sums of each; `w = 1 / T**2`.

    Shapes: `probabilities` and `targets` `(..., P, C)`, the pixels of an image before the classes;
    a loss an image.

    Domain: probabilities and targets in [0, 1], others are refused. A class that the targets
    lack has the largest weight of those they have; without any class the loss is 0 where nothing
    is predicted either, else 1.

    Gradient: `-w (2 t - 1 + loss) / sum(w (P + T))` without `s`. Hessian: not 0, of a ratio.

    Numerics: what is missed is summed as `p (1 - t) + t (1 - p)`, so that a loss of 1e-12 is 1e-12.

    Parameters
    ----------
    weighting
        `"square"` for `1 / T**2`, `"simple"` for `1 / T`, `"uniform"` for 1. The weights are
        constant in the gradient by the probabilities, on which they do not depend.
    smooth
        `s`, not negative.

    Same as: MONAI's `GeneralizedDiceLoss` with `smooth_nr` and `smooth_dr` both `smooth`. optax's
    `multiclass_generalized_dice_loss` is a weighted mean of Dice losses, another function.

    Reference: C. Sudre et al., Generalised Dice Overlap, 2017.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.generalized_dice_loss([[[0.5, 0.5], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]]]).round(6)
    np.float64(0.25)
    """
    xp = array_namespace(probabilities)
    predicted, true, extra, lacking = (
        xp.sum(x, axis=-2)
        for x in (probabilities, targets, probabilities * (1 - targets),
                  targets * (1 - probabilities))
    )  # fmt: skip
    weights, unit = weights_of(xp, true, weighting)
    total = xp.sum(weights * (predicted + true), axis=-1) + smooth * unit
    missed = xp.sum(weights * (extra + lacking), axis=-1)
    nothing = total == 0
    return xp.where(nothing, 0.0, missed / xp.where(nothing, 1.0, total))


def weights_of(xp: Any, true: Any, weighting: str) -> tuple[Any, Any]:
    """A weight for each class, in units of the largest, and what 1 is in these units."""
    if weighting == "uniform":
        return xp.ones_like(true), 1.0
    absent = true == 0
    smallest = xp.min(xp.where(absent, math.inf, true), axis=-1, keepdims=True).detach()
    smallest = xp.where(smallest == math.inf, 1.0, smallest)
    share = smallest / xp.where(absent, smallest, true)
    unit = smallest[..., 0]
    return (share**2, unit**2) if weighting == "square" else (share, unit)
