"""Losses of the order of items."""

from tensorweaver.losses.ranking.bpr import bpr_loss
from tensorweaver.losses.ranking.listwise import approx_ndcg_loss, unique_softmax_loss
from tensorweaver.losses.ranking.margin_ranking import margin_ranking_loss
from tensorweaver.losses.ranking.pairwise import (
    lambdarank_loss,
    list_mle_loss,
    pairwise_hinge_loss,
    pairwise_logistic_loss,
)
from tensorweaver.losses.ranking.ranking_softmax import ranking_softmax_loss
from tensorweaver.losses.ranking.xendcg import xendcg_loss

__all__ = [
    "approx_ndcg_loss",
    "bpr_loss",
    "lambdarank_loss",
    "list_mle_loss",
    "margin_ranking_loss",
    "pairwise_hinge_loss",
    "pairwise_logistic_loss",
    "ranking_softmax_loss",
    "unique_softmax_loss",
    "xendcg_loss",
]

PEERS = {
    "xendcg_loss": {"lightgbm": "rank_xendcg"},
    "lambdarank_loss": {"lightgbm": "lambdarank", "xgboost": "rank:ndcg"},
    "margin_ranking_loss": {"torch": "margin_ranking_loss"},
    "pairwise_logistic_loss": {"xgboost": "rank:pairwise"},
    "ranking_softmax_loss": {"optax": "ranking_softmax_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
