"""Rows of neighbouring elements: a group of threads a row, which meets for every reduction.

Every pass reads the row again, a tile of what the group has in hand at a time; every other pass
goes backwards, so that it begins with what the caches still hold. A maximum and the exponentials
below it are one pass (`online.py`). Shorter rows (`resident.py`) and those that lie otherwise
(`apart.py`) differ in where elements are.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.cuda.online import Online, online_pass
from tensorweaver.compiler.cuda.pointwise import read_inside
from tensorweaver.compiler.cuda.scope import Scope
from tensorweaver.compiler.cuda.writer import Array, Writer, base
from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.schedule import CLASS_INDEX, elements_read

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EvenRows"]

REDUCERS = {"sum": "Sum", "max": "Maximum", "min": "Minimum", "prod": "Product"}


class EvenRows(Writer):
    """Rows whose elements are neighbours, read in every pass."""

    entry = "rows"
    sizes: tuple[str, ...] = ("rows", "classes", "group")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.pointers = {
            array: self.text.fresh(f"{base(array)}_row")
            for array in self.all_arrays
            if array.level is Level.ELEMENT
        }
        self.reads = {
            node: self.text.fresh(f"{base(array)}_read")
            for node, array in self.arrays.items()
            if array.level is Level.ELEMENT
        }
        self.kept: dict[Node, str] = {}
        self.made: dict[int, str] = {}
        self.backwards = False
        self.row = Scope(self.text, self.real, self.row_value, self.names)

    def words(self) -> tuple[str, ...]:
        """The names that the kernel's own text uses."""
        of_rows = ("lane", "first", "row", "alive", "size", "phase", "rows_at_once")
        of_elements = ("tile", "tiles", "u", "place", "from", "upto", "inside", "before")
        return (*super().words(), *of_rows, *of_elements)

    # ------------------------------------------------------------------------------ where it lies
    def steps(self, array: Array) -> list[str]:
        """The parameters that tell how an array lies."""
        return [f"long long {array.name}_step"]

    def offset(self, array: Array) -> str:
        """How far from its beginning an array has the row in hand."""
        return f"row * {array.name}_step"

    def read(self, array: Array) -> str:
        """Some neighbours at `place`."""
        return f"load<{self.shape.neighbours}>({self.pointers[array]}, place, size)"

    def store(self, array: Array, values: str) -> str:
        """Put some neighbours at `place`."""
        return f"store<{self.shape.neighbours}>({self.pointers[array]}, place, size, {values})"

    def element_step(self, array: Array) -> str:
        """How far apart the elements of a row are."""
        del array
        return "1"

    def place_rows(self) -> None:
        """Where the row in hand begins in each array."""
        for array in self.all_arrays:
            if array in self.pointers:
                const = "const " if array in self.arrays.values() else ""
                start = f"{array.name} + {self.offset(array)}"
                self.text.line(f"{const}{array.type} *{self.pointers[array]} = {start};")

    def phase(self) -> str:
        """How many places before the row its first vector begins."""
        first = next((a for a in self.arrays.values() if a in self.pointers), None)
        first = first or next(iter(self.pointers), None)
        if first is None:
            return "0"
        return f"phase_of<{self.shape.neighbours}>({self.pointers[first]})"

    # ------------------------------------------------------------------------------ rows
    def body(self) -> None:
        """Some rows a block, as many as it has groups."""
        text = self.text
        text.line("const int lane = threadIdx.x % group;")
        text.line("const long long rows_at_once = blockDim.x / group;")
        text.line("long long first = blockIdx.x * rows_at_once;")
        with text.block("for (; first < rows; first += gridDim.x * rows_at_once)"):
            text.line("const bool alive = first + threadIdx.x / group < rows;")
            text.line("const long long row = alive ? first + threadIdx.x / group : rows - 1;")
            self.tile()

    def tile(self) -> None:
        """One row of each group: its own values, and pass after pass over its elements."""
        text, passes = self.text, self.schedule.passes
        if passes:
            text.line(self.size())
        self.place_rows()
        for node in self.schedule.order:
            if node.level is Level.ROW and node.name == "input":
                self.row.value(node)
        for node in self.schedule.rows:
            self.row.value(node)
        if passes:
            self.start_passes()
        number = 0
        while number < len(passes):
            online = self.online(number)
            self.walk(number, online)
            for step in passes[number : number + (2 if online else 1)]:
                for node in step.rows:
                    self.row.value(node)
            number += 2 if online else 1
        self.finish_row()

    def size(self) -> str:
        """How many elements of the row in hand there are: none where there is no row."""
        return "const long long size = alive ? classes : 0;"

    def start_passes(self) -> None:
        """What all passes share."""
        hand = f"(group * {self.shape.elements}LL)"
        self.text.line(f"const int phase = {self.phase()};")
        self.text.line(f"const long long tiles = (classes + phase + {hand} - 1) / {hand};")

    def online(self, number: int) -> Online | None:
        """How a pass and the next become one."""
        return online_pass(self.schedule, number, stores=self.stores_elements)

    @property
    def stores_elements(self) -> bool:
        """Whether the last pass stores, or sums up, elements."""
        return any(
            (node.level if output.total else output.level) is Level.ELEMENT
            for node, output in self.outputs
        )

    @property
    def takes(self) -> bool:
        """Whether all threads of a group read an element at the row's label."""
        return any(node.name == "take_along_axis" for node in self.schedule.order)

    def row_value(self, node: Node) -> str | None:
        """What a row brings with it."""
        if node.level is Level.SCALAR:
            return self.rounded[node]
        if node.name == "input":
            array = self.arrays[node]
            read = read_inside(node, f"{array.name}[{self.offset(array)}]")
            return self.row.variable(node, read)
        if node.name == "take_along_axis":
            element, labels = node.arguments
            array = self.arrays[element.arguments[0] if element.name == "as_real" else element]
            label = self.row.value(labels)
            where = f"{self.pointers[array]}, {label}, classes, {self.element_step(array)}"
            return self.row.variable(node, f"at_label({where})")
        return None

    def finish_row(self) -> None:
        """The results that are row values."""
        text = self.text
        if any(array.level is Level.ROW for array in self.filled.values()):
            text.line("wait_for_group(group);")

        def put(i: int, value: str) -> None:
            array = self.filled[i]
            place = f"{array.name}[{self.offset(array)}]"
            text.line(f"if (alive && lane == 0) put({value}, {place});")

        self.finish(Level.ROW, self.row, "alive && lane == 0", put)

    # ------------------------------------------------------------------------------ passes
    def walk(self, number: int, online: Online | None) -> None:
        """One pass over the elements of the row in hand, and what it reduced."""
        text = self.text
        step = self.schedule.passes[number]
        last = number + 1 == len(self.schedule.passes)
        names = {node: text.fresh(f"{node.name}_here") for node in step.reductions}
        what = [node.name for node in step.reductions]
        if online:
            names |= {node: text.fresh("sum_here") for node in online.sums}
            what += [node.name for node in online.sums]
        text.line()
        text.line(f"// pass {number + 1}: {', '.join([*what, *(['results'] if last else [])])}")
        if last and self.takes and self.stores_elements:
            text.line("wait_for_group(group);  // all have read the element at the label")
        for node, name in names.items():
            text.line(f"{REDUCERS[node.name]} {name} = {REDUCERS[node.name]}::none();")
        partners = self.partners(online)
        for node in step.kept:
            self.kept[node] = text.fresh(f"{self.names.get(node, node.name)}_kept")
            text.line(f"real {self.kept[node]}[{self.shape.elements}];")
        after = self.schedule.passes[number + 1].inputs if online else ()
        with self.tiles(tuple(dict.fromkeys((*step.inputs, *after)))):
            if online:
                self.online_elements(number, online, names, partners)
            else:
                self.elements(number, names, last=last)
        if online:
            self.meet(online, names, partners)
        for node, name in names.items():
            if online and node is online.maximum:
                continue
            self.row.known[node] = self.row.variable(node, f"over_group({name}, group).value()")

    @contextmanager
    def tiles(self, inputs: tuple[Node, ...]) -> Iterator[None]:
        """Tile after tile, all reads of one first; forwards and backwards in turn."""
        text = self.text
        with text.block("for (long long tile = 0; tile < tiles; ++tile)"):
            self.read_elements(inputs)
            yield
        self.backwards = not self.backwards

    def read_elements(self, nodes: tuple[Node, ...]) -> None:
        """Elements as they are in memory, all reads before the first use."""
        text, shape = self.text, self.shape
        for node in nodes:
            kind = f"Pack<{self.arrays[node].type}, {shape.neighbours}>"
            text.line(f"{kind} {self.reads[node]}[{shape.unroll}];")
        if nodes:
            with text.unrolled("u", shape.unroll):
                self.place()
                for node in nodes:
                    text.line(f"{self.reads[node]}[u] = {self.read(self.arrays[node])};")

    def place(self) -> None:
        """Where the `u`-th vector in hand lies in its row."""
        tile = "(tiles - 1 - tile)" if self.backwards else "tile"
        start = f"({tile} * {self.shape.unroll} + u) * group + lane"
        self.text.line(f"const long long place = ({start}) * {self.shape.neighbours} - phase;")

    @contextmanager
    def each(self, number: int, wanted: list[Node], *, sums: bool = True) -> Iterator[Scope]:
        """Every element in hand, of which `wanted` will be asked; `sums` tells that something is
        added up.
        """
        text, (together, unroll, *_) = self.text, self.shape
        read = elements_read(wanted, lambda node: self.is_kept_before(node, number))
        rows = {node: self.label_of_row(node) for node in read if is_at_label(node)}
        with text.unrolled("u", unroll):
            self.place()
            if sums:
                text.line("const int from = place < 0 ? static_cast<int>(-place) : 0;")
                many = f"size - place < {together} ? size - place : {together}"
                text.line(f"const int upto = {many};")
            labels = {node: self.label_place(label) for node, label in rows.items()}
            for i, name in self.made.items():
                text.line(f"Pack<{self.filled[i].type}, {together}> {name};")
            with text.unrolled("n", together):
                if sums:
                    text.line("const bool inside = n >= from && n < upto;")
                yield self.element_scope(number, labels)
            for i, name in self.made.items():
                text.line(f"{self.store(self.filled[i], name)};")

    def is_kept_before(self, node: Node, number: int) -> bool:
        """Whether an earlier pass has kept an element's value."""
        return node in self.kept and node not in self.schedule.passes[number].kept

    def label_of_row(self, node: Node) -> str:
        """The label that an element's place is compared with."""
        return self.row.known[node.arguments[1]]

    def label_place(self, label: str) -> str:
        """Where among the neighbours in hand a label is; -1 if it is not."""
        name = self.text.fresh("label_place")
        found = f"static_cast<int>({label} - place)"
        far = f"{label} - place < 0 || {label} - place >= {self.shape.neighbours}"
        self.text.line(f"const int {name} = {far} ? -1 : {found};")
        return name

    def element_scope(self, number: int, labels: dict[Node, str]) -> Scope:
        """What is known of the element in hand."""

        def given(node: Node) -> str | None:
            if node.level < Level.ELEMENT:
                return self.rounded[node] if node.level is Level.SCALAR else self.row.known[node]
            if self.is_kept_before(node, number):
                return f"{self.kept[node]}[u * {self.shape.neighbours} + n]"
            found = None
            if node is CLASS_INDEX:
                found = "place + n"
            elif node in labels:
                found = f"n == {labels[node]}"
            elif node.name == "input":
                found = read_inside(node, f"{self.reads[node]}[u].at[n]")
            return None if found is None else scope.variable(node, found)

        scope = Scope(self.text, self.real, given, self.names)
        return scope

    def elements(self, number: int, names: dict[Node, str], *, last: bool) -> None:
        """What the elements in hand add to the reductions, and what of them is kept or stored."""
        text, step = self.text, self.schedule.passes[number]
        wanted = [*step.kept, *(node.arguments[0] for node in step.reductions)]
        if last:
            wanted += [node for node, _ in self.outputs]
            filled = [i for i, array in self.filled.items() if array.level is Level.ELEMENT]
            self.made = {i: text.fresh(f"{base(self.filled[i])}_made") for i in filled}
        totals = any(self.outputs[i][0].level is Level.ELEMENT for i in self.totals)
        with self.each(number, wanted, sums=bool(step.reductions) or (last and totals)) as scope:
            for node in step.kept:
                place = f"{self.kept[node]}[u * {self.shape.neighbours} + n]"
                text.line(f"{place} = {scope.value(node)};")
            values = {node: scope.value(node.arguments[0]) for node in step.reductions}
            for node, value in values.items():
                text.line(f"if (inside) {names[node]}.add({value});")
            if last:
                self.finish(
                    Level.ELEMENT,
                    scope,
                    "inside",
                    lambda i, value: text.line(f"put({value}, {self.made[i]}.at[n]);"),
                )
        self.made = {}

    # ------------------------------------------------------------------------------ online passes
    def partners(self, online: Online | None) -> dict[Node, str]:
        """For sums that those of an old maximum join, the sums over these."""
        found = {}
        for node, kind in online.sums.items() if online else ():
            if kind in {"smaller", "others"}:
                found[node] = self.text.fresh("largest_here")
                self.text.line(f"Sum {found[node]} = Sum::none();")
        return found

    def online_elements(
        self, number: int, online: Online, names: dict[Node, str], partners: dict[Node, str]
    ) -> None:
        """The maximum of all in hand, then the sums below it."""
        text, maximum = self.text, online.maximum
        text.line(f"const real before = {names[maximum]}.found;")
        first = [*online.others, maximum]
        with self.each(number, [node.arguments[0] for node in first]) as scope:
            for node in first:
                value = scope.value(node.arguments[0])
                text.line(f"if (inside) {names[node]}.add({value});")
        self.follow(online, names, partners, f"before, {names[maximum]}.found")
        self.row.known[maximum] = f"{names[maximum]}.found"
        with self.each(number, [node.arguments[0] for node in online.sums]) as scope:
            for node, kind in online.sums.items():
                term = node.arguments[0]
                text.line(f"if (inside) {names[node]}.add({scope.value(term)});")
                if node in partners:
                    largest = scope.value(term.arguments[0])
                    joins = "1" if kind == "smaller" else scope.value(term.arguments[2])
                    text.line(f"if (inside && {largest}) {partners[node]}.add({joins});")

    def follow(
        self, online: Online, names: dict[Node, str], partners: dict[Node, str], step: str
    ) -> None:
        """The sums as the maximum goes from one value to another."""
        for node, kind in online.sums.items():
            if node in partners:
                self.text.line(f"join({names[node]}, {partners[node]}, {step});")
            if kind in {"scaled", "smaller"}:
                self.text.line(f"follow({names[node]}, {step});")
            elif kind == "largest":
                self.text.line(f"leave({names[node]}, {step});")

    def meet(self, online: Online, names: dict[Node, str], partners: dict[Node, str]) -> None:
        """The threads of a group agree on the maximum, and their sums follow it."""
        name = names[online.maximum]
        found = self.row.variable(online.maximum, f"over_group({name}, group).value()")
        self.row.known[online.maximum] = found
        self.follow(online, names, partners, f"{name}.found, {found}")


def is_at_label(node: Node) -> bool:
    """Whether it tells if an element's place is the one that its row names."""
    return (
        node.name == "equal"
        and node.arguments[0] is CLASS_INDEX
        and node.arguments[1].level is Level.ROW
    )
