"""The ratio of two distributions that are given by logits, exact where they are nearly the same."""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "far_total",
    "impossible_for_both",
    "is_mostly",
    "log_ratio",
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


def log_ratio(xp: Any, logits: Any, other_logits: Any, temperature: float = 1.0) -> Any:
    """`log(q / p)` with `q = softmax(logits / temperature)` and `p` that of `other_logits`; 0 for a
    class that is masked in both.

    Between rows that are nearly the same the difference of two log-softmax has lost its digits.
    That of the logits has not, and the normalisers differ by `log1p(sum(p expm1(difference)))`. A
    whole number is subtracted before, which changes nothing, so that rows may be far apart by what
    all their logits share.
    """
    masked = impossible_for_both(xp, logits, other_logits)
    difference = tempered(xp.where(masked, 0.0, logits - other_logits), temperature)
    p = xp.softmax(tempered(other_logits, temperature), axis=-1)
    mean = xp.sum(xp.multiply_no_nan(difference, p), axis=-1, keepdims=True)
    change = difference - xp.round(mean)
    is_close = xp.max(xp.abs(change), axis=-1, keepdims=True) < 1
    change = xp.where(is_close, change, 0.0)
    growth = xp.sum(p * xp.expm1(change), axis=-1, keepdims=True)
    log_q = xp.log_softmax(tempered(logits, temperature), axis=-1)
    log_p = xp.log_softmax(tempered(other_logits, temperature), axis=-1)
    far = xp.where(masked, 0.0, log_q - log_p)
    return xp.where(is_close, change - xp.log1p(growth), far)


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
