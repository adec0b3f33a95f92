"""NumPy's quickest spelling of what kernels do with rows, for arrays with the class axis last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FUNCTIONS"]


def places(labels: Any, classes: int, size: int) -> Any:
    """Where each row's label lies in the flattened array."""
    return labels + np.arange(0, size, classes).reshape(labels.shape)


def take(x: Any, labels: Any) -> Any:
    """One element a row."""
    classes = x.shape[-1]
    if x.flags.c_contiguous:
        return x.reshape(-1).take(places(labels, classes, x.size))
    return np.take_along_axis(x, labels, -1)


def put_in_place(x: Any, labels: Any, value: Any, classes: int) -> Any:
    """`x` itself, with `value` at each row's label."""
    if x.flags.c_contiguous and x.shape[:-1] == labels.shape[:-1]:
        x.reshape(-1)[places(labels, classes, x.size)] = value
        return x
    return put(x, labels, value, classes)


def put(x: Any, labels: Any, value: Any, classes: int) -> Any:
    """A copy of `x` with `value` at each row's label."""
    if getattr(x, "shape", ())[-1:] != (classes,):
        dtype = np.result_type(x, value)
        copy = np.empty((*labels.shape[:-1], classes), dtype)
        copy[...] = x
    else:
        copy = np.array(x, order="C")
    copy.reshape(-1)[places(labels, classes, copy.size)] = value
    return copy


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": partial(np.add.reduce, axis=-1, keepdims=True),
    "max": partial(np.maximum.reduce, axis=-1, keepdims=True),
    "min": partial(np.minimum.reduce, axis=-1, keepdims=True),
    "take_along_axis": take,
    "put_along_axis": put,
    "put_in_place": put_in_place,
}
