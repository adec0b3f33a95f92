"""Losses of the order of items."""

from tensorweaver.losses.ranking.bpr import bpr_loss
from tensorweaver.losses.ranking.margin_ranking import margin_ranking_loss
from tensorweaver.losses.ranking.pairwise import (
    lambdarank_loss,
    list_mle_loss,
    pairwise_hinge_loss,
    pairwise_logistic_loss,
)
from tensorweaver.losses.ranking.ranking_softmax import ranking_softmax_loss

__all__ = [
    "bpr_loss",
    "lambdarank_loss",
    "list_mle_loss",
    "margin_ranking_loss",
    "pairwise_hinge_loss",
    "pairwise_logistic_loss",
    "ranking_softmax_loss",
]

PEERS = {
    "lambdarank_loss": {"lightgbm": "lambdarank", "xgboost": "rank:ndcg"},
    "margin_ranking_loss": {"torch": "margin_ranking_loss"},
    "pairwise_logistic_loss": {"xgboost": "rank:pairwise"},
    "ranking_softmax_loss": {"optax": "ranking_softmax_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
