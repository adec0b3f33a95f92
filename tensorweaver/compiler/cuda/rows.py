"""Rows of neighbouring elements: a group of threads a row, which meets for every reduction.

Every pass reads the row again, a tile of what the group has in hand at a time; every other pass
goes backwards, so that it begins with what the caches still hold. A maximum and the exponentials
below it are one pass (`online.py`). Shorter rows (`resident.py`) and those that lie otherwise
(`apart.py`) differ in where elements are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.cuda.hand import Hand
from tensorweaver.compiler.cuda.online import Online, online_pass
from tensorweaver.compiler.cuda.pointwise import read_inside
from tensorweaver.compiler.cuda.quotients import Quotients, quotients_of
from tensorweaver.compiler.cuda.scope import Scope
from tensorweaver.compiler.cuda.usual import Usual, usual_of
from tensorweaver.compiler.cuda.writer import Array, Writer, base
from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.schedule import CLASS_INDEX, elements_read, is_at_label

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

__all__ = ["EvenRows"]

REDUCERS = {"sum": "Sum", "max": "Maximum", "min": "Minimum", "prod": "Product"}


class EvenRows(Writer):
    """Rows whose elements are neighbours, read in every pass."""

    entry = "rows"
    labels_are_rare = True
    """Whether most of the neighbours in hand have no label among them."""
    element_place = "start + at + n"
    """Where in its row the element in hand is."""
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
        self.aligned: dict[Array, str] = {}
        self.quotients = Quotients()
        self.settled_labels: dict[str, str] = {}
        self.kept: dict[Node, str] = {}
        self.made: dict[int, str] = {}
        self.backwards = False
        self.whole = False
        self.unroll = self.shape.unroll
        self.row = Scope(self.text, self.real, self.row_value, self.names)

    def words(self) -> tuple[str, ...]:
        """The names that the kernel's own text uses."""
        of_rows = ("lane", "first", "row", "alive", "size", "phase", "rows_at_once")
        of_tiles = ("part", "hand", "start", "left", "begin", "end")
        of_elements = ("u", "at", "inside", "before")
        return (*super().words(), *of_rows, *of_tiles, *of_elements)

    # ------------------------------------------------------------------------------ where it lies
    def steps(self, array: Array) -> list[str]:
        """The parameters that tell how an array lies."""
        return [f"long long {array.name}_step"]

    def offset(self, array: Array) -> str:
        """How far from its beginning an array has the row in hand."""
        return f"row * {array.name}_step"

    def read(self, array: Array) -> str:
        """Some neighbours at `at` of a tile."""
        where = f"{self.pointers[array]} + start"
        if self.whole:
            return f"vector<{self.shape.neighbours}>({where} + at)"
        bounds = f"at, begin, end, {self.aligned[array]}"
        return f"load<{self.shape.neighbours}>({where}, {bounds})"

    def store(self, array: Array, values: str) -> str:
        """Put some neighbours at `at` of a tile."""
        where = f"{self.pointers[array]} + start"
        if self.whole:
            return f"store({where} + at, {values})"
        return f"store({where}, at, begin, end, {self.aligned[array]}, {values})"

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

    def align(self) -> None:
        """How many places before the row its first vector begins, and which arrays begin there."""
        phase = None
        for array, pointer in self.pointers.items():  # inputs first
            found = f"phase_of<{self.shape.neighbours}>({pointer})"
            if self.shape.neighbours == 1:
                self.aligned[array] = "true"
            elif phase is None:
                self.aligned[array] = "true"
                phase = found
                self.text.line(f"const int phase = {found};")
            else:
                self.aligned[array] = self.text.fresh(f"{base(array)}_aligned")
                self.text.line(
                    f"const bool {self.aligned[array]} = {self.settled(f'{found} == phase')};"
                )
        if phase is None:
            self.text.line("const int phase = 0;")

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

    @property
    def classes(self) -> str:
        """How many elements a row has."""
        return "classes"

    def size(self) -> str:
        """How many elements of the row in hand there are: none where there is no row."""
        return "const long long size = alive ? classes : 0;"

    def start_passes(self) -> None:
        """What all passes share."""
        self.align()
        self.text.line(f"const int hand = group * {self.shape.elements};")

    def online(self, number: int) -> Online | None:
        """How a pass and the next become one."""
        return online_pass(self.schedule, number, stores=self.stores_elements)

    @property
    def stores_elements(self) -> bool:
        """Whether the last pass stores, or sums up, elements."""
        levels = (node.level if output.total else output.level for node, output in self.outputs)
        return any(level is Level.ELEMENT for level in levels)

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
            where = f"{self.pointers[array]}, {label}, {self.classes}, {self.element_step(array)}"
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

        def add(name: str, value: str) -> None:
            text.line(f"if (alive && lane == 0) {name}.add({value});")

        self.finish(Level.ROW, self.row, add, put)

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
        self.settle_labels()
        self.quotients = self.find_quotients(number)
        after = self.schedule.passes[number + 1].inputs if online else ()
        for _ in self.tiles(tuple(dict.fromkeys((*step.inputs, *after)))):
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

    def find_quotients(self, number: int) -> Quotients:
        """What the last pass needs to divide by numbers of the row, where there is a quick way."""
        last = number + 1 == len(self.schedule.passes)
        quick = last and self.real == "float" and self.shape.neighbours > 1
        return quotients_of(self, number) if quick else Quotients()

    def settled(self, expression: str) -> str:
        """What is not to be found anew for every tile."""
        return f"settled({expression})"

    def settle_labels(self) -> None:
        """The labels that elements' places are compared with, as far as they are known."""
        order = [node for node in self.schedule.order if is_at_label(node)]
        found = [self.row.known[n.arguments[1]] for n in order if n.arguments[1] in self.row.known]
        for label in dict.fromkeys(found):
            if label not in self.settled_labels:
                name = self.settled_labels[label] = self.text.fresh("label")
                self.text.line(f"const long long {name} = settled({label});")

    def tiles(self, inputs: tuple[Node, ...]) -> Iterator[None]:
        """Tile after tile, all reads of one first; forwards and backwards in turn. Its text is
        asked for twice: for tiles that are whole, and for those at an end of the row.
        """
        text = self.text
        first, step = "-phase; start < classes", "start += hand"
        if self.backwards:  # hand is a power of two
            last = "((classes + phase - 1) & -static_cast<long long>(hand)) - phase"
            first, step = f"{last}; start >= -phase", "start -= hand"
        with text.block(f"for (long long start = {first}; {step})"):
            if self.shape.neighbours > 1:
                self.whole = True
                with text.block(f"if ({' && '.join(self.whole_tile())})"):
                    self.read_elements(inputs)
                    yield
                    text.line("continue;")
                self.whole = False
            text.line("const int begin = start < 0 ? phase : 0;")
            text.line("const long long left = size > start ? size - start : 0;")
            text.line("const int end = left < hand ? static_cast<int>(left) : hand;")
            if self.shape.neighbours > 1:
                text.lines.append("#pragma unroll 1")
                with text.block(f"for (int part = 0; part < {self.shape.unroll}; ++part)"):
                    self.unroll = 1
                    self.read_elements(inputs)
                    yield
                    self.unroll = self.shape.unroll
            else:
                self.read_elements(inputs)
                yield
        self.backwards = not self.backwards

    def whole_tile(self) -> list[str]:
        """When all of a tile is read in whole vectors, and divided by usual numbers."""
        aligned = [name for name in self.aligned.values() if name != "true"]
        usual = [self.quotients.usual] if self.quotients.usual else []
        return ["start >= 0", "start + hand <= size", *aligned, *usual]

    def read_elements(self, nodes: tuple[Node, ...]) -> None:
        """Elements as they are in memory, all reads before the first use."""
        text, shape = self.text, self.shape
        for node in nodes:
            kind = f"Pack<{self.arrays[node].type}, {shape.neighbours}>"
            text.line(f"{kind} {self.reads[node]}[{self.unroll}];")
        if nodes:
            with text.unrolled("u", self.unroll):
                self.place()
                for node in nodes:
                    text.line(f"{self.reads[node]}[u] = {self.read(self.arrays[node])};")

    def place(self) -> None:
        """Where the `u`-th vector in hand lies in its tile."""
        u = "u" if self.unroll == self.shape.unroll else "part"
        self.text.line(f"const int at = ({u} * group + lane) * {self.shape.neighbours};")

    def each(
        self,
        number: int,
        wanted: list[Node],
        sums: tuple[str, ...] = (),
        *,
        inside: bool = True,
        rough: Container[Node] = (),
    ) -> Iterator[Hand]:
        """Every element in hand, of which `wanted` will be asked: once as usual, and once however
        they are. `inside` tells that something is asked of those of the row alone.
        """
        text, together = self.text, self.shape.neighbours
        read = elements_read(wanted, lambda node: self.is_kept_before(node, number))
        rows = {node: self.label_in_tile(node) for node in read if is_at_label(node)}
        with text.unrolled("u", self.unroll):
            if not self.whole or rows or self.made or CLASS_INDEX in read:
                self.place()
            labels = {node: self.label_place(label) for node, label in rows.items()}
            for name in self.made.values():
                text.line(f"real {name}[{together}];")
            hand = Hand(self, number, labels, sums, inside=inside)
            usual = self.usual(read, labels if self.labels_are_rare else (), rough)
            bounded = inside and not self.whole
            conditions = [f"at >= begin && at + {together} <= end"] if bounded else []
            if self.labels_are_rare:
                conditions += [f"({at} < 0 || {at} >= {together})" for at in labels.values()]
            if not self.quotients.usual:
                conditions += usual.of_row
            elif not self.whole:
                conditions.insert(0, self.quotients.usual)
            conditions += usual.of_vector
            if self.whole and not conditions:
                yield from hand.elements(usual)
            elif conditions and together > 1:
                with text.block(f"if ({' && '.join(conditions)})"):
                    yield from hand.elements(usual)
                with text.block("else"):
                    yield from hand.elements(None)
            else:
                yield from hand.elements(None)
            for i, name in self.made.items():
                text.line(f"{self.store(self.filled[i], name)};")

    def usual(self, read: Iterable[Node], labels: Iterable[Node], rough: Container[Node]) -> Usual:
        """What is usual for the neighbours in hand."""
        quick = self.real == "float"
        arrays = {node: f"{name}[u]" for node, name in self.reads.items()} if quick else {}
        return usual_of(read, labels, self.row.known, arrays, self.quotients, rough)

    def is_kept_before(self, node: Node, number: int) -> bool:
        """Whether an earlier pass has kept an element's value."""
        return node in self.kept and node not in self.schedule.passes[number].kept

    def label_in_tile(self, node: Node) -> str:
        """Where in the tile the row's label is; so far before it that no vector meets it if it is
        elsewhere.
        """
        name, label = self.text.fresh("label_in_tile"), self.row.known[node.arguments[1]]
        label = self.settled_labels.get(label, label)
        bounds = ("0", "hand") if self.whole else ("begin", "end")
        found = f"{label} - start >= {bounds[0]} && {label} - start < {bounds[1]}"
        far = f"static_cast<int>({label} - start) : {-self.shape.neighbours}"
        self.text.line(f"const int {name} = {found} ? {far};")
        return name

    def label_place(self, label: str) -> str:
        """How far behind the first of the neighbours in hand a label is."""
        name = self.text.fresh("label_place")
        self.text.line(f"const int {name} = {label} - at;")
        return name

    def elements(self, number: int, names: dict[Node, str], *, last: bool) -> None:
        """What the elements in hand add to the reductions, and what of them is kept or stored."""
        text, step = self.text, self.schedule.passes[number]
        wanted = [*step.kept, *(node.arguments[0] for node in step.reductions)]
        rough = self.rough_nodes(wanted) if last else frozenset()
        if last:
            wanted += [node for node, _ in self.outputs]
            filled = [i for i, array in self.filled.items() if array.level is Level.ELEMENT]
            self.made = {i: text.fresh(f"{base(self.filled[i])}_made") for i in filled}
        totals = [self.totals[i] for i in self.totals if self.is_of_elements(i)] if last else []
        sums = self.sums_by_pairs(names)
        inside = bool(step.reductions or totals)
        for hand in self.each(number, wanted, sums, inside=inside, rough=rough):
            scope = hand.scope
            for node in step.kept:
                place = f"{self.kept[node]}[u * {self.shape.neighbours} + n]"
                text.line(f"{place} = {scope.value(node)};")
            values = {node: scope.value(node.arguments[0]) for node in step.reductions}
            for node, value in values.items():
                hand.add(names[node], value)
            if last:
                self.finish(
                    Level.ELEMENT,
                    scope,
                    hand.add,
                    lambda i, value: text.line(f"{self.made[i]}[n] = {value};"),
                )
        self.made = {}

    def is_of_elements(self, i: int) -> bool:
        """Whether an output has a number for each element."""
        return self.outputs[i][0].level is Level.ELEMENT

    def sums_by_pairs(self, names: Mapping[Node, str]) -> tuple[str, ...]:
        """The sums over a row, which is float32 in the end, that are begun in float32."""
        real = self.real == "float"
        return tuple(name for node, name in names.items() if real and node.name == "sum")

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
        sums = self.sums_by_pairs({node: names[node] for node in first})
        for hand in self.each(number, [node.arguments[0] for node in first], sums):
            for node in first:
                hand.add(names[node], hand.scope.value(node.arguments[0]))
        self.follow(online, names, partners, f"before, {names[maximum]}.found")
        self.row.known[maximum] = f"{names[maximum]}.found"
        sums = self.sums_by_pairs({node: names[node] for node in online.sums})
        for hand in self.each(number, [node.arguments[0] for node in online.sums], sums):
            scope = hand.scope
            for node, kind in online.sums.items():
                term = node.arguments[0]
                hand.add(names[node], scope.value(term))
                if node in partners:
                    largest = scope.value(term.arguments[0])
                    joins = "1" if kind == "smaller" else scope.value(term.arguments[2])
                    hand.add(partners[node], joins, largest)

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
