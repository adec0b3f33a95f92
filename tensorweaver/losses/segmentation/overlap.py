"""Losses of how far a predicted mask overlaps the true one: Dice, Tversky, Jaccard."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["dice_loss", "focal_tversky_loss", "jaccard_loss", "tversky_loss"]


class Counts(NamedTuple):
    """What a mask hits, invents and misses, in pixels."""

    hits: Any
    false_positives: Any
    false_negatives: Any


@rowwise(domains={"targets": "probability"})
def dice_loss(
    predictions: Any, targets: Any, *, smooth: float = 0.0, from_logits: bool = False
) -> Any:
    """Dice loss: one less the overlap of two masks, relative to their mean size.

    Formula: over the pixels of a row, `1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)`,
    with `p` the predictions and `t` the targets.

    Shapes: `predictions` `(..., K)` with the pixels on `axis`: flatten an image before; `targets`
    the same, or broadcasting to it. One loss a row.

    Domain: probabilities in [0, 1], or any logits with `from_logits`; targets in [0, 1], booleans
    and integers are welcome. Nothing against nothing is a perfect score: 0, with a gradient of 0.
    `smooth` finite and not negative, else `ArgumentError`.

    Gradient: of the quotient. Hessian: from the formula.

    Numerics: computed as what does not overlap, over all: a loss of 1e-12 is 1e-12. From logits,
    `1 - p` is the sigmoid of minus the logit.

    Parameters
    ----------
    smooth
        Added to numerator and denominator. 1 is usual; with 0 the loss does not depend on how large
        the masks are.
    from_logits
        Whether the predictions are logits, of which the sigmoid is taken here.

    Same as: Keras's `dice`, MONAI's, and segmentation-models-pytorch's, but for what they add;
    optax's `dice_loss` has `smooth` twice as large.

    Reference: F. Milletari et al., V-Net, 2016.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.dice_loss([[1.0, 1.0, 0.0, 0.0]], [[1, 0, 0, 0]]).round(6) # 1 - 2 / 3
    np.float64(0.333333)
    >>> tw.dice_loss([[0.0, 0.0]], [[0, 0]])
    np.float64(0.0)
    """
    check("dice_loss", {"smooth": smooth})
    xp, counts = counted(predictions, targets, from_logits=from_logits)
    wrong = counts.false_positives + counts.false_negatives
    return share(xp, wrong, 2 * counts.hits + smooth)


@rowwise(domains={"targets": "probability"})
def jaccard_loss(
    predictions: Any, targets: Any, *, smooth: float = 0.0, from_logits: bool = False
) -> Any:
    """Jaccard loss, or soft IoU: one less the intersection of two masks over their union.

    Formula: over the pixels of a row, with `i = sum(p t)`, `1 - (i + smooth) / (sum(p) + sum(t) - i
    + smooth)`, with `p` the predictions and `t` the targets.

    Shapes: as for `dice_loss`.

    Domain: as for `dice_loss`.

    Gradient: of the quotient. Hessian: from the formula.

    Numerics: as for `dice_loss`.

    Parameters
    ----------
    smooth, from_logits
        As for `dice_loss`.

    Same as: segmentation-models-pytorch's `JaccardLoss`, MONAI's Dice loss with `jaccard`, but for
    what they add; with `d` the Dice loss and no smoothing, `2 d / (1 + d)`.

    Reference: M. Rahman and Y. Wang, Optimizing Intersection-over-Union in Deep Neural Networks,
    2016.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.jaccard_loss([[1.0, 1.0, 0.0, 0.0]], [[1, 0, 0, 0]])
    np.float64(0.5)
    """
    check("jaccard_loss", {"smooth": smooth})
    xp, counts = counted(predictions, targets, from_logits=from_logits)
    wrong = counts.false_positives + counts.false_negatives
    return share(xp, wrong, counts.hits + smooth)


@rowwise(domains={"targets": "probability"})
def tversky_loss(
    predictions: Any,
    targets: Any,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 0.0,
    from_logits: bool = False,
) -> Any:
    """Tversky loss: the Dice loss with false positives and false negatives weighed apart.

    Formula: over the pixels of a row, with hits `i = sum(p t)`, false positives `f = sum(p (1 -
    t))` and false negatives `n = sum((1 - p) t)`, `1 - (i + smooth) / (i + alpha f + beta n +
    smooth)`.

    Shapes: as for `dice_loss`.

    Domain: as for `dice_loss`; `alpha`, `beta` and `smooth` finite and not negative, else
    `ArgumentError`. Where the denominator is 0 the score is perfect: 0, with a gradient of 0.

    Gradient: of the quotient. Hessian: from the formula.

    Numerics: as for `dice_loss`.

    Parameters
    ----------
    alpha
        What a false positive costs.
    beta
        What a false negative costs; larger than `alpha`, few pixels are missed.
    smooth, from_logits
        As for `dice_loss`.

    Same as: with both 1 / 2 `dice_loss`, with both 1 `jaccard_loss` (of `smooth` 0). In Keras's
    `tversky` the names `alpha` and `beta` are exchanged, whatever its documentation says.

    Reference: S. Salehi et al., Tversky Loss Function for Image Segmentation, 2017.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.tversky_loss([[1.0, 1.0]], [[1, 0]], alpha=1.0, beta=0.0)
    np.float64(0.5)
    """
    check("tversky_loss", {"alpha": alpha, "beta": beta, "smooth": smooth})
    xp, counts = counted(predictions, targets, from_logits=from_logits)
    return share(xp, cost(counts, alpha, beta), counts.hits + smooth)


@rowwise(domains={"targets": "probability"})
def focal_tversky_loss(
    predictions: Any,
    targets: Any,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 0.75,
    smooth: float = 0.0,
    from_logits: bool = False,
) -> Any:
    """Focal Tversky loss: a power of the Tversky loss, for small and hard masks.

    Formula: `tversky_loss**gamma`.

    Shapes: as for `dice_loss`.

    Domain: as for `tversky_loss`; `gamma` positive and finite, else `ArgumentError`.

    Gradient: `gamma tversky_loss**(gamma - 1)` times that of `tversky_loss`; for `gamma` below 1, 0
    at a perfect score, where the slope has no bound. Hessian: from the formula; for `gamma` between
    1 and 2 it has no bound at a perfect score either, and is taken as 0 there.

    Numerics: as for `dice_loss`.

    Parameters
    ----------
    alpha, beta
        As for `tversky_loss`; by default those of the paper.
    gamma
        Below 1 it makes nearly perfect masks matter more, above 1 less; by default the paper's 3 /
        4, which it writes as `1 / gamma`.
    smooth, from_logits
        As for `dice_loss`.

    Same as: segmentation-models-pytorch's `TverskyLoss`, where the mean over the classes is raised,
    and `gamma` is 1 by default.

    Reference: N. Abraham and N. Khan, A Novel Focal Tversky Loss Function, 2019.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.focal_tversky_loss([[1.0, 1.0]], [[1, 0]], alpha=1.0, beta=0.0, gamma=2.0)
    np.float64(0.25)
    """
    check("focal_tversky_loss", {"alpha": alpha, "beta": beta, "smooth": smooth})
    if not 0 < gamma < math.inf:
        message = f"focal_tversky_loss: gamma must be positive and finite, got {gamma!r}"
        raise ArgumentError(message)
    xp, counts = counted(predictions, targets, from_logits=from_logits)
    tversky = share(xp, cost(counts, alpha, beta), counts.hits + smooth)
    if gamma == 1 or gamma >= SMOOTH:
        return tversky if gamma == 1 else tversky**gamma
    perfect = tversky == 0
    return xp.where(perfect, 0.0, xp.where(perfect, 1.0, tversky) ** gamma)


SMOOTH = 2
"""From here up a power has a second derivative at 0."""


def check(loss: str, numbers: Mapping[str, float]) -> None:
    """Refuse negative numbers, infinite ones and NaN."""
    for name, value in numbers.items():
        if not 0 <= value < math.inf:
            message = f"{loss}: {name} must be finite and not negative, got {value!r}"
            raise ArgumentError(message)


def counted(predictions: Any, targets: Any, *, from_logits: bool) -> tuple[Any, Counts]:
    """The namespace, and the counts of a row."""
    xp = array_namespace(predictions)
    p, rest = predictions, 1 - predictions
    if from_logits:
        p, rest = xp.sigmoid(predictions), xp.sigmoid(-predictions)
    hits, false_positives, false_negatives = (
        xp.sum(pixels, axis=-1, keepdims=True)
        for pixels in (p * targets, p * (1 - targets), rest * targets)
    )
    return xp, Counts(hits, false_positives, false_negatives)


def cost(counts: Counts, alpha: float, beta: float) -> Any:
    """The pixels that are wrong, weighed."""
    return alpha * counts.false_positives + beta * counts.false_negatives


def share(xp: Any, part: Any, rest: Any) -> Any:
    """`part / (part + rest)`, 0 where both are 0; spelled by what is smaller, so that neither it
    nor its slope is the difference of two large ones.
    """
    small = part <= rest
    nothing = xp.logical_and(part == 0, rest == 0)
    whole = xp.where(nothing, 1.0, part + rest)
    of_large = 1 / (1 + rest / xp.where(small, 1.0, part))
    return xp.where(nothing, 0.0, xp.where(small, part / whole, of_large))
