"""Each query against all keys, and each view against all other views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import composed
from tensorweaver.losses.contrastive.similarity import (
    check_vectors,
    cost_among_others,
    positive,
    unit_rows,
)
from tensorweaver.losses.multiclass.cross_entropy import cross_entropy_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["info_nce_loss", "nt_xent_loss"]


def check_info_nce(given: Mapping[str, Any], *, temperature: float, **_options: Any) -> None:
    check_vectors("info_nce_loss", given, ("queries", "keys"))
    positive("info_nce_loss", "temperature", temperature)


@composed(wrt=("queries", "keys"), check=check_info_nce)
def info_nce_loss(
    queries: Any, keys: Any, *, temperature: float = 0.05, symmetric: bool = False
) -> Any:
    """InfoNCE: each query is to find its own key among all of the batch; symmetric, CLIP's loss.

    Formula: with `s[i, j] = cos(queries[i], keys[j]) / temperature`, the cross-entropy of row
    `s[i]` with label `i`; symmetric, half of it plus half of the cross-entropy of column `i`.

    Shapes: `queries` and `keys` `(N, D)`; a loss a query. `sample_weight` and `where` choose
    queries; the keys of all remain.

    Domain: all finite vectors; a vector of zeros has the cosine 0 with all others, and no slope.
    `temperature > 0`.

    Gradient: by both, a tuple.

    Numerics: as for `cross_entropy_loss`: confident rows keep their relative accuracy; vectors are
    scaled before they are squared.

    Same as: sentence-transformers' `MultipleNegativesRankingLoss` with `scale=1 / temperature`;
    CLIP's loss with `symmetric=True`.

    Reference: A. van den Oord et al., Representation Learning with Contrastive Predictive Coding,
    2018; A. Radford et al., Learning Transferable Visual Models, 2021.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> queries, keys = [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]]
    >>> tw.info_nce_loss(queries, keys, temperature=1.0).round(6)
    np.float64(0.313262)
    """
    xp = array_namespace(queries)
    scores = unit_rows(queries) / temperature @ unit_rows(keys).T
    own = xp.arange(queries.shape[0], device=queries.device)
    if not queries.shape[0]:
        return xp.sum(queries, axis=-1)
    found = cross_entropy_loss(scores, own, reduction="none")
    if symmetric:
        found = 0.5 * found + 0.5 * cross_entropy_loss(scores.T, own, reduction="none")
    return found


def check_nt_xent(given: Mapping[str, Any], *, temperature: float) -> None:
    check_vectors("nt_xent_loss", given, ("first", "second"))
    positive("nt_xent_loss", "temperature", temperature)


@composed(wrt=("first", "second"), check=check_nt_xent)
def nt_xent_loss(first: Any, second: Any, *, temperature: float = 0.5) -> Any:
    """NT-Xent of SimCLR: two views of each example are to find each other among all other views.

    Formula: of the `2 N` vectors of both views, with `s[i, j] = cos(v[i], v[j]) / temperature`: for
    each `i` with its other view `p`, `-s[i, p] + log(sum(exp(s[i, j]) for j != i))`.

    Shapes: `first` and `second` `(N, D)`; `2 N` losses, those of `first` before those of `second`.

    Domain: all finite vectors; a vector of zeros has the cosine 0 with all others, and no slope.
    `temperature > 0`.

    Gradient: by both, a tuple.

    Same as: lightly's `NTXentLoss` and MONAI's `ContrastiveLoss`, whose denominator is everything
    but the vector itself; optax's and pytorch-metric-learning's leave out other positives.

    Reference: T. Chen et al., A Simple Framework for Contrastive Learning, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> views = [[1.0, 0.0], [0.0, 1.0]]
    >>> tw.nt_xent_loss(views, views, temperature=1.0).round(6)
    np.float64(0.551445)
    """
    xp = array_namespace(first)
    count = first.shape[0]
    if not count:
        return xp.sum(xp.concat([first, second], axis=0), axis=-1)
    views = unit_rows(xp.concat([first, second], axis=0)) / math.sqrt(temperature)
    places = xp.arange(2 * count, device=first.device)
    partners = (places + count) % (2 * count)
    return cost_among_others(views @ views.T, partners, places, reduction="none")
