"""The cross-entropy that bounds the NDCG of a list."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import rowwise
from tensorweaver.losses.ranking.ranking_softmax import listnet

__all__ = ["xendcg_loss"]


@rowwise(arrays=("noise", "mask"))
def xendcg_loss(scores: Any, relevance: Any, *, noise: Any = None, mask: Any = None) -> Any:
    """XE-NDCG: the cross-entropy of a list's scores and its gains, each lowered by chance.

    Formula: `-sum(q log_softmax(scores))` over the items of a list, `q` the numbers `2**relevance -
    noise` divided by their sum.

    Shapes: `scores` `(..., K)` with the items on `axis`; `relevance`, `noise` and `mask` the same,
    or broadcasting to it. One loss a list.

    Domain: all scores; -inf is an item that cannot be first. Relevances not negative, `noise` in
    [0, 1]. A list whose gains are all 0 costs 0.

    Gradient: `softmax(scores) - q`. Hessian of a list: `diag(p) - p p^T` with the softmax `p`.

    Numerics: gains are in units of the greatest, so that no relevance is too large; else as
    `ranking_softmax_loss`.

    Parameters
    ----------
    noise
        Numbers drawn anew for each step, uniform in [0, 1), such as
        `numpy.random.default_rng(seed).random(scores.shape)`; None for 0, in which items without
        relevance have a share too.
    mask
        As for `ranking_softmax_loss`: which items of a list there are.

    Same as: the loss of LightGBM's `rank_xendcg`, whose boosting steps add terms of second and
    third order to this gradient.

    Reference: S. Bruch, An Alternative Cross Entropy Loss for Learning-to-Rank, 2021.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.xendcg_loss([[2.0, 1.0, 0.0]], [[2.0, 0.0, 1.0]], noise=[[0.5, 0.5, 0.5]]).round(6)
    np.float64(1.04397)
    >>> tw.xendcg_loss.grad([[0.0, 0.0]], [[1.0, 0.0]], noise=[[0.5, 0.5]])
    array([[-0.25,  0.25]])
    """
    xp = array_namespace(scores)
    if mask is None:
        return listnet(xp, scores, shares(xp, relevance, noise))
    is_item = mask != 0
    count = xp.max(xp.where(is_item, 1.0, 0.0), axis=-1, keepdims=True)
    absent = xp.where(count == 0, 0.0, -math.inf)
    found = shares(xp, xp.where(is_item, relevance, -math.inf), noise, is_item)
    return listnet(xp, xp.where(is_item, scores, absent), found), count


def shares(xp: Any, relevance: Any, noise: Any, is_item: Any = None) -> Any:
    """Each item's part of the gains of its list; of none 0."""
    greatest = xp.maximum(xp.max(relevance, axis=-1, keepdims=True), 0.0)
    gains = 2.0 ** (relevance - greatest)
    if noise is not None:
        gains = gains - noise * 2.0**-greatest
    if is_item is not None:
        gains = xp.where(is_item, gains, 0.0)
    total = xp.sum(gains, axis=-1, keepdims=True)
    return gains / xp.where(total == 0, 1.0, total)
