"""The probability that a variable falls into an interval, as a logarithm, in the far tails too.

As a difference of two distribution functions it loses all digits where the interval is narrow or
far out, and is 0 where both are 0 or 1 in floating point. Here the normal density at the nearer end
is taken out as a factor: what is left is a difference of two Mills ratios, each `(1 - P(x)) /
density(x)`, and `expm1` of half the difference of the ends' squares.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.normal import CENTRE, ERFCX, chebyshev
from tensorweaver.primitives.primitive import Primitive

__all__ = ["CENSORING"]

NEAR = (0.05, 2.0)
WIDTH = (0.3, 2.0)
ROOT_HALF = math.sqrt(0.5)
ROOT_HALF_PI = math.sqrt(0.5 * math.pi)
HALF_ROOT_PI = 0.5 * math.sqrt(math.pi)
LOG_ROOT_TAU = 0.5 * math.log(2 * math.pi)
ROOT_TAU = math.sqrt(2 * math.pi)
LOG_2 = math.log(2)
NOWHERE = 64.0
"""From here on the density is 0 in any dtype."""
QUADRATURE = (
    (0.019855071751231912, 0.05061426814518853),
    (0.10166676129318664, 0.11119051722668721),
    (0.2372337950418355, 0.15685332293894344),
    (0.4082826787521751, 0.18134189168918083),
    (0.5917173212478248, 0.18134189168918083),
    (0.7627662049581645, 0.15685332293894344),
    (0.8983332387068134, 0.11119051722668721),
    (0.9801449282487681, 0.05061426814518853),
)
"""Places and weights by Gauss and Legendre, from 0 to 1."""


# ---------------------------------------------------------------------------- the Mills ratio
def variable(x: Any) -> Any:
    """That of the series, which is 1 at infinity."""
    return 1.0 - 2 * CENTRE / (x + CENTRE)


def mills(x: Any) -> Any:
    """For `x` from 0 on."""
    scaled = x * ROOT_HALF
    return ROOT_HALF_PI * (chebyshev(variable(scaled), ERFCX) / (1.0 + 2.0 * scaled))


def fall_of_mills(x: Any, y: Any) -> Any:
    """`(mills(x) - mills(y)) / (y - x)` without a difference; with `y = x` minus the slope."""
    near, far = x * ROOT_HALF, y * ROOT_HALF
    value, quotient = divided_difference(variable(far), variable(near), ERFCX)
    apart = 2 * CENTRE * quotient / (near + CENTRE) / (far + CENTRE)
    return HALF_ROOT_PI * ((2.0 * value / (1.0 + 2.0 * far) - apart) / (1.0 + 2.0 * near))


def divided_difference(x: Any, y: Any, coefficients: tuple[float, ...]) -> tuple[Any, Any]:
    """A Chebyshev series at `x`, and `(series(x) - series(y)) / (x - y)`, by the differences of
    Clenshaw's recurrence.
    """
    last: Any = coefficients[-1]
    before: Any = 0.0
    slope: Any = 0.0
    slope_before: Any = 0.0
    for coefficient in coefficients[-2:0:-1]:
        slope, slope_before = 2.0 * last + (2.0 * y * slope - slope_before), slope
        last, before = 2.0 * x * last + (coefficient - before), last
    return x * last + (coefficients[0] - before), last + (y * slope - slope_before)


# ------------------------------------------------------------------- the normal distribution
def known_width(xp: Any, width: Any) -> Any:
    return xp.where(width < 0, math.nan, width)


def decay(xp: Any, x: Any, width: Any) -> Any:
    """Half the difference of the ends' squares."""
    return xp.where(width == math.inf, math.inf, width * (x + 0.5 * width))


def relative(xp: Any, x: Any, width: Any) -> Any:
    """The probability divided by the density at `x`, from 0 on."""
    near = xp.maximum(x, 0.0)
    end = near + width
    lost = -xp.expm1(-decay(xp, near, width))
    narrow = width * fall_of_mills(near, end) + mills(end) * lost
    return xp.where(width == math.inf, mills(near), narrow)


def tail(xp: Any, x: Any) -> Any:
    """The probability beyond `x`, from 0 on."""
    return mills(x) * density(xp, x)


def density(xp: Any, x: Any) -> Any:
    """By a number near `x` whose square is exact, and what the squares differ by."""
    size = xp.minimum(xp.abs(x), NOWHERE)
    coarse = xp.round(size * 16.0) / 16.0
    rest = (size - coarse) * (size + coarse)
    return xp.exp(-0.5 * (coarse * coarse)) * xp.exp(-0.5 * rest) / ROOT_TAU


def around(xp: Any, x: Any, width: Any) -> tuple[Any, Any]:
    """The probability of an interval with 0 in it, and what it lacks of 1."""
    left, right = xp.maximum(-x, 0.0), xp.maximum(x + width, 0.0)
    right = xp.where(width == math.inf, math.inf, right)
    lacks = tail(xp, left) + xp.where(width == math.inf, 0.0, tail(xp, right))
    middle = 0.5 * (xp.erf(left * ROOT_HALF) + xp.erf(right * ROOT_HALF))
    return xp.where(lacks < 0.5, 1.0 - lacks, middle), lacks  # noqa: PLR2004 - where log1p gains


def log_normal_between(xp: Any, x: Any, width: Any) -> Any:
    width = known_width(xp, width)
    beyond = xp.log(relative(xp, x, width)) - (0.5 * (x * x) + LOG_ROOT_TAU)
    inside, lacks = around(xp, x, width)
    usual = xp.where(lacks < 0.5, xp.log1p(-lacks), xp.log(inside))  # noqa: PLR2004 - as above
    return xp.where(x < 0, usual, beyond)


def normal_mean_between(xp: Any, x: Any, width: Any) -> Any:
    width = known_width(xp, width)
    lost = -xp.expm1(-decay(xp, x, width))
    inside, _ = around(xp, x, width)
    usual = density(xp, x) * xp.where(x == -math.inf, 0.0, lost) / inside
    return xp.where(x < 0, usual, lost / relative(xp, x, width))


def density_at_end(xp: Any, x: Any, width: Any) -> Any:
    """The density at the far end, divided by the probability."""
    inside, _ = around(xp, x, width)
    usual = density(xp, x + width) / inside
    beyond = xp.exp(-decay(xp, x, width)) / relative(xp, x, width)
    return xp.where(width == math.inf, 0.0, xp.where(x < 0, usual, beyond))


def distance_of_mean(xp: Any, x: Any, width: Any, mean: Any) -> Any:
    """How far the mean is from `x`: of a short interval by quadrature, of others by the Mills
    ratio's slope; only around 0 it is no small difference.
    """
    near = xp.maximum(x, 0.0)
    end, lost = near + width, decay(xp, near, width)
    beyond = xp.exp(-lost) * (fall_of_mills(end, end) + width * mills(end))
    beyond = xp.where(width == math.inf, 0.0, beyond)
    long = (fall_of_mills(near, near) - beyond) / relative(xp, near, width)
    total, moment = 0.0, 0.0
    for place, weight in QUADRATURE:
        term = weight * xp.exp(-width * place * (near + 0.5 * width * place))
        total, moment = total + term, moment + term * place
    short = width * (moment / total)
    return xp.where(x < 0, mean - x, xp.where(lost < 1.0, short, long))


def normal_mean_by_start(xp: Any, g: Any, out: Any, x: Any, width: Any) -> Any:
    """1 less the variance."""
    distance = distance_of_mean(xp, x, width, out)
    ends = xp.where(width == math.inf, 0.0, width * density_at_end(xp, x, width))
    return g * (ends + xp.where(out == 0, 0.0, out * distance))


def normal_mean_by_width(xp: Any, g: Any, out: Any, x: Any, width: Any) -> Any:
    at_end = density_at_end(xp, x, width)
    return g * xp.where(at_end == 0, 0.0, at_end * (x + width - out))


# ------------------------------------------------------------------- the Gumbel distribution
def log_gumbel(xp: Any, x: Any) -> Any:
    t = xp.exp(x)
    near = x + xp.log(xp.where(t == 0, 1.0, -xp.expm1(-t) / t))
    return xp.where(t < LOG_2, near, xp.log1p(-xp.exp(-t)))


def gumbel_share(xp: Any, x: Any) -> Any:
    t = xp.exp(x)
    share = t * xp.exp(-t) / -xp.expm1(-t)
    return xp.where(t == 0, 1.0, xp.where(t == math.inf, 0.0, share))


def gumbel_share_slope(xp: Any, g: Any, out: Any, x: Any) -> Any:
    t = xp.exp(x)
    slope = gumbel_share(xp, x) * (xp.expm1mx(-t) / xp.expm1(-t))
    return g * xp.where((t == 0) | (t == math.inf), 0.0, slope)


# fmt: off
CENSORING = (
    # the logarithm of a standard normal variable's probability from x to x + width, for 2 x >= -width
    Primitive("log_normal_between",
              (lambda xp, g, out, x, width: -g * xp.normal_mean_between(x, width),
               lambda xp, g, out, x, width: g * density_at_end(xp, x, width)),
              formula=log_normal_between, domain=(NEAR, WIDTH)),
    # its mean where it is in that interval
    Primitive("normal_mean_between",
              (normal_mean_by_start, normal_mean_by_width),
              formula=normal_mean_between, domain=(NEAR, WIDTH)),
    # log(1 - exp(-t)) of t = exp(x), and its slope t / (exp(t) - 1)
    Primitive("log_gumbel",   (lambda xp, g, out, x: g * xp.gumbel_share(x),), formula=log_gumbel),
    Primitive("gumbel_share", (gumbel_share_slope,),                           formula=gumbel_share),
)
# fmt: on
