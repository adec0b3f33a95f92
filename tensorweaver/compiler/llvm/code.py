"""Loops, variables and memory: what a kernel's text has beyond formulas."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tensorweaver.compiler.llvm.vector import Body, Module, Type, Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["INDEX", "POINTER", "Code", "Variable"]

INDEX = Type("i64")
POINTER = Type("ptr")
PLACE = "i32"
"""The kind of places within a vector, and of those within a row beside it."""


LINE = 64
"""How many bytes lie in a line of the cache."""

ABOUT = f"alignstack({LINE})"
"""Vectors that registers have no room for must not straddle lines: that is slow, and slower still
beside writes past the caches."""

STREAMED = 16
"""How many bytes at a time every processor can write past the caches."""


class Variable:
    """Memory that a function has to itself: one value, or `count` of them.

    LLVM keeps it in registers where it can.
    """

    def __init__(self, code: Code, of: Type, count: int = 1) -> None:
        self.code = code
        self.type = of
        self.pointer = Vector(code, POINTER, code.fresh("variable"))
        alignment = of.size * of.lanes
        shape = str(of) if count == 1 else f"[{count} x {of}]"
        code.variables.append(f"{self.pointer.name} = alloca {shape}, align {alignment}")

    def at(self, place: Vector | None) -> str:
        """The address of one of the values."""
        if place is None:
            return self.pointer.name
        return self.code.address(self.pointer, str(self.type), place).name

    def get(self, place: Vector | None = None) -> Vector:
        """The value."""
        return self.code.emit(self.type, f"load {self.type}, ptr {self.at(place)}")

    def set(self, value: Vector, place: Vector | None = None) -> None:
        """Change the value."""
        self.code.line(f"store {value.type} {value.name}, ptr {self.at(place)}")

    def lane(self, place: Vector) -> Vector:
        """The number in one lane, known when the kernel runs."""
        one = Type(self.type.kind)
        address = self.code.address(self.pointer, str(one), place)
        return self.code.emit(one, f"load {one}, ptr {address.name}")

    def set_lane(self, place: Vector, value: Vector) -> None:
        """Change the number in one lane."""
        address = self.code.address(self.pointer, str(value.type), place)
        self.code.line(f"store {value.type} {value.name}, ptr {address.name}")


class Code(Body):
    """The body of a kernel: blocks of instructions and the jumps between them."""

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.variables: list[str] = []
        self.block = "entry"
        self.taken["entry"] = 0

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(text)

    def note(self, text: str) -> None:
        """A comment for the reader."""
        self.lines.append(f"; {text}")

    def index(self, value: int) -> Vector:
        """A whole number for counting and addressing."""
        return Vector(self, INDEX, str(value))

    def start_block(self, name: str) -> None:
        """What follows is reached by jumping to `name`."""
        self.lines.append(f"{name}:")
        self.block = name

    # -- control ---------------------------------------------------------------------------------
    @contextmanager
    def loop(self, start: Vector, stop: Vector, step: int, name: str = "i") -> Iterator[Vector]:
        """Repeat what is written inside for `start`, `start + step`, ... below `stop`."""
        head, inner, done = (self.fresh(f"{name}.{part}")[1:] for part in ("head", "body", "done"))
        before = self.block
        self.line(f"br label %{head}")
        self.start_block(head)
        counter = Vector(self, INDEX, self.fresh(name))
        phi = len(self.lines)
        self.line("")
        inside = counter < stop
        self.line(f"br i1 {inside.name}, label %{inner}, label %{done}")
        self.start_block(inner)
        yield counter
        following = counter + step
        self.lines[phi] = (
            f"{counter.name} = phi i64 [ {start.name}, %{before} ], "
            f"[ {following.name}, %{self.block} ]"
        )
        self.line(f"br label %{head}")
        self.start_block(done)

    @contextmanager
    def when(self, condition: Vector) -> Iterator[None]:
        """Do what is written inside only if the condition holds."""
        inner, done = (self.fresh(part)[1:] for part in ("when", "then"))
        self.line(f"br i1 {condition.name}, label %{inner}, label %{done}")
        self.start_block(inner)
        yield
        self.line(f"br label %{done}")
        self.start_block(done)

    def sweep(
        self, stop: Vector, lanes: int, step: Callable[[Vector, Vector | None], None]
    ) -> None:
        """`step(place, mask)` for whole vectors from 0 on, and with a mask for what is left."""
        full = stop & -lanes
        with self.loop(self.index(0), full, lanes, "place") as place:
            step(place, None)
        with self.when(full < stop):
            step(full, self.lanes_below(stop - full, lanes))

    def lane_numbers(self, lanes: int, kind: str = PLACE) -> Vector:
        """0, 1, 2, ... lane by lane."""
        if lanes == 1:
            return Vector(self, Type(kind), "0")
        text = "<" + ", ".join(f"{kind} {i}" for i in range(lanes)) + ">"
        return Vector(self, Type(kind, lanes), text)

    def lanes_below(self, count: Vector, lanes: int) -> Vector:
        """Which lanes come before `count`."""
        return self.lane_numbers(lanes) < count.to(PLACE).spread(lanes)

    # -- memory ----------------------------------------------------------------------------------
    def address(self, pointer: Vector, kind: str, place: Vector) -> Vector:
        """Where the element at `place` lies."""
        text = f"getelementptr {kind}, ptr {pointer.name}, {place.type} {place.name}"
        return self.emit(Type("ptr", place.type.lanes), text)

    def load(self, pointer: Vector, place: Vector, of: Type, mask: Vector | None) -> Vector:
        """Neighbours in memory, from `place` on; where the mask is false 0."""
        if of.kind == "i1":
            return self.load(pointer, place, of.of("i8"), mask) != 0
        address = self.address(pointer, of.kind, place)
        if mask is None:
            return self.emit(of, f"load {of}, ptr {address.name}, align {of.size}")
        alignment = Vector(self, Type("i32"), str(of.size))
        name = f"llvm.masked.load.{of.suffix}.p0"
        return self.call(name, of, address, alignment, mask, self.number(0, of))

    def store(
        self,
        pointer: Vector,
        place: Vector,
        value: Vector,
        mask: Vector | None,
        *,
        streamed: bool = False,
    ) -> None:
        """Write neighbours in memory, from `place` on, where the mask is true.

        Whole vectors that are `streamed` go past the caches; they begin on a border of STREAMED.
        """
        of = value.type
        address = self.address(pointer, of.kind, place)
        if mask is None:
            how = f"align {STREAMED}, !nontemporal !0" if streamed else f"align {of.size}"
            self.line(f"store {of} {value.name}, ptr {address.name}, {how}")
            return
        alignment = Vector(self, Type("i32"), str(of.size))
        name = f"llvm.masked.store.{of.suffix}.p0"
        self.call_for_effect(name, value, address, alignment, mask)

    def prefetch(self, pointer: Vector, place: Vector, of: Type) -> None:
        """Ask for neighbours in memory that will be read soon; they need not exist."""
        for start in range(0, of.lanes * of.size, LINE):
            first = place + start // of.size
            address = self.address(pointer, of.kind, first)
            read, second_cache, data = (Vector(self, Type("i32"), n) for n in "021")
            self.call_for_effect("llvm.prefetch.p0", address, read, second_cache, data)

    def gather(self, pointer: Vector, places: Vector, of: Type, mask: Vector | None) -> Vector:
        """One element a lane, each from its own place."""
        if of.kind == "i1":
            return self.gather(pointer, places, of.of("i8"), mask) != 0
        if of.lanes == 1:
            return self.load(pointer, places, of, None)
        addresses = self.address(pointer, of.kind, places)
        alignment = Vector(self, Type("i32"), str(of.size))
        mask = self.number(True, of.of("i1")) if mask is None else mask  # noqa: FBT003 - a number
        name = f"llvm.masked.gather.{of.suffix}.v{of.lanes}p0"
        return self.call(name, of, addresses, alignment, mask, self.number(0, of))

    def scatter(self, pointer: Vector, places: Vector, value: Vector, mask: Vector | None) -> None:
        """Write one element a lane, each to its own place."""
        of = value.type
        if of.lanes == 1:
            self.store(pointer, places, value, None)
            return
        addresses = self.address(pointer, of.kind, places)
        alignment = Vector(self, Type("i32"), str(of.size))
        mask = self.number(True, of.of("i1")) if mask is None else mask  # noqa: FBT003 - a number
        name = f"llvm.masked.scatter.{of.suffix}.v{of.lanes}p0"
        self.call_for_effect(name, value, addresses, alignment, mask)

    def load_apart(self, pointer: Vector, place: Vector, stride: Vector, of: Type) -> Vector:
        """One element a lane, `stride` apart, the first at `place`.

        Lane by lane, for that is what most processors do with a gather, and plain addresses are
        cheaper than a vector of them.
        """
        if of.kind == "i1":
            return self.load_apart(pointer, place, stride, of.of("i8")) != 0
        one = Type(of.kind)
        address = self.address(pointer, of.kind, place)
        found = Vector(self, of, "poison")
        for lane in range(of.lanes):
            if lane:
                address = self.address(address, of.kind, stride)
            element = self.emit(one, f"load {one}, ptr {address.name}, align {of.size}")
            found = found.with_lane(lane, element)
        return found

    def store_apart(self, pointer: Vector, place: Vector, stride: Vector, value: Vector) -> None:
        """Write one element a lane, `stride` apart, the first at `place`."""
        kind, size = value.type.kind, value.type.size
        address = self.address(pointer, kind, place)
        for lane in range(value.type.lanes):
            if lane:
                address = self.address(address, kind, stride)
            element = value.lane(lane)
            self.line(f"store {kind} {element.name}, ptr {address.name}, align {size}")

    def call_for_effect(self, name: str, *arguments: Vector) -> None:
        """Call a function that gives nothing back."""
        self.module.declare(name, "void", *(str(a.type) for a in arguments))
        listed = ", ".join(f"{a.type} {a.name}" for a in arguments)
        self.line(f"call void @{name}({listed})")

    def text(self, name: str, parameters: str) -> str:
        """The whole function."""
        lines = [
            line if line.endswith(":") else f"  {line}"
            for line in ["entry:", *self.variables, *self.lines, "ret void"]
        ]
        head = f"define internal void @{name}({parameters}) {ABOUT} {{"
        return "\n".join([head, *lines, "}", ""])
