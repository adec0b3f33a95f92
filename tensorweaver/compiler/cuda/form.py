"""Which kind of kernel suits a graph and its rows, and how much a thread has in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.cuda.launch import THREADS, WARP, most_resident
from tensorweaver.compiler.cuda.memory import FLOATING
from tensorweaver.compiler.cuda.pointwise import Pointwise
from tensorweaver.compiler.cuda.resident import ResidentRows
from tensorweaver.compiler.cuda.rows import EvenRows
from tensorweaver.compiler.cuda.staged import StagedRows
from tensorweaver.compiler.cuda.writer import Shape, Writer
from tensorweaver.compiler.graph import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.compiler.schedule import Schedule

__all__ = [
    "APART",
    "FEW_CLASSES",
    "STAGED_CLASSES",
    "Form",
    "pointwise_form",
    "row_form",
    "staged_form",
]

FEW_CLASSES = 16
"""Rows of at most so many classes are read element by element, if not through shared memory."""

STAGED_CLASSES = FEW_CLASSES
"""Rows of at most so many classes are for a thread, where there are enough of them to be worth a
text of their own.
"""

FEW = Shape(1, 6, THREADS)
APART = Shape(1, 4, THREADS)

LONG_THREADS = 1024
"""One row a multiprocessor at a time: so few that the cache before memory holds many of them until
the next pass."""

MOST_ELEMENTS = 8
"""How many elements a thread has in hand at most where they know nothing of each other."""

IN_HAND = 64
"""How many bytes of each array, as numbers to compute with, a thread has in hand of rows that stay
in registers.
"""

READS_LONG = 2
"""How many vectors of each array a thread has in hand of longer rows."""

OF_WARP = 32
"""How many elements of a row a thread has in hand where a warp has all of it, so that what a row
costs by itself is shared out to many elements.
"""

STAGED_THREADS = 128
"""How many threads a block has that takes rows through shared memory."""

STAGED_BYTES, SHARED_BYTES = 192, 48 * 1024
"""How much of its row a thread has in registers, and a block of its rows in shared memory."""

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
    held = {node for step in schedule.passes for node in (*step.inputs, *step.kept)}

    def resident(elements: int, threads: int) -> Form:
        unroll = max(1, elements // together)
        while unroll > 1 and len(held) * unroll * together * size > REGISTERS * 4:
            unroll //= 2
        return Form(ResidentRows, Shape(together, unroll, threads, threads > THREADS and not light))

    if light and classes <= WARP * OF_WARP - together + 1:
        elements = IN_HAND // size if classes <= WARP * IN_HAND // size // 4 else OF_WARP
        many = elements == OF_WARP
        return Form(ResidentRows, Shape(together, elements // together, THREADS, many))
    threads = LONG_THREADS if light else LONG_THREADS // 2
    form = resident(IN_HAND // size, threads)
    fits = len(held) * form.shape.elements * size <= REGISTERS * 4
    if fits and classes <= most_resident(form.shape.elements, together, threads):
        return form
    return Form(EvenRows, Shape(together, READS_LONG, threads, not light))


def staged_form(schedule: Schedule, classes: int, real: str) -> Form | None:
    """For many rows of few classes that lie one after another; None where a thread cannot hold
    them.
    """
    arrays = [node for node in schedule.graph.inputs if node.level is Level.ELEMENT]
    outputs = [node for node in schedule.graph.outputs if node.level is Level.ELEMENT]
    held = {node for step in schedule.passes for node in (*step.inputs, *step.kept)}
    staged = (len(arrays) + len(outputs)) * classes * STAGED_THREADS * FLOATING[real]
    fits = len(held) * classes * FLOATING[real] <= STAGED_BYTES and staged <= SHARED_BYTES
    double = real == "float64"  # left to itself, the compiler spills some to have more blocks
    return Form(StagedRows, Shape(classes, 1, STAGED_THREADS, double)) if fits else None


def is_light(schedule: Schedule, size: int) -> bool:
    """Whether a thread makes do with the 64 registers that it has in the largest block."""
    arrays = {node for step in schedule.passes for node in step.inputs}
    sums = max((len(step.reductions) for step in schedule.passes), default=0)
    return size <= FLOATING["float32"] and len(arrays) <= 1 and sums <= MOST_SUMS
