"""Distances between probability distributions."""

from tensorweaver.losses.divergence.kl_div import kl_div_loss

__all__ = ["kl_div_loss"]

PEERS = {
    "kl_div_loss": {
        "torch": "kl_div",
        "optax": "kl_divergence",
        "keras": "kl_divergence",
        "liger": "LigerKLDIVLoss",
    },
}
"""What other libraries call each loss, where they mean the same up to a factor."""
