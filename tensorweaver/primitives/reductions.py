"""Reductions over axes, and reading and writing one place a row.

Two functions beyond the standard keep the rules free of shapes: `xp.spread(g, x, axis, keepdims)`
lays a reduced value out over the axes that were reduced, to stand beside `x`; `xp.count(x, axis)`
is the number of elements reduced.
"""

from __future__ import annotations

from typing import Any

from tensorweaver.primitives.primitive import Primitive

__all__ = ["REDUCTIONS"]

POSITIVE = (0.05, 4.0)


def share_of_extreme(
    xp: Any, g: Any, out: Any, x: Any, *, axis: Any = None, keepdims: bool = False
) -> Any:
    """The slope of a maximum or minimum: shared evenly by those that tie, the subgradient of
    smallest norm.
    """
    extreme = xp.spread(out, x, axis, keepdims)
    chosen = x == extreme
    ties = xp.sum(xp.where(chosen, xp.ones_like(x), 0.0), axis=axis, keepdims=True)
    share = xp.spread(g, x, axis, keepdims)
    unknown = xp.isnan(extreme)
    known_share = xp.where(unknown, share * extreme, share / ties)
    return xp.where(xp.logical_or(chosen, unknown), known_share, 0.0)


def product_of_others(
    xp: Any, g: Any, out: Any, x: Any, *, axis: Any = None, keepdims: bool = False
) -> Any:
    """The slope of a product is the product of the others, also where factors are zero."""
    is_zero = x == 0
    ones = xp.ones_like(x)
    safe = xp.where(is_zero, ones, x)
    zeros = xp.sum(xp.where(is_zero, ones, 0.0), axis=axis, keepdims=True)
    nonzero = xp.prod(safe, axis=axis, keepdims=True)
    others = xp.where(zeros == 0, nonzero / safe, xp.where((zeros == 1) & is_zero, nonzero, 0.0))
    return xp.spread(g, x, axis, keepdims) * others


def mean(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return xp.sum(x, axis=axis, keepdims=keepdims) / xp.count(x, axis)


def take_pullback(xp: Any, g: Any, out: Any, x: Any, labels: Any, *, axis: int = -1) -> Any:
    return xp.put_along_axis(xp.zeros_like(x), labels, g, axis=axis)


def put_pullback(
    xp: Any, g: Any, out: Any, x: Any, labels: Any, value: Any, *, axis: int = -1
) -> Any:
    return xp.put_along_axis(g, labels, 0.0, axis=axis)


def put_value_pullback(
    xp: Any, g: Any, out: Any, x: Any, labels: Any, value: Any, *, axis: int = -1
) -> Any:
    return xp.take_along_axis(g, labels, axis=axis)


# fmt: off
REDUCTIONS = (
    Primitive("sum",  (lambda xp, g, out, x, *, axis=None, keepdims=False: xp.spread(g, x, axis, keepdims),),
              kind="reduction"),
    Primitive("mean", (lambda xp, g, out, x, *, axis=None, keepdims=False:
                           xp.spread(g, x, axis, keepdims) / xp.count(x, axis),),
              kind="reduction", formula=mean),
    Primitive("max",  (share_of_extreme,),  kind="reduction"),
    Primitive("min",  (share_of_extreme,),  kind="reduction"),
    Primitive("prod", (product_of_others,), kind="reduction", domain=(POSITIVE,)),
    Primitive("take_along_axis", (take_pullback, None),                    kind="label"),
    Primitive("put_along_axis",  (put_pullback, None, put_value_pullback), kind="label"),
)
# fmt: on
