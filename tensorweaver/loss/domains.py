"""What numbers an argument may hold, looked at where `use_validation(True)` asks for it.

Without it a number outside its domain is computed with as it is, and gives NaN or what the formula
makes of it: to look at every number would take as long as the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tensorweaver.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DOMAINS", "Domain", "check_domain"]

Domain = Literal["probability", "nonnegative", "positive", "sign", "count"]
"""What an argument holds; NaN is let through everywhere, for it is never hidden."""


class Described(NamedTuple):
    """A domain in words, and which numbers lie outside it."""

    text: str
    outside: Callable[[Any], Any]


DOMAINS: Mapping[str, Described] = {
    "probability": Described("from 0 to 1", lambda x: (x < 0) | (x > 1)),
    "nonnegative": Described("0 or more", lambda x: x < 0),
    "positive": Described("more than 0", lambda x: x <= 0),
    "sign": Described("-1 or 1", lambda x: (np.abs(x) != 1) & ~np.isnan(x)),
    "count": Described(
        "a whole number, 0 or more", lambda x: (x < 0) | ((x != np.floor(x)) & ~np.isnan(x))
    ),
}


def check_domain(loss: str, name: str, numbers: np.ndarray[Any, Any], domain: Domain) -> None:
    """Refuse the first number that the argument may not hold."""
    text, outside = DOMAINS[domain]
    with np.errstate(invalid="ignore"):
        bad = np.asarray(outside(numbers))
    if not bad.any():
        return
    place = np.unravel_index(int(np.argmax(bad)), bad.shape)
    where = f"[{', '.join(str(int(i)) for i in place)}]" if place else ""
    message = f"{loss}: {name}{where} is {numbers[place].item()!r}, but must be {text}"
    raise ArgumentError(message)
