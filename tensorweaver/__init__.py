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
from tensorweaver.losses.multiclass import (
    cross_entropy_loss,
    nll_loss,
    softmax_cross_entropy_backward,
)
from tensorweaver.losses.regression import (
    cauchy_loss,
    charbonnier_loss,
    epsilon_insensitive_loss,
    expectile_loss,
    fair_loss,
    geman_mcclure_loss,
    general_robust_loss,
    half_mse_loss,
    huber_loss,
    l1_loss,
    log_cosh_loss,
    mape_loss,
    mse_loss,
    msle_loss,
    multi_quantile_loss,
    pseudo_huber_loss,
    quantile_loss,
    smape_loss,
    smooth_l1_loss,
    squared_epsilon_insensitive_loss,
    student_t_nll_loss,
    tukey_biweight_loss,
    welsch_loss,
    wing_loss,
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
    "cauchy_loss",
    "charbonnier_loss",
    "check_gradient",
    "cross_entropy_loss",
    "epsilon_insensitive_loss",
    "expectile_loss",
    "fair_loss",
    "geman_mcclure_loss",
    "general_robust_loss",
    "get_backend",
    "get_loss",
    "get_num_threads",
    "half_mse_loss",
    "huber_loss",
    "is_grad_enabled",
    "kl_div_loss",
    "l1_loss",
    "log_cosh_loss",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "losses",
    "mape_loss",
    "mse_loss",
    "msle_loss",
    "multi_quantile_loss",
    "nll_loss",
    "no_grad",
    "one_hot",
    "pointwise",
    "pseudo_huber_loss",
    "quantile_loss",
    "rowwise",
    "set_backend",
    "set_engine",
    "set_num_threads",
    "sigmoid",
    "smape_loss",
    "smooth_l1_loss",
    "softmax",
    "softmax_cross_entropy_backward",
    "softplus",
    "squared_epsilon_insensitive_loss",
    "student_t_nll_loss",
    "tukey_biweight_loss",
    "use_backend",
    "use_validation",
    "welsch_loss",
    "wing_loss",
]
