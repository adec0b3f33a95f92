"""NumPy arrays cut into blocks that fit the processor's caches.

A kernel of a pointwise graph sees elements; one of a rowwise graph sees rows, whose classes lie on
the last axis. What can be used where it lies is; what is strided, broadcast or of another dtype is
copied block by block into memory that each thread keeps for that.
"""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.compiler import parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tensorweaver.compiler.graph import Level

__all__ = [
    "LARGEST",
    "SMALLEST",
    "Blocks",
    "Operand",
    "block_size",
    "borrow",
    "run_blocks",
    "total_of",
]

Array = np.ndarray[Any, Any]

SMALLEST, LARGEST, WANTED = 1 << 15, 1 << 19, 32
"""How many elements a block has at least and at most, and how many blocks there should be."""


class Operand(NamedTuple):
    """An array that a kernel reads or writes.

    Attributes
    ----------
    array
        For elements `(*rows, classes)`, or the elements of a pointwise graph; for row values
        `(*rows)`.
    level
        Which of these.
    dtype
        What the kernel takes it for; another dtype is converted on the way.
    written
        Whether the kernel writes it.
    """

    array: Array
    level: Level
    dtype: np.dtype[Any]
    written: bool = False


class Blocks:
    """A shape cut into blocks of at most `size` elements, neighbours in the order of C."""

    def __init__(self, shape: tuple[int, ...], size: int) -> None:
        axis = 0
        while axis < len(shape) - 1 and math.prod(shape[axis + 1 :]) > size:
            axis += 1
        self.outer = shape[:axis]
        self.length = shape[axis] if shape else 1
        self.step = max(1, size // max(1, math.prod(shape[axis + 1 :])))
        self.slices = -(-self.length // self.step)
        self.whole = not shape
        self.count = math.prod(self.outer) * self.slices if math.prod(shape) else 0

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """The index of one block."""
        if self.whole:
            return (...,)  # an empty index would make a number of an array
        number, place = divmod(number, self.slices)
        index: list[Any] = [slice(place * self.step, min((place + 1) * self.step, self.length))]
        for length in reversed(self.outer):
            number, at = divmod(number, length)
            index.insert(0, at)
        return tuple(index)


def block_size(elements: int) -> int:
    """How many elements a block should have, from the size of the whole alone."""
    return min(max(elements // WANTED, SMALLEST), LARGEST)


def run_blocks(count: int, task: Callable[[int], None]) -> None:
    """Run `task(i)` for every block, on all threads; infinities and NaN arise without warnings."""

    def quietly(number: int) -> None:
        with np.errstate(all="ignore"), own_memory():
            task(number)

    parallel.run(quietly, count)


def total_of(partial: Sequence[float]) -> float:
    """The sum of the blocks' sums, rounded once."""
    if len(partial) == 1:
        return partial[0]
    try:
        return math.fsum(partial)
    except (OverflowError, ValueError):  # beyond float64, or infinities of both signs
        with np.errstate(all="ignore"):
            return float(np.sum(partial))


# ---------------------------------------------------------------------- memory that threads keep
class Kept(threading.local):
    """One thread's memory for blocks, by the place it is used for."""

    def __init__(self) -> None:
        self.memory: dict[Any, Array] = {}
        self.in_use = False


kept = Kept()


def borrow(place: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array to use until the same thread asks for the same place again."""
    size = math.prod(shape) * dtype.itemsize
    memory = kept.memory.get(place)
    if memory is None or memory.nbytes < size:
        del memory
        kept.memory.pop(place, None)  # before there is a larger one
        memory = kept.memory[place] = aligned(size)
    return memory[:size].view(dtype).reshape(shape)


@contextmanager
def own_memory() -> Iterator[None]:
    """Memory for one block; a call that comes in between, from a signal's handler or a finalizer,
    gets other.
    """
    outer, in_use = kept.memory, kept.in_use
    kept.in_use = True
    if in_use:
        kept.memory = {}
    try:
        yield
    finally:
        kept.memory, kept.in_use = outer, in_use


def aligned(size: int) -> Array:
    """Bytes that begin on a cache line."""
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]
