"""Memory for large results.

The system clears each page that a process touches for the first time, which takes as long as a
gradient that runs at memory speed. The pages of a result that nobody holds any more are therefore
offered to the system, which takes them as soon as anybody is short of memory (`MADV_FREE`), and
until then they serve the next result, uncleared. A result that does not fit lets go of all of them
first, so that results of several sizes never add up.

Elsewhere than on Linux, and for small results, it is NumPy that provides.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import weakref
from typing import Any

import numpy as np

__all__ = ["empty"]

Array = np.ndarray[Any, Any]

SMALLEST = 1 << 22
"""From so many bytes on NumPy asks the system for pages, and gives them back at once."""

LARGEST = 1 << 30
"""More bytes than that are not kept."""

PAGE = 1 << 21
"""A large page, for which one fault is enough where small ones take 512."""

OFFERED: int = getattr(mmap, "MADV_FREE", 0)
LARGE_PAGES: int = getattr(mmap, "MADV_HUGEPAGE", 0)
"""What Linux calls them; 0 where the system has no such thing."""


class Pages:
    """Memory of the system's, from a border between large pages on."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // PAGE) * PAGE
        self.map = mmap.mmap(-1, self.size + PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a system may be built without them
            self.map.madvise(LARGE_PAGES)
        whole = np.frombuffer(self.map, np.uint8)
        self.skipped = -whole.ctypes.data % PAGE
        self.address = whole.ctypes.data + self.skipped

    def offer(self) -> bool:
        """Let the system have them when it is short of memory; whether it understood."""
        try:
            self.map.madvise(OFFERED, self.skipped, self.size)
        except OSError:
            return False
        return True


class Held:
    """Pages as long as an array refers to them; NumPy reads where they are."""

    def __init__(self, pages: Pages, size: int) -> None:
        self.__array_interface__ = {
            "data": (pages.address, False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }
        weakref.finalize(self, keep, pages).atexit = False


kept: list[Pages] = []
"""Pages that nobody uses. It is changed in single steps only, for an array may end in any thread,
and in the middle of a call."""


def keep(pages: Pages) -> None:
    """Keep pages for the next result."""
    # Adding comes first: whoever looks meanwhile counts them.
    if pages.size <= LARGEST and pages.offer():
        kept.append(pages)
        if sum(each.size for each in list(kept)) > LARGEST:
            kept.clear()


def take(size: int) -> Pages:
    """Pages for so many bytes: kept ones of that size, else new ones."""
    wanted = -(-size // PAGE) * PAGE
    passed = []
    try:
        while (found := kept.pop()).size != wanted:
            passed.append(found)
    except IndexError:
        passed.clear()
        return Pages(size)
    kept.extend(passed)
    return found


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array in the order of C with whatever is in memory.

    >>> empty((2, 3), np.dtype("float32")).shape
    (2, 3)
    """
    size = math.prod(shape) * dtype.itemsize
    if size >= SMALLEST and OFFERED and LARGE_PAGES:
        with contextlib.suppress(OSError):  # no more memory, or too many pieces of it
            return np.asarray(Held(take(size), size)).view(dtype).reshape(shape)
    return np.empty(shape, dtype)
