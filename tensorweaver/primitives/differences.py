"""Small differences of large numbers, without the subtraction that would lose their digits.

Each is a function of calculus whose plain spelling cancels near zero (`log(cosh(x))`, `hypot(x, y)
- y`) or overflows far out, together with a derivative in which nothing cancels either, so that the
derivative's derivative is exact as well.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.primitive import Primitive

__all__ = ["DIFFERENCES"]

REAL = (-3.0, 3.0)
POSITIVE = (0.05, 4.0)
ABOVE_MINUS_HALF = (-0.45, 3.0)

LOG_2 = math.log(2)
SMALL = 1e-8
"""Below it, a third term of a series is below the last digit of double precision."""
LARGE, PART = 2.0**110, 2.0**54
"""A number from which on a part of it, divided by no more than 1, has no digits left for 1."""
TERMS = 17
"""Of the series of `log1p_excess`, whose variable is at most 1/9."""


# ------------------------------------------------------------------------------------- log(cosh(x))
def log_cosh(xp: Any, x: Any) -> Any:
    """Near zero through `cosh(x) - 1 = t**2 / (2 (1 + t))` with `t = exp(-abs(x)) - 1`."""
    size = xp.abs(x)
    lost = xp.expm1(-size)
    near = xp.log1p(lost * (lost / (2.0 * (1.0 + lost))))
    far = (size - LOG_2) + xp.log1p(xp.exp(-2.0 * size))
    return xp.where(size < 1.0, near, far)


# ------------------------------------------------------------------------------------ hypot(x, y) - y
def hypot_excess(xp: Any, x: Any, y: Any) -> Any:
    size = xp.abs(x)
    long = xp.hypot(x, y)
    # Far out the difference loses nothing, and is right where `x` is infinite.
    return xp.where(size > 1e3 * y, long - y, size * (size / (y + long)))


def hypot_excess_by_leg(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """`x / hypot(x, y)`, from the smaller ratio: its own derivative then does not cancel."""
    steep = xp.abs(x) > y
    ratio = xp.where(steep, y / x, x / y)
    return g * (xp.where(steep, xp.sign(x), ratio) / xp.sqrt(1.0 + ratio * ratio))


def hypot_excess_by_other(xp: Any, g: Any, out: Any, y: Any) -> Any:
    """`y / hypot(x, y) - 1`."""
    return -g * xp.where(out == 0, 0.0, 1.0 / (1.0 + y / out))


# ------------------------------------------------------------------------------ x - y log(1 + x / y)
def log1p_excess(xp: Any, x: Any, y: Any) -> Any:
    """With `v = x / y` near zero by the series of `log1p(v) = 2 atanh(v / (2 + v))`."""
    v = x / y
    is_near = xp.logical_and(v > -0.5, v < 1.0)  # noqa: PLR2004 - one third of v / (2 + v)
    ratio = xp.where(is_near, v, 0.0) / (2.0 + v)
    square = ratio * ratio
    series = 1.0 / (2 * TERMS + 1)
    for k in range(TERMS - 1, 0, -1):
        series = square * series + 1.0 / (2 * k + 1)
    near = x * (ratio - 2.0 * (ratio / (2.0 + v)) * (ratio * series))
    far = xp.where(v == math.inf, x, x - y * xp.log1p(v))
    return xp.where(is_near, near, far)


def log1p_excess_by_x(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """`x / (y + x)`, which is 1 at infinity."""
    far = x > y
    return g * xp.where(far, 1.0 / (1.0 + y / x), x / (y + x))


def log1p_excess_by_y(xp: Any, g: Any, out: Any, x: Any, y: Any) -> Any:
    """`v / (1 + v) - log1p(v)`, which is `out / y - v**2 / (1 + v)`."""
    v = x / y
    share = v / (1.0 + v)
    return g * xp.where(v < 1.0, out / y - v * share, share - xp.log1p(v))


# ------------------------------------------------------------------------- log((1 + x) / (1 + y))
def log1p_ratio(xp: Any, x: Any, y: Any) -> Any:
    """The logarithm of 1 and the relative distance from the smaller one: `log1p` of what is
    positive loses nothing. Below -1 it is NaN.
    """
    is_above = x >= y
    difference = x - y
    base = 1.0 + xp.where(is_above, y, x)
    above = xp.where(is_above, difference, -difference)
    # Of a quotient that may overflow a part, which 1 is nothing beside either.
    is_far = (above > LARGE) & (base < 1)
    inner = xp.where(is_far, above / PART, above) / xp.where(base >= 0, base, math.nan)
    distance = xp.log1p(inner)
    distance = xp.where(is_far, distance + math.log(PART), distance)
    return xp.where(is_above, distance, -distance)


# ------------------------------------------------------------------------------- log(1 + x / y)
def log1p_quotient(xp: Any, x: Any, y: Any) -> Any:
    """Its slope by `x`, `1 / (x + y)`, does not know the quotient."""
    return xp.log1p(x / y)


# ----------------------------------------------------------------------------- ((1 + x)**y - 1) / y
def is_near_zero(xp: Any, x: Any) -> Any:
    """Where `1 + x` may lose digits of `x`."""
    return xp.logical_and(x > -0.5, x < 1.0)  # noqa: PLR2004 - below -0.5 it loses none


def boxcox1p(xp: Any, x: Any, y: Any) -> Any:
    """The transformation of Box and Cox at `1 + x`; with `y = 0` it is `log1p(x)`."""
    logarithm = xp.log1p(x)
    if isinstance(y, int | float) and y == 0:
        return logarithm
    exponent = y * logarithm
    size = xp.abs(exponent)
    power = xp.where(is_near_zero(xp, x), xp.exp(exponent), xp.pow(1.0 + x, y))
    middle = xp.where(size < 1.0, xp.expm1(exponent), power - 1.0) / y
    return xp.where(size < SMALL, logarithm * (1.0 + 0.5 * exponent), middle)


def boxcox1p_by_x(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """`(1 + x)**(y - 1)`, by a division where there is one: `y - 1` may have lost digits of `y`."""
    base = 1.0 + x
    if isinstance(y, int | float) and y >= 1:  # no digits are lost, and the power may overflow
        if y == 1:
            return g * xp.where(xp.isnan(base), base, 1.0)
        near = xp.exp((y - 1.0) * xp.log1p(x))
        return g * xp.where(is_near_zero(xp, x), near, xp.pow(base, y - 1.0))
    at_end = xp.logical_or(base == 0, base == math.inf)
    less = xp.where(at_end, xp.ones_like(base), 0.0)
    power = xp.where(is_near_zero(xp, x), xp.exp(y * xp.log1p(x)), xp.pow(base, y - less))
    return g * (power / xp.where(at_end, 1.0, base))


def boxcox1p_by_power(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """`log1p(x)**2 (exp(p) (p - 1) + 1) / p**2` with `p = y log1p(x)`, by its series near 0."""
    logarithm = xp.log1p(x)
    p = y * logarithm
    near = 0.0
    for k in range(8, -1, -1):
        near = p * near + (k + 1) / math.factorial(k + 2)
    is_near = xp.abs(p) < 0.1  # noqa: PLR2004 - nine terms are then enough
    apart = xp.where(is_near, 1.0, p)
    far = (xp.exp(p) * (p - 1.0) + 1.0) / (apart * apart)
    return g * (logarithm * logarithm * xp.where(is_near, near, far))


# ------------------------------------------------------------------------------------- 1 / cosh(x)
def sech(xp: Any, x: Any) -> Any:
    """The root of tanh's slope: unlike `1 - tanh(x)**2` it keeps its digits, and its own slope, a
    product with tanh, meets no infinity.
    """
    return 1.0 / xp.cosh(x)


# fmt: off
DIFFERENCES = (
    Primitive("log_cosh",     (lambda xp, g, out, x: g * xp.tanh(x),),
                              formula=log_cosh, domain=(REAL,)),
    Primitive("sech",         (lambda xp, g, out, x: -g * (out * xp.tanh(x)),),
                              formula=sech, domain=(REAL,)),
    Primitive("hypot_excess", (lambda xp, g, out, x, y: hypot_excess_by_leg(xp, g, x, y),
                               lambda xp, g, out, x, y: hypot_excess_by_other(xp, g, out, y)),
                              formula=hypot_excess, domain=(REAL, POSITIVE)),
    Primitive("log1p_excess", (lambda xp, g, out, x, y: log1p_excess_by_x(xp, g, x, y),
                               log1p_excess_by_y),
                              formula=log1p_excess, domain=(ABOVE_MINUS_HALF, (0.5, 4.0))),
    Primitive("log1p_ratio",  (lambda xp, g, out, x, y: g / (1.0 + x),
                               lambda xp, g, out, x, y: -g / (1.0 + y)),
                              formula=log1p_ratio, domain=(ABOVE_MINUS_HALF, ABOVE_MINUS_HALF)),
    Primitive("log1p_quotient",
                              (lambda xp, g, out, x, y: g / (x + y),
                               lambda xp, g, out, x, y: -g * (x / (x + y)) / y),
                              formula=log1p_quotient, domain=(POSITIVE, POSITIVE)),
    Primitive("boxcox1p",     (lambda xp, g, out, x, y: boxcox1p_by_x(xp, g, x, y),
                               lambda xp, g, out, x, y: boxcox1p_by_power(xp, g, x, y)),
                              formula=boxcox1p, domain=(ABOVE_MINUS_HALF, REAL)),
)
# fmt: on
