"""A schedule as the text of an LLVM function.

    kernel(start, stop, totals, words, scratch)

computes the rows (of a pointwise graph: the elements) from `start` to `stop`. `words` holds the
number of classes, the scalars, and the address and row stride of every array; `totals` takes the
sums; what is kept between passes lies in `scratch`.

Outputs are written in the last pass, each vector after all inputs in its place were read for the
last time, so an output may be an input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.llvm.code import INDEX, POINTER, Code
from tensorweaver.compiler.llvm.memory import Array
from tensorweaver.compiler.llvm.scope import Scope
from tensorweaver.compiler.llvm.sums import Sum
from tensorweaver.compiler.llvm.vector import Module, Type, Vector
from tensorweaver.compiler.schedule import array_inputs, scalar_inputs
from tensorweaver.compiler.trace import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.compiler.schedule import Output, Schedule

__all__ = ["KINDS", "LANES", "NAME", "Pointwise", "Writer"]

NAME = "kernel"
KINDS = {"float32": "float", "float64": "double"}
LANES = {"float": 32, "double": 16}
"""Two registers of 512 bits, or four of 256: enough to hide what an operation takes."""


class Writer:
    """What the three kinds of kernels have in common.

    Parameters
    ----------
    schedule
        What to compute.
    outputs
        What becomes of each of the graph's outputs.
    dtype
        The dtype of all real numbers inside.
    lanes
        How many of them a vector holds.
    halves
        For each array, inputs first, `half` or `bfloat` if it is that in memory; empty for none.
    """

    def __init__(
        self,
        schedule: Schedule,
        outputs: tuple[Output, ...],
        dtype: str,
        lanes: int,
        halves: tuple[str, ...] = (),
    ) -> None:
        self.halves = halves
        self.schedule = schedule
        self.outputs = list(zip(schedule.graph.outputs, outputs, strict=True))
        self.module = Module()
        self.code = Code(self.module)
        self.kind = KINDS[dtype]
        self.lanes = lanes
        self.start, self.stop = (Vector(self.code, INDEX, f"%{n}") for n in ("start", "stop"))
        self.code.taken |= dict.fromkeys(("start", "stop", "totals", "words", "scratch"), 0)
        self.words = Vector(self.code, POINTER, "%words")
        self.scratch = Vector(self.code, POINTER, "%scratch")
        self.row_size = self.word(0, INDEX, "row_size")
        first = self.first_array = 1 + len(scalar_inputs(schedule.graph))
        self.arrays: dict[Node, Array] = {}
        for i, node in enumerate(array_inputs(schedule.graph)):
            self.arrays[node] = self.array(first + 2 * i, str(node.value))
        first += 2 * len(self.arrays)
        filled = [i for i, (_, output) in enumerate(self.outputs) if not output.total]
        self.filled = {i: self.array(first + 2 * n, f"result.{n}") for n, i in enumerate(filled)}
        self.names = schedule.graph.names
        self.scalars = Scope(self.code, Type("double"), self.scalar, self.names)
        for node in schedule.order:
            if node.level is Level.SCALAR:
                self.scalars.value(node)
        self.totals: dict[int, Sum] = {}
        for i, (node, output) in enumerate(self.outputs):
            if output.total:
                self.totals[i] = self.sum_at(node.level)
                self.totals[i].clear()

    def sum_at(self, level: Level) -> Sum:
        """A sum over what that level spans."""
        return Sum(self.code, Type(self.kind, self.lanes_at(level)))

    def lanes_at(self, level: Level) -> int:
        """How many elements, or rows, are worked on side by side."""
        del level
        return self.lanes

    def word(self, place: int, of: Type, name: str) -> Vector:
        """What the caller put at that place of `words`."""
        address = self.code.address(self.words, "i64", self.code.index(place))
        return self.code.rename(self.code.emit(of, f"load {of}, ptr {address.name}"), name)

    def array(self, place: int, name: str) -> Array:
        """The array whose two words begin at that place."""
        half = self.halves[(place - self.first_array) // 2] if self.halves else ""
        pointer = self.word(place, POINTER, name)
        return Array(self.code, pointer, self.word(place + 1, INDEX, f"{name}.stride"), half)

    def scalar(self, node: Node) -> Vector | None:
        """A number that the caller brings."""
        if node is ROW_SIZE:
            return self.row_size.to("double")
        if node.name == "input":
            place = 1 + scalar_inputs(self.schedule.graph).index(node)
            return self.word(place, Type("double"), str(node.value))
        return None

    def spread_scalar(self, node: Node, scope: Scope) -> Vector:
        """A number of the whole call in every lane, rounded to the kind of the lanes."""
        found = self.scalars.value(node)
        if found.type.real:
            found = found.to(scope.real.kind)
        return found.spread(scope.real.lanes)

    def write(self) -> str:
        """The text: the kernel first, then the functions that it calls."""
        self.body()
        for n, (_, total) in enumerate(sorted(self.totals.items())):
            found = total.total()
            place = self.code.index(n)
            self.code.store(Vector(self.code, POINTER, "%totals"), place, found, None)
        parameters = "i64 %start, i64 %stop, ptr %totals, ptr %words, ptr %scratch"
        return f"{self.code.text(NAME, parameters)}\n{self.module}"

    def body(self) -> None:
        """The loops."""
        raise NotImplementedError

    def finish(
        self,
        level: Level,
        scope: Scope,
        mask: Vector | None,
        store: Callable[[Array, Vector], None],
    ) -> None:
        """Add to the sums, and write the results, of one level."""
        found = {
            i: scope.real_value(node)
            for i, (node, output) in enumerate(self.outputs)
            if (node.level if output.total else output.level) is level
        }
        for i, value in found.items():
            if i in self.totals:
                self.totals[i].add(value, mask)
        for i, value in found.items():
            if i in self.filled:
                store(self.filled[i], value)


class Pointwise(Writer):
    """One loop over elements that know nothing of each other."""

    def body(self) -> None:
        """Whole vectors first, then what is left."""
        self.code.sweep(self.stop - self.start, self.lanes, self.step)

    def step(self, place: Vector, mask: Vector | None) -> None:
        """One vector of elements."""
        code = self.code
        place = self.start + place

        def given(node: Node) -> Vector | None:
            if node.level is Level.SCALAR:
                return self.spread_scalar(node, scope)
            if node.name == "input":
                return self.arrays[node].load(place, scope.type_of(node), mask)
            return None

        scope = Scope(code, Type(self.kind, self.lanes), given, self.names)
        self.finish(
            Level.ELEMENT,
            scope,
            mask,
            lambda array, value: array.store(place, value, mask),
        )
