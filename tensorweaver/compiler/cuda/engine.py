"""The engine that computes a graph by one CUDA kernel, and its sums by a tiny second one.

Nothing here waits for the device, and nothing knows which library's arrays they are: a *launcher*
compiles, allocates and launches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.compiler.cuda.form import Form, pointwise_form, row_form, staged_form
from tensorweaver.compiler.cuda.launch import THREADS
from tensorweaver.compiler.cuda.memory import FLOATING, is_plain
from tensorweaver.compiler.cuda.resident import ResidentRows
from tensorweaver.compiler.cuda.ways import Call, Way, find_way
from tensorweaver.compiler.fused import GraphKernel
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.schedule import schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.backends.launching import Launcher, Module
    from tensorweaver.compiler.graph import Graph
    from tensorweaver.compiler.schedule import Output

__all__ = ["COUNTED", "CudaKernel", "Total"]

ROUTES_KEPT = 256
"""For how many shapes and layouts the way to the kernel is remembered."""

LONG_ROW = 1 << 20
"""The length of a row whose kernel `source` shows."""

NOWHERE = np.uint64(0)
"""The address that kernels take for none."""

COUNTED = "counted"
"""The divisor of totals of which the first is a count: that."""

NO_NUMBER = np.float64(0)
"""What stands before an address that is taken instead."""

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


class Route(NamedTuple):
    """A compiled kernel, and the way to it.

    Attributes
    ----------
    module, way
        These two.
    words
        All arguments of a launch in order, those that calls bring as yet unknown.
    slots
        Where among them the arrays come.
    launch
        The kernel's name, grid and block.
    tail
        What is known beforehand of a launch's sums: the first block, and how many there are.
    rough
        The arrays that kernels cannot use where they lie; copies of them take the route.
    """

    module: Module
    way: Way
    words: list[Any]
    slots: list[int]
    launch: tuple[str, tuple[int], tuple[int]]
    tail: tuple[Any, Any]
    rough: tuple[int, ...] = ()


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
        self.routes: dict[Any, Route] = {}
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
        elements = [
            m for m, level in zip(memory, self.levels, strict=True) if level is Level.ELEMENT
        ]
        return row_form(self.keeping, classes, self.dtype, elements)

    def text(self, form: Form, memory: Sequence[str]) -> str:
        """The text of one kernel."""
        plan = self.keeping if issubclass(form.writer, ResidentRows) else self.repeating
        return form.writer(plan, self.outputs, self.dtype, tuple(memory), form.shape).write()

    def route(
        self, launcher: Launcher, shape: tuple[int, ...], classes: int, arrays: list[Any]
    ) -> Route:
        """The kernel for arrays that lie like these, and the way to it."""
        key = (launcher, shape, classes, *[(array.dtype, array.strides) for array in arrays])
        found = self.routes.get(key)
        if found is None:
            if len(self.routes) >= ROUTES_KEPT:
                self.routes.clear()
            found = self.routes[key] = self.find_route(launcher, shape, classes, arrays)
        return found

    def find_route(
        self, launcher: Launcher, shape: tuple[int, ...], classes: int, arrays: list[Any]
    ) -> Route:
        """The same, worked out."""
        rough = tuple(i for i, array in enumerate(arrays) if not is_plain(array))
        if rough:
            smooth = self.smoothed(launcher, arrays, rough)
            return self.route(launcher, shape, classes, smooth)._replace(rough=rough)
        memory = [array.dtype.name for array in arrays]
        walks = bool(self.keeping.passes)
        call = Call(shape, classes if self.rowwise else None, arrays, self.levels, walks)
        way = find_way(
            call,
            lambda many: self.form(many, memory),
            lambda many: staged_form(self.keeping, many, self.dtype),
        )
        module = launcher.compile(self.text(way.form, memory))
        words: list[Any] = [*way.sizes, *[None] * (2 * len(self.scalars))]
        slots = []
        for steps in way.steps:
            slots.append(len(words))
            words += [None, *steps]
        launch = (way.form.writer.entry, (way.launch.grid,), (way.launch.block,))
        tail = (np.int64(0), np.int64(way.launch.grid * len(way.starts)))
        return Route(module, way, words, slots, launch, tail)

    def smoothed(self, launcher: Launcher, arrays: list[Any], rough: tuple[int, ...]) -> list[Any]:
        """The arrays, those that kernels cannot use where they lie as ones that they can."""
        found = [*arrays]
        for i in rough:
            if i < len(self.arrays):
                found[i] = arrays[i].astype(self.dtype_of(self.arrays[i]))
            else:
                found[i] = launcher.empty(arrays[i].shape, self.dtype)
        return found

    # ------------------------------------------------------------------------------ running
    def queue(
        self,
        launcher: Launcher,
        shape: tuple[int, ...],
        classes: int,
        inputs: Sequence[Any],
        scalars: Sequence[Any],
        results: Sequence[Any],
        *,
        divisor: Any,
    ) -> list[Total]:
        """Let the device fill `results`, and give the totals, which it will have computed then.

        Parameters
        ----------
        launcher
            Who compiles, allocates and launches.
        shape, classes, inputs, scalars, results
            As for `FusedKernel`; a scalar may be one float64 on the device.
        divisor
            What the totals are divided by: a number, one float64 on the device, None for counts,
            or `COUNTED`.
        """
        totals = self.new_totals(launcher, divisor)
        end = scalar_words(1.0 if divisor is None else divisor)
        if divisor is COUNTED:
            end = scalar_words(totals[0].count)
        if not math.prod(shape):
            self.finish_nothing(launcher, totals, end)
            return totals
        given = [*inputs, *results]
        route = self.route(launcher, shape, classes, given)
        arrays = self.smoothed(launcher, given, route.rough) if route.rough else given
        words = route.words.copy()
        place = len(route.way.sizes)
        for number in scalars:
            words[place], words[place + 1] = scalar_words(number)
            place += 2
        for place, array in zip(route.slots, arrays, strict=True):
            words[place] = array
        self.launch(launcher, route, words, (totals, end))
        for i in route.rough:
            if i >= len(inputs):
                given[i][...] = arrays[i]
        return totals

    def new_totals(self, launcher: Launcher, divisor: Any) -> list[Total]:
        """Room for the sums, counts first."""
        counts = self.totals if divisor is None else int(divisor is COUNTED)
        found = [Total(None, launcher.empty((2,), "float64")) for _ in range(counts)]
        rest = self.totals - counts
        return found + [Total(launcher.empty((), self.dtype), None) for _ in range(rest)]

    def launch(
        self, launcher: Launcher, route: Route, words: list[Any], sums: tuple[list[Total], Words]
    ) -> None:
        """All chunks, then the sums of all their blocks."""
        totals, end = sums
        module, way, blocks = route.module, route.way, int(route.tail[1])
        partial: Any = NOWHERE
        if totals:
            if blocks > 1:
                width = 1 if self.size < FLOATING["float64"] else 2
                partial = launcher.empty((len(totals), blocks, width), "float64")
            words += (*end, partial, *route.tail)
            for total in totals:
                words += words_of(total)
        module.launch(*route.launch, words)
        if blocks == 1:
            return
        if len(way.starts) > 1:
            self.launch_parts(launcher, route, words)
        for of_blocks, total in zip(partial, totals, strict=True) if totals else ():
            last = [route.tail[1], of_blocks, *end, *words_of(total)]
            module.launch("finish", (1,), (THREADS,), last)

    def launch_parts(self, launcher: Launcher, route: Route, words: list[Any]) -> None:
        """The chunks after the first."""
        arrays = [words[place] for place in route.slots]
        for number, start in enumerate(route.way.starts[1:], start=1):
            for place, array, offset in zip(route.slots, arrays, start, strict=True):
                words[place] = moved(launcher, array, offset)
            if self.totals:
                words[len(route.words) + 3] = np.int64(number * route.way.launch.grid)
            route.module.launch(*route.launch, words)

    def finish_nothing(self, launcher: Launcher, totals: list[Total], end: Words) -> None:
        """The sums over nothing, which still have a divisor."""
        if totals:
            memory = [self.dtype_of(node).name for node in self.arrays]
            memory += [self.dtype] * len(self.filled)
            module = launcher.compile(self.text(self.form(1, memory), memory))
            for total in totals:
                words = [np.int64(0), NOWHERE, *end, *words_of(total)]
                module.launch("finish", (1,), (THREADS,), words)


def scalar_words(number: Any) -> Words:
    """A number by value, or by where it lies on the device."""
    return (np.float64(number), NOWHERE) if isinstance(number, float) else (NO_NUMBER, number)


def words_of(total: Total) -> Words:
    """Where a total goes."""
    quotient, count = total
    return (NOWHERE if quotient is None else quotient, NOWHERE if count is None else count)


def moved(launcher: Launcher, array: Any, elements: int) -> Any:
    """What stands in a launch for the address so many elements behind an array's first."""
    return np.uint64(launcher.address(array) + elements * array.dtype.itemsize)
