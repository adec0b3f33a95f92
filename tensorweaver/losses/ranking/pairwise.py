"""Losses of the pairs of a list: whoever is more relevant is to have the higher score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.multiclass.cross_entropy import cross_entropy_loss
from tensorweaver.losses.spoil import spoil

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Lists",
    "check_lists",
    "differences",
    "lambdarank_loss",
    "list_mle_loss",
    "lists_of",
    "of_lists",
    "pairwise_hinge_loss",
    "pairwise_logistic_loss",
]


def check_lists(loss: str, given: Mapping[str, Any]) -> None:
    """Refuse lists that are not alike."""
    scores = tuple(given["scores"])
    if not scores:
        message = f"{loss}: scores must have an axis of items, got a single number"
        raise ShapeError(message)
    if tuple(given["relevance"]) != scores:
        message = (
            f"{loss}: relevance of shape {tuple(given['relevance'])} must have the shape {scores} "
            "of scores"
        )
        raise ShapeError(message)
    mask = tuple(given.get("mask", scores))
    behind = scores[len(scores) - len(mask) :]
    if len(mask) > len(scores) or any(m not in {1, n} for m, n in zip(mask, behind, strict=True)):
        message = f"{loss}: mask of shape {mask} must have the shape {scores} of scores, or stretch"
        raise ShapeError(message)


class Lists(NamedTuple):
    """Lists whose missing items are zeros: which items there are, and which lists have some.

    No comparison shows NaN: a list that holds any is one of zeros, and unknown.
    """

    scores: Any
    relevance: Any
    kept: Any
    counts: Any
    total: Any
    unknown: Any


def lists_of(xp: Any, scores: Any, relevance: Any, mask: Any) -> Lists:
    """What a loss of lists needs, of what was given."""
    relevance = relevance.detach()
    if mask is None:
        kept = xp.ones_like(relevance) != 0
    else:
        kept = xp.broadcast_to(mask.detach() != 0, scores.shape)
        scores, relevance = (xp.where(kept, x, 0.0) for x in (scores, relevance))
    some = xp.astype(xp.any(kept, axis=-1), scores.dtype)
    unknown = xp.any(xp.isnan(relevance + scores.detach()), axis=-1)
    total = xp.sum(scores, axis=-1)
    scores, relevance = (xp.where(unknown[..., None], 0.0, x) for x in (scores, relevance))
    return Lists(scores, relevance, kept, some, total, unknown)


def of_lists(losses: Any, given: Lists) -> tuple[Any, Any]:
    """The losses, and which of them a mean counts."""
    xp = array_namespace(losses)
    return spoil(xp, losses, given.total, given.unknown), given.counts


def better(xp: Any, given: Lists) -> Any:
    """For each pair of a list whether the first is more relevant, and both count."""
    found = given.relevance[..., :, None] > given.relevance[..., None, :]
    both = xp.logical_and(given.kept[..., :, None], given.kept[..., None, :])
    return xp.logical_and(found, both)


def of_pairs(xp: Any, costs: Any, chosen: Any) -> Any:
    """The mean cost of the chosen pairs of each list; 0 without any."""
    count = xp.sum(xp.astype(chosen, costs.dtype), axis=(-2, -1))
    total = xp.sum(xp.where(chosen, costs, 0.0), axis=(-2, -1))
    return total / xp.where(count == 0, 1.0, count)


def differences(scores: Any) -> Any:
    """By how much each item of a list is above each other one."""
    return scores[..., :, None] - scores[..., None, :]


@composed(arrays=("mask",), check=lambda given: check_lists("pairwise_logistic_loss", given))
def pairwise_logistic_loss(scores: Any, relevance: Any, *, mask: Any = None) -> Any:
    """RankNet: the logistic loss of every pair of a list whose relevance differs.

    Formula: the mean of `softplus(-(scores[i] - scores[j]))` over the pairs with `relevance[i] >
    relevance[j]`.

    Shapes: `scores` and `relevance` `(..., L)`, the items of a list on the last axis; `mask` the
    same, or stretching to it; a loss a list. The pairs of a list are all in memory: `L**2` numbers.

    Domain: all finite scores, all relevances; NaN among either is NaN for the list. A list without
    such pairs costs 0.

    Gradient: of each pair `-sigmoid(-(scores[i] - scores[j]))` for `i`, the opposite for `j`.

    Parameters
    ----------
    mask
        Which items count; those with 0 are no part of the list, whatever they hold. A list without
        items costs nothing and does not count in the mean.

    Same as: rax's `pairwise_logistic_loss`; XGBoost's `rank:pairwise`.

    Reference: C. Burges et al., Learning to Rank using Gradient Descent, 2005.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.pairwise_logistic_loss([[2.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]).round(6)
    np.float64(0.220095)
    """
    xp = array_namespace(scores)
    given = lists_of(xp, scores, relevance, mask)
    costs = xp.softplus(-differences(given.scores))
    return of_lists(of_pairs(xp, costs, better(xp, given)), given)


def check_hinge(given: Mapping[str, Any], *, margin: float) -> None:
    check_lists("pairwise_hinge_loss", given)
    if not margin >= 0:
        message = f"pairwise_hinge_loss: margin must not be negative, got {margin!r}"
        raise ArgumentError(message)


@composed(arrays=("mask",), check=check_hinge)
def pairwise_hinge_loss(
    scores: Any, relevance: Any, *, mask: Any = None, margin: float = 1.0
) -> Any:
    """Pairwise hinge: of every pair of a list the more relevant item is to be `margin` above.

    Formula: the mean of `max(0, margin - (scores[i] - scores[j]))` over the pairs with
    `relevance[i] > relevance[j]`.

    Shapes, Domain, Parameters: as for `pairwise_logistic_loss`; `margin >= 0`.

    Gradient: 0 where the margin is met exactly.

    Same as: rax's `pairwise_hinge_loss` with `margin=1`.

    Reference: R. Herbrich, T. Graepel, K. Obermayer, Large Margin Rank Boundaries, 2000.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.pairwise_hinge_loss([[2.0, 1.5, 0.0]], [[1.0, 0.0, 0.0]])
    np.float64(0.25)
    """
    xp = array_namespace(scores)
    given = lists_of(xp, scores, relevance, mask)
    costs = xp.maximum(margin - differences(given.scores), 0.0)
    return of_lists(of_pairs(xp, costs, better(xp, given)), given)


METRICS = ("ndcg", "map")


def check_lambdarank(
    given: Mapping[str, Any], *, sigma: float, truncation: Any, metric: str
) -> None:
    check_lists("lambdarank_loss", given)
    if metric not in METRICS:
        message = f"lambdarank_loss: metric must be 'ndcg' or 'map', got {metric!r}"
        raise ArgumentError(message)
    if not sigma > 0:
        message = f"lambdarank_loss: sigma must be positive, got {sigma!r}"
        raise ArgumentError(message)
    if truncation is not None and not (type(truncation) is int and truncation > 0):
        message = f"lambdarank_loss: truncation must be a positive integer, got {truncation!r}"
        raise ArgumentError(message)


@composed(arrays=("mask",), check=check_lambdarank)
def lambdarank_loss(
    scores: Any,
    relevance: Any,
    *,
    mask: Any = None,
    sigma: float = 1.0,
    truncation: int | None = None,
    metric: str = "ndcg",
) -> Any:
    """LambdaRank: RankNet whose pairs count by how much exchanging them would change the NDCG, or
    the average precision.

    Formula: the sum of `w[i, j] softplus(-sigma (scores[i] - scores[j]))` over the pairs with
    `relevance[i] > relevance[j]`, `w[i, j] = abs(2**relevance[i] - 2**relevance[j]) abs(1 / d(i) -
    1 / d(j)) / best`, `d(i) = log2(1 + rank)` by the scores and `best` the greatest DCG of the
    list. With `metric="map"` the change of the average precision: with `k` relevant items before
    the rank `a` of the one and `b > a` that of the other, `((k + 1) (1 / a - 1 / b) + sum(1 / c - 1
    / b)) / R`, the sum over relevant items at ranks `c` between them, `R` the number of relevant
    items.

    Shapes: as for `pairwise_logistic_loss`.

    Domain: all finite scores; relevances from 0 up. A negative relevance of an item that counts, a
    gain below nothing, is NaN for the list, as NaN is. For the average precision an item is
    relevant or not: whether its relevance is positive. Items of equal score rank in their order.

    Gradient: with the weights `w` held constant, for they change in steps only.

    Parameters
    ----------
    mask
        Which items count; those with 0 are no part of the list, whatever they hold.
    sigma
        How steep the logistic is.
    truncation
        Pairs of which neither is among so many first ranks do not count, nor do later places for
        `best`.
    metric
        What exchanging two items would change: `"ndcg"` or `"map"`.

    Same as: LightGBM's `lambdarank` with `lambdarank_norm=False`; XGBoost's `rank:ndcg` and
    `rank:map` before their normalisation.

    Reference: C. Burges, From RankNet to LambdaRank to LambdaMART, 2010.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.lambdarank_loss([[2.0, 1.0, 0.0]], [[0.0, 2.0, 1.0]]).round(6)
    np.float64(0.715947)
    """
    xp = array_namespace(scores)
    given = lists_of(xp, scores, relevance, mask)
    places = xp.astype(xp.arange(scores.shape[-1], device=scores.device), scores.dtype)
    known = xp.where(given.kept, given.scores.detach(), -math.inf)
    ranks = xp.astype(rank_of(xp, known), scores.dtype)
    if metric == "map":
        given = given._replace(relevance=xp.astype(given.relevance > 0, scores.dtype))
        weights = map_changes(xp, given, known, ranks, places)
    else:
        negative = xp.any(given.relevance < 0, axis=-1)
        given = given._replace(unknown=xp.logical_or(given.unknown, negative))
        weights = ndcg_changes(xp, given, ranks, places, truncation)
    chosen = better(xp, given)
    if truncation is not None:
        first = ranks < truncation
        chosen = xp.logical_and(chosen, xp.logical_or(first[..., :, None], first[..., None, :]))
    costs = xp.softplus(-sigma * differences(given.scores)) * weights
    return of_lists(xp.sum(xp.where(chosen, costs, 0.0), axis=(-2, -1)), given)


def rank_of(xp: Any, scores: Any) -> Any:
    """How many items of its list stand before each, by falling score."""
    return xp.argsort(xp.argsort(scores, axis=-1, descending=True), axis=-1)


def ndcg_changes(xp: Any, given: Lists, ranks: Any, places: Any, truncation: int | None) -> Any:
    """By how much exchanging the places of two items would change the NDCG.

    Gains are in units of the greatest one, so that no relevance is too large; the difference of two
    discounts is the logarithm of a ratio, not a difference of ratios.
    """
    if not ranks.shape[-1]:
        return differences(ranks)
    greatest = xp.maximum(xp.max(given.relevance, axis=-1, keepdims=True), 0.0)
    powers = 2.0 ** (given.relevance - greatest)
    gains = xp.where(given.kept, powers - 2.0**-greatest, 0.0)
    ideal = xp.sort(gains, axis=-1, descending=True) / xp.log1p(places + 1.0)
    best = xp.sum(ideal if truncation is None else ideal[..., :truncation], axis=-1)
    best = xp.where(best == 0, 1.0, best)[..., None, None]
    logs = xp.log1p(ranks + 1.0)
    before = xp.minimum(ranks[..., :, None], ranks[..., None, :])
    apart = xp.log1p(xp.abs(differences(ranks)) / (before + 2.0))
    change = apart / (logs[..., :, None] * logs[..., None, :])
    return xp.abs(differences(powers)) * change / best


def map_changes(xp: Any, given: Lists, known: Any, ranks: Any, places: Any) -> Any:
    """By how much exchanging a relevant item and another would change the average precision: a sum
    of terms of which none is negative.
    """
    if not ranks.shape[-1]:
        return differences(ranks)
    order = xp.argsort(known, axis=-1, descending=True)
    ranked = xp.take_along_axis(given.relevance, order, axis=-1)
    by_rank = xp.argsort(order, axis=-1)
    before, precision = (
        xp.take_along_axis(xp.cumulative_sum(x, axis=-1) - x, by_rank, axis=-1)
        for x in (ranked, ranked / (places + 1.0))
    )
    is_first = ranks[..., :, None] < ranks[..., None, :]

    def ends(x: Any) -> tuple[Any, Any]:
        """A number of the item that ranks first of each pair, and of the other."""
        a, b = x[..., :, None], x[..., None, :]
        return xp.where(is_first, a, b), xp.where(is_first, b, a)

    rank, last = ends(ranks + 1.0)
    count, counted = ends(before)
    relevant, _ = ends(given.relevance)
    start, end = ends(precision)
    between = (end - start - relevant / rank) - (counted - count - relevant) / last
    total = xp.sum(given.relevance, axis=-1)[..., None, None]
    change = (count + 1.0) * ((last - rank) / (rank * last)) + xp.maximum(between, 0.0)
    return change / xp.where(total == 0, 1.0, total)


@composed(arrays=("mask",), check=lambda given: check_lists("list_mle_loss", given))
def list_mle_loss(scores: Any, relevance: Any, *, mask: Any = None) -> Any:
    """ListMLE: the likelihood of the whole true order, item by item from the top.

    Formula: with the items by falling relevance, `sum(log(sum(exp(scores[j]) for j >= i)) -
    scores[i])`; equally relevant items stay in the order in which they come.

    Shapes, Domain, Parameters: as for `pairwise_logistic_loss`.

    Gradient, Numerics: those of one `cross_entropy_loss` for each place of the list.

    Same as: rax's `list_mle_loss` without a key to break ties; sentence-transformers'
    `ListMLELoss`.

    Reference: F. Xia et al., Listwise Approach to Learning to Rank, 2008.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.list_mle_loss([[1.0, 2.0, 0.0]], [[1.0, 2.0, 0.0]]).round(6)
    np.float64(0.720868)
    """
    xp = array_namespace(scores)
    given = lists_of(xp, scores, relevance, mask)
    length = scores.shape[-1]
    if not scores.size:
        return of_lists(xp.sum(given.scores, axis=-1), given)
    known = xp.where(given.kept, given.relevance, -math.inf)
    order = xp.argsort(known, axis=-1, descending=True)
    ranked = xp.take_along_axis(given.scores, order, axis=-1)
    some = xp.take_along_axis(xp.astype(given.kept, scores.dtype), order, axis=-1) != 0
    place = xp.arange(length, device=scores.device)
    itself, later = place[None, :] == place[:, None], place[None, :] >= place[:, None]
    takes_part = xp.logical_and(later, xp.logical_or(some[..., None, :], itself))
    rows = xp.where(takes_part, ranked[..., None, :], -math.inf)
    labels = xp.broadcast_to(place, tuple(ranked.shape))
    found = cross_entropy_loss(
        xp.reshape(rows, (-1, length)), xp.reshape(labels, (-1,)), reduction="none"
    )
    costs = xp.where(some, xp.reshape(found, tuple(ranked.shape)), 0.0)
    return of_lists(xp.sum(costs, axis=-1), given)
