"""Which of two items is preferred, by their scores."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["bpr_loss"]


@pointwise(wrt=("positive_scores", "negative_scores"))
def bpr_loss(positive_scores: Any, negative_scores: Any) -> Any:
    """Bayesian personalised ranking: an item that was chosen is to score higher than one that was
    not.

    Formula: `softplus(-(positive_scores - negative_scores))`, that is `-log sigmoid` of the
    difference.

    Shapes: one score a pair, in any shape; `negative_scores` the same, or broadcasting to it.

    Domain: all real numbers; infinite scores give the limit where there is one.

    Gradient: a pair; with `d = positive_scores - negative_scores`, `-sigmoid(-d)` and its negative.
    Hessian: `sigmoid(d) sigmoid(-d)`.

    Numerics: no logarithm of a sigmoid that has become 0 or 1: a difference of 40 costs 4e-18, one
    of -1000 costs 1000.

    Same as: RankNet's pairwise logistic loss on given pairs; `reward_model_loss` without margin.
    XGBoost's `rank:pairwise` forms the pairs itself.

    Reference: S. Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, 2009.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.bpr_loss([1.0, 40.0, 0.0], [0.0, 0.0, 1e3], reduction="none")
    array([3.13261688e-01, 4.24835426e-18, 1.00000000e+03])
    """
    xp = array_namespace(positive_scores)
    return xp.softplus(-(positive_scores - negative_scores))
