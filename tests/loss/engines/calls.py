"""Every kind of call of a loss, asked of one engine or another, and how near answers must be."""

import contextlib
from typing import Any

import numpy as np

import tensorweaver as tw
from tensorweaver.compiler.engines import process
from tensorweaver.tensor import Tensor
from tests.helpers.arrays import dtype_name, numpy_bfloat16
from tests.helpers.compare import PRECISION, assert_close

__all__ = [
    "ENGINES",
    "KINDS",
    "REAL_DTYPES",
    "ask",
    "assert_agree",
    "bits",
    "computed_by",
    "in_dtype",
    "tiled",
]

ENGINES = ("blocks", "llvm")
REAL_DTYPES = ("float64", "float32", "float16", "bfloat16")


def backward(loss, arrays, options):
    """The gradients that a Tensor collects, of the loss and of its real-valued arguments."""
    tensors = [Tensor(a, requires_grad=True) if is_real(a) else a for a in arrays]
    found = loss(*tensors, **options)
    cotangent = None if found.size == 1 else np.cos(np.arange(found.size)).reshape(found.shape)
    found.backward(None if cotangent is None else cotangent.tolist())
    return [tensor.grad for tensor in tensors if isinstance(tensor, Tensor)]


def vector_like(array):
    """Numbers of both signs in the shape and dtype of the argument differentiated by."""
    return np.sin(1.0 + np.arange(array.size)).reshape(array.shape).astype(array.dtype)


#: What can be asked of a loss. Each takes the loss, its arrays and its options.
KINDS: dict[str, Any] = {
    "mean": lambda loss, a, o: loss(*a, **o),
    "sum": lambda loss, a, o: loss(*a, reduction="sum", **o),
    "none": lambda loss, a, o: loss(*a, reduction="none", **o),
    "gradient": lambda loss, a, o: loss.grad(*a, **o),
    "value and gradient": lambda loss, a, o: loss.value_and_grad(*a, **o),
    "losses and gradient": lambda loss, a, o: loss.value_and_grad(*a, reduction="none", **o),
    "diagonal": lambda loss, a, o: loss.hessian_diag(*a, **o),
    "product": lambda loss, a, o: loss.hvp(*a, vector_like(a[0]), **o),
    "backward": backward,
    "backward of losses": lambda loss, a, o: backward(loss, a, {**o, "reduction": "none"}),
}


def ask(kind, loss, arrays, options):
    """The answer as a list of arrays and numbers."""
    found = KINDS[kind](loss, arrays, options)
    return list(found) if isinstance(found, tuple | list) else [found]


@contextlib.contextmanager
def computed_by(name):
    """Calls in this block go to that engine."""
    before = process.chosen
    tw.set_engine(name)
    try:
        yield
    finally:
        tw.set_engine(before)


def is_real(array):
    """Whether an array holds real numbers, of half precision too."""
    return isinstance(array, np.ndarray) and dtype_name(array) in PRECISION


def in_dtype(case, dtype):
    """A case's arrays and options with its real numbers in another dtype."""
    target = numpy_bfloat16() if dtype == "bfloat16" else np.dtype(dtype)
    options = {k: v.astype(target) if is_real(v) else v for k, v in case.options.items()}
    return [a.astype(target) if is_real(a) else a for a in case.arrays], options


def tiled(case, dtype, times):
    """The same with so many copies of the case's rows, whose elements differ a little."""
    arrays, options = in_dtype(case, dtype)
    rows = case.arrays[0].shape[0]
    many = [np.tile(a, (times, *(1,) * (a.ndim - 1))) for a in arrays]
    wavy = 1 - np.cos(np.arange(many[0].size)).reshape(many[0].shape) / 64
    many[0] = (many[0] * wavy).astype(many[0].dtype)
    more = {
        name: np.tile(value, (times, *(1,) * (value.ndim - 1)))
        if isinstance(value, np.ndarray) and value.shape[0] == rows
        else value
        for name, value in options.items()
    }
    return many, more


def bits(results):
    """Arrays and numbers as bytes, with their shapes and dtypes."""
    arrays = [np.asarray(result) for result in results]
    return [(str(a.dtype), a.shape, a.tobytes()) for a in arrays]


def assert_agree(actual, expected, *, ulp=4.0, steps=0.0):
    """Arrays and numbers are the same to `ulp` of each, and `steps` of the largest among them.

    The latter is for sums in which larger numbers cancel.
    """
    __tracebackhide__ = True
    assert len(actual) == len(expected)
    for found, wanted in zip(actual, expected, strict=True):
        wide = np.abs(np.asarray(wanted, np.float64))
        largest = np.max(wide, initial=0.0, where=np.isfinite(wide))
        atol = steps * PRECISION[dtype_name(wanted)].epsilon * largest
        assert_close(found, wanted, ulp=ulp, atol=atol)
