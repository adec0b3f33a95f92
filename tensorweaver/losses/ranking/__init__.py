"""Losses of the order of items."""

from tensorweaver.losses.ranking.bpr import bpr_loss
from tensorweaver.losses.ranking.ranking_softmax import ranking_softmax_loss

__all__ = ["bpr_loss", "ranking_softmax_loss"]

PEERS = {
    "bpr_loss": {"xgboost": "rank:pairwise"},
    "ranking_softmax_loss": {"optax": "ranking_softmax_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
