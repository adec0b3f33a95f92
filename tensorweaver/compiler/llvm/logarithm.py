"""Logarithms without branches and tables: log, log1p, log2, log10.

x = 2**e * (1 + f) with 1 + f from sqrt(1/2) to sqrt(2), so that log(x) = e*log(2) + log(1 + f). The
exponent is read from the bits: taking those of sqrt(1/2) away first makes it round to where f is
small. log(1 + f) is f and a `tail`, far smaller, so that near 1 only the last addition rounds.

The coefficients are those of the Chebyshev series of what the polynomial stands for, cut off and
written in powers: `mpmath.chebyfit`, as the tests do it again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.llvm.precision import horner, polynomial, precision_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.compiler.llvm.vector import Vector

__all__ = ["log", "log1p", "log1p_unit", "log2", "log10"]


class Base(NamedTuple):
    """A logarithm of other base: of 2 and of e, each as two numbers, the first of few bits."""

    of_two: tuple[float, float]
    of_e: tuple[float, float]


class Constants(NamedTuple):
    """What the formulas need to know of one kind of lane."""

    sqrt_half: int
    """The bits of sqrt(1/2)."""
    log2: Base
    log10: Base
    tail: tuple[float, ...]
    """`float`: (log(1 + f) - f + f**2 / 2) / f**3, highest power first. `double`: the same part
    of log(1 + f) = 2*atanh(s) with s = f / (2 + f), (2*atanh(s) - 2*s) / s**3 in powers of s**2."""
    unit_tail: tuple[float, ...]
    """The same for f from 0 to 1."""


CONSTANTS = {
    "float": Constants(
        sqrt_half=0x3F3504F3,
        log2=Base((1.0, 0.0), (1.4423828125, 0.000312228389)),
        log10=Base((0.301025390625, 4.60503898e-06), (0.43408203125, 0.000212450653)),
        tail=(
            0.0697161147,
            -0.114797338,
            0.116854199,
            -0.124256873,
            0.142490576,
            -0.166678023,
            0.200007157,
            -0.24999997,
            0.333333312,
        ),
        unit_tail=(
            -0.00250492344,
            0.0153262587,
            -0.0437990785,
            0.0806215164,
            -0.113654688,
            0.140128284,
            -0.166275094,
            0.199970705,
            -0.249999132,
            0.333333329,
        ),
    ),
    "double": Constants(
        sqrt_half=0x3FE6A09E667F3BCD,
        log2=Base((1.0, 0.0), (1.4426950365304947, 4.3584687174185184e-09)),
        log10=Base(
            (0.30102999566361177, 3.694239077158931e-13),
            (0.4342944771051407, 4.798111141615973e-09),
        ),
        tail=(
            0.14616449685043406,
            0.15331721600556042,
            0.18182889125261723,
            0.2222221113479508,
            0.28571428625975487,
            0.39999999999899505,
            0.666666666666667,
        ),
        unit_tail=(
            0.1616404561194353,
            0.08800738486144674,
            0.12001072809590713,
            0.13314144209654935,
            0.15385570064958623,
            0.18181789436132859,
            0.22222222717427864,
            0.2857142856710876,
            0.40000000000014585,
            0.6666666666666666,
        ),
    ),
}


def constants_of(x: Vector) -> Constants:
    return CONSTANTS[x.type.kind]


def log(x: Vector) -> Vector:
    """The sum e*log(2) + f + tail."""
    exponent, f = split(x)
    high, low = precision_of(x).ln2
    small = exponent.multiply_add(low, tail(f, constants_of(f).tail))
    return limits(x, exponent.multiply_add(high, f + small))


def log2(x: Vector) -> Vector:
    """The sum e + (f + tail) / log(2)."""
    exponent, f = split(x)
    return limits(x, other_base(exponent, f, constants_of(x).log2))


def log10(x: Vector) -> Vector:
    """The sum e*log10(2) + (f + tail) / log(10)."""
    exponent, f = split(x)
    return limits(x, other_base(exponent, f, constants_of(x).log10))


def log1p(x: Vector) -> Vector:
    """As log of u = 1 + x, but with f made of x itself: 2**-e * x + (2**-e - 1) loses nothing."""
    precision = precision_of(x)
    u = x + 1.0
    exponent, moved = exponent_of(u)
    # Four times 2**-e, which is subnormal for the largest x: the bits of 2 twice over, less those
    # of the exponent, which leaves just the sign bit to subtract from.
    sign = -(1 << (precision.fraction + precision.bias.bit_length() + 1))
    scale = (sign - (moved & precision.exponent_mask)).from_bits()
    f = x.multiply_add(scale, scale - 4.0) * 0.25
    high, low = precision_of(x).ln2
    small = exponent.multiply_add(low, tail(f, constants_of(f).tail))
    value = exponent.multiply_add(high, f + small)
    signed = (value.bits() | (x.bits() & sign)).from_bits()
    return limits(u, signed)


def log1p_unit(x: Vector) -> Vector:
    """As log1p, for x from 0 to 1 alone, where it needs no exponent: x + tail.

    2*s is x - s*x, so in float64 the sum 2*s + s*rest of `tail` becomes x - s*(x - rest).
    """
    coefficients = constants_of(x).unit_tail
    if x.type.kind == "float":
        return x + tail(x, coefficients)
    s = x / (x + 2.0)
    square = s * s
    inner = polynomial(square, coefficients).multiply_add(-square, x)
    return inner.multiply_add(-s, x)


def other_base(exponent: Vector, f: Vector, base: Base) -> Vector:
    """The sum e*log(2) + (f + tail) * log(e), small parts first.

    f is split as well: the product of two numbers of half the bits is exact.
    """
    high = (f.bits() & -(1 << precision_of(f).half)).from_bits()
    small = tail(f, constants_of(f).tail).multiply_add(sum(base.of_e), f * base.of_e[1])
    small = (f - high).multiply_add(base.of_e[0], small)
    small = exponent.multiply_add(base.of_two[1], small)
    return exponent.multiply_add(base.of_two[0], high.multiply_add(base.of_e[0], small))


def split(x: Vector) -> tuple[Vector, Vector]:
    """The e and f of positive x = 2**e * (1 + f); subnormal numbers are made larger first."""
    precision = precision_of(x)
    subnormal = x < precision.smallest
    normal = subnormal.choose(x * precision.integers, x)
    exponent, moved = exponent_of(normal, subnormal)
    reduced = (moved & precision.fraction_mask) + constants_of(x).sqrt_half
    return exponent, reduced.from_bits() - 1.0


def exponent_of(x: Vector, subnormal: Vector | None = None) -> tuple[Vector, Vector]:
    """The exponent as a real number, and the bits it stands in."""
    precision = precision_of(x)
    one = precision.bias << precision.fraction
    moved = x.bits() + (one - constants_of(x).sqrt_half)
    # The exponent in the fraction of a number of which all neighbours are integers: cheaper than
    # a conversion of 64-bit integers, which many processors lack.
    base = x.like(precision.integers).bits()
    biased = (moved.shift_right_unsigned(precision.fraction) | base).from_bits()
    bias = precision.integers + precision.bias
    if subnormal is None:
        return biased - bias, moved
    return biased - subnormal.choose(x.like(bias + precision.fraction), bias), moved


def tail(f: Vector, coefficients: Sequence[float]) -> Vector:
    """log(1 + f) - f."""
    if f.type.kind == "float":
        return horner(f, (*coefficients, -0.5)) * (f * f)
    half_square = f * f * 0.5
    s = f / (f + 2.0)
    square = s * s
    rest = polynomial(square, coefficients) * square
    return s * (half_square + rest) - half_square


def limits(x: Vector, value: Vector) -> Vector:
    """The logarithm of x, given its value for finite positive x."""
    value = (x < math.inf).choose(value, x)
    value = (x == 0.0).choose(-math.inf, value)
    return (x < 0.0).choose(math.nan, value)
