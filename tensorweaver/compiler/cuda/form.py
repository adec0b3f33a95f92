"""Which kind of kernel suits a graph and its rows, and how much a thread has in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.cuda.launch import THREADS, most_resident
from tensorweaver.compiler.cuda.memory import FLOATING
from tensorweaver.compiler.cuda.pointwise import Pointwise
from tensorweaver.compiler.cuda.resident import ResidentRows
from tensorweaver.compiler.cuda.rows import EvenRows
from tensorweaver.compiler.cuda.writer import Shape, Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.compiler.schedule import Schedule

__all__ = ["APART", "FEW_CLASSES", "Form", "pointwise_form", "row_form"]

FEW_CLASSES = 128
"""Rows of at most so many classes are for a warp or less."""

FEW = Shape(1, 6, THREADS)
APART = Shape(1, 4, THREADS)

LONG_THREADS = 1024
"""One row a multiprocessor at a time: so few that the cache before memory holds many of them until
the next pass."""

MOST_ELEMENTS = 8
"""How many elements a thread has in hand at most where they know nothing of each other."""

IN_HAND, IN_HAND_LONG = 64, 32
"""How many bytes of each array, as numbers to compute with, a thread has in hand: of rows that stay
in registers, and of longer ones.
"""

REGISTERS = 40
"""How many of a thread's 64 registers may hold a row's elements."""

MOST_SUMS = 2
"""More sums under way than that need more registers."""


class Form(NamedTuple):
    """A kind of kernel, and how much a thread of it has in hand."""

    writer: type[Writer]
    shape: Shape


def neighbours(memory: Sequence[str]) -> int:
    """How many elements fill 16 bytes of the narrowest floating array."""
    return 16 // min((FLOATING[dtype] for dtype in memory if dtype in FLOATING), default=8)


def pointwise_form(memory: Sequence[str]) -> Form:
    """For contiguous arrays of elements."""
    together = neighbours(memory)
    return Form(Pointwise, Shape(together, 2 if together < MOST_ELEMENTS else 1, THREADS))


def row_form(schedule: Schedule, classes: int, real: str, element_memory: Sequence[str]) -> Form:
    """For rows of neighbours: as long as they fit they stay in registers.

    `schedule` keeps what is dear; `element_memory` holds the dtypes of the arrays of elements.
    """
    if classes <= FEW_CLASSES or not schedule.passes:
        return Form(ResidentRows, FEW)
    together = neighbours(element_memory)
    size = FLOATING[real]
    light = is_light(schedule, size)
    threads = LONG_THREADS if light else LONG_THREADS // 2
    held = {node for step in schedule.passes for node in (*step.inputs, *step.kept)}
    unroll = max(1, IN_HAND // size // together)
    while unroll > 1 and len(held) * unroll * together * size > REGISTERS * 4:
        unroll //= 2
    shape = Shape(together, unroll, threads, not light)
    fits = len(held) * shape.elements * size <= REGISTERS * 4
    if fits and classes <= most_resident(shape.elements, together, threads):
        return Form(ResidentRows, shape)
    unroll = max(1, IN_HAND_LONG // size // together)
    return Form(EvenRows, Shape(together, unroll, threads, not light))


def is_light(schedule: Schedule, size: int) -> bool:
    """Whether a thread makes do with the 64 registers that it has in the largest block."""
    arrays = {node for step in schedule.passes for node in step.inputs}
    sums = max((len(step.reductions) for step in schedule.passes), default=0)
    return size <= FLOATING["float32"] and len(arrays) <= 1 and sums <= MOST_SUMS
