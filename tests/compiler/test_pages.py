"""Memory for large results: used again, never by two at a time, and given up for another size."""

import copy
import gc
import mmap
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tensorweaver.compiler import pages

BYTE = np.dtype("uint8")
SIZE = pages.SMALLEST

pytestmark = pytest.mark.skipif(
    not (pages.OFFERED and pages.LARGE_PAGES), reason="only Linux can be offered pages"
)


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """The pages that nobody uses, none at first."""
    found: list[pages.Pages] = []
    monkeypatch.setattr(pages, "kept", found)
    return found


def address(array):
    return array.__array_interface__["data"][0]


def test_what_numpy_provides_below_a_size(kept):
    small = pages.empty((SIZE - 1,), BYTE)
    assert small.flags.owndata
    del small
    assert kept == []


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_ordinary_array(dtype):
    array = pages.empty((3, SIZE // 2), np.dtype(dtype))
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype) == ((3, SIZE // 2), np.dtype(dtype))
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
    assert address(array) % pages.PAGE == 0
    array[...] = 1
    assert array.sum(dtype=float) == array.size
    np.testing.assert_array_equal(copy.deepcopy(array), array)


def test_memory_is_used_again_when_nobody_holds_it(kept):
    first = pages.empty((SIZE,), BYTE)
    place = address(first)
    del first
    assert len(kept) == 1
    second = pages.empty((SIZE,), BYTE)
    assert address(second) == place
    assert kept == []


def test_a_view_holds_the_memory(kept):
    first = pages.empty((2, SIZE), BYTE)
    view = first[1, ::2]
    view[...] = 7
    del first
    gc.collect()
    assert kept == []
    second = pages.empty((2, SIZE), BYTE)
    second[...] = 9
    assert not np.may_share_memory(view, second)
    assert (view == 7).all()
    del view
    assert len(kept) == 1


def test_a_buffer_of_another_library_holds_the_memory(kept):
    view = pages.empty((SIZE,), BYTE).data
    assert kept == []
    view.release()
    gc.collect()
    assert len(kept) == 1


def test_results_of_other_sizes_do_not_add_up(kept):
    sizes = (SIZE, 2 * SIZE, 3 * SIZE)
    arrays = [pages.empty((size,), BYTE) for size in sizes]
    del arrays
    assert sorted(each.size for each in kept) == list(sizes)
    again = pages.empty((2 * SIZE,), BYTE)
    assert sorted(each.size for each in kept) == [SIZE, 3 * SIZE]
    other = pages.empty((5 * SIZE,), BYTE)
    assert kept == []
    assert not np.may_share_memory(again, other)


def test_no_more_is_kept_than_the_limit(kept, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST", 2 * SIZE)
    arrays = [pages.empty((size,), BYTE) for size in (SIZE, SIZE, 3 * SIZE)]
    del arrays[2]
    assert kept == []
    del arrays[1], arrays[0]
    assert sum(each.size for each in kept) <= 2 * SIZE
    more = [pages.empty((SIZE,), BYTE) for _ in range(4)]
    del more
    assert sum(each.size for each in kept) <= 2 * SIZE


def test_pages_that_cannot_be_offered_are_given_back(kept, monkeypatch):
    monkeypatch.setattr(pages, "OFFERED", 10_000)
    array = pages.empty((SIZE,), BYTE)
    del array
    assert kept == []


def test_without_large_pages_small_ones_serve(monkeypatch):
    monkeypatch.setattr(pages, "LARGE_PAGES", 10_000)
    array = pages.empty((SIZE,), BYTE)
    array[...] = 3
    assert (array == 3).all()


@pytest.mark.parametrize("name", ["OFFERED", "LARGE_PAGES"])
def test_elsewhere_numpy_provides(name, monkeypatch):
    monkeypatch.setattr(pages, name, 0)
    assert pages.empty((SIZE,), BYTE).flags.owndata


def test_where_the_system_gives_no_pages_numpy_is_asked(monkeypatch):
    def refused(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refused)
    assert pages.empty((SIZE,), BYTE).flags.owndata


def test_no_memory_serves_two_at_a_time():
    wrong = []

    def work(number):
        for turn in range(50):
            array = pages.empty((SIZE + (turn % 3) * pages.PAGE,), BYTE)
            array[:: 1 << 12] = number
            if (array[:: 1 << 12] != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


FORKS = """
import os
import numpy as np
from tensorweaver.compiler import pages

byte = np.dtype("uint8")
first, spare = (pages.empty((pages.SMALLEST,), byte) for _ in range(2))
first[...] = 5
spare[...] = 6
del spare
child = os.fork()
if not child:
    first[...] = 1
    pages.empty((pages.SMALLEST,), byte)[...] = 2
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert (first == 5).all()
print("its own")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_writes_into_its_own_memory():
    """In a process without other libraries' threads, which are not to be forked."""
    command = [sys.executable, "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "its own\n"
