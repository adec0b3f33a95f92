"""What an error costs beside a spread that is predicted, too.

The slopes by the spread are differences that are divided by it; divided first, their parts are
infinite of opposite signs where the spread is small.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.primitive import Primitive

__all__ = ["SPREADS"]

REAL = (-3.0, 3.0)
POSITIVE = (0.3, 4.0)


# --------------------------------------------------------------------------- log(s) + x / s
def laplace_cost(xp: Any, x: Any, s: Any) -> Any:
    return xp.log(s) + x / s


def laplace_by_scale(xp: Any, x: Any, s: Any) -> Any:
    return (1.0 - x / s) / s


def laplace_scale_twice(xp: Any, g: Any, x: Any, s: Any) -> Any:
    return g * ((2.0 * (x / s) - 1.0) / s / s)


# ------------------------------------------------------------------ (log(v) + x**2 / v) / 2
def normal_cost(xp: Any, x: Any, v: Any) -> Any:
    scaled = x / xp.sqrt(v)
    return 0.5 * xp.log(v) + (0.5 * scaled) * scaled


def normal_by_error(xp: Any, g: Any, x: Any, v: Any) -> Any:
    root = xp.sqrt(v)
    return g * (x / root / root)


def normal_by_variance(xp: Any, x: Any, v: Any) -> Any:
    """`(1 - z**2) / (2 v)` with `z = x / sqrt(v)`."""
    size = xp.abs(x / xp.sqrt(v))
    return (1.0 - size) * ((0.5 + 0.5 * size) / v)


def normal_variance_twice(xp: Any, g: Any, x: Any, v: Any) -> Any:
    """`(z**2 - 1 / 2) / v**2`."""
    size, least = xp.abs(x / xp.sqrt(v)), math.sqrt(0.5)
    return g * ((size - least) * ((size + least) / v) / v)


# fmt: off
SPREADS = (
    Primitive("laplace_cost",       (lambda xp, g, out, x, s: g / s,
                                     lambda xp, g, out, x, s: g * xp.laplace_by_scale(x, s)),
                                    formula=laplace_cost, domain=(POSITIVE, POSITIVE)),
    Primitive("laplace_by_scale",   (lambda xp, g, out, x, s: -g / s / s,
                                     lambda xp, g, out, x, s: laplace_scale_twice(xp, g, x, s)),
                                    formula=laplace_by_scale, domain=(POSITIVE, POSITIVE)),
    Primitive("normal_cost",        (lambda xp, g, out, x, v: normal_by_error(xp, g, x, v),
                                     lambda xp, g, out, x, v: g * xp.normal_by_variance(x, v)),
                                    formula=normal_cost, domain=(REAL, POSITIVE)),
    Primitive("normal_by_variance", (lambda xp, g, out, x, v: -normal_by_error(xp, g, x, v) / v,
                                     lambda xp, g, out, x, v: normal_variance_twice(xp, g, x, v)),
                                    formula=normal_by_variance, domain=(REAL, POSITIVE)),
)
# fmt: on
