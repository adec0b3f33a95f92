"""How many threads a kernel takes, as a function of shapes alone.

Grids do not depend on the device, so sums are added in the same order on every one: there are more
blocks than any device runs at once, and no more than can be summed up quickly.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "MOST_BLOCKS",
    "THREADS",
    "Launch",
    "most_resident",
    "pointwise_launch",
    "resident_launch",
    "rows_launch",
    "streaming_launch",
]

WARP = 32
THREADS = 256
"""Threads of a block, where nothing else decides."""

MOST_BLOCKS = 1 << 14
"""Many more than run at once, so that none of them is waited for long."""

MANY_ROWS = 1 << 14
"""So many rows occupy a device with a thread each."""


class Launch(NamedTuple):
    """How a kernel is launched.

    Attributes
    ----------
    grid
        The number of blocks.
    block
        The number of threads in each.
    group
        How many of these share a row; a power of two up to a warp, or the whole block.
    """

    grid: int
    block: int
    group: int = 1


def pointwise_launch(count: int, elements: int) -> Launch:
    """The threads for so many elements, each with `elements` of them in hand at a time."""
    return Launch(clipped(-(-count // (THREADS * elements))), THREADS)


def rows_launch(rows: int, threads: int) -> Launch:
    """A thread a row."""
    return Launch(clipped(-(-rows // threads)), threads)


def most_resident(elements: int, neighbours: int, threads: int) -> int:
    """The longest row that stays in the registers of a block."""
    return threads * elements - neighbours + 1


def resident_launch(rows: int, classes: int, elements: int, neighbours: int) -> Launch:
    """The threads for rows that stay in registers: as few a row as can hold it."""
    return grouped(rows, power_of_two(-(-(classes + neighbours - 1) // elements)))


def streaming_launch(
    rows: int, classes: int, elements: int, threads: int, *, neighbours_are_rows: bool = False
) -> Launch:
    """The threads for rows that are read in every pass.

    `neighbours_are_rows` tells that what lies beside an element in memory belongs to the next row:
    then threads that are neighbours take neighbouring rows, if these are enough to occupy them.
    """
    if classes <= 1 or (neighbours_are_rows and rows >= MANY_ROWS):
        return grouped(rows, 1)
    return grouped(rows, min(power_of_two(-(-classes // elements)), threads))


def grouped(rows: int, group: int) -> Launch:
    """A group of threads a row."""
    block = group if group > WARP else min(THREADS, max(WARP, power_of_two(rows * group)))
    return Launch(clipped(-(-rows // (block // group))), block, group)


def power_of_two(number: int) -> int:
    """The least that is no smaller."""
    return 1 << max(0, number - 1).bit_length()


def clipped(blocks: int) -> int:
    return max(1, min(blocks, MOST_BLOCKS))
