"""Losses of sequences of labels and of curves in time, whose alignment is not given."""

from tensorweaver.losses.sequence.ctc import ctc_loss

__all__ = ["ctc_loss"]

PEERS = {"ctc_loss": {"torch": "ctc_loss", "optax": "ctc_loss", "keras": "ctc"}}
"""What other libraries call each loss, where they mean the same up to a factor."""
