"""Rows that are too long for a block: several passes over pieces of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.backends.numpy_kernels import FUNCTIONS
from tensorweaver.compiler.block_function import LARGEST, BlockFunction, bound, total
from tensorweaver.compiler.block_operands import Way, at_hand, laid_out, ways_of
from tensorweaver.compiler.emit_python import emit_python
from tensorweaver.compiler.fused import DTYPES
from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    input_node,
    operation,
    replace,
    topological,
)
from tensorweaver.compiler.schedule import CLASS_INDEX, Output, schedule
from tensorweaver.compiler.tiles import Blocks, Operand, borrow, run_blocks
from tensorweaver.compiler.trace import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tensorweaver.compiler.fused import FusedKernel

__all__ = ["LongRows"]

Array = np.ndarray[Any, Any]
Index = tuple[Any, ...]

GROUP = 1 << 20
"""How many elements of long rows are walked over together, pass after pass."""

STEPS = np.arange(LARGEST // 4)
"""The places of the first elements."""

COMBINE: dict[str, Callable[..., Any]] = {
    "sum": partial(np.add.reduce, axis=-1, keepdims=True, dtype=np.float64),
    "max": FUNCTIONS["max"],
    "min": FUNCTIONS["min"],
    "prod": partial(np.multiply.reduce, axis=-1, keepdims=True, dtype=np.float64),
}
"""How a row's reduction is made of those of its pieces."""


class RowStep:
    """Steps on row values, between the passes over a row's elements.

    Parameters
    ----------
    graph
        The values that are wanted, made of inputs alone.
    real
        The dtype of all real numbers inside.
    """

    def __init__(self, graph: Graph, real: np.dtype[Any]) -> None:
        text = emit_python(graph)
        self.inputs = graph.inputs
        self.dtypes = [np.dtype(DTYPES.get(node.kind, real)) for node in graph.outputs]
        functions: dict[str, Callable[..., Any]] = {
            "places": lambda labels, _classes: labels,
            "take_along_axis": lambda x, labels: np.take_along_axis(x, labels, -1).astype(real),
            # A whole row is converted after one element has been taken.
            "as_real": lambda x: x if np.ndim(x) and x.shape[-1] != 1 else np.asarray(x, real),
        }
        self.kernel = bound(text.source, text.constants, real, functions)

    def __call__(self, values: Mapping[Node, Any]) -> list[Array]:
        """The wanted values of some rows."""
        if not self.dtypes:
            return []
        found = self.kernel(*(values[node] for node in self.inputs))
        found = found if isinstance(found, tuple) else (found,)
        return [np.asarray(x, dtype) for x, dtype in zip(found, self.dtypes, strict=True)]


class Walk(NamedTuple):
    """One pass over the pieces of a row, and the row values that are known after it.

    `totals` and `filled` are the places of the outputs that it sums up and fills.
    """

    function: BlockFunction
    reductions: tuple[Node, ...]
    totals: tuple[int, ...]
    filled: tuple[int, ...]
    after: RowStep
    known: tuple[Node, ...]


class LongRows:
    """A kernel for rows that are too long for a block: several passes over pieces of them."""

    def __init__(self, kernel: FusedKernel) -> None:
        self.kernel = kernel
        plan = schedule(kernel.graph, kernel.outputs, keep=False)
        self.outputs = plan.graph.outputs
        self.stand_ins: dict[Node, Node] = {}
        self.before, self.known = self.row_step(plan.rows), plan.rows
        self.walks: list[Walk] = []
        for step in plan.passes:
            last = step is plan.passes[-1]
            stored = [i for i in range(len(self.outputs)) if last and self.spans_elements(i)]
            nodes = [*step.reductions, *(self.outputs[i] for i in stored)]
            wanted = [Output(Level.ROW)] * len(step.reductions)
            wanted += [kernel.outputs[i] for i in stored]
            function = BlockFunction(self.cut(nodes), tuple(wanted), kernel.real)
            totals = tuple(i for i in stored if kernel.outputs[i].total)
            filled = tuple(i for i in stored if not kernel.outputs[i].total)
            self.learn(step.reductions)
            after = self.row_step(step.rows)
            self.walks.append(Walk(function, step.reductions, totals, filled, after, step.rows))
        self.rest = [i for i in range(len(self.outputs)) if not self.spans_elements(i)]
        self.last = RowStep(self.cut([self.outputs[i] for i in self.rest]), kernel.real)

    # ------------------------------------------------------------------------------ preparation
    def spans_elements(self, output: int) -> bool:
        """Whether it is stored or summed up element by element."""
        wanted = self.kernel.outputs[output]
        level = self.outputs[output].level if wanted.total else wanted.level
        return level is Level.ELEMENT

    def learn(self, nodes: Iterable[Node]) -> None:
        """From now on these row values are inputs."""
        for node in nodes:
            name = f"row_{len(self.stand_ins)}"
            self.stand_ins[node] = input_node(name, Level.ROW, node.kind)

    def row_step(self, nodes: tuple[Node, ...]) -> RowStep:
        """What computes these row values."""
        step = RowStep(self.cut(nodes), self.kernel.real)
        self.learn(nodes)
        return step

    def cut(self, nodes: Sequence[Node]) -> Graph:
        """The graph of some values, made of what is known by now."""

        def rebuild(node: Node, arguments: tuple[Node, ...]) -> Node:
            if node in self.stand_ins:
                return self.stand_ins[node]
            return node if arguments == node.arguments else operation(node.name, *arguments)

        found = replace(Graph((), tuple(nodes), self.kernel.graph.names), rebuild)
        read = [node for node in topological(found.outputs) if node.name == "input"]
        return Graph(tuple(dict.fromkeys((*read, ROW_SIZE))), found.outputs, found.names)

    # ------------------------------------------------------------------------------ running
    def run(
        self,
        shape: tuple[int, ...],
        classes: int,
        operands: list[Operand],
        given: Mapping[Node, Any],
    ) -> list[Sequence[float]]:
        """The sums of all pieces, for each total."""
        sums: list[list[float]] = [[] for _ in self.outputs]
        ways = ways_of(operands)
        blocks = Blocks(shape, max(1, GROUP // classes))
        for number in range(blocks.count):
            index = blocks[number]
            rows = Rows(self, ways, index, classes, given)
            with np.errstate(all="ignore"):
                rows.learn(self.known, self.before)
            for walk in self.walks:
                rows.walk(walk, sums)
                with np.errstate(all="ignore"):
                    rows.learn(walk.known, walk.after)
            with np.errstate(all="ignore"):
                rows.finish(sums, first=number == 0)
        return [sums[i] for i, output in enumerate(self.kernel.outputs) if output.total]


class Rows:
    """Some long rows on their way through the passes."""

    def __init__(
        self,
        plan: LongRows,
        ways: list[Way],
        index: Index,
        classes: int,
        given: Mapping[Node, Any],
    ) -> None:
        kernel = plan.kernel
        self.plan = plan
        self.classes = classes
        self.ways = ways
        self.views = [laid_out(way.operand.array[index], way.operand.level, -1) for way in ways]
        self.values: dict[Node, Any] = dict(given)
        for node, view, way in zip(kernel.arrays, self.views, ways, strict=False):
            small = node.level is Level.ROW
            self.values[node] = view.astype(way.operand.dtype) if small else view
        outputs = [i for i, output in enumerate(kernel.outputs) if not output.total]
        self.place = {i: len(kernel.arrays) + n for n, i in enumerate(outputs)}
        self.shape = self.views[0].shape[:-1]
        self.size = min(walk.function.size(classes) for walk in plan.walks) if plan.walks else 1

    def learn(self, nodes: tuple[Node, ...], step: RowStep) -> None:
        """Compute row values."""
        for node, value in zip(nodes, step(self.values), strict=True):
            self.values[self.plan.stand_ins[node]] = value

    def walk(self, walk: Walk, sums: list[list[float]]) -> None:
        """One pass."""
        size = self.size
        pieces = -(-self.classes // size)
        rows = list(np.ndindex(self.shape))
        real = self.plan.kernel.real
        partial_values = [np.empty((*self.shape, pieces), real) for _ in walk.reductions]
        found: list[Any] = [None] * (len(rows) * pieces)

        def task(number: int) -> None:
            row, piece = rows[number // pieces], number % pieces
            part = slice(piece * size, min((piece + 1) * size, self.classes))
            length = part.stop - part.start
            inputs = [self.read(node, row, part) for node in walk.function.graph.inputs]
            memory = walk.function.memory((length,))
            slots = [values[(*row, slice(piece, piece + 1))] for values in partial_values]
            written = [self.written(i, (*row, part)) for i in walk.filled]
            results = [*slots, *(used for _, used in written)]
            found[number] = walk.function.along(*inputs, *memory, *results)
            for view, used in written:
                if used is not view:
                    np.copyto(view, used, casting="unsafe")

        run_blocks(len(found), task)
        for i, column in zip(walk.totals, zip(*found, strict=True), strict=True):
            sums[i].extend(map(float, column))
        with np.errstate(all="ignore"):
            for node, values in zip(walk.reductions, partial_values, strict=True):
                whole = COMBINE[node.name](values).astype(real)
                self.values[self.plan.stand_ins[node]] = whole

    def read(self, node: Node, row: Index, part: slice) -> Any:
        """What a piece sees of an input."""
        if node is CLASS_INDEX:
            length = part.stop - part.start
            places = borrow("class_index", (length,), np.dtype("int64"))
            return np.add(STEPS[:length], part.start, out=places)
        value = self.values[node]
        if node.level is Level.SCALAR:
            return value
        if node.level is Level.ROW:
            return value[row]
        place = self.plan.kernel.arrays.index(node)
        return at_hand(place, value[(*row, part)], self.ways[place], -1)

    def written(self, output: int, index: Index) -> tuple[Array, Array]:
        """A piece of a result, and where it is computed."""
        place = self.place[output]
        view = self.views[place][index]
        return view, at_hand(place, view, self.ways[place], -1)

    def finish(self, sums: list[list[float]], *, first: bool) -> None:
        """The results that are row values."""
        plan = self.plan
        for i, value in zip(plan.rest, plan.last(self.values), strict=True):
            node = plan.kernel.graph.outputs[i]
            if not plan.kernel.outputs[i].total:
                np.copyto(self.views[self.place[i]], value, casting="unsafe")
            elif node.level is Level.SCALAR:
                sums[i] += [float(value)] if first else []
            else:
                sums[i].append(
                    float(total(value)) * (self.classes if node.level is Level.ELEMENT else 1)
                )
