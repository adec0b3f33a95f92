"""array-api-strict: its make-believe devices."""

import numpy as np
import pytest

from tensorweaver.backends import BACKENDS
from tensorweaver.errors import DTypeError

VALUES = np.asarray([[1.5, -2.0, 0.25], [0.0, 8.0, -0.5]], dtype=np.float32)


def check(lib, array, expected, dtype):
    """`array` belongs to `lib` and has that dtype and those values, shape included."""
    assert lib.owns(type(array))
    assert lib.dtype_name(array.dtype) == dtype
    np.testing.assert_array_equal(lib.to_numpy(array), expected, strict=True)


def test_strict_moves_between_its_devices():
    strict = pytest.importorskip("array_api_strict")
    lib = BACKENDS["strict"]
    there = strict.Device("device1")
    array = lib.asarray(VALUES, None, there)
    assert lib.device(array) == there
    assert lib.asarray(array) is array
    check(lib, array, VALUES, "float32")
    assert lib.concrete(array)
    assert lib.stop_gradient(array) is array
    with pytest.raises(DTypeError, match="float64"):
        lib.asarray(np.ones(2), None, strict.Device("no_float64"))
    small = lib.asarray([0.5], None, strict.Device("no_float64"))
    assert lib.dtype_name(small.dtype) == "float32"
