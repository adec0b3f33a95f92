"""The engine that computes a graph by one CUDA kernel, and its sums by a tiny second one.

Nothing here waits for the device, and nothing knows which library's arrays they are: a *launcher*
compiles, allocates and launches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.compiler.cuda.form import Form, apart_form, pointwise_form, row_form
from tensorweaver.compiler.cuda.launch import (
    THREADS,
    Launch,
    pointwise_launch,
    resident_launch,
    streaming_launch,
)
from tensorweaver.compiler.cuda.layout import Layout, layout_of
from tensorweaver.compiler.cuda.memory import FLOATING, is_plain
from tensorweaver.compiler.cuda.pointwise import Pointwise
from tensorweaver.compiler.cuda.rows import OUTER, ResidentRows
from tensorweaver.compiler.fused import GraphKernel
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.schedule import schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tensorweaver.backends.launching import Launcher, Module
    from tensorweaver.compiler.graph import Graph
    from tensorweaver.compiler.schedule import Output

__all__ = ["CudaKernel", "Total"]

WAYS_KEPT = 256
"""For how many shapes and layouts the way to the kernel is remembered."""

LONG_ROW = 1 << 20
"""The length of a row whose kernel `source` shows."""

NOWHERE = np.uint64(0)
"""The address that kernels take for none."""

Words = tuple[Any, ...]


class Total(NamedTuple):
    """A sum on the device.

    Attributes
    ----------
    quotient
        It over the divisor, one number of the kernel's dtype.
    count
        It by itself and one over it (0 for nothing), in float64; where that was asked for.
    """

    quotient: Any
    count: Any


class Way(NamedTuple):
    """How calls of one shape and layout reach the device."""

    module: Module
    entry: str
    launch: Launch
    sizes: Words
    steps: tuple[Words, ...]
    starts: list[tuple[int, ...]]


class CudaKernel(GraphKernel):
    """A graph as CUDA kernels, compiled for the kinds of rows and layouts that it meets."""

    engine = "cuda"

    def __init__(
        self, graph: Graph, outputs: tuple[Output, ...], dtype: str, *, rowwise: bool
    ) -> None:
        super().__init__(graph, outputs, dtype, rowwise=rowwise)
        self.dtype = dtype
        self.keeping = schedule(graph, outputs)
        self.repeating = schedule(graph, outputs, keep=False)
        self.ways: dict[Any, Way] = {}
        self.levels = [node.level for node in self.arrays] + [o.level for o in self.filled]
        self.size = FLOATING[dtype]

    # ------------------------------------------------------------------------------ text
    @property
    def source(self) -> str:
        """The text of the kernel for contiguous arrays, as it is for long rows."""
        memory = [self.dtype_of(node).name for node in self.arrays]
        memory += [self.dtype] * len(self.filled)
        return self.text(self.form(LONG_ROW, memory), memory)

    def form(self, classes: int, memory: Sequence[str]) -> Form:
        """What suits contiguous arrays of these dtypes."""
        if not self.rowwise:
            return pointwise_form(memory)
        elements = [m for m, level in zip(memory, self.levels, strict=True) if level is Level.ELEMENT]
        return row_form(self.keeping, classes, self.dtype, elements)

    def text(self, form: Form, memory: Sequence[str]) -> str:
        """The text of one kernel."""
        plan = self.keeping if form.writer is ResidentRows else self.repeating
        return form.writer(plan, self.outputs, self.dtype, tuple(memory), form.shape).write()

    # ------------------------------------------------------------------------------ the way
    def way(
        self, launcher: Launcher, shape: tuple[int, ...], classes: int, arrays: list[Any]
    ) -> Way:
        """The way of arrays that lie like these."""
        key = (shape, classes, launcher, *[(a.dtype, a.strides) for a in arrays])
        found = self.ways.get(key)
        if found is None:
            if len(self.ways) >= WAYS_KEPT:
                self.ways.clear()
            found = self.ways[key] = self.find_way(launcher, shape, classes, arrays)
        return found

    def find_way(
        self, launcher: Launcher, shape: tuple[int, ...], classes: int, arrays: list[Any]
    ) -> Way:
        """Contiguous arrays, even rows, or neither."""
        memory = [array.dtype.name for array in arrays]
        layout = layout_of(shape, arrays)
        if not self.rowwise:
            if layout.contiguous:
                return self.pointwise_way(launcher, math.prod(shape), memory)
            return self.apart_way(launcher, *elements_apart(layout), memory)
        steps = [
            array.strides[-1] // array.dtype.itemsize if level is Level.ELEMENT else None
            for array, level in zip(arrays, self.levels, strict=True)
        ]
        even = all(step in {1, None} for step in steps) or classes <= 1
        if even and len(layout.sizes) <= 1:
            return self.even_way(launcher, math.prod(shape), classes, layout, memory)
        return self.apart_way(launcher, layout, classes, steps, memory)

    def pointwise_way(self, launcher: Launcher, count: int, memory: list[str]) -> Way:
        """The way of arrays that are contiguous."""
        form = self.form(1, memory)
        launch = pointwise_launch(count, form.shape.elements)
        none: list[Words] = [()] * len(memory)
        return self.made(launcher, form, memory, launch, (count,), none, [(0,) * len(memory)])

    def even_way(
        self, launcher: Launcher, rows: int, classes: int, layout: Layout, memory: list[str]
    ) -> Way:
        """The way of rows of neighbours."""
        form = self.form(classes, memory)
        together, unroll, threads = form.shape
        if form.writer is ResidentRows:
            launch = resident_launch(rows, classes, together * unroll, together)
        else:
            launch = streaming_launch(rows, classes, together * unroll, threads)
        inner, starts = layout.split(1)
        sizes = (rows, classes, launch.group)
        return self.made(launcher, form, memory, launch, sizes, inner.steps, starts)

    def apart_way(
        self,
        launcher: Launcher,
        layout: Layout,
        classes: int,
        element_steps: Sequence[int | None],
        memory: list[str],
    ) -> Way:
        """The way of arrays that lie in any way."""
        form = apart_form()
        inner, starts = layout.split(OUTER)
        rows = math.prod(inner.sizes)
        pairs = list(zip(inner.steps, element_steps, strict=True))
        beside = any(
            0 < abs(steps[-1]) < abs(step) for steps, step in pairs if step is not None
        )
        launch = streaming_launch(
            rows, classes, form.shape.elements, THREADS, neighbours_are_rows=beside
        )
        steps = [(*each, *(() if step is None else (step,))) for each, step in pairs]
        sizes = (rows, *inner.sizes[1:], classes, launch.group)
        return self.made(launcher, form, memory, launch, sizes, steps, starts)

    def made(
        self,
        launcher: Launcher,
        form: Form,
        memory: list[str],
        launch: Launch,
        sizes: tuple[int, ...],
        steps: Sequence[tuple[int, ...]],
        starts: list[tuple[int, ...]],
    ) -> Way:
        """The way, its numbers as kernels take them."""
        module = launcher.compile(self.text(form, memory))
        kinds = [np.int64] * len(sizes)
        if form.writer is not Pointwise:
            kinds[-1] = np.int32  # type: ignore[call-overload]  # the size of a group
        words = tuple(kind(size) for kind, size in zip(kinds, sizes, strict=True))
        apart = tuple(tuple(map(np.int64, each)) for each in steps)
        return Way(module, form.writer.entry, launch, words, apart, starts)

    # ------------------------------------------------------------------------------ running
    def queue(
        self,
        launcher: Launcher,
        shape: tuple[int, ...],
        classes: int,
        inputs: Sequence[Any],
        scalars: Sequence[Any],
        results: Sequence[Any],
        divisor: Any = None,
    ) -> list[Total]:
        """Let the device fill `results`, and give the totals, which it will have computed then.

        Parameters
        ----------
        launcher
            Who compiles, allocates and launches.
        shape, classes, inputs, scalars, results
            As for `FusedKernel`; a scalar may be one float64 on the device.
        divisor
            What the totals are divided by: a number, one float64 on the device, or None for counts.
        """
        totals = self.new_totals(launcher, counts=divisor is None)
        end = scalar_words(1.0 if divisor is None else divisor)
        arrays = [*inputs, *results]
        back = []
        for i, array in enumerate(arrays):
            if not is_plain(array):
                arrays[i] = self.plain(launcher, array, i)
                if i >= len(inputs):
                    back.append((array, arrays[i]))
        if not math.prod(shape):
            self.finish_nothing(launcher, totals, end)
            return totals
        way = self.way(launcher, shape, classes, arrays)
        before = [*way.sizes]
        for number in scalars:
            before += scalar_words(number)
        self.launch(launcher, way, before, arrays, totals, end)
        for array, made in back:
            array[...] = made
        return totals

    def new_totals(self, launcher: Launcher, *, counts: bool) -> list[Total]:
        """Room for the sums."""
        if counts:
            return [Total(None, launcher.empty((2,), "float64")) for _ in range(self.totals)]
        return [Total(launcher.empty((), self.dtype), None) for _ in range(self.totals)]

    def plain(self, launcher: Launcher, array: Any, place: int) -> Any:
        """An array that kernels cannot use where it lies, as one that they can."""
        if place < len(self.arrays):
            return array.astype(self.dtype_of(self.arrays[place]))
        return launcher.empty(array.shape, self.dtype)

    def launch(
        self,
        launcher: Launcher,
        way: Way,
        before: list[Any],
        arrays: list[Any],
        totals: list[Total],
        end: Words,
    ) -> None:
        """All chunks, then the sums of all their blocks."""
        blocks = way.launch.grid * len(way.starts)
        partial: Any = NOWHERE
        if totals and blocks > 1:
            width = 1 if self.size < FLOATING["float64"] else 2
            partial = launcher.empty((len(totals), blocks, width), "float64")
        grid, block = (way.launch.grid,), (way.launch.block,)
        after = [word for total in totals for word in words_of(total)]
        for number, start in enumerate(way.starts):
            words = [*before]
            for array, steps, offset in zip(arrays, way.steps, start, strict=True):
                words.append(moved(launcher, array, offset) if offset else array)
                words += steps
            if totals:
                first = np.int64(number * way.launch.grid)
                words += [*end, partial, first, np.int64(blocks), *after]
            way.module.launch(way.entry, grid, block, words)
        if totals and blocks > 1:
            for sums, total in zip(partial, totals, strict=True):
                words = [np.int64(blocks), sums, *end, *words_of(total)]
                way.module.launch("finish", (1,), (THREADS,), words)

    def finish_nothing(self, launcher: Launcher, totals: list[Total], end: Words) -> None:
        """The sums over nothing, which still have a divisor."""
        if totals:
            memory = [self.dtype_of(node).name for node in self.arrays]
            memory += [self.dtype] * len(self.filled)
            module = launcher.compile(self.text(self.form(1, memory), memory))
            for total in totals:
                words = [np.int64(0), NOWHERE, *end, *words_of(total)]
                module.launch("finish", (1,), (THREADS,), words)


def elements_apart(layout: Layout) -> tuple[Layout, int, list[int]]:
    """Elements that know nothing of each other as rows along their nearest axis."""
    rows = Layout(layout.sizes[:-1], tuple(steps[:-1] for steps in layout.steps))
    return rows, layout.sizes[-1], [steps[-1] for steps in layout.steps]


def scalar_words(number: Any) -> Words:
    """A number by value, or by where it lies on the device."""
    return (np.float64(number), NOWHERE) if isinstance(number, float) else (np.float64(0), number)


def words_of(total: Total) -> Words:
    """Where a total goes."""
    return tuple(NOWHERE if place is None else place for place in total)


def moved(launcher: Launcher, array: Any, elements: int) -> Any:
    """What stands in a launch for the address so many elements behind an array's first."""
    return np.uint64(launcher.address(array) + elements * array.dtype.itemsize)
