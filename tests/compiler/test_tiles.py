"""Blocks cover a shape once; threads keep their memory; totals are exact."""

import math
import threading
import warnings

import numpy as np
import pytest

from tensorweaver.compiler import parallel, tiles
from tensorweaver.compiler.tiles import (
    LARGEST,
    SMALLEST,
    WANTED,
    Blocks,
    block_size,
    borrow,
    run_blocks,
    total_of,
)

SHAPES = [(), (1,), (7,), (8,), (9,), (3, 5), (5, 1), (1, 5), (2, 3, 4), (4, 1, 6), (2, 1, 1, 9)]


@pytest.mark.parametrize("size", [1, 2, 4, 8, 9, 100])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_cover_every_element_once_in_order(shape, size):
    places = np.arange(math.prod(shape)).reshape(shape)
    blocks = Blocks(shape, size)
    found = [places[blocks[i]] for i in range(blocks.count)]
    assert np.concatenate([part.ravel() for part in found]).tolist() == places.ravel().tolist()
    assert all(0 < part.size <= size for part in found)
    assert all(np.shares_memory(part, places) for part in found)


def test_blocks_are_as_large_as_may_be():
    assert Blocks((10, 10), 30).count == 4
    assert Blocks((10, 10), 99).count == 2
    assert Blocks((10, 10), 100).count == 1
    assert Blocks((10, 10), 9).count == 20
    assert Blocks((10, 10), 1).count == 100


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_nothing_has_no_blocks(shape):
    assert Blocks(shape, 4).count == 0


def test_a_single_number_is_one_block():
    array = np.asarray(3.0)
    block = array[Blocks((), 8)[0]]
    assert block.shape == ()
    assert np.shares_memory(block, array)


def test_the_size_of_a_block_depends_on_the_whole_alone():
    assert block_size(1) == SMALLEST
    assert block_size(WANTED * SMALLEST) == SMALLEST
    assert block_size(WANTED * (SMALLEST + 1)) == SMALLEST + 1
    assert block_size(10**12) == LARGEST


# ------------------------------------------------------------------------- running
def test_every_block_runs_once_and_quietly():
    parallel.set_num_threads(3)
    seen: list[int] = []
    zero = np.zeros(3)

    def task(number):
        seen.append(number)
        assert np.isnan(zero / zero).all()
        assert np.isinf(np.exp(np.float32(1e6)))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run_blocks(50, task)
    finally:
        parallel.set_num_threads(None)
    assert sorted(seen) == list(range(50))
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(zero / zero).all()


# ------------------------------------------------------------------------- totals
@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        ([0.1] * 10, 1.0),
        ([1e16, 1.0, -1e16], 1.0),
        ([2.5], 2.5),
        ([math.inf, 1.0], math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([math.nan, 1.0], math.nan),
        ([math.nan], math.nan),
        ([math.inf, -math.inf], math.nan),
        ([math.inf, math.nan, -math.inf], math.nan),
        ([1e308, 1e308], math.inf),
        ([-1e308, -1e308, 1.0], -math.inf),
    ],
)
def test_the_total_of_partial_sums(partial, expected):
    found = total_of(partial)
    assert type(found) is float
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_a_total_keeps_the_sign_of_zero():
    assert math.copysign(1, total_of([-0.0])) == -1


# ------------------------------------------------------------------------- memory
@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(tiles, "kept", tiles.Kept())


def test_memory_is_the_same_until_more_is_wanted():
    first = borrow("here", (10,), np.dtype("float64"))
    assert np.shares_memory(first, borrow("here", (3, 3), np.dtype("float64")))
    assert np.shares_memory(first, borrow("here", (80,), np.dtype("bool")))
    larger = borrow("here", (11,), np.dtype("float64"))
    assert larger.size == 11
    assert np.shares_memory(larger, borrow("here", (10,), np.dtype("float64")))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (33,), (3, 5, 7)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_memory_is_contiguous_aligned_and_of_its_own(shape, dtype):
    found = borrow("a", shape, np.dtype(dtype))
    assert (found.shape, found.dtype) == (shape, np.dtype(dtype))
    assert found.flags.c_contiguous
    assert found.flags.aligned
    assert found.flags.writeable
    if found.size:
        assert found.ctypes.data % 64 == 0
    others = [borrow(place, shape, np.dtype(dtype)) for place in ("b", 0, 1, ("a", 1))]
    assert not any(np.shares_memory(found, other) for other in others)


def test_each_thread_has_memory_of_its_own():
    found = [borrow("here", (100,), np.dtype("float64"))]
    thread = threading.Thread(
        target=lambda: found.append(borrow("here", (100,), np.dtype("float64")))
    )
    thread.start()
    thread.join(10)
    first, second = found
    assert not np.shares_memory(first, second)
