"""Dask: arrays in chunks, computed when asked."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tensorweaver.backends.backend import LIBRARY_OF, Array, Backend
from tensorweaver.backends.importing import load

__all__ = ["DaskBackend"]


class DaskBackend(Backend):
    """Everything stays lazy; only leaving Dask computes."""

    name = "dask"
    label = "Dask"
    package = "dask"
    extra = 'pip install "tensorweaver[dask]"'
    namespace_path = "array_api_compat.dask.array"
    array_classes = (("dask.array", "Array"),)
    many_devices = False

    def constant(self, value: float, dtype: str, device: Any) -> Any:
        """A NumPy scalar of the dtype: one chunk fewer."""
        return np.dtype(dtype).type(value)

    def functions(self, axis: int) -> dict[str, Callable[..., Any]]:
        """Dask has no take_along_axis: compare with the class's number and sum."""
        return {
            "take_along_axis": partial(take_by_comparison, axis),
            "max": partial(extreme, "max", axis),
            "min": partial(extreme, "min", axis),
        }

    def writable(self, array: Array) -> bool:
        """A recipe cannot be written to."""
        return False

    def writable_copy(self, array: Array) -> Array:
        """The same recipe in an object of its own: `array[0] = 1` changes the object."""
        return array.copy()

    def import_host(self, host: np.ndarray[Any, Any]) -> Array:
        """In chunks of the size that Dask's configuration says."""
        return load("dask.array").from_array(host)

    def place(self, array: Array, dtype: Any = None, device: Any = None) -> Array:
        """Casting is lazy as well."""
        return array if dtype is None or array.dtype == dtype else array.astype(dtype)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Computes. The chunks may be arrays of another library, such as CuPy."""
        computed = array.compute()
        source = LIBRARY_OF[type(computed)]
        return np.asarray(computed) if source is None else source.to_numpy(computed)

    def device(self, array: Array) -> Any:
        """Each chunk lies where its task ran."""
        return None

    def concrete(self, array: Array) -> bool:
        """Looking would compute."""
        return False


def extreme(name: str, axis: int, x: Array) -> Array:
    """The largest or smallest of each row, where Dask stumbles over there being no rows."""
    if 0 in x.shape:
        return x.sum(axis=axis, keepdims=True)
    return getattr(load("dask.array"), name)(x, axis=axis, keepdims=True)


def take_by_comparison(axis: int, x: Array, labels: Array) -> Array:
    """One element a row, without indexing."""
    array = load("dask.array")
    shape = [1] * labels.ndim
    shape[axis] = x.shape[axis]
    classes = array.arange(x.shape[axis], dtype=labels.dtype).reshape(shape)
    return array.where(classes == labels, x, np.zeros((), x.dtype)).sum(axis=axis, keepdims=True)
