"""The exponential and its kin, without branches and tables: exp, decay, expm1, tanh, sinh, cosh.

All begin as exp does: x = n*ln(2) + r with an integer n and |r| <= ln(2)/2, so that a short
polynomial in r remains. n is found by adding a number so large that the sum has no place for a
fraction; the low bits of the sum are then n plus an `offset` of choice, ready to be shifted into
the exponent of a power of two. n*ln(2) is subtracted in two parts, the first of so few bits that
its product with n is exact, with or without fused multiplication and addition.

The coefficients are those of the Chebyshev series of what the polynomial stands for, cut off and
written in powers: `mpmath.chebyfit`, as the tests do it again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.llvm.precision import (
    PRECISIONS,
    at_least,
    at_most,
    polynomial,
    precision_of,
)
from tensorweaver.compiler.llvm.vector import INTEGERS

if TYPE_CHECKING:
    from tensorweaver.compiler.llvm.vector import Vector

__all__ = ["cosh", "decay", "exp", "expm1", "sinh", "tanh"]


class Constants(NamedTuple):
    """What the formulas need to know of one kind of lane."""

    exp_range: tuple[float, float]
    """Below exp is 0, above it is infinite."""
    cosh_limit: float
    """Above cosh is infinite, and sinh too."""
    tiny: float
    """expm1(x) and sinh(x) are x below."""
    exp: tuple[float, ...]
    """(e**r - 1 - r) / r**2, highest power first."""
    sinh: tuple[float, ...]
    """(sinh(r) - r) / r**3 in powers of r**2."""
    cosh: tuple[float, ...]
    """(cosh(r) - 1) / r**2 in powers of r**2."""
    tanh: tuple[float, ...]
    """(tanh(x) - x) / x**3 in powers of x**2, up to TANH_SMALL."""


CONSTANTS = {
    "float": Constants(
        exp_range=(-104.0, 89.0),
        cosh_limit=89.7,
        tiny=2.0**-26,
        exp=(0.00139262508, 0.00836323288, 0.0416665542, 0.166665767, 0.5),
        sinh=(0.000198910805, 0.00833331084, 0.166666667),
        cosh=(0.00139337307, 0.0416664642, 0.500000001),
        tanh=(-0.00661022783, 0.0213093887, -0.0539094288, 0.133331137, -0.33333332),
    ),
    "double": Constants(
        exp_range=(-746.0, 710.0),
        cosh_limit=710.6,
        tiny=2.0**-54,
        exp=(
            2.5100472505694996e-08,
            2.7620201591031547e-07,
            2.7557268276905696e-06,
            2.4801521057868204e-05,
            0.00019841269863171557,
            0.0013888888917367081,
            0.008333333333330039,
            0.041666666666623824,
            0.16666666666666669,
            0.5000000000000001,
        ),
        sinh=(
            2.5100472505694996e-08,
            2.7557268276905696e-06,
            0.00019841269863171557,
            0.008333333333330039,
            0.16666666666666669,
        ),
        cosh=(
            2.7620201591031547e-07,
            2.4801521057868204e-05,
            0.0013888888917367081,
            0.041666666666623824,
            0.5000000000000001,
        ),
        tanh=(
            -2.060276537636634e-05,
            8.511313685577672e-05,
            -0.0002346347410887237,
            0.0005889360520074057,
            -0.001455661830100716,
            0.003592110378689024,
            -0.008863234397814355,
            0.021869488493666944,
            -0.053968253967434016,
            0.13333333333332714,
            -0.3333333333333333,
        ),
    ),
}

RAISED = 61
TANH_SMALL = 0.55
FAR = 40.0
"""Beyond this e**-x is lost beside 1 in every kind."""


def constants_of(x: Vector) -> Constants:
    return CONSTANTS[x.type.kind]


def reduce(x: Vector, offset: int) -> tuple[Vector, Vector, Vector]:
    """n, x - n*(the first part of ln(2)), and bits whose lowest are n + offset."""
    precision = precision_of(x)
    shift = 1.5 * precision.integers + offset
    shifted = x.multiply_add(1 / math.log(2), shift)
    n = shifted - shift
    return n, n.multiply_add(-precision.ln2[0], x), shifted.bits()


def power_of_two(bits: Vector) -> Vector:
    """2**(n + offset - bias), where `bits` end in n + offset."""
    kind = {whole: real for real, whole in INTEGERS.items()}[bits.type.kind]
    return (bits << PRECISIONS[kind].fraction).from_bits()


def exp(x: Vector) -> Vector:
    """2**n * e**r; the power in two factors, so that subnormal results are rounded once."""
    precision = precision_of(x)
    constants = constants_of(x)
    lowest, highest = constants.exp_range
    n, high, bits = reduce(at_least(at_most(x, highest), lowest), offset=2 * precision.bias)
    r = n.multiply_add(-precision.ln2[1], high)
    power = polynomial(r, (*constants.exp, 1.0, 1.0))
    first = (bits << (precision.fraction - 1)) & precision.exponent_mask
    second = (bits << precision.fraction) - first
    return power * first.from_bits() * second.from_bits()


def decay(x: Vector) -> Vector:
    """`exp` of what is never above 0, raised by 2**RAISED so that no power of two is subnormal; odd
    as the bias, it leaves n what it is in `exp`, where x lies between two.
    """
    precision = precision_of(x)
    constants = constants_of(x)
    inside = at_least(x, constants.exp_range[0])
    n, high, bits = reduce(inside, offset=precision.bias + RAISED)
    r = n.multiply_add(-precision.ln2[1], high)
    power = polynomial(r, (*constants.exp, 1.0, 1.0))
    return power * power_of_two(bits) * 2.0**-RAISED


def expm1(x: Vector) -> Vector:
    """2**n * (e**r - 1) + (2**n - 1); computed as the half, since 2**n may be infinite.

    r has two parts, of which the second joins the higher powers: it is not rounded before the sum.
    """
    precision = precision_of(x)
    constants = constants_of(x)
    inside = at_least(at_most(x, constants.exp_range[1]), -FAR)
    n, high, bits = reduce(inside, offset=precision.bias - 1)
    low = n * precision.ln2[1]
    r = high - low
    rest = polynomial(r, constants.exp).multiply_add(r * r, -low)
    scale = power_of_two(bits)
    half = rest.multiply_add(scale, high.multiply_add(scale, scale - 0.5))
    return (abs(x) < constants.tiny).choose(x, half + half)


def tanh(x: Vector) -> Vector:
    """1 - 2 / (e**(2|x|) + 1), a polynomial near 0, and the sign of x."""
    precision = precision_of(x)
    constants = constants_of(x)
    size = abs(x)
    n, high, bits = reduce(at_most(size + size, FAR), offset=precision.bias)
    r = n.multiply_add(-precision.ln2[1], high)
    power = polynomial(r, (*constants.exp, 1.0, 1.0))
    large = 1.0 - 2.0 / power.multiply_add(power_of_two(bits), 1.0)
    square = x * x
    small = polynomial(square, constants.tanh).multiply_add(square * size, size)
    return (size < TANH_SMALL).choose(small, large).copysign(x)


def sinh(x: Vector) -> Vector:
    """Half of 2**n * e**r - 2**-n * e**-r, by sinh(r) and cosh(r)."""
    high, sine, cosine, grown, shrunk = hyperbolic(x)
    difference, total = grown - shrunk, grown + shrunk
    small = sine.multiply_add(total, cosine * difference)
    half = high.multiply_add(total, difference) + small
    return (abs(x) < constants_of(x).tiny).choose(x, (half + half).copysign(x))


def cosh(x: Vector) -> Vector:
    """Half of 2**n * e**r + 2**-n * e**-r, by sinh(r) and cosh(r)."""
    high, sine, cosine, grown, shrunk = hyperbolic(x)
    difference, total = grown - shrunk, grown + shrunk
    small = sine.multiply_add(difference, cosine * total)
    half = high.multiply_add(difference, grown) + (small + shrunk)
    return half + half


def hyperbolic(x: Vector) -> tuple[Vector, Vector, Vector, Vector, Vector]:
    """For |x|: r's first part, what sinh(r) has beside it, cosh(r) - 1, 2**n / 4 and 2**-n / 4.

    The last is 0 where it is lost beside the one before.
    """
    precision = precision_of(x)
    constants = constants_of(x)
    size = at_most(abs(x), constants.cosh_limit)
    n, high, bits = reduce(size, offset=precision.bias - 2)
    low = n * precision.ln2[1]
    r = high - low
    square = r * r
    sine = polynomial(square, constants.sinh).multiply_add(square * r, -low)
    cosine = polynomial(square, constants.cosh) * square
    grown = power_of_two(bits)
    twice = (2 * precision.bias - 4) << precision.fraction  # the bits of 2**n/4 and 2**-n/4 added
    shrunk = (size < FAR).choose((twice - grown.bits()).from_bits(), 0.0)
    return high, sine, cosine, grown, shrunk
