"""Losses of sequences whose alignment is not given."""

from tensorweaver.losses.sequence.ctc import ctc_loss
from tensorweaver.losses.sequence.rnnt import rnnt_loss

__all__ = ["ctc_loss", "rnnt_loss"]

PEERS = {
    "ctc_loss": {"torch": "ctc_loss", "optax": "ctc_loss", "keras": "ctc"},
    "rnnt_loss": {},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
