"""Dask: lazy until it leaves."""

import numpy as np
import pytest

from tensorweaver.backends import BACKENDS


def check(lib, array, expected, dtype):
    """`array` belongs to `lib` and has that dtype and those values, shape included."""
    assert lib.owns(type(array))
    assert lib.dtype_name(array.dtype) == dtype
    np.testing.assert_array_equal(lib.to_numpy(array), expected, strict=True)


def test_dask_stays_lazy_until_it_leaves():
    dask_array = pytest.importorskip("dask.array")
    lib = BACKENDS["dask"]
    computed = []

    def note(block):
        computed.append(block.shape)
        return block

    lazy = dask_array.map_blocks(note, dask_array.ones(4, chunks=2), dtype=float, meta=np.empty(0))
    array = lib.astype(lib.asarray(lazy), "float32")
    lib.wait(array)
    assert not lib.concrete(array)
    assert lib.device(array) is None
    assert computed == []
    check(lib, array, np.ones(4, np.float32), "float32")
    assert computed == [(2,), (2,)]
