"""Writing LLVM's intermediate representation as formulas on vectors.

A `Vector` is a value in registers: `lanes` real numbers, integers or truth values side by side (one
lane is a plain number). Its operators write one instruction each, so that

    def softplus(x): return x.maximum(0.0) + log1p(exp(-abs(x)))

writes the code of a softplus for as many lanes as `x` has. No instruction carries a fast-math flag:
NaN and infinities are what the standard says, and nothing is reordered.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Body", "Module", "Type", "Vector"]

Operand: TypeAlias = "Vector | float | int | bool"

INTEGERS = {"float": "i32", "double": "i64"}
REAL = {"half", *INTEGERS}
SIZES = {"i1": 1, "i8": 1, "i16": 2, "half": 2, "i32": 4, "float": 4, "i64": 8, "double": 8}


class Type(NamedTuple):
    """The kind of a lane (`half`, `float`, `double`, `i1` to `i64`) and the number of lanes."""

    kind: str
    lanes: int = 1

    @property
    def real(self) -> bool:
        """Whether the lanes are floating-point numbers."""
        return self.kind in REAL

    @property
    def size(self) -> int:
        """Bytes a lane takes in memory."""
        return SIZES[self.kind]

    @property
    def suffix(self) -> str:
        """How the names of LLVM's overloaded functions end."""
        kind = {"half": "f16", "float": "f32", "double": "f64"}.get(self.kind, self.kind)
        return kind if self.lanes == 1 else f"v{self.lanes}{kind}"

    def of(self, kind: str) -> Type:
        """As many lanes of another kind."""
        return Type(kind, self.lanes)

    def literal(self, value: float) -> str:
        """A number as text, the same in every lane."""
        if self.kind == "i1":
            text = "true" if value else "false"
        elif self.kind == "half":
            text = f"0xH{struct.unpack('>H', struct.pack('>e', value))[0]:04X}"
        elif self.real:
            rounded = value
            if self.kind == "float":
                rounded = round_to_float(value)
            text = f"0x{struct.unpack('>Q', struct.pack('>d', rounded))[0]:016X}"
        else:
            text = str(int(value))
        return text if self.lanes == 1 else f"splat ({self.kind} {text})"

    def __str__(self) -> str:
        return self.kind if self.lanes == 1 else f"<{self.lanes} x {self.kind}>"


def round_to_float(value: float) -> float:
    """The nearest float32, beyond its range an infinity."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


class Module:
    """The functions of one text, each written once."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.results: dict[str, Type] = {}

    def declare(self, name: str, result: str, *parameters: str) -> None:
        """Note a function that LLVM or the C library provides."""
        self.texts.setdefault(name, f"declare {result} @{name}({', '.join(parameters)})\n")

    def inline(
        self, name: str, arguments: tuple[Vector, ...], write: Callable[..., Vector]
    ) -> tuple[str, Type]:
        """The full name and the result of a function of ours, written by `write(*arguments)` on
        first use.
        """
        full = f"{name}.{arguments[0].type.suffix}"
        if full not in self.results:
            self.texts[full] = ""  # keeps its place: what it calls follows it
            body = Body(self)
            parameters = [
                Vector(body, argument.type, f"%x{i or ''}") for i, argument in enumerate(arguments)
            ]
            result = write(*parameters)
            listed = ", ".join(f"{p.type} {p.name}" for p in parameters)
            head = f"define internal {result.type} @{full}({listed}) alwaysinline {{\n"
            lines = "".join(f"  {line}\n" for line in body.lines)
            self.texts[full] = f"{head}{lines}  ret {result.type} {result.name}\n}}\n"
            self.results[full] = result.type
        return full, self.results[full]

    def __str__(self) -> str:
        return "\n".join(self.texts.values())


class Body:
    """The instructions of one function, in order."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.taken: dict[str, int] = {}

    def fresh(self, wanted: str = "v") -> str:
        """A name not yet taken."""
        count = self.taken.get(wanted, -1) + 1
        self.taken[wanted] = count
        return f"%{wanted}.{count}" if count or wanted == "v" else f"%{wanted}"

    def emit(self, result: Type, text: str, name: str = "v") -> Vector:
        """One instruction and its result."""
        vector = Vector(self, result, self.fresh(name))
        self.lines.append(f"{vector.name} = {text}")
        return vector

    def number(self, value: float, like: Type) -> Vector:
        """A number, the same in every lane."""
        return Vector(self, like, like.literal(value))

    def call(self, name: str, result: Type, *arguments: Vector) -> Vector:
        """Call a function that LLVM or the C library provides."""
        self.module.declare(name, str(result), *(str(a.type) for a in arguments))
        listed = ", ".join(f"{a.type} {a.name}" for a in arguments)
        return self.emit(result, f"call {result} @{name}({listed})")

    def call_inline(self, name: str, write: Callable[..., Vector], *arguments: Vector) -> Vector:
        """Call a function of ours."""
        full, result = self.module.inline(name, arguments, write)
        listed = ", ".join(f"{a.type} {a.name}" for a in arguments)
        return self.emit(result, f"call {result} @{full}({listed})")

    def rename(self, vector: Vector, wanted: str) -> Vector:
        """The result of the last instruction under a name that tells what it is."""
        head = f"{vector.name} = "
        if not (wanted.isascii() and self.lines and self.lines[-1].startswith(head)):
            return vector
        named = Vector(self, vector.type, self.fresh(wanted))
        self.lines[-1] = f"{named.name} = {self.lines[-1][len(head) :]}"
        return named


class Vector:
    """A value in registers; see the module's text."""

    __slots__ = ("body", "name", "type")
    __hash__ = None  # type: ignore[assignment]  # `==` compares lane by lane

    def __init__(self, body: Body, of: Type, name: str) -> None:
        self.body = body
        self.type = of
        self.name = name

    def like(self, other: Operand) -> Vector:
        """A number beside this vector, as a vector."""
        return other if isinstance(other, Vector) else self.body.number(other, self.type)

    def binary(self, real: str, whole: str, other: Operand, *, swap: bool = False) -> Vector:
        """An instruction of two operands, by its names for real numbers and for integers."""
        left, right = self, self.like(other)
        if swap:
            left, right = right, left
        verb = real if self.type.real else whole
        return self.body.emit(self.type, f"{verb} {self.type} {left.name}, {right.name}")

    # -- arithmetic ------------------------------------------------------------------------------
    def __add__(self, other: Operand) -> Vector:
        return self.binary("fadd", "add", other)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Vector:
        return self.binary("fsub", "sub", other)

    def __rsub__(self, other: Operand) -> Vector:
        return self.binary("fsub", "sub", other, swap=True)

    def __mul__(self, other: Operand) -> Vector:
        return self.binary("fmul", "mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Vector:
        return self.binary("fdiv", "sdiv", other)

    def __rtruediv__(self, other: Operand) -> Vector:
        return self.binary("fdiv", "sdiv", other, swap=True)

    def __neg__(self) -> Vector:
        if self.type.real:
            return self.body.emit(self.type, f"fneg {self.type} {self.name}")
        return self.like(0) - self

    def __abs__(self) -> Vector:
        if self.type.real:
            return self.unary("fabs")
        overflow_is_an_error = Vector(self.body, Type("i1"), "false")
        name = f"llvm.abs.{self.type.suffix}"
        return self.body.call(name, self.type, self, overflow_is_an_error)

    def multiply_add(self, factor: Operand, summand: Operand) -> Vector:
        """`self * factor + summand`, rounded once where the processor can, else twice."""
        name = f"llvm.fmuladd.{self.type.suffix}"
        return self.body.call(name, self.type, self, self.like(factor), self.like(summand))

    def unary(self, name: str) -> Vector:
        """One of LLVM's own functions of one argument: sqrt, floor, ceil, trunc, rint, fabs, ..."""
        return self.body.call(f"llvm.{name}.{self.type.suffix}", self.type, self)

    def maximum(self, other: Operand) -> Vector:
        """The larger, NaN if either is."""
        return self.extreme(other, "maximum", "smax")

    def minimum(self, other: Operand) -> Vector:
        """The smaller, NaN if either is."""
        return self.extreme(other, "minimum", "smin")

    def extreme(self, other: Operand, real: str, whole: str) -> Vector:
        """One of LLVM's functions of two arguments, by its two names."""
        verb = real if self.type.real else whole
        return self.body.call(f"llvm.{verb}.{self.type.suffix}", self.type, self, self.like(other))

    def copysign(self, sign: Vector) -> Vector:
        """Its absolute value with the sign of another."""
        return self.body.call(f"llvm.copysign.{self.type.suffix}", self.type, self, sign)

    # -- comparison and choice -------------------------------------------------------------------
    def compare(self, real: str, whole: str, other: Operand) -> Vector:
        """Truth values, by the names of the comparison for real numbers and for integers."""
        verb = f"fcmp {real}" if self.type.real else f"icmp {whole}"
        result = self.type.of("i1")
        return self.body.emit(result, f"{verb} {self.type} {self.name}, {self.like(other).name}")

    def __eq__(self, other: Operand) -> Vector:  # type: ignore[override]
        return self.compare("oeq", "eq", other)

    def __ne__(self, other: Operand) -> Vector:  # type: ignore[override]
        return self.compare("une", "ne", other)

    def __lt__(self, other: Operand) -> Vector:
        return self.compare("olt", "slt", other)

    def __le__(self, other: Operand) -> Vector:
        return self.compare("ole", "sle", other)

    def __gt__(self, other: Operand) -> Vector:
        return self.compare("ogt", "sgt", other)

    def __ge__(self, other: Operand) -> Vector:
        return self.compare("oge", "sge", other)

    def is_nan(self) -> Vector:
        """Where it is NaN."""
        return self.compare("uno", "ne", self)

    def choose(self, if_true: Vector | float, if_false: Vector | float) -> Vector:
        """Lane by lane one of two, for a vector of truth values; one of them must be a vector."""
        model = if_true if isinstance(if_true, Vector) else if_false
        assert isinstance(model, Vector)  # noqa: S101 - for the type checker
        a, b = model.like(if_true), model.like(if_false)
        text = f"select {self.type} {self.name}, {a.type} {a.name}, {b.type} {b.name}"
        return self.body.emit(a.type, text)

    # -- bits ------------------------------------------------------------------------------------
    def __and__(self, other: Operand) -> Vector:
        return self.binary("and", "and", other)

    def __or__(self, other: Operand) -> Vector:
        return self.binary("or", "or", other)

    def __xor__(self, other: Operand) -> Vector:
        return self.binary("xor", "xor", other)

    def __invert__(self) -> Vector:
        return self ^ (True if self.type.kind == "i1" else -1)

    def __lshift__(self, places: int) -> Vector:
        return self.binary("shl", "shl", places)

    def __rshift__(self, places: int) -> Vector:
        """Shifted right; the sign comes in from the left."""
        return self.binary("ashr", "ashr", places)

    def shift_right_unsigned(self, places: int) -> Vector:
        """Shifted right; zeros come in from the left."""
        return self.binary("lshr", "lshr", places)

    def bits(self) -> Vector:
        """The representation of real numbers, as integers of the same size."""
        return self.convert("bitcast", INTEGERS[self.type.kind])

    def from_bits(self) -> Vector:
        """The real numbers with this representation."""
        kind = {whole: real for real, whole in INTEGERS.items()}[self.type.kind]
        return self.convert("bitcast", kind)

    # -- conversion ------------------------------------------------------------------------------
    def convert(self, verb: str, kind: str) -> Vector:
        """The lanes as another kind, by LLVM's name of the conversion."""
        result = self.type.of(kind)
        return self.body.emit(result, f"{verb} {self.type} {self.name} to {result}")

    def to(self, kind: str) -> Vector:
        """The same numbers, rounded if need be, as another kind."""
        mine = self.type.kind
        if mine == kind:
            return self
        if self.type.real:
            if kind in REAL:
                grows = SIZES[kind] > SIZES[mine]
                return self.convert("fpext" if grows else "fptrunc", kind)
            return self.convert("fptosi", kind)
        if kind in REAL:
            return self.convert("uitofp" if mine == "i1" else "sitofp", kind)
        if kind == "i1":
            return self != 0
        grows = SIZES[kind] > SIZES[mine] or mine == "i1"
        return self.convert(("zext" if mine == "i1" else "sext") if grows else "trunc", kind)

    # -- lanes -----------------------------------------------------------------------------------
    def spread(self, lanes: int) -> Vector:
        """One number in every lane."""
        if lanes == 1:
            return self
        result = Type(self.type.kind, lanes)
        if not self.name.startswith("%"):
            literal = f"splat ({self.type.kind} {self.name})"
            return Vector(self.body, result, literal)
        first = self.body.emit(
            result, f"insertelement {result} poison, {self.type} {self.name}, i64 0"
        )
        places = f"<{lanes} x i32> zeroinitializer"
        return self.body.emit(
            result, f"shufflevector {result} {first.name}, {result} poison, {places}"
        )

    def lane(self, place: int) -> Vector:
        """The number in one lane."""
        text = f"extractelement {self.type} {self.name}, i64 {place}"
        return self.body.emit(Type(self.type.kind), text)

    def with_lane(self, place: int, value: Vector) -> Vector:
        """The same vector with another number in one lane."""
        text = f"insertelement {self.type} {self.name}, {value.type} {value.name}, i64 {place}"
        return self.body.emit(self.type, text)

    def halves(self) -> Iterator[Vector]:
        """The first and the second half of the lanes."""
        half = self.type.lanes // 2
        result = Type(self.type.kind, half)
        for start in (0, half):
            mask = "<" + ", ".join(f"i32 {i}" for i in range(start, start + half)) + ">"
            both = f"{self.type} {self.name}, {self.type} poison"
            picked = f"shufflevector {both}, <{half} x i32> {mask}"
            if half == 1:
                yield self.lane(start)
            else:
                yield self.body.emit(result, picked)

    def fold(self, combine: Callable[[Vector, Vector], Vector]) -> Vector:
        """All lanes combined into one, halves with halves: an order that never changes."""
        vector = self
        while vector.type.lanes > 1:
            vector = combine(*vector.halves())
        return vector
