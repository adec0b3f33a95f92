"""The elementwise operations of the array API standard, with their derivatives.

Kinks follow one rule: the subgradient of smallest norm. `abs` has slope 0 at 0, `maximum(x, 0)`
slope 0 at 0; two variable arguments that tie share the slope evenly.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.primitive import Primitive, Rule

__all__ = ["ELEMENTWISE", "PREDICATES"]

REAL = (-3.0, 3.0)
POSITIVE = (0.05, 4.0)
OPEN_UNIT = (-0.95, 0.95)
ABOVE_MINUS_ONE = (-0.95, 3.0)
ABOVE_ONE = (1.05, 4.0)


def wins(xp: Any, g: Any, out: Any, mine: Any, other: Any, loses: Any) -> Any:
    """The share of `g` that goes to `mine`: none where it `loses`, half of it where two variables
    tie, none where it ties with a number. NaN loses nowhere and stays NaN.
    """
    passed = xp.where(xp.isnan(out), g * math.nan, g)
    ties = mine == other
    if isinstance(other, int | float):
        return xp.where(xp.logical_or(loses, ties), 0.0, passed)
    return xp.where(loses, 0.0, xp.where(ties, 0.5 * g, passed))


def power_by_base(xp: Any, g: Any, out: Any, x: Any, y: Any) -> Any:
    """`y x**(y-1)`, which is 0 for `y = 0` even at `x = 0`."""
    if isinstance(y, int | float):
        return 0.0 * x if y == 0 else g * (y * x ** (y - 1))
    return xp.where(y == 0, 0.0, g * (y * x ** (y - 1)))


def power_by_exponent(xp: Any, g: Any, out: Any, x: Any, y: Any) -> Any:
    """`x**y log(x)`, continued by 0 to where the logarithm does not exist."""
    if isinstance(x, int | float):
        return g * (out * math.log(x)) if x > 0 else 0.0 * y
    return xp.where(x > 0, g * (out * xp.log(xp.where(x > 0, x, 1.0))), 0.0)


def hypotenuse_slope(xp: Any, g: Any, out: Any, leg: Any) -> Any:
    """`leg / out`; at the origin the subgradient of smallest norm, 0."""
    return xp.where(out == 0, 0.0, g * (leg / xp.where(out == 0, 1.0, out)))


def over_square(xp: Any, leg: Any, other: Any) -> Any:
    """`leg / (leg**2 + other**2)`, of which no square leaves the range of numbers."""
    long = xp.hypot(leg, other)
    return leg / long / long


def same_sign(xp: Any, x: Any, y: Any) -> Any:
    return xp.signbit(x) == xp.signbit(y)


def row(
    name: str,
    *rules: Rule | None,
    domain: tuple[float, float] | tuple[tuple[float, float], ...] = REAL,
) -> Primitive:
    intervals: Any = domain if isinstance(domain[0], tuple) else (domain,)
    return Primitive(name, rules, domain=intervals)


# fmt: off
ELEMENTWISE = (
    # one argument
    row("negative",   lambda xp, g, out, x: -g),
    row("positive",   lambda xp, g, out, x: g),
    row("abs",        lambda xp, g, out, x: g * xp.sign(x)),
    row("square",     lambda xp, g, out, x: 2.0 * g * x),
    row("sqrt",       lambda xp, g, out, x: 0.5 * g / out,               domain=POSITIVE),
    row("reciprocal", lambda xp, g, out, x: -g * (out * out),            domain=POSITIVE),
    row("exp",        lambda xp, g, out, x: g * out),
    row("expm1",      lambda xp, g, out, x: g * xp.exp(x)),
    row("log",        lambda xp, g, out, x: g / x,                       domain=POSITIVE),
    row("log1p",      lambda xp, g, out, x: g / (1.0 + x),               domain=ABOVE_MINUS_ONE),
    row("log2",       lambda xp, g, out, x: g / (x * math.log(2)),       domain=POSITIVE),
    row("log10",      lambda xp, g, out, x: g / (x * math.log(10)),      domain=POSITIVE),
    row("sin",        lambda xp, g, out, x: g * xp.cos(x)),
    row("cos",        lambda xp, g, out, x: -g * xp.sin(x)),
    row("tan",        lambda xp, g, out, x: g * (1.0 + out * out),       domain=(-1.4, 1.4)),
    row("asin",       lambda xp, g, out, x: g / xp.sqrt((1.0 - x) * (1.0 + x)),  domain=OPEN_UNIT),
    row("acos",       lambda xp, g, out, x: -g / xp.sqrt((1.0 - x) * (1.0 + x)), domain=OPEN_UNIT),
    row("atan",       lambda xp, g, out, x: g / (1.0 + x * x)),
    row("sinh",       lambda xp, g, out, x: g * xp.cosh(x)),
    row("cosh",       lambda xp, g, out, x: g * xp.sinh(x)),
    row("tanh",       lambda xp, g, out, x: g * xp.square(xp.sech(x))),
    row("asinh",      lambda xp, g, out, x: g / xp.hypot(x, 1.0)),
    row("acosh",      lambda xp, g, out, x: g / xp.sqrt((x - 1.0) * (x + 1.0)),  domain=ABOVE_ONE),
    row("atanh",      lambda xp, g, out, x: g / ((1.0 - x) * (1.0 + x)), domain=OPEN_UNIT),
    row("sign",       None),
    row("floor",      None),
    row("ceil",       None),
    row("trunc",      None),
    row("round",      None),
    # two arguments
    row("add",        lambda xp, g, out, x, y: g,
                      lambda xp, g, out, x, y: g),
    row("subtract",   lambda xp, g, out, x, y: g,
                      lambda xp, g, out, x, y: -g),
    row("multiply",   lambda xp, g, out, x, y: g * y,
                      lambda xp, g, out, x, y: g * x),
    row("divide",     lambda xp, g, out, x, y: g / y,
                      lambda xp, g, out, x, y: -g * (out / y),           domain=(REAL, POSITIVE)),
    row("pow",        power_by_base,
                      power_by_exponent,                                 domain=(POSITIVE, REAL)),
    row("maximum",    lambda xp, g, out, x, y: wins(xp, g, out, x, y, x < y),
                      lambda xp, g, out, x, y: wins(xp, g, out, y, x, y < x)),
    row("minimum",    lambda xp, g, out, x, y: wins(xp, g, out, x, y, x > y),
                      lambda xp, g, out, x, y: wins(xp, g, out, y, x, y > x)),
    row("logaddexp",  lambda xp, g, out, x, y: g * xp.sigmoid(x - y),
                      lambda xp, g, out, x, y: g * xp.sigmoid(y - x)),
    row("hypot",      lambda xp, g, out, x, y: hypotenuse_slope(xp, g, out, x),
                      lambda xp, g, out, x, y: hypotenuse_slope(xp, g, out, y)),
    row("atan2",      lambda xp, g, out, y, x: g * over_square(xp, x, y),
                      lambda xp, g, out, y, x: -g * over_square(xp, y, x), domain=(REAL, POSITIVE)),
    row("copysign",   lambda xp, g, out, x, y: xp.where(same_sign(xp, x, y), g, -g),
                      None),
    row("remainder",  lambda xp, g, out, x, y: g,
                      lambda xp, g, out, x, y: -g * xp.floor(x / y),     domain=((2.2, 2.8), (1.0, 1.05))),
    row("floor_divide", None,
                      None,                                              domain=(REAL, POSITIVE)),
    # a condition and two branches
    row("where",      None,
                      lambda xp, g, out, condition, x, y: xp.where(condition, g, 0.0),
                      lambda xp, g, out, condition, x, y: xp.where(condition, 0.0, g)),
)
# fmt: on

PREDICATES = tuple(
    Primitive(name, (None,) * arity, kind="predicate")
    for arity, names in (
        (1, ("isfinite", "isinf", "isnan", "signbit", "logical_not")),
        (2, ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")),
        (2, ("logical_and", "logical_or", "logical_xor")),
    )
    for name in names
)
