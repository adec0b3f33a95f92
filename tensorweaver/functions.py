"""The functions that losses are made of, for arrays, lists, Tensors, and inside formulas."""

from __future__ import annotations

import operator
from typing import Any, cast

import numpy as np

from tensorweaver.backends import Array, Backend, arrange, array_namespace
from tensorweaver.backends.backend import LIBRARY_OF
from tensorweaver.compiler.trace import Tracer
from tensorweaver.errors import (
    ArgumentError,
    DTypeError,
    ShapeError,
    TensorWeaverError,
    TraceError,
)
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.eager import eager_namespace

__all__ = [
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "one_hot",
    "sigmoid",
    "smooth_labels",
    "softmax",
    "softplus",
]

HALVES = ("float16", "bfloat16")


def apply(name: str, x: Any, backend: str | None = None, **options: Any) -> Any:
    """The vocabulary's operation `name`; half precision computes in float32."""
    if isinstance(x, Tracer):
        refuse_to_move(name, backend)
        return getattr(array_namespace(x), name)(x, **options)
    home, array, tensor = opened(name, x, "x", backend)
    check_floating(name, home, array)
    if "axis" in options:
        check_axis(name, array, options["axis"])
    dtype = home.dtype_name(array.dtype)
    if tensor is not None:
        wide = tensor.astype("float32") if dtype in HALVES else tensor
        result = getattr(wide.__array_namespace__(), name)(wide, **options)
        return result.astype(dtype) if dtype in HALVES else result
    if dtype not in HALVES:
        return getattr(eager_namespace(home), name)(array, **options)
    result = getattr(eager_namespace(home), name)(home.astype(array, "float32"), **options)
    return home.astype(result, dtype)


def opened(
    name: str, x: Any, what: str, backend: str | None
) -> tuple[Backend, Array, Tensor | None]:
    """The library that computes, the array, and the Tensor around it if there is one; errors begin
    with the function's name.
    """
    try:
        if isinstance(x, Tensor):
            tensor = x if backend is None else x.to(backend)
            return tensor.home, tensor.array, tensor
        home, (array,) = arrange([x], [what], backend)
    except TensorWeaverError as error:
        message = f"{name}: {error}"
        raise type(error)(message) from error
    return home, array, None


def refuse_to_move(name: str, backend: str | None) -> None:
    """Inside a formula there is nothing to move."""
    if backend is not None:
        message = (
            f"{name}: a formula computes where its loss is called; "
            f"leave backend={backend!r} out, and give it to the loss"
        )
        raise TraceError(message)


def whole(name: str, what: str, value: Any) -> int:
    """An integer of any kind, but neither a truth value nor an array or tuple."""
    if not isinstance(value, bool | np.bool_):
        try:
            return operator.index(value)
        except TypeError:
            pass
    message = f"{name}: {what} must be one integer, got {value!r}"
    raise ArgumentError(message)


def check_floating(name: str, backend: Backend, array: Any) -> None:
    dtype = backend.dtype_name(array.dtype)
    if not dtype.startswith(("float", "bfloat")):
        message = f"{name}: x must be floating point, got {dtype}; convert it to a floating dtype"
        raise DTypeError(message)


def check_axis(name: str, array: Any, axis: int, what: str = "x") -> None:
    rank = array.ndim
    if rank == 0:
        message = f"{name}: {what} needs an axis, got a single number"
        raise ShapeError(message)
    if not -rank <= axis < rank:
        message = f"{name}: axis must be an integer from {-rank} to {rank - 1}, got {axis}"
        raise ArgumentError(message)
    if array.shape[axis] == 0:
        message = f"{name}: {what} of shape {tuple(array.shape)} has nothing on axis {axis}"
        raise ShapeError(message)


def sigmoid(x: Any, *, backend: str | None = None) -> Any:
    """The logistic function `1 / (1 + exp(-x))`, exact in both tails.

    Derivative: `sigmoid(x) sigmoid(-x)`. Infinite `x` gives 0 and 1.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.sigmoid([0.0, -700.0])
    array([5.00000000e-001, 9.85967654e-305])
    """
    return apply("sigmoid", x, backend)


def log_sigmoid(x: Any, *, backend: str | None = None) -> Any:
    """`log(sigmoid(x))` without losing a confident or a hopeless `x`.

    Derivative: `sigmoid(-x)`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.log_sigmoid([-1000.0, 50.0])
    array([-1.00000000e+03, -1.92874985e-22])
    """
    return apply("log_sigmoid", x, backend)


def softplus(x: Any, *, backend: str | None = None) -> Any:
    """`log(1 + exp(x))`, computed as `max(x, 0) + log1p(exp(-abs(x)))`.

    Derivative: `sigmoid(x)`. There is no threshold beyond which it becomes `x`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.softplus([-50.0, 0.0, 1000.0])
    array([1.92874985e-22, 6.93147181e-01, 1.00000000e+03])
    """
    return apply("softplus", x, backend)


def softmax(x: Any, axis: int = -1, *, backend: str | None = None) -> Any:
    """Scores to probabilities: `exp(x) / sum(exp(x))` along `axis`.

    A score of -inf gets probability 0, a score of +inf probability 1 (several share evenly). A row
    of -inf alone has no probabilities: it is NaN.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.softmax([2.0, 1.0, 0.1]).round(3)
    array([0.659, 0.242, 0.099])
    """
    return apply("softmax", x, backend, axis=whole("softmax", "axis", axis))


def log_softmax(x: Any, axis: int = -1, *, backend: str | None = None) -> Any:
    """`log(softmax(x))` along `axis`; exact where a probability is near one as well as where it is
    tiny.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.log_softmax([50.0, 0.0])
    array([-1.92874985e-22, -5.00000000e+01])
    """
    return apply("log_softmax", x, backend, axis=whole("log_softmax", "axis", axis))


def logsumexp(x: Any, axis: int = -1, *, keepdims: bool = False, backend: str | None = None) -> Any:
    """`log(sum(exp(x)))` along `axis`, without overflow. A row of -inf alone gives -inf.

    Derivative: `softmax(x)`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.logsumexp([1000.0, 1000.0]).round(6)
    np.float64(1000.693147)
    """
    place = whole("logsumexp", "axis", axis)
    if isinstance(x, Tracer):
        refuse_to_move("logsumexp", backend)
        return array_namespace(x).logsumexp(x, axis=place, keepdims=keepdims)
    kept = apply("logsumexp", x, backend, axis=place)
    if keepdims:
        return kept
    reduced = array_namespace(kept).squeeze(kept, axis=place)
    return reduced[()] if backend_is_numpy(reduced) else reduced


def backend_is_numpy(x: Any) -> bool:
    library = LIBRARY_OF[type(x)]
    return library is not None and library.name == "numpy"


def smooth_labels(targets: Any, alpha: float, *, backend: str | None = None) -> Any:
    """Probabilities made more even: `(1 - alpha) targets + alpha / K` over the K classes of the
    last axis.

    Targets may be Tensors, and stay on their tape. The losses of classes have this as their
    `label_smoothing`, which leaves masked classes out.

    Parameters
    ----------
    targets
        Floating point, the classes last: rows of `one_hot`, or other probabilities.
    alpha
        The share of the even distribution, in [0, 1].

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.smooth_labels([[1.0, 0.0, 0.0, 0.0]], 0.2)
    array([[0.85, 0.05, 0.05, 0.05]])
    """
    if not 0 <= alpha <= 1:
        message = f"smooth_labels: alpha must be in [0, 1], got {alpha!r}"
        raise ArgumentError(message)
    if isinstance(targets, Tracer):
        refuse_to_move("smooth_labels", backend)
        xp, traced = array_namespace(targets), cast("Any", targets)
        return (1 - alpha) * traced + alpha / xp.sum(xp.ones_like(traced), axis=-1, keepdims=True)
    home, array, tensor = opened("smooth_labels", targets, "targets", backend)
    dtype = home.dtype_name(array.dtype)
    if not dtype.startswith(("float", "bfloat")):
        message = (
            f"smooth_labels: targets must be floating point, got {dtype}; "
            "make rows of probabilities of labels with one_hot"
        )
        raise DTypeError(message)
    check_axis("smooth_labels", array, -1, "targets")
    share = alpha / array.shape[-1]
    if tensor is not None:
        wide = tensor.astype("float32") if dtype in HALVES else tensor
        return ((1 - alpha) * wide + share).astype(dtype)
    wide = home.astype(array, "float32") if dtype in HALVES else array
    return home.astype((1 - alpha) * wide + share, dtype)


def one_hot(labels: Any, num_classes: int, *, dtype: Any = None, backend: str | None = None) -> Any:
    """Class indices as rows that are 1 at the index and 0 elsewhere; the classes become the last
    axis.

    An index outside the classes gives a row of zeros.

    Parameters
    ----------
    labels
        Integers of any shape.
    num_classes
        How many classes there are.
    dtype
        A dtype of the library or a name; the library's default floating dtype if None.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    if isinstance(labels, Tracer):
        message = (
            "one_hot: a formula sees one row, whose label is a class index: read its class with "
            "xp.take_along_axis(x, labels, axis=-1), or write there with "
            "xp.put_along_axis(x, labels, value, axis=-1)"
        )
        raise TraceError(message)
    classes = whole("one_hot", "num_classes", num_classes)
    if classes < 0:
        message = f"one_hot: num_classes must not be negative, got {classes}"
        raise ArgumentError(message)
    home, array, tensor = opened("one_hot", labels, "labels", backend)
    xp = eager_namespace(home)
    if not home.dtype_name(array.dtype).startswith(("int", "uint")):
        message = f"one_hot: labels must be integers, got {home.dtype_name(array.dtype)}"
        raise DTypeError(message)
    wanted = home.default_dtype("f") if dtype is None else dtype
    name = wanted if isinstance(wanted, str) else home.dtype_name(wanted)
    hot = home.astype(xp.as_index(array)[..., None] == xp.places(classes, array), name)
    return hot if tensor is None else Tensor(hot)
