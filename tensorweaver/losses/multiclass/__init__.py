"""Losses of one class out of several."""

from tensorweaver.losses.multiclass.cross_entropy import (
    cross_entropy_loss,
    nll_loss,
    softmax_cross_entropy_backward,
)

__all__ = ["cross_entropy_loss", "nll_loss", "softmax_cross_entropy_backward"]

PEERS = {
    "cross_entropy_loss": {
        "torch": "cross_entropy",
        "optax": "softmax_cross_entropy",
        "keras": "categorical_crossentropy",
        "sklearn": "HalfMultinomialLoss",
        "xgboost": "multi:softprob",
        "lightgbm": "multiclass",
        "liger": "LigerCrossEntropyLoss",
    },
    "nll_loss": {"torch": "nll_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
