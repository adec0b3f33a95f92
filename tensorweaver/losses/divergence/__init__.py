"""Distances between probability distributions."""

from tensorweaver.losses.divergence.distances import (
    renyi_divergence_loss,
    squared_hellinger_loss,
    total_variation_loss,
)
from tensorweaver.losses.divergence.distillation import distillation_loss
from tensorweaver.losses.divergence.generalized_kl import generalized_kl_div_loss
from tensorweaver.losses.divergence.jensen_shannon import (
    generalized_jsd_loss,
    jensen_shannon_loss,
)
from tensorweaver.losses.divergence.kl_div import kl_div_loss

__all__ = [
    "distillation_loss",
    "generalized_jsd_loss",
    "generalized_kl_div_loss",
    "jensen_shannon_loss",
    "kl_div_loss",
    "renyi_divergence_loss",
    "squared_hellinger_loss",
    "total_variation_loss",
]

PEERS = {
    "kl_div_loss": {
        "torch": "kl_div",
        "optax": "kl_divergence",
        "keras": "kl_divergence",
        "liger": "LigerKLDIVLoss",
    },
    "generalized_kl_div_loss": {"optax": "generalized_kl_divergence"},
    "generalized_jsd_loss": {"liger": "LigerJSD"},
    "total_variation_loss": {"liger": "LigerTVDLoss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
