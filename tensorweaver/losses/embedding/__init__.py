"""Losses of vectors that are to be near each other, or far apart."""

from tensorweaver.losses.embedding.cosine import cosine_embedding_loss, cosine_similarity_loss
from tensorweaver.losses.embedding.pairs import (
    contrastive_loss,
    hinge_embedding_loss,
    margin_mse_loss,
    triplet_margin_loss,
)
from tensorweaver.losses.embedding.triplet_with_distance import triplet_margin_with_distance_loss

__all__ = [
    "contrastive_loss",
    "cosine_embedding_loss",
    "cosine_similarity_loss",
    "hinge_embedding_loss",
    "margin_mse_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]

PEERS = {
    "triplet_margin_with_distance_loss": {"torch": "triplet_margin_with_distance_loss"},
    "cosine_similarity_loss": {"optax": "cosine_distance", "keras": "cosine_similarity"},
    "cosine_embedding_loss": {"torch": "cosine_embedding_loss"},
    "hinge_embedding_loss": {"torch": "hinge_embedding_loss"},
    "triplet_margin_loss": {"torch": "triplet_margin_loss", "optax": "triplet_margin_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
