"""The error function, and the mean distance of a normal variable."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.gamma import horner
from tensorweaver.primitives.primitive import Primitive

__all__ = ["CENTRE", "ERF", "ERFCX", "NORMAL"]

REAL = (-3.0, 3.0)
POSITIVE = (0.3, 4.0)

ERF = (
    5.957176147748911e-11, -1.1372848856791674e-09, 1.4659775274047436e-08, -1.6350312701054695e-07,
    1.6461000484121368e-06, -1.4925595266831182e-05, 0.0001205533111164271, -0.000854832698083379,
    0.0052239776248180145, -0.026866170645076792, 0.11283791670954879, -0.3761263890318375,
    0.1283791670955126,
)  # fmt: skip
"""erf(x) / x - 1 in powers of x**2 up to 1, highest first."""
ERFCX = (
    1.1775789345674017, -0.004590054580646478, -0.08424913336651792, 0.05920993999819189,
    -0.026658668435305753, 0.009074997670705265, -0.002413163540417608, 0.0004907758365258086,
    -6.916973302501207e-05, 4.13902798607301e-06, 7.74038306619849e-07, -2.1886401049234397e-07,
    1.076499946567091e-08, 4.521959811218287e-09, -7.754400208831351e-10, -6.318088340886684e-11,
    2.86879501093067e-11, 1.9455868545777347e-13, -9.65469674843344e-13, 3.25254814814874e-14,
    3.3478119482868056e-14, -1.864562880419313e-15, -1.2507950530688648e-15, 7.418235256624044e-17,
    5.068148904796111e-17, -2.2370566594359995e-18, -2.187342944303018e-18,
)  # fmt: skip
"""(1 + 2 x) exp(x**2) erfc(x) as a Chebyshev series in (x - CENTRE) / (x + CENTRE), for x >= 0."""
CENTRE = 3.75
TWO_BY_ROOT_PI = 2 / math.sqrt(math.pi)
ROOT_TWO_BY_PI = math.sqrt(2 / math.pi)


def chebyshev(x: Any, coefficients: tuple[float, ...]) -> Any:
    """The series at `x` by Clenshaw's recurrence, the constant first."""
    double = 2.0 * x
    last: Any = coefficients[-1]
    before: Any = 0.0
    for coefficient in coefficients[-2:0:-1]:
        last, before = double * last + (coefficient - before), last
    return x * last + (coefficients[0] - before)


def erf(xp: Any, x: Any) -> Any:
    squared = x * x
    size = xp.abs(x)
    scaled = chebyshev((size - CENTRE) / (size + CENTRE), ERFCX) / (1.0 + 2.0 * size)
    far = 1.0 - xp.exp(-squared) * scaled
    tail = xp.where(size == math.inf, xp.sign(x), xp.copysign(far, x))
    return xp.where(size < 1, x + x * horner(squared, ERF), tail)


def mean_distance(xp: Any, x: Any, scale: Any) -> Any:
    z = x / scale
    spread = x * xp.erf(z * math.sqrt(0.5)) + scale * (ROOT_TWO_BY_PI * xp.exp(-0.5 * (z * z)))
    return xp.where(scale < 0, math.nan, xp.where(scale == 0, xp.abs(x), spread))


def mean_distance_by_mean(xp: Any, g: Any, out: Any, x: Any, scale: Any) -> Any:
    known = xp.where(scale == 0, xp.sign(x), xp.erf(x / scale * math.sqrt(0.5)))
    return g * xp.where(scale < 0, math.nan, known)


def mean_distance_by_scale(xp: Any, g: Any, out: Any, x: Any, scale: Any) -> Any:
    z = xp.where(x == 0, 0.0, x / scale)
    return g * xp.where(scale < 0, math.nan, ROOT_TWO_BY_PI * xp.exp(-0.5 * (z * z)))


# fmt: off
NORMAL = (
    Primitive("erf", (lambda xp, g, out, x: g * (TWO_BY_ROOT_PI * xp.exp(-(x * x))),), formula=erf),
    # the mean of abs(x + scale * N) for a standard normal variable N
    Primitive("mean_distance", (mean_distance_by_mean, mean_distance_by_scale),
              formula=mean_distance, domain=(REAL, POSITIVE)),
)
# fmt: on
