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
from tensorweaver.loss import Loss, pointwise, rowwise
from tensorweaver.losses import get_loss
from tensorweaver.losses.binary import (
    binary_cross_entropy_loss,
    binary_cross_entropy_with_logits_loss,
)
from tensorweaver.losses.divergence import (
    kl_div_loss,
)
from tensorweaver.losses.generative import (
    gan_discriminator_loss,
    gan_generator_loss,
    gaussian_kl_loss,
)
from tensorweaver.losses.multiclass import (
    cross_entropy_loss,
    nll_loss,
    softmax_cross_entropy_backward,
)
from tensorweaver.losses.preference import (
    cpo_loss,
    dpo_loss,
    grpo_loss,
    gspo_loss,
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
    ranking_softmax_loss,
)
from tensorweaver.losses.regression import (
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
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
    "available_backends",
    "binary_cross_entropy_loss",
    "binary_cross_entropy_with_logits_loss",
    "bpr_loss",
    "check_gradient",
    "cpo_loss",
    "cross_entropy_loss",
    "dpo_loss",
    "gan_discriminator_loss",
    "gan_generator_loss",
    "gaussian_kl_loss",
    "get_backend",
    "get_loss",
    "get_num_threads",
    "grpo_loss",
    "gspo_loss",
    "huber_loss",
    "ipo_loss",
    "is_grad_enabled",
    "kl_div_loss",
    "kto_loss",
    "l1_loss",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "losses",
    "mse_loss",
    "nll_loss",
    "no_grad",
    "one_hot",
    "orpo_loss",
    "pointwise",
    "ppo_clip_loss",
    "ppo_value_clip_loss",
    "ranking_softmax_loss",
    "reward_model_loss",
    "rowwise",
    "set_backend",
    "set_engine",
    "set_num_threads",
    "sigmoid",
    "simpo_loss",
    "smooth_l1_loss",
    "softmax",
    "softmax_cross_entropy_backward",
    "softplus",
    "use_backend",
    "use_validation",
]
