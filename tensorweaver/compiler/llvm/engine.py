"""The engine that compiles a graph to machine code."""

from __future__ import annotations

import ctypes
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.compiler import parallel
from tensorweaver.compiler.blocks import BlockKernel
from tensorweaver.compiler.fused import FusedKernel
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.llvm.code import STREAMED
from tensorweaver.compiler.llvm.jit import compile_text, converts_halves
from tensorweaver.compiler.llvm.kernels import (
    DENSE,
    KINDS,
    LANES,
    NAME,
    Arrangement,
    Pointwise,
)
from tensorweaver.compiler.llvm.rows import CLASSES_ACROSS, AcrossRows, AlongClasses
from tensorweaver.compiler.schedule import schedule
from tensorweaver.compiler.tiles import (
    SMALLEST,
    Blocks,
    Operand,
    block_size,
    borrow,
    run_blocks,
    total_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.compiler.graph import Graph
    from tensorweaver.compiler.llvm.kernels import Writer
    from tensorweaver.compiler.schedule import Output

__all__ = ["LLVMKernel"]

Array = np.ndarray[Any, Any]

CLASSES_TOGETHER = 1024
"""Rows of at most so many classes are worked on several at a time, so that what is computed once a
row is computed in vectors too."""

ROWS_TOGETHER = 16
MOST_KEPT = 1 << 18
"""How many bytes of a row a thread keeps from pass to pass; of longer rows they are computed again.
"""


LONGEST_COPIED = 1 << 17
"""Rows of so many elements are copied whole where that is needed; longer ones in pieces."""

WHOLE = 64
"""Blocks of more rows or elements than that have a multiple of it, so that vectors are whole."""

STREAMED_FROM = 1 << 25
"""Results of so many bytes do not fit the caches of common processors."""

FEW_ENDS = 1 << 12
"""Rows of so many elements have few ends. At an end a line of the cache is written in two ways,
which takes long."""

IN_ORDER = 0x101
"""What NumPy's flags have of arrays that are contiguous in the order of C, and aligned."""

NUMBER = ctypes.c_int64 * 1
"""Where a kernel counts the rows that threads have taken, from 0 on."""

FUNCTIONS_KEPT = 64
"""For how many numbers of classes the way to the machine code is remembered."""


class LLVMKernel(FusedKernel):
    """A graph as machine code, compiled for the kinds of rows that it meets."""

    engine = "llvm"

    def __init__(
        self, graph: Graph, outputs: tuple[Output, ...], dtype: str, *, rowwise: bool
    ) -> None:
        super().__init__(graph, outputs, dtype, rowwise=rowwise)
        self.dtype = dtype
        self.schedule = schedule(graph, outputs)
        self.kept = sum(len(step.kept) for step in self.schedule.passes)
        self.blocks: BlockKernel | None = None
        self.functions: dict[Any, Callable[..., None]] = {}
        self.common: dict[tuple[int, int], Callable[..., None]] = {}
        self.plain = [
            (self.dtype_of(node), rowwise and node.level is Level.ELEMENT) for node in self.arrays
        ] + [(self.real, rowwise and output.level is Level.ELEMENT) for output in self.filled]
        self.layout = struct.Struct(f"q{len(self.scalars)}d{2 * self.operand_count}q")
        self.sums = ctypes.c_double * max(1, self.totals)

    @property
    def operand_count(self) -> int:
        """How many arrays a call has."""
        return len(self.arrays) + len(self.filled)

    # ------------------------------------------------------------------------------ compilation
    def form(self, classes: int) -> tuple[Any, ...]:
        """Which kind of kernel suits rows of so many classes, and whether it keeps what is dear."""
        if not self.rowwise:
            return (Pointwise,)
        if classes <= CLASSES_ACROSS or not self.schedule.passes:
            return (AcrossRows,)
        keep = self.kept * classes * self.real.itemsize <= MOST_KEPT
        return (AlongClasses, ROWS_TOGETHER if classes <= CLASSES_TOGETHER else 1, keep)

    @property
    def source(self) -> str:
        """The text of the kernel for long rows."""
        return self.writer(2 * CLASSES_TOGETHER).write()

    def writer(self, classes: int, arranged: Arrangement = DENSE) -> Writer:
        """What writes the text of the kernel for rows of so many classes.

        Only for few classes does the text count on their number: it takes the place of the
        addresses of as many rows, and a program has few such numbers.
        """
        form, *more = self.form(classes)
        if form is not AcrossRows:
            arranged = arranged._replace(classes=0)
        lanes = LANES[KINDS[self.dtype]]
        if form is not AlongClasses:
            writer: Writer = form(self.schedule, self.outputs, self.dtype, lanes, arranged)
            return writer
        rows, keep = more
        plan = self.schedule if keep else schedule(self.graph, self.outputs, keep=False)
        return AlongClasses(plan, self.outputs, self.dtype, lanes, arranged, rows=rows)

    def function(self, classes: int, arranged: Arrangement = DENSE) -> Callable[..., None]:
        """The machine code for rows of so many classes in arrays that lie like that."""
        found = self.functions.get((classes, arranged))
        if found is None:
            if len(self.functions) >= FUNCTIONS_KEPT:
                self.functions.clear()
                self.common.clear()
            text = self.writer(classes, arranged).write()
            found = self.functions[classes, arranged] = compile_text(text, NAME)
        return found

    def scratch(self, classes: int) -> Array | None:
        """Memory of the running thread for what is kept between passes."""
        form = self.form(classes)
        if form[0] is not AlongClasses or not self.kept or not form[2]:
            return None
        return borrow("kept", (self.kept * form[1] * classes,), self.real)

    # ------------------------------------------------------------------------------ running
    def __call__(
        self,
        shape: tuple[int, ...],
        classes: int,
        inputs: Sequence[Array],
        scalars: Sequence[float],
        results: Sequence[Array],
    ) -> list[float]:
        """The common case first: everything contiguous."""
        rows = math.prod(shape)
        places: list[int] = []
        for array, (dtype, element) in zip((*inputs, *results), self.plain, strict=True):
            flags = array.flags
            if not (array.dtype == dtype and flags.c_contiguous and flags.aligned and rows):
                return super().__call__(shape, classes, inputs, scalars, results)
            places += (address(array), classes if element else 1)
        words = self.layout.pack(classes, *scalars, *places)
        known = known_classes(rows, classes)
        function = None
        if rows * classes * self.real.itemsize < STREAMED_FROM:
            function = self.common.get((classes, known))
        if function is None:
            streamed = self.streams(rows, classes, places)
            function = self.function(classes, Arrangement((), known, streamed))
            if not streamed:
                self.common[classes, known] = function
        return self.run_whole(function, rows, classes, words)

    def direct(
        self, shape: tuple[int, ...], classes: int, inputs: Sequence[Array]
    ) -> Callable[[Array, Array], Sequence[float] | None] | None:
        """For two small arrays, of whose rows nothing is kept: addresses, pack, call."""
        rows = math.prod(shape)
        kept = self.kept and self.form(classes)[0] is AlongClasses
        alike = all(
            array.dtype == dtype for array, (dtype, _) in zip(inputs, self.plain, strict=False)
        )
        if self.scalars or self.filled or len(self.arrays) != len(inputs) or not alike or kept:
            return None
        if not 0 < rows * classes <= SMALLEST:
            return None
        function = self.function(classes)
        first, second = (classes if element else 1 for _, element in self.plain)
        pack, sums_of_call = self.layout.pack, self.sums

        def totals(a: Array, b: Array) -> Sequence[float] | None:
            if a.flags.num & b.flags.num & IN_ORDER != IN_ORDER:
                return None
            sums: Any = sums_of_call()
            words = pack(classes, address(a), first, address(b), second)
            function(NUMBER(), rows, rows, sums, words, None)
            return sums  # type: ignore[no-any-return]

        return totals

    def run(
        self,
        shape: tuple[int, ...],
        classes: int,
        operands: list[Operand],
        scalars: Sequence[float],
    ) -> list[float]:
        """All blocks where they lie, or each copied if need be."""
        halves = tuple(half_of(operand) for operand in operands)
        operands = [
            operand._replace(dtype=operand.array.dtype) if half else operand
            for operand, half in zip(operands, halves, strict=True)
        ]
        halves = halves if any(halves) else ()
        places = self.whole(operands, classes)
        if places is not None:
            rows = math.prod(shape)
            words = self.layout.pack(classes, *scalars, *places)
            known = known_classes(rows, classes) if self.are_close(operands) else 0
            streamed = not halves and self.streams(rows, classes, places)
            function = self.function(classes, Arrangement(halves, known, streamed))
            return self.run_whole(function, rows, classes, words)
        if self.too_long(operands, classes):
            return self.by_blocks().run(shape, classes, operands, scalars)
        known = known_classes(math.prod(shape), classes)
        function = self.function(classes, Arrangement(halves, known))
        return self.run_copied(function, shape, classes, operands, scalars)

    def streams(self, rows: int, classes: int, places: list[int]) -> bool:
        """Whether results are written past the caches: large ones that are no input as well, for
        an input is in the caches already, in rows whose ends are whole vectors, or few.
        """
        size = self.real.itemsize
        if rows * classes * size < STREAMED_FROM or not self.filled:
            return False
        if self.rowwise and classes % LANES[KINDS[self.dtype]] and classes < FEW_ENDS:
            return False
        border = STREAMED
        read, written = places[: 2 * len(self.arrays)], places[2 * len(self.arrays) :]
        return not set(read[::2]) & set(written[::2]) and not any(
            start % border or (self.rowwise and stride * size % border)
            for start, stride in zip(written[::2], written[1::2], strict=True)
        )

    def run_whole(
        self, function: Callable[..., None], rows: int, classes: int, words: bytes
    ) -> list[float]:
        """All rows of arrays that are used where they lie.

        Threads take their blocks inside the machine code: they would wait for each other if they
        came back to Python for every one.
        """
        elements = rows * classes
        if elements <= SMALLEST:
            return self.run_block(function, rows, words, classes)
        step = block_size(elements) // classes
        step = max(1, step & -WHOLE if step > WHOLE else step)
        count = -(-rows // step)
        following = NUMBER()
        partial = np.empty((count, max(1, self.totals)))

        def work(_: int) -> None:
            scratch = self.scratch(classes) if self.kept else None
            kept = None if scratch is None else address(scratch)
            function(following, rows, step, address(partial), words, kept)

        parallel.run(work, min(count, parallel.get_num_threads()))
        return [total_of(column) for column in partial.T[: self.totals].tolist()]

    def run_block(
        self, function: Callable[..., None], rows: int, words: bytes, classes: int
    ) -> list[float]:
        """All rows in this thread, as one block."""
        sums = self.sums()
        scratch = self.scratch(classes) if self.kept else None
        kept = None if scratch is None else address(scratch)
        function(NUMBER(), rows, rows, sums, words, kept)
        return sums[: self.totals]

    def run_copied(
        self,
        function: Callable[..., None],
        shape: tuple[int, ...],
        classes: int,
        operands: list[Operand],
        scalars: Sequence[float],
    ) -> list[float]:
        """The same for arrays of which blocks have to be copied."""
        blocks = Blocks(shape, max(1, SMALLEST // classes))
        partial: list[Any] = [None] * blocks.count

        def task(number: int) -> None:
            index = blocks[number]
            places: list[int] = []
            back, held = [], []
            for i, operand in enumerate(operands):
                view = operand.array[index]
                block = view
                if not usable(view, operand):
                    block = borrow(i, view.shape, operand.dtype)
                    if operand.written:
                        back.append((view, block))
                    else:
                        np.copyto(block, view, casting="unsafe")
                held.append(block)  # its address alone would not keep it
                places += (address(block), classes if operand.level is Level.ELEMENT else 1)
            words = self.layout.pack(classes, *scalars, *places)
            rows = math.prod(view.shape[: len(shape) - len(index) + 1])
            partial[number] = self.run_block(function, rows, words, classes)
            for view, block in back:
                np.copyto(view, block, casting="unsafe")

        run_blocks(blocks.count, task)
        return [total_of(column) for column in zip(*partial, strict=True)]

    def whole(self, operands: list[Operand], classes: int) -> list[int] | None:
        """The address and row stride of every array, if all can be used where they lie."""
        places: list[int] = []
        for operand in operands:
            stride = self.row_stride(operand, classes)
            if stride is None:
                break
            places += (address(operand.array), stride)
        else:
            return places
        if not self.rowwise and all(transposable(operand) for operand in operands):
            return [word for operand in operands for word in (address(operand.array), 1)]
        return None

    def are_close(self, operands: list[Operand]) -> bool:
        """Whether each row of elements lies right behind the one before."""
        elements = (o.array for o in operands if o.level is Level.ELEMENT)
        return not self.rowwise or all(array.flags.c_contiguous for array in elements)

    def too_long(self, operands: list[Operand], classes: int) -> bool:
        """Whether rows would have to be copied that take more memory than a thread may use."""
        return classes > LONGEST_COPIED and any(
            operand.level is Level.ELEMENT and self.row_stride(operand, classes) is None
            for operand in operands
        )

    def by_blocks(self) -> BlockKernel:
        """The engine that copies long rows piece by piece."""
        if self.blocks is None:
            self.blocks = BlockKernel(self.graph, self.outputs, self.dtype, rowwise=self.rowwise)
        return self.blocks

    def row_stride(self, operand: Operand, classes: int) -> int | None:
        """How far apart rows begin; None where that is not one number, or elements are apart."""
        array = operand.array
        if array.dtype != operand.dtype or not array.flags.aligned:
            return None
        element = self.rowwise and operand.level is Level.ELEMENT
        if array.flags.c_contiguous:
            return classes if element else 1
        if not element or (array.strides[-1] != array.itemsize and classes > 1):
            return None
        if not any(array.strides[:-1]):
            return 0
        stride, rest = divmod(array.strides[0], array.itemsize)
        return stride if array.ndim == 2 and not rest else None  # noqa: PLR2004 - rows, classes


def known_classes(rows: int, classes: int) -> int:
    """The number of classes that a kernel's text counts on: for large arrays, for which it is worth
    compiling one of their own.
    """
    return classes if rows * classes > SMALLEST else 0


def half_of(operand: Operand) -> str:
    """`half` or `bfloat` for an array that kernels convert as they read it, else nothing."""
    array = operand.array
    if operand.dtype.kind != "f" or not array.dtype.isnative:
        return ""
    half = {"float16": "half", "bfloat16": "bfloat"}.get(array.dtype.name, "")
    return half if half != "half" or converts_halves() else ""


def usable(block: Array, operand: Operand) -> bool:
    """Whether a block can be used where it lies."""
    flags = block.flags
    return block.dtype == operand.dtype and flags.c_contiguous and flags.aligned


def transposable(operand: Operand) -> bool:
    """Whether the array is contiguous in Fortran's order."""
    array = operand.array
    return array.dtype == operand.dtype and array.flags.f_contiguous and array.flags.aligned


def address_reader() -> Callable[[Array], int]:
    """How to learn where an array's numbers begin.

    NumPy's C interface has the address right behind what all objects begin with; reading it there
    takes a tenth of the time of `array.ctypes.data`, which counts on small arrays.
    """
    probe = np.zeros(1)
    offset = object.__basicsize__
    read = ctypes.c_size_t.from_address
    if read(id(probe) + offset).value == probe.ctypes.data:
        return lambda array: read(id(array) + offset).value
    return lambda array: int(array.ctypes.data)


address = address_reader()
