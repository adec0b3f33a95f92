"""TensorWeaver: every loss function, written once as a plain formula, for every array library.

>>> import tensorweaver as tw
>>> tw.mse_loss([[10.0], [60.0]], [[32.0], [212.0]])
np.float64(11794.0)
>>> loss, gradient = tw.cross_entropy_loss.value_and_grad([[2.0, 1.0, 0.1]], [0])
>>> gradient.round(3)
array([[-0.341,  0.242,  0.099]])
"""

from tensorweaver import losses
from tensorweaver.backends import (
    array_namespace,
    available_backends,
    get_backend,
    set_backend,
    use_backend,
)
from tensorweaver.backends.validation import use_validation
from tensorweaver.check import GradientMismatchError, check_gradient
from tensorweaver.compiler.engines import set_engine
from tensorweaver.compiler.parallel import get_num_threads, set_num_threads
from tensorweaver.errors import (
    ArgumentError,
    BackendError,
    BackendUnavailableError,
    DTypeError,
    LabelError,
    ShapeError,
    TensorWeaverError,
    TraceError,
)
from tensorweaver.functions import (
    log_sigmoid,
    log_softmax,
    logsumexp,
    one_hot,
    sigmoid,
    softmax,
    softplus,
)
from tensorweaver.loss import Loss, composed, pointwise, rowwise
from tensorweaver.losses import get_loss
from tensorweaver.losses.binary import (
    asymmetric_loss,
    binary_cross_entropy_loss,
    binary_cross_entropy_with_logits_loss,
    binary_sparsemax_loss,
    brier_loss,
    cross_entropy_lambda_loss,
    exponential_loss,
    hinge_loss,
    modified_huber_loss,
    multiclass_brier_loss,
    multilabel_soft_margin_loss,
    perceptron_loss,
    sigmoid_focal_loss,
    soft_margin_loss,
    squared_hinge_loss,
)
from tensorweaver.losses.boxes import (
    box_iou_loss,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)
from tensorweaver.losses.contrastive import (
    circle_loss,
    info_nce_loss,
    nt_xent_loss,
    supervised_contrastive_loss,
)
from tensorweaver.losses.divergence import (
    distillation_loss,
    generalized_jsd_loss,
    generalized_kl_div_loss,
    jensen_shannon_loss,
    kl_div_loss,
    renyi_divergence_loss,
    squared_hellinger_loss,
    total_variation_loss,
)
from tensorweaver.losses.embedding import (
    contrastive_loss,
    cosine_embedding_loss,
    cosine_similarity_loss,
    hinge_embedding_loss,
    margin_mse_loss,
    triplet_margin_loss,
)
from tensorweaver.losses.generative import (
    gan_discriminator_loss,
    gan_generator_loss,
    gaussian_kl_loss,
)
from tensorweaver.losses.multiclass import (
    categorical_hinge_loss,
    cross_entropy_loss,
    generalized_cross_entropy_loss,
    logit_adjusted_cross_entropy_loss,
    multi_margin_loss,
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
    nll_loss,
    poly1_cross_entropy_loss,
    softmax_cross_entropy_backward,
    softmax_focal_loss,
    symmetric_cross_entropy_loss,
)
from tensorweaver.losses.preference import (
    cpo_loss,
    dpo_loss,
    grpo_loss,
    ipo_loss,
    kto_loss,
    orpo_loss,
    ppo_clip_loss,
    ppo_value_clip_loss,
    reward_model_loss,
    simpo_loss,
)
from tensorweaver.losses.ranking import (
    bpr_loss,
    lambdarank_loss,
    list_mle_loss,
    margin_ranking_loss,
    pairwise_hinge_loss,
    pairwise_logistic_loss,
    ranking_softmax_loss,
)
from tensorweaver.losses.regression import (
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from tensorweaver.losses.segmentation import (
    dice_loss,
    focal_tversky_loss,
    jaccard_loss,
    tversky_loss,
)
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import is_grad_enabled, no_grad

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "BackendError",
    "BackendUnavailableError",
    "DTypeError",
    "GradientMismatchError",
    "LabelError",
    "Loss",
    "ShapeError",
    "Tensor",
    "TensorWeaverError",
    "TraceError",
    "array_namespace",
    "asymmetric_loss",
    "available_backends",
    "binary_cross_entropy_loss",
    "binary_cross_entropy_with_logits_loss",
    "binary_sparsemax_loss",
    "box_iou_loss",
    "bpr_loss",
    "brier_loss",
    "categorical_hinge_loss",
    "check_gradient",
    "circle_loss",
    "complete_box_iou_loss",
    "composed",
    "contrastive_loss",
    "cosine_embedding_loss",
    "cosine_similarity_loss",
    "cpo_loss",
    "cross_entropy_lambda_loss",
    "cross_entropy_loss",
    "dice_loss",
    "distance_box_iou_loss",
    "distillation_loss",
    "dpo_loss",
    "exponential_loss",
    "focal_tversky_loss",
    "gan_discriminator_loss",
    "gan_generator_loss",
    "gaussian_kl_loss",
    "generalized_box_iou_loss",
    "generalized_cross_entropy_loss",
    "generalized_jsd_loss",
    "generalized_kl_div_loss",
    "get_backend",
    "get_loss",
    "get_num_threads",
    "grpo_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "info_nce_loss",
    "ipo_loss",
    "is_grad_enabled",
    "jaccard_loss",
    "jensen_shannon_loss",
    "kl_div_loss",
    "kto_loss",
    "l1_loss",
    "lambdarank_loss",
    "list_mle_loss",
    "log_sigmoid",
    "log_softmax",
    "logit_adjusted_cross_entropy_loss",
    "logsumexp",
    "losses",
    "margin_mse_loss",
    "margin_ranking_loss",
    "modified_huber_loss",
    "mse_loss",
    "multi_margin_loss",
    "multiclass_brier_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "no_grad",
    "nt_xent_loss",
    "one_hot",
    "orpo_loss",
    "pairwise_hinge_loss",
    "pairwise_logistic_loss",
    "perceptron_loss",
    "pointwise",
    "poly1_cross_entropy_loss",
    "ppo_clip_loss",
    "ppo_value_clip_loss",
    "ranking_softmax_loss",
    "renyi_divergence_loss",
    "reward_model_loss",
    "rowwise",
    "set_backend",
    "set_engine",
    "set_num_threads",
    "sigmoid",
    "sigmoid_focal_loss",
    "simpo_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmax_cross_entropy_backward",
    "softmax_focal_loss",
    "softplus",
    "squared_hellinger_loss",
    "squared_hinge_loss",
    "supervised_contrastive_loss",
    "symmetric_cross_entropy_loss",
    "total_variation_loss",
    "triplet_margin_loss",
    "tversky_loss",
    "use_backend",
    "use_validation",
]
