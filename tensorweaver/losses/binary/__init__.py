"""Losses of one yes-or-no question an element."""

from tensorweaver.losses.binary.asymmetric import asymmetric_loss
from tensorweaver.losses.binary.binary_cross_entropy import (
    binary_cross_entropy_loss,
    binary_cross_entropy_with_logits_loss,
)
from tensorweaver.losses.binary.brier import brier_loss, multiclass_brier_loss
from tensorweaver.losses.binary.cross_entropy_lambda import cross_entropy_lambda_loss
from tensorweaver.losses.binary.exponential import (
    exponential_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from tensorweaver.losses.binary.focal import sigmoid_focal_loss
from tensorweaver.losses.binary.hinge import (
    hinge_loss,
    modified_huber_loss,
    perceptron_loss,
    squared_hinge_loss,
)
from tensorweaver.losses.binary.sparsemax import binary_sparsemax_loss

__all__ = [
    "asymmetric_loss",
    "binary_cross_entropy_loss",
    "binary_cross_entropy_with_logits_loss",
    "binary_sparsemax_loss",
    "brier_loss",
    "cross_entropy_lambda_loss",
    "exponential_loss",
    "hinge_loss",
    "modified_huber_loss",
    "multiclass_brier_loss",
    "multilabel_soft_margin_loss",
    "perceptron_loss",
    "sigmoid_focal_loss",
    "soft_margin_loss",
    "squared_hinge_loss",
]

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
    "sigmoid_focal_loss": {
        "torchvision": "sigmoid_focal_loss",
        "optax": "sigmoid_focal_loss",
        "keras": "binary_focal_crossentropy",
    },
    "hinge_loss": {
        "optax": "hinge_loss",
        "keras": "hinge",
        "sklearn": "hinge_loss",
        "xgboost": "binary:hinge",
    },
    "squared_hinge_loss": {"keras": "squared_hinge", "sklearn": "squared_hinge"},
    "perceptron_loss": {"optax": "perceptron_loss", "sklearn": "perceptron"},
    "modified_huber_loss": {"sklearn": "modified_huber"},
    "exponential_loss": {"sklearn": "ExponentialLoss"},
    "soft_margin_loss": {"torch": "soft_margin_loss"},
    "multilabel_soft_margin_loss": {
        "torch": "multilabel_soft_margin_loss",
        "lightgbm": "multiclassova",
    },
    "brier_loss": {"sklearn": "brier_score_loss"},
    "cross_entropy_lambda_loss": {"lightgbm": "cross_entropy_lambda"},
    "binary_sparsemax_loss": {"optax": "sparsemax_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
