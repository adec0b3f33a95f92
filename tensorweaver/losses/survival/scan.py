"""Running totals along sorted subjects, by doubling: `log N` steps, and no difference of sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["add_logarithms", "from_here", "later", "up_to_here"]


def later(xp: Any, x: Any, step: int, fill: float) -> Any:
    """What stands `step` places later, `fill` beyond the end; for a negative step, earlier."""
    rest = xp.full((min(abs(step), x.shape[0]),), fill, dtype=x.dtype, device=x.device)
    if step < 0:
        return xp.concat([rest, x[:step]])
    return xp.concat([x[step:], rest])


def from_here(
    xp: Any, x: Any, blocks: Any, combine: Callable[[Any, Any, Any], Any], fill: float
) -> Any:
    """Each element combined with the later ones of its block; a block is one number, repeated."""
    return doubled(xp, x, blocks, combine, fill, 1)


def up_to_here(
    xp: Any, x: Any, blocks: Any, combine: Callable[[Any, Any, Any], Any], fill: float
) -> Any:
    """Each element combined with the earlier ones of its block."""
    return doubled(xp, x, blocks, combine, fill, -1)


def doubled(
    xp: Any, x: Any, blocks: Any, combine: Callable[[Any, Any, Any], Any], fill: float, way: int
) -> Any:
    step = 1
    while step < x.shape[0]:
        is_same = blocks == later(xp, blocks, way * step, -1)
        x = combine(xp, x, xp.where(is_same, later(xp, x, way * step, fill), fill))
        step *= 2
    return x


def add_logarithms(xp: Any, x: Any, y: Any) -> Any:
    """`log(exp(x) + exp(y))`, where -inf is nothing and has no slope."""
    none_x, none_y = x == -math.inf, y == -math.inf
    both = xp.logaddexp(xp.where(none_x, 0.0, x), xp.where(none_y, 0.0, y))
    return xp.where(none_x, y, xp.where(none_y, x, both))
