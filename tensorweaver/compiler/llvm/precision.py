"""How real numbers are laid out in bits, and the small steps that polynomials are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.compiler.llvm.vector import Vector

__all__ = ["PRECISIONS", "Precision", "at_least", "at_most", "polynomial", "precision_of"]


class Precision(NamedTuple):
    """An IEEE format: `fraction` bits below a hidden one, and what is added to the exponent."""

    fraction: int
    bias: int
    ln2: tuple[float, float]
    """Two numbers whose sum is ln(2); the first has bits to spare, so that its product with any
    exponent is exact."""

    @property
    def smallest(self) -> float:
        """The smallest number with a hidden one; below it lie the subnormals."""
        return 2.0 ** (1 - self.bias)

    @property
    def integers(self) -> float:
        """From here to its double, neighbouring numbers are 1 apart."""
        return 2.0**self.fraction

    @property
    def half(self) -> int:
        """How many of the last bits to clear, so that no more than half of all are left."""
        return self.fraction // 2 + 1

    @property
    def fraction_mask(self) -> int:
        """The bits of the fraction."""
        return (1 << self.fraction) - 1

    @property
    def exponent_mask(self) -> int:
        """The bits of the exponent and the sign, as a signed integer."""
        return -(1 << self.fraction)


PRECISIONS = {
    "float": Precision(23, 127, (0.693145751953125, 1.42860682e-06)),
    "double": Precision(52, 1023, (0.693147180559663, 2.8235290563031577e-13)),
}


SPLIT_FROM = 4
"""How many higher coefficients a polynomial has that is worth splitting."""


def precision_of(x: Vector) -> Precision:
    """The format of the lanes of `x`."""
    return PRECISIONS[x.type.kind]


def polynomial(x: Vector, coefficients: Sequence[float]) -> Vector:
    """By Horner's rule, of which every step waits for the one before: so the even and the odd
    powers go side by side, all but the two lowest, from which the result has its last digits. The
    coefficient of the highest power comes first.
    """
    higher, lower = coefficients[:-2], coefficients[-2:]
    if len(higher) < SPLIT_FROM:
        return horner(x, coefficients)
    square = x * x
    even, odd = (horner(square, higher[(len(higher) - i) % 2 :: 2]) for i in (1, 2))
    return horner(x, lower, odd.multiply_add(x, even))


def horner(x: Vector, coefficients: Sequence[float], start: Vector | None = None) -> Vector:
    """`start`, if there is one, stands before the coefficients."""
    if start is None:
        start, coefficients = x.like(coefficients[0]), coefficients[1:]
    for coefficient in coefficients:
        start = start.multiply_add(x, coefficient)
    return start


def at_most(x: Vector, bound: float) -> Vector:
    """The smaller of both; NaN stays NaN. One instruction where `minimum` takes several."""
    return (x > bound).choose(bound, x)


def at_least(x: Vector, bound: float) -> Vector:
    """The larger of both; NaN stays NaN."""
    return (x < bound).choose(bound, x)
