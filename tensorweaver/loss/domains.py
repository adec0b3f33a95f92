"""What numbers an argument may hold.

Others are refused, with the place of the first, wherever numbers are at hand. Machine code makes a
NaN of a loss by the way where there are any, and only then are they looked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tensorweaver.compiler import parallel
from tensorweaver.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DOMAINS", "Domain", "check_domain"]

Array = np.ndarray[Any, Any]

Domain = Literal["probability", "nonnegative", "positive", "sign", "count"]
"""What an argument holds; NaN is let through everywhere, for it is never hidden."""

ROUNDED = 2.0**-20
"""How far a probability may be off: labels that were mixed or smoothed are rounded."""

HALF = 2
"""How many bytes a number of half precision has."""

PART = 1 << 16
"""How many numbers are looked at at once."""


class Described(NamedTuple):
    """A domain.

    Attributes
    ----------
    text
        It in words.
    outside
        `outside(xp, x)`: which numbers lie outside it, of arrays and of traced values.
    bounds
        The least and the largest number, where all between them are inside.
    """

    text: str
    outside: Callable[[Any, Any], Any]
    bounds: tuple[float, float] | None = None


def is_no_probability(xp: Any, x: Any) -> Any:
    return xp.logical_or(x < -ROUNDED, x > 1.0 + ROUNDED)


def is_no_sign(xp: Any, x: Any) -> Any:
    return xp.logical_and(xp.abs(x) != 1, xp.logical_not(xp.isnan(x)))


def is_no_count(xp: Any, x: Any) -> Any:
    whole = xp.logical_or(xp.isnan(x), x == xp.floor(x))
    return xp.logical_or(x < 0, xp.logical_not(whole))


DOMAINS: Mapping[str, Described] = {
    "probability": Described("from 0 to 1", is_no_probability, (-ROUNDED, 1 + ROUNDED)),
    "nonnegative": Described("0 or more", lambda _, x: x < 0, (0.0, math.inf)),
    "positive": Described("more than 0", lambda _, x: x <= 0, (math.ulp(0.0), math.inf)),
    "sign": Described("-1 or 1", is_no_sign),
    "count": Described("a whole number, 0 or more", is_no_count),
}


def check_domain(
    loss: str, name: str, numbers: Array, domain: Domain, counted: Array | None = None
) -> None:
    """Refuse the first number that the argument may not hold.

    Parameters
    ----------
    loss, name, numbers, domain
        Whose argument it is, what it is called, what it holds and may hold.
    counted
        Which numbers count, as an array that broadcasts with theirs; by default all.
    """
    text, outside, bounds = DOMAINS[domain]
    if bounds is not None and numbers.dtype == bool:
        return
    if counted is not None:
        numbers, counted = np.broadcast_arrays(numbers, counted)
    whole = np.atleast_1d(numbers)
    step = max(1, PART * len(whole) // max(1, whole.size))
    for start in suspicious(whole, step, bounds):
        part = part_at(whole, start, step)
        with np.errstate(invalid="ignore"):
            bad = outside(np, part)
        if counted is not None:
            bad = bad & np.atleast_1d(counted)[start : start + len(part)]
        if not bad.any():
            continue
        place = np.unravel_index(int(np.argmax(bad)), bad.shape)
        index = (int(place[0]) + start, *map(int, place[1:]))
        where = f"[{', '.join(map(str, index))}]" if numbers.ndim else ""
        message = f"{loss}: {name}{where} is {part[place].item()!r}, but must be {text}"
        raise ArgumentError(message)


def suspicious(whole: Array, step: int, bounds: tuple[float, float] | None) -> list[int]:
    """Where parts begin that do not lie within the bounds, found by all threads; else all parts."""
    starts = list(range(0, len(whole), step))
    if bounds is None:
        return starts
    within = [False] * len(starts)

    def look(number: int) -> None:
        within[number] = lies_within(part_at(whole, starts[number], step), *bounds)

    parallel.run(look, len(starts))
    return [start for start, inside in zip(starts, within, strict=True) if not inside]


def lies_within(part: Array, least: float, most: float) -> bool:
    """Whether all numbers do; False where any is NaN."""
    return not part.size or (least <= float(part.min()) and float(part.max()) <= most)


def part_at(whole: Array, start: int, step: int) -> Array:
    """Neighbours along the first axis, few enough for the caches; halves as float32, which NumPy
    compares quickly.
    """
    part = whole[start : start + step]
    is_half = part.dtype.itemsize == HALF and part.dtype.kind not in "iub"
    return part.astype(np.float32) if is_half else part
