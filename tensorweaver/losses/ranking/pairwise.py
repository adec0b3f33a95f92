"""Losses of the pairs of a list: whoever is more relevant is to have the higher score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["lambdarank_loss", "list_mle_loss", "pairwise_hinge_loss", "pairwise_logistic_loss"]


def check_lists(loss: str, given: Mapping[str, Any]) -> None:
    """Refuse lists that are not alike."""
    shapes = {name: shape_of(shape) for name, shape in given.items() if name in LISTS}
    scores = shapes["scores"]
    if not scores:
        message = f"{loss}: scores must have an axis of items, got a single number"
        raise ShapeError(message)
    for name, shape in shapes.items():
        if shape != scores:
            message = f"{loss}: {name} of shape {shape} must have the shape {scores} of scores"
            raise ShapeError(message)


LISTS = ("scores", "relevance", "mask")


def shape_of(given: Any) -> tuple[int, ...]:
    return tuple(given if isinstance(given, tuple) else given.shape)


def better(xp: Any, relevance: Any, mask: Any) -> Any:
    """For each pair of a list whether the first is more relevant, and both count."""
    found = relevance[..., :, None] > relevance[..., None, :]
    if mask is None:
        return found
    kept = mask != 0
    return xp.logical_and(found, xp.logical_and(kept[..., :, None], kept[..., None, :]))


def of_pairs(xp: Any, costs: Any, chosen: Any, weights: Any = 1.0) -> Any:
    """The mean cost of the chosen pairs of each list; 0 without any."""
    count = xp.sum(xp.astype(chosen, costs.dtype), axis=(-2, -1))
    total = xp.sum(xp.where(chosen, costs * weights, 0.0), axis=(-2, -1))
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
    same; a loss a list. The pairs of a list are all in memory: `L**2` numbers.

    Domain: all scores. A list without such pairs costs 0.

    Parameters
    ----------
    mask
        Which items count; those with 0 are no part of the list, whatever they hold.

    Same as: rax's `pairwise_logistic_loss`; XGBoost's `rank:pairwise`.

    Reference: C. Burges et al., Learning to Rank using Gradient Descent, 2005.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.pairwise_logistic_loss([[2.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]).round(6)
    np.float64(0.220095)
    """
    xp = array_namespace(scores)
    costs = xp.softplus(-differences(scores))
    return of_pairs(xp, costs, better(xp, relevance.detach(), mask))


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
    costs = xp.maximum(margin - differences(scores), 0.0)
    return of_pairs(xp, costs, better(xp, relevance.detach(), mask))


def check_lambdarank(given: Mapping[str, Any], *, sigma: float, truncation: Any) -> None:
    check_lists("lambdarank_loss", given)
    if not sigma > 0:
        message = f"lambdarank_loss: sigma must be positive, got {sigma!r}"
        raise ArgumentError(message)
    if truncation is not None and not (isinstance(truncation, int) and truncation > 0):
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
) -> Any:
    """LambdaRank: RankNet whose pairs count by how much exchanging them would change the NDCG.

    Formula: the sum of `w[i, j] softplus(-sigma (scores[i] - scores[j]))` over the pairs with
    `relevance[i] > relevance[j]`, `w[i, j] = abs(2**relevance[i] - 2**relevance[j]) abs(1 / d(i) -
    1 / d(j)) / best`, `d(i) = log2(1 + rank)` by the scores and `best` the greatest DCG of the
    list.

    Shapes, Domain: as for `pairwise_logistic_loss`. Items of equal score rank in their order.

    Gradient: with the weights `w` held constant, for they change in steps only.

    Parameters
    ----------
    mask
        Which items count; those with 0 are no part of the list, whatever they hold.
    sigma
        How steep the logistic is.
    truncation
        Pairs of which neither is among so many first ranks do not count.

    Same as: LightGBM's `lambdarank` with `lambdarank_norm=False`; XGBoost's `rank:ndcg` before its
    normalisation.

    Reference: C. Burges, From RankNet to LambdaRank to LambdaMART, 2010.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.lambdarank_loss([[2.0, 1.0, 0.0]], [[0.0, 2.0, 1.0]]).round(6)
    np.float64(0.715947)
    """
    xp = array_namespace(scores)
    relevance = relevance.detach()
    kept = xp.ones_like(scores) if mask is None else xp.astype(mask != 0, scores.dtype)
    gains = xp.where(kept == 0, 0.0, xp.exp(LOG_TWO * relevance) - 1.0)
    ranks = ranks_of(xp, xp.where(kept == 0, -xp.inf, scores.detach()))
    discounts = LOG_TWO / xp.log1p(ranks + 1.0)
    best = xp.sum(
        xp.sort(gains, axis=-1, descending=True) * LOG_TWO / xp.log1p(places(xp, scores) + 1.0),
        axis=-1,
    )[..., None, None]
    weights = xp.abs(differences(gains)) * xp.abs(differences(discounts))
    weights = weights / xp.where(best == 0, 1.0, best)
    chosen = better(xp, relevance, mask)
    if truncation is not None:
        first = ranks < truncation
        chosen = xp.logical_and(chosen, xp.logical_or(first[..., :, None], first[..., None, :]))
    costs = xp.softplus(-sigma * differences(scores)) * weights
    return xp.sum(xp.where(chosen, costs, 0.0), axis=(-2, -1))


LOG_TWO = 0.6931471805599453


def places(xp: Any, scores: Any) -> Any:
    return xp.astype(xp.arange(scores.shape[-1], device=scores.device), scores.dtype)


def ranks_of(xp: Any, scores: Any) -> Any:
    """How many items of its list stand before each, by falling score."""
    order = xp.argsort(scores, axis=-1, descending=True)
    return xp.astype(xp.argsort(order, axis=-1), scores.dtype)


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
    kept = None if mask is None else mask != 0
    known = relevance.detach()
    order = xp.argsort(known if kept is None else xp.where(kept, known, -xp.inf),
                       axis=-1, descending=True)  # fmt: skip
    ranked = xp.take_along_axis(scores, order, axis=-1)
    place = xp.arange(scores.shape[-1], device=scores.device)
    later = place[None, :] >= place[:, None]
    if kept is not None:
        some = xp.take_along_axis(xp.astype(kept, scores.dtype), order, axis=-1) != 0
        ranked = xp.where(some, ranked, -xp.inf)
        itself = place[None, :] == place[:, None]
        later = xp.logical_and(later, xp.logical_or(some[..., None, :], itself))
    rows = xp.where(later, ranked[..., None, :] + xp.zeros_like(ranked)[..., :, None], -xp.inf)
    if kept is not None:  # a row that does not count is one of zeros, and finite
        rows = xp.where(some[..., :, None], rows, 0.0)
    labels = xp.broadcast_to(place, tuple(ranked.shape))[..., None]
    found = -xp.take_along_axis(xp.log_softmax(rows, axis=-1), labels, axis=-1)[..., 0]
    return xp.sum(found if kept is None else xp.where(some, found, 0.0), axis=-1)
