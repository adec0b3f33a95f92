"""Losses of one class out of several."""

from tensorweaver.losses.multiclass.adaptive import adaptive_log_softmax_loss
from tensorweaver.losses.multiclass.cross_entropy import (
    cross_entropy_loss,
    nll_loss,
    softmax_cross_entropy_backward,
)
from tensorweaver.losses.multiclass.dft import dft_loss
from tensorweaver.losses.multiclass.fenchel_young import fenchel_young_loss
from tensorweaver.losses.multiclass.margin import (
    categorical_hinge_loss,
    multi_margin_loss,
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
)
from tensorweaver.losses.multiclass.modulated import poly1_cross_entropy_loss, softmax_focal_loss
from tensorweaver.losses.multiclass.multilabel_margin import multilabel_margin_loss
from tensorweaver.losses.multiclass.ordinal import cumulative_link_loss
from tensorweaver.losses.multiclass.robust import (
    generalized_cross_entropy_loss,
    logit_adjusted_cross_entropy_loss,
    symmetric_cross_entropy_loss,
)
from tensorweaver.losses.multiclass.sparse import entmax15_loss, sparsemax_loss

__all__ = [
    "adaptive_log_softmax_loss",
    "categorical_hinge_loss",
    "cross_entropy_loss",
    "cumulative_link_loss",
    "dft_loss",
    "entmax15_loss",
    "fenchel_young_loss",
    "generalized_cross_entropy_loss",
    "logit_adjusted_cross_entropy_loss",
    "multi_margin_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multilabel_margin_loss",
    "nll_loss",
    "poly1_cross_entropy_loss",
    "softmax_cross_entropy_backward",
    "softmax_focal_loss",
    "sparsemax_loss",
    "symmetric_cross_entropy_loss",
]

PEERS = {
    "fenchel_young_loss": {"optax": "make_fenchel_young_loss"},
    "adaptive_log_softmax_loss": {"torch": "AdaptiveLogSoftmaxWithLoss"},
    "multilabel_margin_loss": {"torch": "multilabel_margin_loss"},
    "sparsemax_loss": {"optax": "multiclass_sparsemax_loss"},
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
    "softmax_focal_loss": {"keras": "categorical_focal_crossentropy"},
    "poly1_cross_entropy_loss": {"optax": "poly_loss_cross_entropy"},
    "generalized_cross_entropy_loss": {"keras": "categorical_generalized_cross_entropy"},
    "multi_margin_loss": {"torch": "multi_margin_loss"},
    "multiclass_hinge_loss": {"optax": "multiclass_hinge_loss"},
    "multiclass_perceptron_loss": {"optax": "multiclass_perceptron_loss"},
    "categorical_hinge_loss": {"keras": "categorical_hinge"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
