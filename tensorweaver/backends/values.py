"""Numbers, lists and whatever merely looks like an array, as NumPy arrays, or refused in words."""

from typing import Any

import numpy as np

from tensorweaver.errors import DTypeError, ShapeError

__all__ = ["native", "numeric", "plain_values"]

NOT_NUMBERS = (str, bytes, bytearray, dict, set, frozenset, type(None))


def numeric(dtype: np.dtype[Any]) -> bool:
    """Whether it is a dtype of numbers.

    NumPy gives bfloat16, an extension, the kind "void".
    """
    return dtype.kind in "biufc" or dtype.name == "bfloat16"


def plain_values(value: Any) -> np.ndarray[Any, Any]:
    """The numbers in `value` as a NumPy array.

    NumPy alone would make objects and strings of what it cannot read.
    """
    kind = type(value).__name__
    if isinstance(value, NOT_NUMBERS):
        raise DTypeError(f"expected an array, a number or a nested list of numbers, got {kind}")
    try:
        host = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"expected rows of equal length, got a ragged {kind}: {error}") from error
    except (TypeError, RuntimeError, OverflowError) as error:
        raise DTypeError(f"{kind} cannot be read as numbers: {error}") from error
    if not numeric(host.dtype):
        raise DTypeError(f"expected numbers, got a {kind} that NumPy reads as dtype {host.dtype}")
    return host


def native(host: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in this machine's byte order; libraries other than NumPy know no other."""
    if host.dtype.isnative:
        return host
    return host.astype(host.dtype.newbyteorder("="))
