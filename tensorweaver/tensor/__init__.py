"""The eager reader of the vocabulary: arrays that remember what happened to them."""

from tensorweaver.tensor.tape import is_grad_enabled, no_grad
from tensorweaver.tensor.tensor import Tensor

__all__ = ["Tensor", "is_grad_enabled", "no_grad"]
