"""What an event costs whose rate is the softplus of a logit, times an exposure.

Far below 0 both are exponentials, and slopes and curvatures written with logarithms of one less the
other cancel to nothing; here each difference is taken of the numbers themselves.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.primitive import Primitive

__all__ = ["EVENTS"]

REAL = (-3.0, 3.0)
POSITIVE = (0.3, 4.0)

LOWEST = -40.0
"""A logit from which on down `softplus(x)` is `exp(x)` to the last digit."""
TINY = 1e-17
"""A number that is nothing beside 1, whose square is within the range of numbers."""
LARGE = 1e3
"""A rate from which on no event is missed, in every precision."""


def event_cost(xp: Any, x: Any, w: Any) -> Any:
    """`-log(1 - exp(-r))` with `r = w softplus(x)`, where the rate underflows its logarithm."""
    softplus = xp.softplus(x)
    rate = w * softplus
    log_rate = xp.where(x < LOWEST, x, xp.log(softplus)) + xp.log(w)
    within = xp.where(rate < math.log(2), xp.log(-xp.expm1(-rate)), xp.log1p(-xp.exp(-rate)))
    return -xp.where(rate < TINY, log_rate, within)


def log_slope(xp: Any, x: Any) -> Any:
    """That of `log(softplus(x))`: `sigmoid(x) / softplus(x)`, 1 far below 0."""
    return xp.where(x < LOWEST, xp.ones_like(x), xp.sigmoid(x) / xp.softplus(x))


def log_bend(xp: Any, x: Any) -> Any:
    """`log_slope(x) - sigmoid(-x)`, about `exp(x) / 2` below 0."""
    odds = xp.exp(xp.minimum(x, 0.0))
    near = -xp.log1pmx(odds) / ((1.0 + odds) * xp.log1p(odds))
    below = xp.where(x < LOWEST, 0.5 * odds, near)
    return xp.where(x < 0, below, log_slope(xp, x) - xp.sigmoid(-x))


def surprise(xp: Any, rate: Any) -> Any:
    """`r / (exp(r) - 1)`, 1 at 0 and 0 at infinity."""
    finite = xp.minimum(rate, LARGE)
    return xp.where(rate < TINY, xp.ones_like(rate), finite / xp.expm1(finite))


def surprise_bend(xp: Any, rate: Any) -> Any:
    """`r / (1 - exp(-r)) - 1`, about `r / 2` near 0."""
    finite = xp.minimum(rate, LARGE)
    return xp.where(rate < TINY, 0.5 * rate, -xp.expm1mx(-finite) / xp.expm1(-finite))


def event_slope(xp: Any, x: Any, w: Any) -> Any:
    return -log_slope(xp, x) * surprise(xp, w * xp.softplus(x))


def event_curvature(xp: Any, g: Any, x: Any, w: Any) -> Any:
    """Both of its terms are positive."""
    rate, m = w * xp.softplus(x), log_slope(xp, x)
    return g * (surprise(xp, rate) * m * (m * surprise_bend(xp, rate) + log_bend(xp, x)))


# fmt: off
EVENTS = (
    Primitive("event_cost",  (lambda xp, g, out, x, w: g * xp.event_slope(x, w),
                              lambda xp, g, out, x, w: -g * (xp.softplus(x) / xp.expm1(w * xp.softplus(x)))),
                             formula=event_cost, domain=(REAL, POSITIVE)),
    Primitive("event_slope", (lambda xp, g, out, x, w: event_curvature(xp, g, x, w),
                              lambda xp, g, out, x, w: g * (log_slope(xp, x) * surprise(xp, w * xp.softplus(x))
                                                            * (surprise_bend(xp, w * xp.softplus(x)) / w))),
                             formula=event_slope, domain=(REAL, POSITIVE)),
)
# fmt: on
