"""A schedule as the text of an LLVM function.

    kernel(next, stop, step, totals, words, scratch)

takes blocks of `step` rows (of a pointwise graph: elements) below `stop` as long as there are any,
counting up the number at `next`: several threads may call it at once, each with its own `scratch`,
where what is kept between passes lies. `words` holds the number of classes, the scalars, and the
address and row stride of every array; `totals` takes the sums of each block. Within, `block(start,
stop, totals, words, scratch)` computes one.

Outputs are written in the last pass, each vector after all inputs in its place were read for the
last time, so an output may be an input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.llvm.code import ABOUT, INDEX, POINTER, Code
from tensorweaver.compiler.llvm.memory import Array
from tensorweaver.compiler.llvm.scope import Scope
from tensorweaver.compiler.llvm.sums import Sum
from tensorweaver.compiler.llvm.vector import Module, Type, Vector
from tensorweaver.compiler.schedule import array_inputs, scalar_inputs
from tensorweaver.compiler.trace import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.compiler.schedule import Output, Schedule

__all__ = ["KINDS", "LANES", "NAME", "Arrangement", "Pointwise", "Writer"]

NAME = "kernel"
KERNEL = """\
define void @kernel({parameters}) {about} {{
entry:
  br label %take
take:
  %start = atomicrmw add ptr %next, i64 %step monotonic
  %any = icmp slt i64 %start, %stop
  br i1 %any, label %work, label %done
work:
  %number = udiv i64 %start, %step
  %sums = getelementptr [{totals} x double], ptr %totals, i64 %number
  %end = add i64 %start, %step
  %last = call i64 @llvm.smin.i64(i64 %end, i64 %stop)
  call void @block(i64 %start, i64 %last, ptr %sums, ptr %words, ptr %scratch)
  br label %take
done:
  {finish}ret void
}}
"""
KINDS = {"float32": "float", "float64": "double"}
LANES = {"float": 32, "double": 16}
"""Two registers of 512 bits, or four of 256: enough to hide what an operation takes."""


STREAMS = "\n!0 = !{i32 1}\n"
"""What LLVM's language says of a store that goes past the caches."""


class Arrangement(NamedTuple):
    """How arrays lie in memory, as far as a kernel's text counts on it.

    Attributes
    ----------
    halves
        For each array, inputs first, `half` or `bfloat` if it is that; empty for none.
    classes
        How many elements a row has, if that is known and each row lies right behind the one before;
        else 0.
    streamed
        Whether results are too large for the caches, which they would only fill: they are written
        past them, without being read first.
    """

    halves: tuple[str, ...] = ()
    classes: int = 0
    streamed: bool = False


DENSE = Arrangement()


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
    arranged
        How the arrays lie in memory.
    """

    def __init__(
        self,
        schedule: Schedule,
        outputs: tuple[Output, ...],
        dtype: str,
        lanes: int,
        arranged: Arrangement = DENSE,
    ) -> None:
        self.arranged = arranged
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
        self.close = self.code.index(arranged.classes) if arranged.classes else None
        self.row_size = self.close or self.word(0, INDEX, "row_size")
        first = self.first_array = 1 + len(scalar_inputs(schedule.graph))
        self.arrays: dict[Node, Array] = {}
        for i, node in enumerate(array_inputs(schedule.graph)):
            self.arrays[node] = self.array(first + 2 * i, str(node.value))
        first += 2 * len(self.arrays)
        filled = [(i, out.level) for i, (_, out) in enumerate(self.outputs) if not out.total]
        self.filled: dict[int, Array] = {}
        for n, (i, level) in enumerate(filled):
            array = self.array(first + 2 * n, f"result.{n}")
            streamed = arranged.streamed and level is Level.ELEMENT
            self.filled[i] = array._replace(streamed=streamed)
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
        return Sum(self.code, Type(self.kind, self.lanes_at(level)), total_only=True)

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
        halves = self.arranged.halves
        half = halves[(place - self.first_array) // 2] if halves else ""
        pointer = self.word(place, POINTER, name)
        stride = self.close or self.word(place + 1, INDEX, f"{name}.stride")
        return Array(self.code, pointer, stride, half)

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
        """The text: the kernel first, then what it calls."""
        self.body()
        for n, (_, total) in enumerate(sorted(self.totals.items())):
            found = total.total()
            place = self.code.index(n)
            self.code.store(Vector(self.code, POINTER, "%totals"), place, found, None)
        parameters = "i64 %start, i64 %stop, ptr %totals, ptr %words, ptr %scratch"
        self.module.declare("llvm.smin.i64", "i64", "i64", "i64")
        streamed = self.arranged.streamed
        finish = "fence seq_cst\n  " if streamed else ""  # such stores wait for nobody else
        kernel = KERNEL.format(
            parameters="ptr %next, i64 %stop, i64 %step, ptr %totals, ptr %words, ptr %scratch",
            about=ABOUT,
            totals=len(self.totals),
            finish=finish,
        )
        text = f"{kernel}\n{self.code.text('block', parameters)}\n{self.module}"
        return text + STREAMS if streamed else text

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
