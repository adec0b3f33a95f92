"""Losses of times until an event, some of which were not waited for."""

from tensorweaver.losses.survival.aft import aft_nll_loss
from tensorweaver.losses.survival.cox import cox_ph_loss

__all__ = ["aft_nll_loss", "cox_ph_loss"]

PEERS = {
    "aft_nll_loss": {"xgboost": "survival:aft"},
    "cox_ph_loss": {"xgboost": "survival:cox"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
