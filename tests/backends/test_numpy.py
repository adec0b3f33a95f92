"""NumPy: scalars, subclasses, and arrays that are no numbers."""

import numpy as np
import pytest

from tensorweaver.backends import BACKENDS
from tensorweaver.errors import DTypeError


def check(lib, array, expected, dtype):
    """`array` belongs to `lib` and has that dtype and those values, shape included."""
    assert lib.owns(type(array))
    assert lib.dtype_name(array.dtype) == dtype
    np.testing.assert_array_equal(lib.to_numpy(array), expected, strict=True)


def test_numpy_scalars_subclasses_and_masks():
    lib = BACKENDS["numpy"]
    check(lib, lib.asarray(np.float32(3)), np.asarray(np.float32(3)), "float32")
    matrix = np.ones((2, 2)).view(np.matrix)
    assert type(lib.asarray(matrix)) is np.ndarray
    with pytest.raises(DTypeError, match=r"where=~array\.mask"):
        lib.asarray(np.ma.masked_array([1.0, 2.0], [True, False]))
    with pytest.raises(DTypeError, match="dtype object"):
        lib.asarray(np.asarray([1, None]))
