"""Exponentials that meet a factor, and what amounts cost from the logarithm of their mean.

An exponential leaves the range of numbers where its product with a small factor does not, and two
of them may be infinite where their difference has a sign. The rates and factors of the mean's
powers are plain numbers.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.gamma import horner
from tensorweaver.primitives.primitive import Primitive
from tensorweaver.primitives.stable import EXPM1MX

__all__ = ["AMOUNTS"]

REAL = (-3.0, 3.0)
POSITIVE = (0.3, 4.0)
POWER = (1.2, 1.8)

FAR = 50.0
"""An exponent whose exponential is far from 1 and within the range of numbers."""
NEAR = 0.5
"""Up to which logarithm of the mean cost and gain are of one size, and of opposite signs."""
LAST_DIGIT = 1e-17
"""What is less than this part of a sum is not seen in it."""


def times_exp(xp: Any, x: Any, exponent: Any) -> Any:
    """`x exp(exponent)`, by halves where the exponential alone might leave the range of numbers."""
    is_far = xp.abs(exponent) > FAR
    part = xp.exp(xp.where(is_far, 0.5 * exponent, exponent))
    return xp.where(x == 0, 0.0, part * xp.where(is_far, part * x, x))


# ------------------------------------------------- u exp((2 - p) x) - v y exp((1 - p) x)
def power_term(xp: Any, x: Any, y: Any, rate: float) -> Any:
    """`y exp(rate x)`."""
    if rate == 0:
        return y
    if isinstance(y, int | float):
        return xp.exp(rate * x) if y == 1 else times_exp(xp, y * xp.ones_like(x), rate * x)
    return times_exp(xp, y, rate * x)


def difference(xp: Any, x: Any, y: Any, cost: Any, gain: Any, odds: float) -> Any:
    """`cost - gain`, `odds exp(x) / y` being their quotient where both are infinite."""
    both = xp.logical_and(xp.abs(cost) == math.inf, cost == gain)
    larger = xp.where(odds * xp.exp(x) > y, cost, -gain)
    return xp.where(both, larger, cost - gain)


def exp_difference(xp: Any, x: Any, y: Any, p: float, u: float, v: float) -> Any:
    a, b = 1 - p, 2 - p
    if v == 0:
        return power_term(xp, x, u, b)
    gain = power_term(xp, x, v * y, a)
    if u == 0:
        return -gain
    cost = power_term(xp, x, u, b)
    # From 1 to 2 one of them falls where the other grows.
    return cost - gain if 1 <= p <= 2 else difference(xp, x, y, cost, gain, u / v)  # noqa: PLR2004


# ------------------------------------------------- (exp(b x) - 1) / b - y (exp(a x) - 1) / a
def scaled_expm1(xp: Any, x: Any, rate: float) -> Any:
    return x if rate == 0 else xp.expm1(rate * x) / rate


def times_scaled_expm1(xp: Any, x: Any, y: Any, rate: float) -> Any:
    """`y expm1(rate x) / rate`, by halves where the exponential may leave the range of numbers."""
    if rate == 0:
        return xp.multiply_no_nan(x, y)
    exponent = rate * x
    usual = xp.multiply_no_nan(xp.expm1(exponent) / rate, y)
    return xp.where(xp.abs(exponent) > FAR, (times_exp(xp, y, exponent) - y) / rate, usual)


def excess(xp: Any, x: Any, rate: float) -> Any:
    """What `scaled_expm1` is more than `x`, near 0."""
    if rate == 0:
        return 0.0
    sizes = [coefficient * abs(NEAR * rate) ** k for k, coefficient in enumerate(EXPM1MX[::-1])]
    count = sum(size > LAST_DIGIT * sizes[0] for size in sizes)
    return (rate * x) * (x * horner(rate * x, EXPM1MX[-count:]))


def amount_cost(xp: Any, x: Any, y: Any, p: float) -> Any:
    """Near a mean of 1, where a target near 1 leaves the squares alone, without their difference."""
    a, b = 1 - p, 2 - p
    near = x * (1.0 - y) + (excess(xp, x, b) - y * excess(xp, x, a))
    cost = scaled_expm1(xp, x, b) if b <= 1 else times_scaled_expm1(xp, x, xp.ones_like(x), b)
    gain = times_scaled_expm1(xp, x, y, a)
    apart = cost - gain if 1 <= p <= 2 else difference(xp, x, y, cost, gain, a / b)  # noqa: PLR2004
    return xp.where(xp.abs(x) < NEAR, near, apart)


# fmt: off
AMOUNTS = (
    Primitive("times_exp",      (lambda xp, g, out, x, exponent: g * xp.exp(exponent),
                                 lambda xp, g, out, x, exponent: g * out),
                                formula=times_exp, domain=(REAL, REAL)),
    Primitive("exp_difference", (lambda xp, g, out, x, y, p, u, v:
                                     g * xp.exp_difference(x, y, p, u * (2 - p), v * (1 - p)),
                                 lambda xp, g, out, x, y, p, u, v: -g * power_term(xp, x, v, 1 - p),
                                 None, None, None),
                                formula=exp_difference, domain=(REAL, POSITIVE, POWER, POSITIVE, POSITIVE)),
    # the integral of exp(rate t) from 0 to x
    Primitive("scaled_expm1",   (lambda xp, g, out, x, rate: g if rate == 0 else g * xp.exp(rate * x), None),
                                formula=scaled_expm1, domain=(REAL, REAL)),
    # the integral of exp((2 - p) t) - y exp((1 - p) t) from 0 to x
    Primitive("amount_cost",    (lambda xp, g, out, x, y, p: g * xp.exp_difference(x, y, p, 1, 1),
                                 lambda xp, g, out, x, y, p: -g * xp.scaled_expm1(x, 1 - p),
                                 None),
                                formula=amount_cost, domain=(REAL, POSITIVE, POWER)),
)
# fmt: on
