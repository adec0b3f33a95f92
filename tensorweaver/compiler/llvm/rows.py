"""Rows of classes as the text of an LLVM function: along the classes, or across rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.llvm.code import PLACE, Code, Variable
from tensorweaver.compiler.llvm.kernels import DENSE, Writer
from tensorweaver.compiler.llvm.scope import Scope
from tensorweaver.compiler.llvm.sums import Accumulator, accumulator
from tensorweaver.compiler.llvm.vector import Type, Vector
from tensorweaver.compiler.schedule import CLASS_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.compiler.llvm.kernels import Arrangement
    from tensorweaver.compiler.schedule import Output, Pass, Schedule

__all__ = ["CLASSES_ACROSS", "AcrossRows", "AlongClasses"]

CLASSES_ACROSS = 24
"""Rows of at most so many classes lie side by side in vectors, one row a lane."""


class Rows(Writer):
    """Rows, several at a time: what both kinds of row kernels have in common."""

    rows: int
    """How many rows are in hand at a time."""

    row_a_lane = False
    """Whether a lane holds a row, so that reductions are wanted lane by lane."""

    def lanes_at(self, level: Level) -> int:
        return self.rows if level is Level.ROW else self.lanes

    def body(self) -> None:
        with self.code.loop(self.start, self.stop, self.rows, "row") as row:
            count = (self.stop - row).minimum(self.rows)
            self.tile(row, count, self.first_rows(count) if self.rows > 1 else None)

    def first_rows(self, count: Vector) -> Vector:
        """Which of the rows in hand there are."""
        return self.code.lanes_below(count, self.rows)

    def tile(self, row: Vector, count: Vector, mask: Vector | None) -> None:
        """A few rows: their own values, and pass after pass over their elements."""
        code = self.code
        scope = Scope(code, Type(self.kind, self.rows), self.scalars.given, self.names)
        scope.given = lambda node: self.row_value(node, scope, row, mask)
        for node in self.schedule.rows:
            scope.value(node)
        for i, step in enumerate(self.schedule.passes):
            what = [node.name for node in step.reductions]
            what += ["results"] if self.is_last(i) else []
            code.note(f"pass {i + 1} over the classes: {', '.join(what)}")
            scope.known.update(self.walk(i, scope, row, count, mask))
            for node in step.rows:
                scope.value(node)
        self.finish(
            Level.ROW,
            scope,
            mask,
            lambda array, value: array.store(row, value, mask),
        )

    def row_value(
        self, node: Node, scope: Scope, row: Vector, mask: Vector | None
    ) -> Vector | None:
        """What a row brings with it."""
        if node.level is Level.SCALAR:
            return self.spread_scalar(node, scope)
        if node.name == "input":
            return self.arrays[node].load(row, scope.type_of(node), mask)
        if node.name == "take_along_axis":
            element, labels = node.arguments
            boolean = element.name == "as_real"
            array = self.arrays[element.arguments[0] if boolean else element]
            places = scope.value(labels).maximum(0).minimum((self.row_size - 1).spread(self.rows))
            rows = row.spread(self.rows) + self.code.lane_numbers(self.rows, "i64")
            places = rows * array.stride.spread(self.rows) + places
            of = scope.real.of("i1") if boolean else scope.real
            return array.gather(places, of, mask).to(scope.real.kind)
        return None

    def walk(
        self,
        number: int,
        scope: Scope,
        row: Vector,
        count: Vector,
        mask: Vector | None,
    ) -> dict[Node, Vector]:
        """One pass over the elements of the rows in hand, and what it reduced."""
        raise NotImplementedError

    def is_last(self, number: int) -> bool:
        """Whether results are written in this pass."""
        return number + 1 == len(self.schedule.passes)

    def reductions(self, step: Pass, of: Type) -> dict[Node, Accumulator]:
        """What a pass reduces, not yet begun."""
        whole = not self.row_a_lane
        found = {
            node: accumulator(node.name, self.code, of, total_only=whole)
            for node in step.reductions
        }
        for each in found.values():
            each.clear()
        return found

    def elements(
        self,
        step: Pass,
        scope: Scope,
        under_way: dict[Node, Accumulator],
        mask: Vector | None,
        keep: Callable[[Node, Vector], None],
    ) -> None:
        """What one vector of elements adds to the reductions, and what of it is kept."""
        for node in step.kept:
            keep(node, scope.value(node))
        values = {node: scope.value(node.arguments[0]) for node in step.reductions}
        for node, value in values.items():
            under_way[node].add(value, mask)


class AlongClasses(Rows):
    """A vector holds neighbouring classes of one row."""

    def __init__(self, *arguments: Any, rows: int = 1) -> None:
        self.rows = rows
        super().__init__(*arguments)
        kept = [node for step in self.schedule.passes for node in step.kept]
        self.slots = {node: i for i, node in enumerate(kept)}

    def walk(
        self,
        number: int,
        scope: Scope,
        row: Vector,
        count: Vector,
        mask: Vector | None,
    ) -> dict[Node, Vector]:
        """Row after row, each along its classes."""
        del mask  # rows beyond `count` are not visited
        code = self.code
        step = self.schedule.passes[number]
        needed = row_values_read(self.schedule, scope)
        memory = {} if self.rows == 1 else {n: in_memory(code, scope.known[n]) for n in needed}
        results = {node: Variable(code, scope.real) for node in step.reductions}
        with code.loop(code.index(0), count, 1, "r") as place:

            def row_scalar(node: Node) -> Vector:
                if not memory:
                    return scope.known[node]
                return memory[node].lane(place).to(scope.known[node].type.kind)

            singles = {node: row_scalar(node).spread(self.lanes) for node in needed}
            under_way = self.reductions(step, Type(self.kind, self.lanes))
            code.sweep(
                self.row_size,
                self.lanes,
                lambda k, m: self.vector(number, singles, under_way, (row, place), (k, m)),
            )
            for node, each in under_way.items():
                results[node].set_lane(place, each.total().to(self.kind))
        return {node: results[node].get() for node in step.reductions}

    def vector(
        self,
        number: int,
        singles: dict[Node, Vector],
        under_way: dict[Node, Accumulator],
        where: tuple[Vector, Vector],
        classes: tuple[Vector, Vector | None],
    ) -> None:
        """One vector of classes of one row."""
        code = self.code
        (row, r), (k, mask) = where, classes
        here = row + r
        passes = self.schedule.passes
        kept_before = {node for each in passes[:number] for node in each.kept}

        def slot(node: Node) -> Vector:
            rows = code.index(self.slots[node] * self.rows) + r
            return rows * self.row_size + k

        def given(node: Node) -> Vector | None:
            if node.level is Level.SCALAR:
                return self.spread_scalar(node, scope)
            if node.level is Level.ROW:
                return singles[node]
            if node is CLASS_INDEX:
                return code.lane_numbers(self.lanes) + k.to(PLACE).spread(self.lanes)
            if node in kept_before:
                return code.load(self.scratch, slot(node), scope.real, mask)
            if node.name == "input":
                array = self.arrays[node]
                place = here * array.stride + k
                return array.load(place, scope.type_of(node), mask)
            return None

        if self.is_last(number):
            self.fetch_next(here, k)
        scope = Scope(code, Type(self.kind, self.lanes), given, self.names)
        self.elements(
            passes[number],
            scope,
            under_way,
            mask,
            lambda node, value: code.store(self.scratch, slot(node), value, mask),
        )
        if self.is_last(number):
            self.finish(
                Level.ELEMENT,
                scope,
                mask,
                lambda array, value: array.store(here * array.stride + k, value, mask),
            )

    def fetch_next(self, row: Vector, place: Vector) -> None:
        """Ask for the next rows while these are finished: no processor sees them coming."""
        for node in self.schedule.passes[0].inputs:
            array = self.arrays[node]
            ahead = (row + self.rows) * array.stride + place
            self.code.prefetch(array.pointer, ahead, array.memory(Type(self.kind, self.lanes)))


class AcrossRows(Rows):
    """A vector holds the same class of neighbouring rows: for rows of a few classes.

    What a later pass reads again lies in `memory`, one vector a class.
    """

    row_a_lane = True

    def __init__(
        self,
        schedule: Schedule,
        outputs: tuple[Output, ...],
        dtype: str,
        lanes: int,
        arranged: Arrangement = DENSE,
    ) -> None:
        self.rows = lanes
        self.memory: dict[Node, Variable] = {}
        super().__init__(schedule, outputs, dtype, lanes, arranged)

    def body(self) -> None:
        """Rows that fill a vector are written without a mask: where a processor cannot gather or
        scatter, LLVM would put a branch in front of every lane.
        """
        whole = self.start + ((self.stop - self.start) & -self.rows)
        with self.code.loop(self.start, whole, self.rows, "row") as row:
            self.tile(row, self.code.index(self.rows), None)
        with self.code.when(whole < self.stop):
            self.memory.clear()
            left = self.stop - whole
            self.tile(whole, left, self.first_rows(left))

    def walk(
        self,
        number: int,
        scope: Scope,
        row: Vector,
        count: Vector,
        mask: Vector | None,
    ) -> dict[Node, Vector]:
        """Class after class, each across the rows."""
        del count  # lanes beyond it are masked
        code = self.code
        passes = self.schedule.passes
        row_values_read(self.schedule, scope)
        under_way = self.reductions(passes[number], scope.real)
        again = {node for each in passes[number + 1 :] for node in each.inputs}
        known = set(self.memory)
        with code.loop(code.index(0), self.row_size, 1, "class") as k:

            def keep(node: Node, value: Vector) -> None:
                self.memory[node] = Variable(code, value.type, CLASSES_ACROSS)
                self.memory[node].set(value, k)

            def read(node: Node) -> Vector:
                array = self.arrays[node]
                first = row * array.stride + k
                found = array.load_rows(first, element.type_of(node), mask)
                if node in again:
                    keep(node, found)
                return found

            def given(node: Node) -> Vector | None:
                if node.level < Level.ELEMENT:
                    known_of_row = node.level is Level.ROW
                    return scope.value(node) if known_of_row else self.spread_scalar(node, element)
                if node is CLASS_INDEX:
                    return k.to(PLACE).spread(self.lanes)
                if node in known:
                    return self.memory[node].get(k)
                return read(node) if node.name == "input" else None

            element = Scope(code, scope.real, given, self.names)
            self.elements(passes[number], element, under_way, mask, keep)
            if self.is_last(number):
                self.finish(
                    Level.ELEMENT,
                    element,
                    mask,
                    lambda array, value: array.store_rows(row * array.stride + k, value, mask),
                )
        return {node: each.lanes() for node, each in under_way.items()}


def in_memory(code: Code, value: Vector) -> Variable:
    """A vector whose lanes can be read one by one; truth values as bytes."""
    kind = "i8" if value.type.kind == "i1" else value.type.kind
    memory = Variable(code, value.type.of(kind))
    memory.set(value.to(kind))
    return memory


def row_values_read(schedule: Schedule, scope: Scope) -> list[Node]:
    """The row values known so far that elements are computed with."""
    read: dict[Node, None] = {}
    for node in schedule.order:
        if node.level is Level.ELEMENT:
            read.update(dict.fromkeys(a for a in node.arguments if a.level is Level.ROW))
    outputs = schedule.graph.outputs
    read.update(dict.fromkeys(node for node in outputs if node.level is Level.ROW))
    for node in read:
        if node.name == "input":
            scope.value(node)
    return [node for node in read if node in scope.known]
