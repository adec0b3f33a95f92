"""Reductions in registers, each in an order that depends on the shape alone.

Sums lose next to nothing: float32 is summed in float64; in float64 what each addition to a sum
rounds off is summed beside it (Knuth's two-sum, after Neumaier's and Ogita, Rump and Oishi's
compensated summation).
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from tensorweaver.compiler.llvm.code import Variable
from tensorweaver.compiler.llvm.vector import INTEGERS, Type

if TYPE_CHECKING:
    from tensorweaver.compiler.llvm.code import Code
    from tensorweaver.compiler.llvm.vector import Vector

__all__ = ["Accumulator", "Sum", "accumulator"]


WIDTH = 4
"""One register of 256 bits: taking one more in with what is rounded off costs seven operations."""


class Accumulator:
    """A reduction under way: `lanes` of them side by side."""

    def __init__(self, code: Code, of: Type) -> None:
        self.code = code
        self.type = of

    def clear(self) -> None:
        """Begin anew."""
        raise NotImplementedError

    def add(self, value: Vector, mask: Vector | None) -> None:
        """Take in a number a lane, where the mask is true."""
        raise NotImplementedError

    def lanes(self) -> Vector:
        """Each lane's result."""
        raise NotImplementedError

    def total(self) -> Vector:
        """The result over all lanes."""
        raise NotImplementedError


class Sum(Accumulator):
    """A sum, kept in float64 until somebody asks.

    Of which only the total counts, that is kept in `WIDTH` lanes: neighbours are added up first,
    so that registers are left for the rest.
    """

    def __init__(self, code: Code, of: Type, *, total_only: bool = False) -> None:
        super().__init__(code, of)
        self.wide = Type("double", min(of.lanes, WIDTH) if total_only else of.lanes)
        self.sum = Variable(code, self.wide)
        self.lost = Variable(code, self.wide) if of.kind == "double" else None

    def clear(self) -> None:
        """Nothing summed yet."""
        zero = self.code.number(0.0, self.wide)
        self.sum.set(zero)
        if self.lost:
            self.lost.set(zero)

    def add(self, value: Vector, mask: Vector | None) -> None:
        """Where the mask is false nothing is added."""
        if mask is not None:
            value = mask.choose(value, 0.0)
        value = value.to("double")
        while value.type.lanes > self.wide.lanes:
            value = operator.add(*value.halves())
        before = self.sum.get()
        if self.lost is None:
            self.sum.set(before + value)
            return
        after, lost = two_sum(before, value)
        self.sum.set(after)
        self.lost.set(self.lost.get() + lost)

    def lanes(self) -> Vector:
        """Rounded once, to the kind of what was summed."""
        lost = None if self.lost is None else self.lost.get()
        return self.whole(self.sum.get(), lost).to(self.type.kind)

    def total(self) -> Vector:
        """In float64 whatever was summed."""
        found = self.sum.get()
        if self.lost is None:
            return found.fold(operator.add)
        lost = self.lost.get()
        while found.type.lanes > 1:
            found, more = two_sum(*found.halves())
            first, second = lost.halves()
            lost = first + second + more
        return self.whole(found, lost)

    @staticmethod
    def whole(found: Vector, lost: Vector | None) -> Vector:
        """The sum with what was lost; infinities and NaN lose nothing."""
        if lost is None:
            return found
        return (abs(found) < math.inf).choose(found + lost, found)


def two_sum(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """`a + b` rounded, and what was rounded off."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


class Fold(Accumulator):
    """What combines two numbers at a time, exactly or nearly so."""

    identity: float

    @staticmethod
    def combine(a: Vector, b: Vector) -> Vector:
        """Two numbers as one."""
        raise NotImplementedError

    def __init__(self, code: Code, of: Type) -> None:
        super().__init__(code, of)
        self.found = Variable(code, of)

    def clear(self) -> None:
        self.found.set(self.code.number(self.identity, self.type))

    def add(self, value: Vector, mask: Vector | None) -> None:
        if mask is not None:
            value = mask.choose(value, self.identity)
        self.found.set(self.combine(self.found.get(), value))

    def lanes(self) -> Vector:
        return self.found.get()

    def total(self) -> Vector:
        return self.found.get().fold(self.combine)


class Extreme(Fold):
    """The largest or smallest, NaN if any is.

    Where there was a NaN is kept apart, for that takes fewer instructions than asking each time
    which of two is one.
    """

    def __init__(self, code: Code, of: Type) -> None:
        super().__init__(code, of)
        self.spoilt = Variable(code, of.of(INTEGERS[of.kind]))

    @staticmethod
    def beats(a: Vector, b: Vector) -> Vector:
        """Where the first is chosen."""
        raise NotImplementedError

    @classmethod
    def combine(cls, a: Vector, b: Vector) -> Vector:
        return cls.beats(a, b).choose(a, b)

    def clear(self) -> None:
        super().clear()
        self.spoilt.set(self.code.number(0, self.spoilt.type))

    def add(self, value: Vector, mask: Vector | None) -> None:
        super().add(value, mask)
        nan = value.is_nan() if mask is None else value.is_nan() & mask
        every_bit = self.code.number(-1, self.spoilt.type)
        self.spoilt.set(self.spoilt.get() | nan.choose(every_bit, 0))

    def lanes(self) -> Vector:
        return (self.spoilt.get() != 0).choose(math.nan, self.found.get())

    def total(self) -> Vector:
        spoilt = self.spoilt.get().fold(operator.or_)
        return (spoilt != 0).choose(math.nan, self.found.get().fold(self.combine))


class Maximum(Extreme):
    """The largest, NaN if any is."""

    identity = -math.inf

    @staticmethod
    def beats(a: Vector, b: Vector) -> Vector:
        return a > b


class Minimum(Extreme):
    """The smallest, NaN if any is."""

    identity = math.inf

    @staticmethod
    def beats(a: Vector, b: Vector) -> Vector:
        return a < b


class Product(Fold):
    """A product."""

    identity = 1.0

    @staticmethod
    def combine(a: Vector, b: Vector) -> Vector:
        return a * b


ACCUMULATORS: dict[str, type[Accumulator]] = {
    "max": Maximum,
    "min": Minimum,
    "prod": Product,
}


def accumulator(name: str, code: Code, of: Type, *, total_only: bool) -> Accumulator:
    """The reduction of that name; `total_only` if nobody asks for single lanes."""
    if name == "sum":
        return Sum(code, of, total_only=total_only)
    return ACCUMULATORS[name](code, of)
