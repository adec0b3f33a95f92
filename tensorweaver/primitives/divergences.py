"""Integrals of powers, by which deviances are exact near the best prediction.

Written as differences they lose all digits there, and where an exponent makes a power a logarithm
they divide by zero. The exponent `p` is a plain number.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.gamma import horner
from tensorweaver.primitives.primitive import Primitive

__all__ = ["DIVERGENCES"]

POSITIVE = (0.3, 4.0)
REAL = (-3.0, 3.0)
ROOT_OF_USUAL = 1e15
"""The square root of quotients that may leave the range of numbers, or their inverse."""
NEAR = 0.3
"""Up to which `(x - y) / (x + y)` a divergence is a power series."""
TERMS = 36


def log_ratio(xp: Any, x: Any, y: Any) -> Any:
    """`log(x / y)`: exact where they are close, and where the quotient leaves the range."""
    root = xp.sqrt(x) / xp.sqrt(y)
    usual = (root > 1 / ROOT_OF_USUAL) & (root < ROOT_OF_USUAL)
    near = (root > math.sqrt(0.5)) & (root < math.sqrt(2))
    quotient = xp.log(xp.where(usual, x / y, root))
    far = xp.where(usual, quotient, 2.0 * quotient)
    return xp.where(near, xp.log1p((x - y) / y), far)


def times_power(xp: Any, x: Any, y: Any, exponent: float) -> Any:
    """`x y**exponent`, where the power alone may overflow or underflow."""
    if exponent == 0:
        return x
    if exponent in {1, -1, -2}:
        return {1: lambda: x * y, -1: lambda: x / y, -2: lambda: x / y / y}[int(exponent)]()
    half = y ** (exponent / 2)
    return xp.multiply_no_nan(half, xp.multiply_no_nan(half, x))


def power_integral(xp: Any, x: Any, y: Any, p: float) -> Any:
    a = 1 - p
    if a == 1:
        return x - y
    ratio = log_ratio(xp, x, y)
    if a == 0:
        return ratio
    change = a * ratio
    near = times_power(xp, xp.expm1(change), y, a) / a
    return xp.where(xp.abs(change) >= 1, (x**a - y**a) / a, near)


def power_divergence(xp: Any, x: Any, y: Any, p: float) -> Any:
    if p == 0:
        return 0.5 * xp.square(x - y)
    half = 0.5 * (x - y)
    centre = y + half
    r = half / centre
    near = times_power(xp, xp.square(r) * horner(r, divergence_series(p)), centre, 2 - p)
    # What is nothing costs the integral of t**(1-p); below zero there are no powers.
    at_zero = y ** (2 - p) / (2 - p) if p < 2 else math.inf  # noqa: PLR2004
    nowhere = (x < 0) | (y < 0)
    known = xp.where(xp.abs(r) < NEAR, near, difference_of_integrals(xp, x, y, p))
    return xp.where(nowhere, math.nan, xp.where(x == 0, at_zero + 0.0 * x, known))


def divergence_series(p: float) -> tuple[float, ...]:
    """The integral of `(1 - s) (1 + r s)**-p` from -1 to 1 in powers of `r`, highest first."""
    coefficients, binomial = [], 1.0
    for k in range(TERMS):
        weight = -2 / (k + 2) if k % 2 else 2 / (k + 1)
        coefficients.append(binomial * weight)
        binomial *= (-p - k) / (k + 1)
    return tuple(reversed(coefficients))


def difference_of_integrals(xp: Any, x: Any, y: Any, p: float) -> Any:
    """`x` times the integral of `t**-p`, less that of `t**(1-p)`: for `x` and `y` well apart."""
    a, b = 1 - p, 2 - p
    if a == 0:
        return x * log_ratio(xp, x, y) - (x - y)
    if b == 0:
        return (x - y) / y - log_ratio(xp, x, y)
    change = a * log_ratio(xp, x, y)
    # Whichever of the two cannot leave the range of numbers before the result does.
    apart = x * ((x**a - y**a) / a) if a > 0 else (x**b - times_power(xp, x, y, a)) / a
    close = times_power(xp, x, y, a) * xp.expm1(change) / a
    first = xp.where(xp.abs(change) >= 1, apart, close)
    return xp.where(first == math.inf, first, first - power_integral(xp, x, y, p - 1))


def divergence_slope(xp: Any, x: Any, y: Any, p: float) -> Any:
    """`(y - x) / y**p`; below zero undefined, as the divergence is."""
    slope = times_power(xp, y - x, y, -p)
    if p == 0:
        return slope
    from_zero = 1.0 if p == 1 else y ** (1 - p)
    return xp.where((x < 0) | (y < 0), math.nan, xp.where(x == 0, from_zero, slope))


def divergence_curvature(xp: Any, g: Any, x: Any, y: Any, p: float) -> Any:
    """`((1 - p) y + p x) / y**(p + 1)`: up to 1 a sum of what is positive, where the slope's two
    terms are not.
    """
    if p == 0:
        return g
    sized = x if p == 1 else (1 - p) * y + p * x
    curvature = times_power(xp, sized, y, -1 - p)
    from_zero = 0.0 if p == 1 else (1 - p) * y**-p
    return g * xp.where((x < 0) | (y < 0), math.nan, xp.where(x == 0, from_zero, curvature))


def power_slope(x: Any, p: float) -> Any:
    if p == 0:
        return 1.0
    return 1.0 / x if p == 1 else x**-p


# fmt: off
DIVERGENCES = (
    # the integral of t**-p from y to x
    Primitive("power_integral",
              (lambda xp, g, out, x, y, p: g * power_slope(x, p),
               lambda xp, g, out, x, y, p: -g * power_slope(y, p),
               None),
              formula=power_integral, domain=(POSITIVE, POSITIVE, REAL)),
    # the integral of (x - t) t**-p from y to x
    Primitive("power_divergence",
              (lambda xp, g, out, x, y, p: g * xp.power_integral(x, y, p),
               lambda xp, g, out, x, y, p: g * xp.divergence_slope(x, y, p),
               None),
              formula=power_divergence, domain=(POSITIVE, POSITIVE, REAL)),
    Primitive("divergence_slope",
              (lambda xp, g, out, x, y, p: -g * power_slope(y, p),
               lambda xp, g, out, x, y, p: divergence_curvature(xp, g, x, y, p),
               None),
              formula=divergence_slope, domain=(POSITIVE, POSITIVE, REAL)),
)
# fmt: on
