"""The functions of the array API as formulas on vectors, by name.

Those that losses are made of are written out, in `exponential.py` and `logarithm.py`; the others
ask the C library lane by lane. All result in numbers of the first argument's kind, but for the
predicates (`isnan`, `isinf`, `isfinite`, `signbit`), which result in truth values.

Two names are not the array API's: `decay` is an `exp` of what is never above 0, such as -|x|, and
`log1p_unit` a `log1p` of numbers from 0 to 1 alone, such as e**-|x|, at less than half the price.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tensorweaver.compiler.llvm.exponential import cosh, decay, exp, expm1, sinh, tanh
from tensorweaver.compiler.llvm.logarithm import log, log1p, log1p_unit, log2, log10
from tensorweaver.compiler.llvm.vector import Type

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.compiler.llvm.vector import Vector

__all__ = ["FUNCTIONS"]

HALF = 0.5
#: By kind the powers of two: squares of what is above the first overflow, and are multiplied by the
#: second before; squares of what is below the third lose digits, and are multiplied by the fourth.
SCALES = {"float": (60, -80, -50, 100), "double": (500, -600, -450, 700)}


def c_library(name: str) -> Callable[..., Vector]:
    """A function of C99's mathematical library, called lane by lane."""

    def write(*arguments: Vector) -> Vector:
        first = arguments[0]
        lane = Type(first.type.kind)
        symbol = name if lane.kind == "double" else f"{name}f"
        if first.type.lanes == 1:
            return first.body.call(symbol, lane, *arguments)
        result = first
        for place in range(first.type.lanes):
            numbers = (argument.lane(place) for argument in arguments)
            result = result.with_lane(place, first.body.call(symbol, lane, *numbers))
        return result

    return write


def instruction(name: str) -> Callable[[Vector], Vector]:
    """A function that processors have, or that LLVM makes of what they have."""

    def write(x: Vector) -> Vector:
        return x.unary(name)

    return write


def hypot(x: Vector, y: Vector) -> Vector:
    """The root of the squares' sum, of legs scaled by a power of two where squares would not do."""
    far, shrink, near, stretch = (2.0**power for power in SCALES[x.type.kind])
    one, other = abs(x), abs(y)
    longer = one.maximum(other)
    is_far, is_near = longer > far, longer < near
    one, other = (
        is_far.choose(leg * shrink, is_near.choose(leg * stretch, leg)) for leg in (one, other)
    )
    root = (one * one + other * other).unary("sqrt")
    length = is_far.choose(root * (1 / shrink), is_near.choose(root * (1 / stretch), root))
    return ((abs(x) == math.inf) | (abs(y) == math.inf)).choose(math.inf, length)


def logaddexp(x: Vector, y: Vector) -> Vector:
    """The larger and log(1 + e**-|x - y|); equal infinities have no difference."""
    larger = (x > y).choose(x, y)
    softened = larger + log1p(exp(-abs(x - y)))
    return (x == y).choose(x + math.log(2), softened)


def remainder(x: Vector, y: Vector) -> Vector:
    """NumPy's and Python's, with the sign of y where C's has that of x."""
    rest = c_library("fmod")(x, y)
    signed = other_side(rest, y).choose(rest + y, rest)
    return (rest == 0.0).choose(rest.copysign(y), signed)


def floor_divide(x: Vector, y: Vector) -> Vector:
    """NumPy's and Python's: the quotient without remainder, an integer but for rounding."""
    rest = c_library("fmod")(x, y)
    quotient = (x - rest) / y
    quotient = other_side(rest, y).choose(quotient - 1.0, quotient)
    below = quotient.unary("floor")
    nearest = (quotient - below > HALF).choose(below + 1.0, below)
    plain = x / y
    whole = (quotient == 0.0).choose(quotient.copysign(plain), nearest)
    return (y == 0.0).choose(plain, whole)


def other_side(rest: Vector, y: Vector) -> Vector:
    """Where a remainder of C is not 0 and on the other side of it than y."""
    return (rest != 0.0) & ((rest < 0.0) ^ (y < 0.0))


def sign(x: Vector) -> Vector:
    """1, -1, or 0 for both zeros; NaN stays NaN."""
    not_positive = (x < 0.0).choose(-1.0, (x == 0.0).choose(0.0, x))
    return (x > 0.0).choose(1.0, not_positive)


FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "exp": exp,
    "decay": decay,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "log1p_unit": log1p_unit,
    "log2": log2,
    "log10": log10,
    "tanh": tanh,
    "sinh": sinh,
    "cosh": cosh,
    "sin": c_library("sin"),
    "cos": c_library("cos"),
    "tan": c_library("tan"),
    "asin": c_library("asin"),
    "acos": c_library("acos"),
    "atan": c_library("atan"),
    "asinh": c_library("asinh"),
    "acosh": c_library("acosh"),
    "atanh": c_library("atanh"),
    "pow": c_library("pow"),
    "hypot": hypot,
    "atan2": c_library("atan2"),
    "logaddexp": logaddexp,
    "remainder": remainder,
    "floor_divide": floor_divide,
    "sqrt": instruction("sqrt"),
    "reciprocal": lambda x: 1.0 / x,
    "square": lambda x: x * x,
    "sign": sign,
    "floor": instruction("floor"),
    "ceil": instruction("ceil"),
    "trunc": instruction("trunc"),
    "round": instruction("rint"),  # half to even
    "abs": abs,
    "copysign": lambda x, y: x.copysign(y),
    "maximum": lambda x, y: x.maximum(y),
    "minimum": lambda x, y: x.minimum(y),
    "isnan": lambda x: x.is_nan(),
    "isinf": lambda x: abs(x) == math.inf,
    "isfinite": lambda x: abs(x) < math.inf,
    "signbit": lambda x: x.bits() < 0,
}
