"""What counts cost that scatter more than Poisson's: the terms of the negative binomial law.

A count has a mean and a size `r`, and the variance `mean + mean**2 / r`. For large sizes the law is
Poisson's, and written with gamma functions its terms would lose all digits there; for small sizes
those of the mean cancel. Here each difference is taken of the numbers themselves.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.primitive import Primitive

__all__ = ["DISPERSION"]

POSITIVE = (0.3, 4.0)
REAL = (-3.0, 3.0)
ROOT_OF_LARGE = 1e8
"""Its square has no digits left for 1, and is within the range of numbers."""
SMALL = 1e-8
"""Below it, a third term of a series is below the last digit of double precision."""
FAR = 80.0
"""A logarithm of numbers that are nothing beside most others, or most others beside them."""


def log1p_quotient(xp: Any, x: Any, y: Any) -> Any:
    """`log(1 + x / y)`, where the quotient may leave the range of numbers."""
    root = xp.sqrt(x) / xp.sqrt(y)
    return xp.where(root > ROOT_OF_LARGE, 2.0 * xp.log(root), xp.log1p(x / y))


def scaled_log1p(xp: Any, x: Any, y: Any, r: Any) -> Any:
    """`r log(1 + x / y)` for `r` up to `y`: of a quotient that may be too small to keep its digits
    the first terms of the series.
    """
    quotient = x / y
    near = x * (r / y) * (1.0 - 0.5 * quotient)
    return xp.where(quotient < SMALL, near, r * log1p_quotient(xp, x, y))


def log_of_sums(xp: Any, x: Any, y: Any, r: Any) -> Any:
    """`log((r + x) / (r + y))`."""
    distance = log1p_quotient(xp, xp.abs(x - y), r + xp.minimum(x, y))
    return xp.where(x >= y, distance, -distance)


def log_of_shares(xp: Any, x: Any, y: Any, r: Any) -> Any:
    """`log(x (r + y) / (y (r + x)))`: how much more `x` is of a sum with `r`."""
    share = r / (r + xp.maximum(x, y))
    distance = log1p_quotient(xp, xp.abs(x - y) * share, xp.minimum(x, y))
    return xp.where(x >= y, distance, -distance)


def known(xp: Any, value: Any, x: Any, r: Any) -> Any:
    """NaN for negative counts, and for sizes that are not positive."""
    return xp.where((x < 0) | (r <= 0), math.nan, value)


# ------------------------------------------------------------------------------- from the mean
def dispersed_divergence(xp: Any, x: Any, y: Any, r: Any) -> Any:
    surplus = xp.multiply_no_nan(log_of_shares(xp, x, y, r), x)
    distance = scaled_log1p(xp, xp.abs(x - y), r + xp.minimum(x, y), r)
    apart = surplus + xp.where(x > y, -distance, distance)
    value = xp.where(x == 0, scaled_log1p(xp, y, r, r), apart)
    return known(xp, xp.where(y < 0, math.nan, xp.where(y == math.inf, y, value)), x, r)


def dispersed_cost(xp: Any, x: Any, y: Any, r: Any) -> Any:
    value = cost(xp, x, y, xp.log(y), r)
    return known(xp, xp.where(y < 0, math.nan, xp.where(y == math.inf, y, value)), x, r)


def cost(xp: Any, x: Any, y: Any, log_y: Any, r: Any) -> Any:
    """`r log(1 + y / r) - x log(y (r + x) / (r + y))`, and what is left for large `r`."""
    above = xp.log(r + x) - log1p_quotient(xp, r, y)
    each = xp.where(y >= r, above, log_y - log_of_sums(xp, y, x, r))
    return scaled_log1p(xp, y, r, r) - (xp.multiply_no_nan(each, x) - xp.log1p_excess(x, r))


def by_mean(xp: Any, g: Any, x: Any, y: Any, r: Any) -> Any:
    share = r / (r + y)
    slope = xp.where(x == 0, share, (y - x) / y * share)
    return g * known(xp, xp.where(y < 0, math.nan, xp.where(y == math.inf, 0.0, slope)), x, r)


def by_size(xp: Any, g: Any, x: Any, y: Any, r: Any) -> Any:
    """`w - log(1 + w)` with `w = (x - y) / (r + y)`."""
    w = (x - y) / (r + y)
    below = w + log1p_quotient(xp, xp.maximum(y - x, 0.0), r + x)
    slope = xp.where(w < -0.5, below, -xp.log1pmx(w))  # noqa: PLR2004 - where 1 + w loses digits
    return g * known(xp, xp.where(y < 0, math.nan, slope), x, r)


# --------------------------------------------------------------------- from the mean's logarithm
def dispersed_divergence_of_log(xp: Any, x: Any, z: Any, r: Any) -> Any:
    beyond = xp.multiply_no_nan(of_log_by_count(xp, x, z, r), x)
    rest = r * (xp.softplus(z - xp.log(r)) - log1p_quotient(xp, x, r))
    near = dispersed_divergence(xp, x, xp.exp(z), r)
    return xp.where(xp.abs(z) > FAR, known(xp, beyond + rest, x, r), near)


def dispersed_cost_of_log(xp: Any, x: Any, z: Any, r: Any) -> Any:
    gain = xp.multiply_no_nan(xp.log(r + x) - xp.softplus(xp.log(r) - z), x)
    beyond = r * xp.softplus(z - xp.log(r)) - (gain - xp.log1p_excess(x, r))
    near = cost(xp, x, xp.exp(z), z, r)
    return known(xp, xp.where(xp.abs(z) > FAR, beyond, near), x, r)


def of_log_by_count(xp: Any, x: Any, z: Any, r: Any) -> Any:
    return xp.softplus(xp.log(r) - z) - log1p_quotient(xp, r, x)


def of_log_by_mean(xp: Any, g: Any, x: Any, z: Any, r: Any) -> Any:
    """`(y - x) r / (r + y)`; of large `y` by the inverse, which does not overflow."""
    inverse, mean = xp.exp(-xp.maximum(z, FAR)), xp.exp(xp.minimum(z, FAR))
    above = r / (1.0 + r * inverse) * (1.0 - x * inverse)
    share = r / (r + mean)
    large = (mean > r) & (mean > 1)  # where the share may be too small to keep its digits
    near = xp.where(large, (mean - x) / (r + mean) * r, (mean - x) * share)
    slope = xp.where(z > FAR, above, near)
    return g * known(xp, slope, x, r)


def of_log_by_size(xp: Any, g: Any, x: Any, z: Any, r: Any) -> Any:
    near = by_size(xp, g, x, xp.exp(xp.minimum(z, FAR)), r)
    inverse = xp.exp(-z)
    below = (x * inverse - 1.0) / (1.0 + r * inverse)
    ratio = xp.softplus(z - xp.log(r)) - log1p_quotient(xp, x, r)
    return xp.where(z > FAR, g * known(xp, below + ratio, x, r), near)


# ------------------------------------------------------------------------------ more zeros
def inflated_zero_cost(xp: Any, z: Any, logit: Any) -> Any:
    """`log(1 + (1 - exp(-y)) / (exp(logit) + exp(-y)))`, and where both are small the difference of
    two logarithms of opposite signs.
    """
    mean = xp.exp(z)
    decay = xp.exp(-xp.abs(logit))
    others = xp.where(logit > 0, 1.0 + xp.exp(-mean) * decay, xp.exp(-mean) + decay)
    near = xp.log1p(-xp.expm1(-mean) * xp.where(logit > 0, decay, 1.0) / others)
    far = xp.softplus(logit) - xp.logaddexp(logit, -mean)
    return xp.where((mean > 1) & (logit < -1), far, near)


def inflated_zero_by_log(xp: Any, g: Any, z: Any, logit: Any) -> Any:
    """`y sigmoid(-logit - y)`, by halves where only the product keeps its digits."""
    mean = xp.exp(z)
    half = xp.exp(-0.5 * xp.maximum(mean + logit, 0.0))
    slope = mean * half * half / (1.0 + xp.exp(-xp.abs(mean + logit)))
    return g * xp.where(mean == math.inf, 0.0, slope)


def inflated_zero_by_logit(xp: Any, g: Any, z: Any, logit: Any) -> Any:
    """`sigmoid(logit) - sigmoid(logit + y)`."""
    mean = xp.exp(z)
    return g * (xp.expm1(-mean) * xp.sigmoid(logit + mean) * xp.sigmoid(-logit))


# fmt: off
DISPERSION = (
    # the integral of (x - t) / (t + t**2 / r) from y to x
    Primitive("dispersed_divergence",
              (lambda xp, g, out, x, y, r: g * log_of_shares(xp, x, y, r),
               lambda xp, g, out, x, y, r: by_mean(xp, g, x, y, r),
               lambda xp, g, out, x, y, r: by_size(xp, g, x, y, r)),
              formula=dispersed_divergence, domain=(POSITIVE,)),
    # the same without x log(x) - x
    Primitive("dispersed_cost",
              (lambda xp, g, out, x, y, r: g * (log_of_sums(xp, y, x, r) - xp.log(y)),
               lambda xp, g, out, x, y, r: by_mean(xp, g, x, y, r),
               lambda xp, g, out, x, y, r: by_size(xp, g, x, y, r)),
              formula=dispersed_cost, domain=(POSITIVE,)),
    # the two of y = exp(z)
    Primitive("dispersed_divergence_of_log",
              (lambda xp, g, out, x, z, r: g * of_log_by_count(xp, x, z, r),
               lambda xp, g, out, x, z, r: of_log_by_mean(xp, g, x, z, r),
               lambda xp, g, out, x, z, r: of_log_by_size(xp, g, x, z, r)),
              formula=dispersed_divergence_of_log, domain=(POSITIVE, REAL, POSITIVE)),
    Primitive("dispersed_cost_of_log",
              (lambda xp, g, out, x, z, r: g * (xp.softplus(xp.log(r) - z) - xp.log(r + x)),
               lambda xp, g, out, x, z, r: of_log_by_mean(xp, g, x, z, r),
               lambda xp, g, out, x, z, r: of_log_by_size(xp, g, x, z, r)),
              formula=dispersed_cost_of_log, domain=(POSITIVE, REAL, POSITIVE)),
    # softplus(logit) - log(exp(logit) + exp(-y)) of y = exp(z)
    Primitive("inflated_zero_cost",
              (lambda xp, g, out, z, logit: inflated_zero_by_log(xp, g, z, logit),
               lambda xp, g, out, z, logit: inflated_zero_by_logit(xp, g, z, logit)),
              formula=inflated_zero_cost, domain=(REAL,)),
)
# fmt: on
