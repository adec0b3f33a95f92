"""array-api-strict: NumPy that refuses what the standard does not promise.

Formulas that run on it run everywhere.
"""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from tensorweaver.backends.backend import Array, Backend
from tensorweaver.backends.importing import load
from tensorweaver.errors import DTypeError

__all__ = ["StrictBackend"]


class StrictBackend(Backend):
    """Has make-believe devices, which make a stray copy to the host an error on every machine."""

    name = "strict"
    label = "array-api-strict"
    package = "array_api_strict"
    extra = "pip install array-api-strict"
    namespace_path = "array_api_strict"
    array_classes = (("array_api_strict._array_object", "Array"),)

    def quiet(self) -> AbstractContextManager[Any]:
        """It computes with NumPy, which warns of every infinity."""
        return np.errstate(all="ignore")

    def move(self, array: Array, device: Any) -> Array:
        """The array on another make-believe device."""
        try:
            return array.to_device(device)
        except ValueError as error:
            raise DTypeError(str(error)) from error

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Only its CPU device gives arrays away."""
        return np.asarray(self.place(array, None, load("array_api_strict").Device("CPU_DEVICE")))

    def dtype_name(self, dtype: Any) -> str:
        """Its dtypes print as `array_api_strict.float32`."""
        return str(dtype).removeprefix("array_api_strict.")

    def own_dtype(self, name: str) -> Any:
        """The standard has no float16 and no bfloat16, and so neither has this library."""
        dtype = getattr(self.namespace(), name, None)
        if dtype is None:
            raise DTypeError(f"{self.label} has no dtype {name}")
        return dtype
