"""Losses of the order of scores."""

from tensorweaver.losses.ranking.margin_ranking import margin_ranking_loss

__all__ = ["margin_ranking_loss"]

PEERS = {"margin_ranking_loss": {"torch": "margin_ranking_loss"}}
"""What other libraries call each loss, where they mean the same up to a factor."""
