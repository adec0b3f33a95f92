"""Arrays as NumPy's functions can use them block by block: where they lie, or by way of a copy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.tiles import Operand, borrow

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Way",
    "at_hand",
    "copied_bytes",
    "flat",
    "in_memory_order",
    "is_usable",
    "laid_out",
    "ways_of",
]

Array = np.ndarray[Any, Any]


class Way(NamedTuple):
    """An operand, and whether its blocks can be used where they lie."""

    operand: Operand
    direct: bool


def flat(shape: tuple[int, ...], operands: list[Operand]) -> tuple[tuple[int, ...], list[Operand]]:
    """One axis in place of several, where all arrays are contiguous, or of none."""
    if not shape:
        return (1,), [operand._replace(array=operand.array[None]) for operand in operands]
    arrays = [operand.array for operand in operands]
    if len(shape) < 2 or not all(array.flags.c_contiguous for array in arrays):  # noqa: PLR2004
        return shape, operands
    axes = len(shape)
    return (math.prod(shape),), [
        operand._replace(array=operand.array.reshape(-1, *operand.array.shape[axes:]))
        for operand in operands
    ]


def in_memory_order(
    shape: tuple[int, ...], operands: list[Operand]
) -> tuple[tuple[int, ...], list[Operand]]:
    """The axes of a pointwise call, sorted as they lie in the first array's memory."""
    arrays = [operand.array for operand in operands]
    first = next((array for array in arrays if all(array.strides)), arrays[0])
    order = sorted(range(len(shape)), key=lambda axis: -abs(first.strides[axis]))
    if order == list(range(len(shape))):
        return shape, operands
    turned = [operand._replace(array=operand.array.transpose(order)) for operand in operands]
    return tuple(shape[axis] for axis in order), turned


def ways_of(operands: list[Operand]) -> list[Way]:
    """Which operands NumPy's functions can use as they are; nothing is computed in the memory of
    an output that is an input too.
    """
    read = [operand.array for operand in operands if not operand.written]

    def direct(operand: Operand) -> bool:
        array = operand.array
        if array.dtype != operand.dtype or not array.flags.aligned:
            return False
        return not operand.written or not any(np.may_share_memory(array, other) for other in read)

    return [Way(operand, direct(operand)) for operand in operands]


def laid_out(view: Array, level: Level, axis: int | None) -> Array:
    """A block with the classes on their axis, of which row values have one."""
    if axis is None:
        return view
    if level is Level.ELEMENT:
        return view if axis else view.transpose(-1, *range(view.ndim - 1))
    return view[..., None] if axis else view[None]


def at_hand(
    place: Any, view: Array, way: Way, axis: int | None, room: Callable[..., Array] = borrow
) -> Array:
    """The block itself where it can be used, else the memory that `room` gives: a copy of what is
    read, space for what is written.
    """
    if is_usable(view, way, axis):
        return view
    used = room(place, view.shape, way.operand.dtype)
    if not way.operand.written:
        np.copyto(used, view, casting="unsafe")
    return used


def is_usable(view: Array, way: Way, axis: int | None) -> bool:
    """Whether a block can be used where it lies."""
    return way.direct and lies_well(view, way.operand, axis)


def copied_bytes(way: Way, axis: int | None) -> int:
    """How many bytes an element takes in copies of this operand's blocks."""
    if way.operand.level is not Level.ELEMENT:
        return 0
    well = way.direct and lies_well(way.operand.array, way.operand, axis)
    return 0 if well and axis != 0 else way.operand.dtype.itemsize


def lies_well(view: Array, operand: Operand, axis: int | None) -> bool:
    """Whether NumPy is exact and quick on it: sums of rows are pairwise along contiguous memory."""
    if operand.level is not Level.ELEMENT or view.flags.c_contiguous:
        return True
    if operand.written or axis == 0:
        return False
    return view.strides[-1] == view.itemsize or (axis is None and view.strides[-1] == 0)
