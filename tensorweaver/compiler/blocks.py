"""The engine for large NumPy arrays that needs no compiler: NumPy's functions on blocks that fit
the processor's caches.
"""

from __future__ import annotations

import copy
import math
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.compiler import parallel
from tensorweaver.compiler.block_function import BlockFunction, lines, total
from tensorweaver.compiler.block_operands import (
    at_hand,
    copied_bytes,
    flat,
    in_memory_order,
    is_usable,
    laid_out,
    ways_of,
)
from tensorweaver.compiler.fused import FusedKernel
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.long_rows import LongRows
from tensorweaver.compiler.tiles import Blocks, run_blocks, total_of
from tensorweaver.compiler.trace import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tensorweaver.compiler.graph import Graph, Node
    from tensorweaver.compiler.schedule import Output
    from tensorweaver.compiler.tiles import Operand

__all__ = ["BlockKernel"]

MEMORY_OF_ALL = 7 << 20
"""How many bytes all threads may use. Few threads join blocks as far as that goes: between two of
NumPy's functions a thread may have to wait for the interpreter, which takes about as long as a step
on a small block.
"""

TASKS = 4
"""How many joined blocks there should be for each thread, so that all end at about one time."""

ACROSS = 64
"""Rows of fewer classes are turned, so that NumPy's loops run across the rows."""


class BlockKernel(FusedKernel):
    """A graph computed by NumPy's own functions, block by block, in memory that is used again."""

    engine = "blocks"

    def __init__(
        self, graph: Graph, outputs: tuple[Output, ...], dtype: str, *, rowwise: bool
    ) -> None:
        super().__init__(graph, outputs, dtype, rowwise=rowwise)
        self.function = BlockFunction(graph, outputs, self.real)
        self.longest = self.function.longest
        self.long: LongRows | None = None

    @property
    def source(self) -> str:
        """The text for one block."""
        return self.function.text.source

    def run(
        self,
        shape: tuple[int, ...],
        classes: int,
        operands: list[Operand],
        scalars: Sequence[float],
    ) -> list[float]:
        """Walk over the blocks: of elements, of whole rows, or of pieces of long rows."""
        given: dict[Node, Any] = dict(zip(self.scalars, scalars, strict=True))
        given[ROW_SIZE] = classes
        if self.rowwise and classes > self.longest:
            if self.long is None:
                self.long = LongRows(self)
            sums = self.long.run(shape, classes, operands, given)
        else:
            if not self.rowwise:
                shape, operands = in_memory_order(shape, operands)
            shape, operands = flat(shape, operands)
            sums = self.run_blocks(shape, classes, operands, given)
        return [total_of(column) for column in sums]

    def run_blocks(
        self,
        shape: tuple[int, ...],
        classes: int,
        operands: list[Operand],
        given: Mapping[Node, Any],
    ) -> list[Sequence[float]]:
        """The sums of all blocks, for each total."""
        across = self.rowwise and classes < ACROSS
        axis = 0 if across else -1 if self.rowwise else None
        ways = ways_of(operands)
        row = classes if self.rowwise else 1
        copied = sum(copied_bytes(way, axis) for way in ways)
        copied += self.function.row_bytes // row
        size = self.function.size(math.prod(shape) * row, copied)
        blocks = Blocks(shape, max(1, size // row))
        kernel = with_totals(
            self.function.across if across else self.function.along, blocks.step, axis
        )
        blocks = joined(blocks, size * (self.function.bytes + copied))
        element = next(
            (i for i, operand in enumerate(operands) if operand.level is Level.ELEMENT), None
        )
        sums: list[Any] = [None] * blocks.count

        def task(number: int) -> None:
            index = blocks[number]
            places = [laid_out(way.operand.array[index], way.operand.level, axis) for way in ways]
            more = sum(
                lines(view.size * way.operand.dtype.itemsize)
                for view, way in zip(places, ways, strict=True)
                if not is_usable(view, way, axis)
            )
            whole = (0,) if element is None else places[element].shape
            room = self.function.room(math.prod(whole), more)
            views = [
                at_hand(i, view, way, axis, room.take)
                for i, (view, way) in enumerate(zip(places, ways, strict=True))
            ]
            memory = self.function.memory_in(room, whole)
            values = {**given, **dict(zip(self.arrays, views, strict=False))}
            inputs = [values[node] for node in self.graph.inputs]
            sums[number] = kernel(*inputs, *memory, *views[len(self.arrays) :])
            for view, used, way in zip(places, views, ways, strict=True):
                if way.operand.written and used is not view:
                    np.copyto(view, used, casting="unsafe")

        run_blocks(blocks.count, task)
        columns = [np.concatenate([*map(np.ravel, c)]).tolist() for c in zip(*sums, strict=True)]
        single = [n.level is Level.SCALAR for n, o in self.results if o.total]
        return [c[:1] if one else c for c, one in zip(columns, single, strict=True)]

    @property
    def results(self) -> list[tuple[Node, Output]]:
        """The graph's outputs, and what becomes of them."""
        return list(zip(self.graph.outputs, self.outputs, strict=True))


def with_totals(kernel: Callable[..., Any], step: int, axis: int | None) -> Callable[..., Any]:
    """The kernel for joined blocks, of which each is summed by itself."""
    functions = {**kernel.__globals__, "total": partial(total, step=step, axis=axis)}
    return FunctionType(kernel.__code__, functions)


def joined(blocks: Blocks, memory: int) -> Blocks:
    """Neighbours taken together, as many as the threads have memory for; `memory` is how many bytes
    a block takes.
    """
    threads = parallel.get_num_threads()
    if threads == 1:
        return blocks
    keepers = max(threads, parallel.pool.workers + 1)  # any worker may help, and keeps its memory
    room = MEMORY_OF_ALL // keepers // max(1, memory)
    together = max(1, min(room, blocks.count // (TASKS * threads), blocks.slices))
    found = copy.copy(blocks)
    found.step = blocks.step * together
    found.slices = -(-blocks.length // found.step)
    found.count = blocks.count // blocks.slices * found.slices
    return found
