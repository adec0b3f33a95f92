"""Losses of one yes-or-no question an element."""

from tensorweaver.losses.binary.binary_cross_entropy import (
    binary_cross_entropy_loss,
    binary_cross_entropy_with_logits_loss,
)

__all__ = ["binary_cross_entropy_loss", "binary_cross_entropy_with_logits_loss"]

PEERS = {
    "binary_cross_entropy_loss": {
        "torch": "binary_cross_entropy",
        "keras": "binary_crossentropy",
        "sklearn": "log_loss",
    },
    "binary_cross_entropy_with_logits_loss": {
        "torch": "binary_cross_entropy_with_logits",
        "optax": "sigmoid_binary_cross_entropy",
        "sklearn": "HalfBinomialLoss",
        "xgboost": "binary:logistic",
        "lightgbm": "binary",
    },
}
"""What other libraries call each loss, where they mean the same up to a factor."""
