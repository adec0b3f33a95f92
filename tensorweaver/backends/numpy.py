"""NumPy: the home of scalars, and the standard's own namespace since version 2."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

import numpy as np

from tensorweaver.backends.backend import Array, Backend
from tensorweaver.backends.numpy_kernels import FUNCTIONS
from tensorweaver.backends.values import numeric
from tensorweaver.errors import DTypeError

__all__ = ["NumPyBackend"]

SCALARS = {"float32": np.float32, "float64": np.float64}
BEYOND_FLOAT32 = 2.0**128 - 2.0**103
"""What rounds to infinity, not to the largest float32."""


class NumPyBackend(Backend):
    """Always there, always on the CPU, never late."""

    name = "numpy"
    label = "NumPy"
    package = "numpy"
    extra = "pip install numpy"
    namespace_path = "numpy"
    array_classes = (("numpy", "ndarray"), ("numpy", "generic"))
    many_devices = False
    wants_classes_last = True

    def owns(self, cls: type) -> bool:
        """Arrays, their subclasses, and NumPy's scalars."""
        return issubclass(cls, (np.ndarray, np.generic))

    def unavailable(self) -> str | None:
        """Nothing here works without NumPy, so nobody gets as far as asking."""
        return None

    def namespace(self) -> ModuleType:
        """NumPy itself."""
        return np

    def import_host(self, host: np.ndarray[Any, Any]) -> Array:
        """Already at home."""
        return host

    def place(self, array: Array, dtype: Any = None, device: Any = None) -> Array:
        """A plain `ndarray`: scalars gain an array, and `np.matrix` loses its own idea of `*`."""
        if type(array) is not np.ndarray:
            if isinstance(array, np.ma.MaskedArray):
                raise DTypeError(
                    "a masked array would lose its mask: pass array.data, and where=~array.mask"
                )
            array = np.asarray(array)
        if not numeric(array.dtype):
            raise DTypeError(f"expected numbers, got a NumPy array of dtype {array.dtype}")
        if dtype is None or array.dtype == dtype:
            return array
        with np.errstate(over="ignore"):  # beyond a half's range lies its infinity
            return array.astype(dtype)

    def functions(self, axis: int) -> dict[str, Callable[..., Any]]:
        """The quickest spelling of each."""
        return FUNCTIONS

    def constant(self, value: float, dtype: str, device: Any) -> Any:
        """A scalar: it broadcasts without an array's overhead."""
        return np.dtype(dtype).type(value)

    def quiet(self) -> AbstractContextManager[Any]:
        """NumPy warns of every infinity."""
        return np.errstate(all="ignore")

    def total(self, array: Array) -> Any:
        """Summed in float64, so that many float32 values lose nothing."""
        return np.add.reduce(array, axis=None, dtype=np.float64)

    def quotient(self, total: Any, divisor: Any, dtype: str) -> Any:
        """A NumPy scalar, as `np.mean` gives."""
        if not divisor:
            return SCALARS[dtype](total if np.isnan(total) else 0.0)
        found = total / divisor
        if dtype == "float32" and abs(found) >= BEYOND_FLOAT32:  # NumPy would warn
            found = math.copysign(math.inf, found)
        return SCALARS[dtype](found)

    def inverse(self, divisor: Any, dtype: str) -> Any:
        """A Python number takes part in any dtype."""
        return 1.0 / float(divisor) if divisor else 0.0

    def reshape(self, array: Array, shape: tuple[int, ...]) -> Array:
        """The method: the function costs a microsecond more."""
        return array.reshape(shape)

    def seed(self, value: float, dtype: str, device: Any) -> Any:
        """The number itself, not yet rounded."""
        return value

    def move_axis(self, array: Array, source: int, destination: int) -> Array:
        """Contiguous rows sum pairwise, which is what keeps them exact."""
        return np.ascontiguousarray(np.moveaxis(array, source, destination))

    def writable(self, array: Array) -> bool:
        """Not a read-only view."""
        return bool(array.flags.writeable)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """The array itself."""
        return np.asarray(array)
