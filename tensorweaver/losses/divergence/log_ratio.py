"""What divergences do with the ratio of two distributions, exact where they are nearly the same."""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "far_total",
    "impossible_for_both",
    "is_mostly",
    "relative_entropy",
    "tempered",
]

HALF = 0.5


def impossible_for_both(xp: Any, log_q: Any, log_p: Any) -> Any:
    """Where neither distribution has the class."""
    return xp.logical_and(log_q == -math.inf, log_p == -math.inf)


def tempered(logits: Any, temperature: float) -> Any:
    """The logits divided by the temperature."""
    return logits if temperature == 1 else logits / temperature


def relative_entropy(xp: Any, p: Any, q: Any, ratio: Any) -> Any:
    """`p (exp(ratio) - 1 - ratio)` with `ratio = log(q / p)`: what a class adds to `KL(p || q)`,
    made nonnegative by `q - p`, which adds up to nothing.
    """
    far = q - p - xp.multiply_no_nan(ratio, p)
    return xp.where(xp.abs(ratio) < 1, p * xp.expm1mx(ratio), far)


def far_total(xp: Any, x: Any, is_near: Any, *, total: float, mostly_far: Any) -> Any:
    """The sum of `x` over the classes that are not near, where all of them add up to `total`.

    Where the row is mostly far, it is found from the near classes: the far ones then have no slope
    that would have to cancel.
    """
    near = xp.sum(xp.where(is_near, x, 0.0), axis=-1, keepdims=True)
    far = xp.sum(xp.where(is_near, 0.0, x), axis=-1, keepdims=True)
    return xp.where(mostly_far, total - near, far)


def is_mostly(xp: Any, q: Any, chosen: Any) -> Any:
    """Whether the chosen classes of a row have more than half of the probability."""
    return xp.sum(xp.where(chosen, q, 0.0), axis=-1, keepdims=True) > HALF
