"""Arrays in memory, as kernels read and write them.

Half precision is converted on the way between memory and registers, so that no copy of an array is
made for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tensorweaver.compiler.llvm.code import Code
    from tensorweaver.compiler.llvm.vector import Type, Vector

__all__ = ["Array"]

IN_MEMORY = {"half": "half", "bfloat": "i16"}
"""What is loaded and stored for each kind of half precision; bfloat16 is the upper half of a
float32, and converted by hand: instructions for it lose subnormal numbers."""


class Array(NamedTuple):
    """An array: its address, how far apart its rows begin, `half` or `bfloat` if it is that, and
    whether it is written past the caches.
    """

    code: Code
    pointer: Vector
    stride: Vector
    half: str = ""
    streamed: bool = False

    def memory(self, of: Type) -> Type:
        """What lies in memory for values of that type."""
        return of.of(IN_MEMORY[self.half]) if self.half and of.real else of

    def load(self, place: Vector, of: Type, mask: Vector | None) -> Vector:
        """Neighbours, from `place` on; where the mask is false 0."""
        return self.widened(self.code.load(self.pointer, place, self.memory(of), mask), of)

    def gather(self, places: Vector, of: Type, mask: Vector | None) -> Vector:
        """One element a lane, each from its own place."""
        return self.widened(self.code.gather(self.pointer, places, self.memory(of), mask), of)

    def store(self, place: Vector, value: Vector, mask: Vector | None) -> None:
        """Write neighbours, from `place` on, where the mask is true."""
        found = self.narrowed(value)
        self.code.store(self.pointer, place, found, mask, streamed=self.streamed)

    def scatter(self, places: Vector, value: Vector, mask: Vector | None) -> None:
        """Write one element a lane, each to its own place."""
        self.code.scatter(self.pointer, places, self.narrowed(value), mask)

    def load_rows(self, place: Vector, of: Type, mask: Vector | None) -> Vector:
        """One element a lane, of as many rows, from `place` on."""
        if mask is not None:
            return self.gather(self.places(place, of.lanes), of, mask)
        memory = self.memory(of)
        return self.widened(self.code.load_apart(self.pointer, place, self.stride, memory), of)

    def store_rows(self, place: Vector, value: Vector, mask: Vector | None) -> None:
        """Write one element a lane, to as many rows, from `place` on."""
        if mask is not None:
            self.scatter(self.places(place, value.type.lanes), value, mask)
        else:
            self.code.store_apart(self.pointer, place, self.stride, self.narrowed(value))

    def places(self, first: Vector, lanes: int) -> Vector:
        """The places below each other in as many rows."""
        rows = self.code.lane_numbers(lanes, "i64") * self.stride.spread(lanes)
        return rows + first.spread(lanes)

    def widened(self, found: Vector, of: Type) -> Vector:
        """What was loaded, as values of that type."""
        if not self.half or not of.real:
            return found
        if self.half == "bfloat":
            found = (found.to("i32") << 16).from_bits()
        return found.to(of.kind)

    def narrowed(self, value: Vector) -> Vector:
        """Values as they are stored."""
        if not self.half:
            return value
        value = value.to("float")
        return bfloat_bits(value) if self.half == "bfloat" else value.to("half")


def bfloat_bits(value: Vector) -> Vector:
    """The bits of the nearest bfloat16, ties to even; NaN stays one."""
    bits = value.bits()
    odd = bits.shift_right_unsigned(16) & 1
    nearest = (bits + odd + 0x7FFF).shift_right_unsigned(16)
    quiet = bits.shift_right_unsigned(16) | 0x40
    return value.is_nan().choose(quiet, nearest).to("i16")
