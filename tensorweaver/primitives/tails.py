"""What errors cost that count less the farther out they are, with slopes and curvatures that are
exact where a plain formula squares what is large already.

Each slope is an operation of its own, whose derivative is written by hand: that of a quotient
divides by the square of the denominator, which leaves the range of numbers long before the
quotient does. `k`, `df`, `alpha` and `c` are plain numbers.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.differences import hypot_excess_by_leg
from tensorweaver.primitives.primitive import Primitive

__all__ = ["TAILS"]

REAL = (-3.0, 3.0)
POSITIVE = (0.3, 4.0)

HUGE = 1e8
"""The square of it has no digits left for 1, and is within the range of numbers."""
HUGE_OF_LOG = 1e15
"""Beyond it, `log(1 + x**2)` is `2 log(1 + x)` to the last digit."""
TINY = 1e-9
"""Below it, every shape of the general loss is `x**2 / 2` to the last digit."""
FAR = 1e9
"""From here on, `x**2 + 1` is `x**2` in every power that is a number."""
SQUARE = 2


# ---------------------------------------------------------------------------- log(1 + k x**2)
def is_huge(xp: Any, x: Any, k: float) -> Any:
    return math.sqrt(k) * xp.abs(x) > HUGE


def log1p_square(xp: Any, x: Any, k: float) -> Any:
    length = math.sqrt(k) * xp.abs(x)
    beyond = length > HUGE_OF_LOG
    logarithm = xp.log1p(xp.where(beyond, length, x * (k * x)))
    return xp.where(beyond, 2.0 * logarithm, logarithm)


def log1p_square_slope(xp: Any, x: Any, k: float) -> Any:
    """`2 k x / (1 + k x**2)`; far out `2 / x`, whose derivative squares nothing."""
    beyond = is_huge(xp, x, k)
    return xp.where(beyond, 2.0, (2 * k) * x) / xp.where(beyond, x, 1.0 + x * (k * x))


# ------------------------------------------- (df + 1) / 2 log(1 + (x / s)**2 / df) + log(s)
def student_cost(xp: Any, x: Any, s: Any, df: float) -> Any:
    return (0.5 * (df + 1)) * log1p_square(xp, x / s, 1 / df) + xp.log(s)


def rest(xp: Any, x: Any, s: Any, df: float) -> Any:
    """`1 / (1 + u**2 / df)` with `u = x / s`."""
    u = x / s
    return 1.0 / (1.0 + u * ((1 / df) * u))


def share(xp: Any, x: Any, s: Any, df: float) -> Any:
    """1 less the rest: `u**2 / (df + u**2)`."""
    u = x / s
    inner = u * ((1 / df) * u)
    others = rest(xp, x, s, df)
    return xp.where(inner > 1, 1.0 - others, inner * others)


def pull(xp: Any, x: Any, s: Any, df: float) -> Any:
    """`u / (1 + u**2 / df) / s`, which is `df / x` far out."""
    u = x / s
    beyond = is_huge(xp, u, 1 / df)
    return xp.where(beyond, df, u) / xp.where(beyond, x, s * (1.0 + u * ((1 / df) * u)))


def student_by_error(xp: Any, x: Any, s: Any, df: float) -> Any:
    return ((df + 1) / df) * pull(xp, x, s, df)


def student_by_scale(xp: Any, x: Any, s: Any, df: float) -> Any:
    """`(1 - u**2) / (1 + u**2 / df) / s`, which is `-df / s` far out."""
    size = xp.abs(x / s)
    inside = (1.0 - size) * ((1.0 + size) * rest(xp, x, s, df))
    return xp.where(is_huge(xp, size, 1 / df), -df, inside) / s


def student_error_twice(xp: Any, g: Any, x: Any, s: Any, df: float) -> Any:
    """`(df + 1) / df (1 - u**2 / df) / (1 + u**2 / df)**2 / s**2`."""
    a, b = rest(xp, x, s, df) / s, math.sqrt(1 / df) * pull(xp, x, s, df)
    return g * (((df + 1) / df) * ((a - b) * (a + b)))


def student_both(xp: Any, g: Any, x: Any, s: Any, df: float) -> Any:
    """By the error and by the scale."""
    return g * ((-2 * (df + 1) / df) * (pull(xp, x, s, df) * (rest(xp, x, s, df) / s)))


def student_scale_twice(xp: Any, g: Any, x: Any, s: Any, df: float) -> Any:
    gain = (df + 1) * share(xp, x, s, df) * (1.0 + 2.0 * rest(xp, x, s, df))
    return g * ((gain - 1.0) / s / s)


# -------------------------------------------- b / alpha ((x**2 / b + 1)**(alpha / 2) - 1)
def shape(alpha: float) -> tuple[float, float, float]:
    """`b = abs(alpha - 2)`; what an error is divided by, which must not make it infinite; and the
    factor of the powers of that quotient.
    """
    b = abs(alpha - SQUARE)
    return b, max(1.0, math.sqrt(b)), b if b > 1 else b ** (1 - alpha / 2)


def slant_power(xp: Any, v: Any, h: Any, exponent: float) -> Any:
    """`h**exponent` with `h = sqrt(v**2 + 1)`, small exponents by `h`, a rounding or two off."""
    if abs(exponent) <= SQUARE:
        return h**exponent
    return xp.where(xp.abs(v) < 1, xp.exp((0.5 * exponent) * xp.log1p(v * v)), h**exponent)


def robust_cost(xp: Any, x: Any, alpha: float) -> Any:
    b, root, factor = shape(alpha)
    slant = xp.hypot_excess(x / math.sqrt(b), 1.0)
    cost = b * xp.boxcox1p(slant, alpha)
    if alpha > 1:
        size = xp.abs(x) / root
        far = size * ((factor / alpha) * size ** (alpha - 1))
        cost = xp.where(size > FAR, far, cost)
    return xp.where(xp.abs(x) < TINY, (0.5 * x) * x, cost)


def robust_slope(xp: Any, x: Any, alpha: float) -> Any:
    """`x (x**2 / b + 1)**(alpha / 2 - 1)`, as `x / h h**(alpha - 1)`."""
    b, root, factor = shape(alpha)
    v = x / math.sqrt(b)
    if alpha == 1:
        return hypot_excess_by_leg(xp, 1.0, v, 1.0)
    size = xp.abs(x) / root
    beyond = size > FAR
    h = xp.where(beyond, size, xp.hypot(v, 1.0))
    ratio = xp.where(beyond, (factor / root) * xp.sign(x), x / h)
    return ratio * slant_power(xp, v, h, alpha - 1)


def robust_curvature(xp: Any, g: Any, x: Any, alpha: float) -> Any:
    """`h**(alpha - 2) ((alpha - 1) r**2 + 1 / h**2)` with `h**2 = x**2 / b + 1` and `r**2 = 1 - 1 /
    h**2`: from 1 on a sum of what is positive.
    """
    b, root, factor = shape(alpha)
    v = x / math.sqrt(b)
    steep = hypot_excess_by_leg(xp, 1.0, v, 1.0)
    h = xp.hypot(v, 1.0)
    inverse = 1.0 / h
    bend = inverse * inverse
    if alpha != 1:
        bend = (alpha - 1) * (steep * steep) + bend
    near = slant_power(xp, v, h, alpha - 2) * bend
    if alpha <= 1:
        return g * near
    size = xp.abs(x) / root
    far = ((alpha - 1) * factor / root / root) * size ** (alpha - 2)
    return g * xp.where(size > FAR, far, near)


# ------------------------------------------------------- c**2 / 6 (1 - (1 - (x / c)**2)**3)
def biweight(xp: Any, x: Any, c: float) -> Any:
    scaled = x / c
    square = scaled * scaled
    near = (x / 6.0) * (x * (3.0 + square * (square - 3.0)))
    left = (1.0 - scaled) * (1.0 + scaled)
    far = c * ((c / 6.0) * (1.0 - left * (left * left)))
    within = xp.where(xp.abs(scaled) < 0.5, near, far)  # noqa: PLR2004 - either is exact there
    return xp.where(xp.abs(scaled) > 1, (c / 6.0) * c, within)


def biweight_slope(xp: Any, x: Any, c: float) -> Any:
    """`x (1 - (x / c)**2)**2` within, 0 beyond."""
    scaled = x / c
    left = (1.0 - scaled) * (1.0 + scaled)
    return xp.where(xp.abs(scaled) > 1, 0.0, x * (left * left))


# fmt: off
TAILS = (
    Primitive("log1p_square",     (lambda xp, g, out, x, k: g * log1p_square_slope(xp, x, k), None),
                                  formula=log1p_square, domain=(REAL, POSITIVE)),
    Primitive("student_cost",     (lambda xp, g, out, x, s, df: g * xp.student_by_error(x, s, df),
                                   lambda xp, g, out, x, s, df: g * xp.student_by_scale(x, s, df),
                                   None),
                                  formula=student_cost, domain=(REAL, POSITIVE, POSITIVE)),
    Primitive("student_by_error", (lambda xp, g, out, x, s, df: student_error_twice(xp, g, x, s, df),
                                   lambda xp, g, out, x, s, df: student_both(xp, g, x, s, df),
                                   None),
                                  formula=student_by_error, domain=(REAL, POSITIVE, POSITIVE)),
    Primitive("student_by_scale", (lambda xp, g, out, x, s, df: student_both(xp, g, x, s, df),
                                   lambda xp, g, out, x, s, df: student_scale_twice(xp, g, x, s, df),
                                   None),
                                  formula=student_by_scale, domain=(REAL, POSITIVE, POSITIVE)),
    Primitive("robust_cost",      (lambda xp, g, out, x, alpha: g * xp.robust_slope(x, alpha), None),
                                  formula=robust_cost, domain=(REAL, (-1.5, 1.5))),
    Primitive("robust_slope",     (lambda xp, g, out, x, alpha: robust_curvature(xp, g, x, alpha), None),
                                  formula=robust_slope, domain=(REAL, (-1.5, 1.5))),
    Primitive("biweight",         (lambda xp, g, out, x, c: g * biweight_slope(xp, x, c), None),
                                  formula=biweight, domain=(REAL, POSITIVE)),
)
# fmt: on
