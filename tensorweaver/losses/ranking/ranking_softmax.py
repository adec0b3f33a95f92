"""The order of a list, as the distribution of its first place."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import rowwise

__all__ = ["ranking_softmax_loss"]


@rowwise(arrays=("mask",))
def ranking_softmax_loss(scores: Any, labels: Any, *, mask: Any = None) -> Any:
    """ListNet's loss of a list of items: the relevant ones are to have the highest scores.

    Formula: `-sum(labels log_softmax(scores))` over the items of a list.

    Shapes: `scores` `(..., K)` with the items on `axis`; `labels` and `mask` the same, or
    broadcasting to it. One loss a list.

    Domain: all scores; labels are relevances, not negative, and are taken as they are: doubling
    them doubles the loss. A list without relevant items costs 0. A score of -inf is an item that
    cannot be first: it costs infinity if it is relevant.

    Gradient: `sum(labels) softmax(scores) - labels`. Hessian of a list: `sum(labels) (diag(p) - p
    p^T)`.

    Numerics: as `cross_entropy_loss`: a list in the right order keeps its relative accuracy, a loss
    of 1e-12 is 1e-12.

    Parameters
    ----------
    mask
        Which items of a list there are, booleans: the others contribute nothing, whatever they
        hold, so that lists of different lengths can be padded to one. A list without items costs
        nothing and does not count in the mean. (`where` leaves out whole lists.)

    Same as: optax's `ranking_softmax_loss`, whose `where` is `mask` here, and rax's `softmax_loss`;
    for labels that add up to 1, `cross_entropy_loss`.

    Reference: Z. Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, 2007.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.ranking_softmax_loss([[2.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]).round(6)
    np.float64(0.407606)
    >>> mask = [[True, True, False]]
    >>> tw.ranking_softmax_loss([[2.0, 1.0, 9.0]], [[1.0, 0.0, 1.0]], mask=mask).round(6)
    np.float64(0.313262)
    """
    xp = array_namespace(scores)
    if mask is None:
        return listnet(xp, scores, labels)
    is_item = mask != 0
    count = xp.max(xp.where(is_item, 1.0, 0.0), axis=-1, keepdims=True)
    absent = xp.where(count == 0, 0.0, -math.inf)
    loss = listnet(xp, xp.where(is_item, scores, absent), xp.where(is_item, labels, 0.0))
    return loss, count


def listnet(xp: Any, scores: Any, labels: Any) -> Any:
    log_probabilities = xp.log_softmax(scores, axis=-1)
    return xp.sum(xp.multiply_no_nan(-log_probabilities, labels), axis=-1, keepdims=True)
