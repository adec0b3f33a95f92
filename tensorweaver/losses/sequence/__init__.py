"""Losses of sequences: labels at unknown steps, and tags that depend on each other."""

from tensorweaver.losses.sequence.crf import crf_nll_loss
from tensorweaver.losses.sequence.ctc import ctc_loss
from tensorweaver.losses.sequence.ctc_forward import ctc_forward_log_probs
from tensorweaver.losses.sequence.rnnt import rnnt_loss

__all__ = [
    "crf_nll_loss",
    "ctc_forward_log_probs",
    "ctc_loss",
    "rnnt_loss",
]

PEERS = {
    "crf_nll_loss": {},
    "ctc_loss": {"torch": "ctc_loss", "optax": "ctc_loss", "keras": "ctc"},
    "rnnt_loss": {},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
