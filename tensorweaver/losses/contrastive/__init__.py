"""Losses that compare all vectors of a batch."""

from tensorweaver.losses.contrastive.info_nce import info_nce_loss, nt_xent_loss
from tensorweaver.losses.contrastive.supervised import circle_loss, supervised_contrastive_loss

__all__ = ["circle_loss", "info_nce_loss", "nt_xent_loss", "supervised_contrastive_loss"]

PEERS = {
    "nt_xent_loss": {"optax": "ntxent"},
    "circle_loss": {"keras": "circle"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
