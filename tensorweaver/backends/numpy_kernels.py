"""NumPy's quickest spelling of what kernels do with rows, for arrays with the class axis last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FUNCTIONS"]


def places(labels: Any, classes: int) -> Any:
    """Where each row's label lies in a flattened array of rows."""
    return labels + np.arange(0, labels.size * classes, classes).reshape(labels.shape)


def take(x: Any, where: Any) -> Any:
    """One element a row."""
    if x.flags.c_contiguous:
        return x.take(where)
    classes = x.shape[-1]
    return np.take_along_axis(x, where % classes, -1)


def put_in_place(x: Any, where: Any, value: Any, classes: int) -> Any:
    """`x` itself, with `value` at each row's place."""
    if x.flags.c_contiguous and x.shape == (*where.shape[:-1], classes):
        x.reshape(-1)[where] = value
        return x
    return put(x, where, value, classes)


def put(x: Any, where: Any, value: Any, classes: int) -> Any:
    """A copy of `x` with `value` at each row's place."""
    copy = np.empty((*where.shape[:-1], classes), np.result_type(x, value))
    copy[...] = x
    copy.reshape(-1)[where] = value
    return copy


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": partial(np.add.reduce, axis=-1, keepdims=True),
    "max": partial(np.maximum.reduce, axis=-1, keepdims=True),
    "min": partial(np.minimum.reduce, axis=-1, keepdims=True),
    "places": places,
    "take_along_axis": take,
    "put_along_axis": put,
    "put_in_place": put_in_place,
}
