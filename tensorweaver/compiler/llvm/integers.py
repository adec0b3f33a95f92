"""What formulas may do with labels beyond arithmetic: whole numbers, as NumPy has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.compiler.llvm.vector import Vector

__all__ = ["INTEGER_FUNCTIONS"]


def quotient_and_rest(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Rounded down, and what is left, of the divisor's sign; 0 and 0 for the divisor 0."""
    special = (y == 0) | (y == -1)  # the processor stops at the one, and may at the other
    divisor = special.choose(1, y)
    quotient = x / divisor
    rest = x - quotient * divisor
    below = (rest != 0) & ((rest ^ divisor) < 0)
    quotient = below.choose(quotient - 1, quotient)
    rest = below.choose(rest + divisor, rest)
    by_special = (y == 0).choose(y, -x)
    return special.choose(by_special, quotient), special.choose(0, rest)


def sign(x: Vector) -> Vector:
    """-1, 0 or 1."""
    return x.maximum(-1).minimum(1)


INTEGER_FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "remainder": lambda x, y: quotient_and_rest(x, y)[1],
    "floor_divide": lambda x, y: quotient_and_rest(x, y)[0],
    "sign": sign,
    "isnan": lambda x: x != x,  # noqa: PLR0124 - no integer is
    "isinf": lambda x: x != x,  # noqa: PLR0124
    "isfinite": lambda x: x == x,  # noqa: PLR0124
    "signbit": lambda x: x < 0,
}
"""By the names of the array API."""
