"""Losses of lists as wholes: softmaxes among less relevant items, and a smooth NDCG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import composed
from tensorweaver.losses.multiclass.cross_entropy import cross_entropy_loss
from tensorweaver.losses.preference.dpo import check_positive
from tensorweaver.losses.ranking.pairwise import (
    Lists,
    check_lists,
    differences,
    lists_of,
    of_lists,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["approx_ndcg_loss", "unique_softmax_loss"]


@composed(arrays=("mask",), check=lambda given: check_lists("unique_softmax_loss", given))
def unique_softmax_loss(scores: Any, relevance: Any, *, mask: Any = None) -> Any:
    """Unique softmax: each item is to win against all less relevant ones, and counts by its gain.

    Formula: the sum over items of `(2**relevance[i] - 1) (log(exp(scores[i]) + sum(exp(scores[j])))
    - scores[i])`, the inner sum over the items with `relevance[j] < relevance[i]`.

    Shapes: `scores` and `relevance` `(..., L)`, the items of a list on the last axis; `mask` the
    same, or stretching to it; a loss a list. The pairs of a list are all in memory: `L**2` numbers.

    Domain: all finite scores, relevances not negative; NaN among either is NaN for the list. An
    item of relevance 0 costs nothing by itself.

    Gradient, Numerics: those of one `cross_entropy_loss` for each item, times its gain.

    Parameters
    ----------
    mask
        Which items count; those with 0 are no part of the list, whatever they hold. A list without
        items costs nothing and does not count in the mean.

    Same as: Rax's `unique_softmax_loss`; for a list with a single relevant item, of relevance 1,
    `ranking_softmax_loss`.

    Reference: X. Zhu, D. Klabjan, Listwise Learning to Rank by Exploring Unique Ratings, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.unique_softmax_loss([[2.0, 1.0, 0.0]], [[1.0, 2.0, 0.0]]).round(6)
    np.float64(4.349746)
    """
    xp = array_namespace(scores)
    given = lists_of(xp, scores, relevance, mask)
    length = scores.shape[-1]
    if not scores.size:
        return of_lists(xp.sum(given.scores, axis=-1), given)
    place = xp.arange(length, device=scores.device)
    itself = place[None, :] == place[:, None]
    less = given.relevance[..., None, :] < given.relevance[..., :, None]
    less = xp.logical_and(less, given.kept[..., None, :])
    takes_part = xp.logical_or(less, itself)
    rows = xp.where(takes_part, given.scores[..., None, :], -math.inf)
    labels = xp.broadcast_to(place, tuple(scores.shape))
    found = cross_entropy_loss(
        xp.reshape(rows, (-1, length)), xp.reshape(labels, (-1,)), reduction="none"
    )
    gains = xp.where(given.kept, 2.0**given.relevance - 1.0, 0.0)
    costs = xp.multiply_no_nan(xp.reshape(found, tuple(scores.shape)), gains)
    return of_lists(xp.sum(costs, axis=-1), given)


def check_approx_ndcg(given: Mapping[str, Any], *, temperature: float) -> None:
    check_lists("approx_ndcg_loss", given)
    check_positive("approx_ndcg_loss", "temperature", temperature)


@composed(arrays=("mask",), check=check_approx_ndcg)
def approx_ndcg_loss(
    scores: Any, relevance: Any, *, mask: Any = None, temperature: float = 1.0
) -> Any:
    """What a list lacks of the best NDCG, its ranks made smooth: an item's rank is counted by
    sigmoids of how far others are above it.

    Formula: `1 - sum(gain[i] / log2(1 + rank[i])) / best` with `gain = 2**relevance - 1`, `rank[i]
    = 1 + sum(sigmoid((scores[j] - scores[i]) / temperature))` over the other items, and `best` the
    greatest that the sum can be with the ranks 1, 2, 3 and so on.

    Shapes: as for `unique_softmax_loss`.

    Domain: all finite scores, relevances not negative; NaN among either is NaN for the list. A list
    without relevant items costs 0. The smooth ranks are no permutation: the loss may be a little
    below 0.

    Gradient: of each pair of items the bell of its sigmoid, as steep as the discounts of both are.

    Numerics: each item's distance from its place in the best order is a sum of sigmoids, and what
    it lacks there a logarithm of a ratio: a list in the best order, well apart, keeps its digits.

    Parameters
    ----------
    mask
        As for `unique_softmax_loss`.
    temperature
        How smooth the ranks are; towards 0 they become those of the scores.

    Same as: Rax's `ndcg_metric` under `approx_t12n`, less 1 and negated.

    Reference: T. Qin, T.-Y. Liu, H. Li, A General Approximation Framework for Direct Optimization
    of Information Retrieval Measures, 2010.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.approx_ndcg_loss([[2.0, 1.0, 0.0]], [[0.0, 2.0, 1.0]], temperature=0.1).round(6)
    np.float64(0.340997)
    """
    xp = array_namespace(scores)
    given = lists_of(xp, scores, relevance, mask)
    if not scores.size:
        return of_lists(xp.sum(given.scores, axis=-1), given)
    apart = differences(given.scores) / temperature
    ahead = ahead_at_best(xp, given)
    other = differences(xp.arange(scores.shape[-1], device=scores.device)) != 0
    places = xp.sum(xp.astype(ahead, scores.dtype), axis=-1)
    steps = xp.where(ahead, -xp.sigmoid(apart), xp.sigmoid(-apart))
    counts = xp.logical_and(given.kept[..., None, :], other)
    moved = xp.sum(xp.where(counts, steps, 0.0), axis=-1)
    greatest = xp.maximum(xp.max(given.relevance, axis=-1, keepdims=True), 0.0)
    gains = xp.where(given.kept, 2.0 ** (given.relevance - greatest) - 2.0**-greatest, 0.0)
    logs = xp.log1p(places + 1.0)
    best = xp.sum(gains / logs, axis=-1)
    change = xp.log1p(moved / (places + 2.0)) / (logs * xp.log1p(places + moved + 1.0))
    lacks = xp.sum(gains * change, axis=-1)
    return of_lists(lacks / xp.where(best == 0, 1.0, best), given)


def ahead_at_best(xp: Any, given: Lists) -> Any:
    """For each item of a list which others stand before it in the best order: those that are more
    relevant and, so that nothing is moved that need not be, of the same relevance the higher ones.
    """
    place = xp.arange(given.scores.shape[-1], device=given.scores.device)
    scores = given.scores.detach()
    found = place[None, :] < place[:, None]
    for x in (scores, given.relevance):
        above, same = x[..., None, :] > x[..., :, None], x[..., None, :] == x[..., :, None]
        found = xp.logical_or(above, xp.logical_and(same, found))
    return xp.logical_and(found, given.kept[..., None, :])
