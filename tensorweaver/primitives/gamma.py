"""The logarithm of the gamma function and its derivatives, for positive numbers.

Between whole numbers polynomials (`mpmath.chebyfit`) with the zeros taken out as factors:
`lgamma(1 + t) = t (t - 1) P(t)`, `digamma(1 + t) = (t - root) Q(t)`. Smaller and larger arguments
step there by the recurrence, with one logarithm or quotient for all steps; from 8 on Stirling's
series.
"""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.primitives.primitive import Primitive

__all__ = ["DIGAMMA", "GAMMA", "LGAMMA", "horner"]

STIRLING_FROM = 8
POSITIVE = (0.3, 6.0)
ROOT_OF_LARGE = 1e8
"""Its square has no digits left for 1."""

LGAMMA = (
    -7.760660152513446e-06, 1.2140008083973407e-05, -8.355075869795273e-06, 1.3186019073996835e-05,
    -2.7201673025504752e-05, 4.30276814976503e-05, -6.614136022346414e-05, 0.00010535512483785591,
    -0.0001689178215524898, 0.00027131373861446925, -0.00043799307479613914, 0.000711519067515296,
    -0.0011644145847310124, 0.0019229163127905161, -0.0032120740737152814, 0.005446457839126065,
    -0.009425622448525798, 0.01679709863127416, -0.031308487501010646, 0.06291140107456439,
    -0.14595989591430608, 0.4831289505409809,
)  # fmt: skip
"""lgamma(1 + t) / (t (t - 1)) in powers of t - 1/2, highest first."""
DIGAMMA = (
    -8.153978973309418e-05, 0.00012230983055406747, -6.11554261750751e-05, 9.173383289174792e-05,
    -0.0002178682145501451, 0.0003268068044141764, -0.0004599625144612576, 0.0006899717801166841,
    -0.001042261556504223, 0.0015635679757533885, -0.002344650082351321, 0.0035180800751066694,
    -0.00528001782089874, 0.007927024067961237, -0.011908215172584002, 0.017907248195969127,
    -0.02697579684427536, 0.04076083394462657, -0.06192213327165706, 0.09498872445283,
    -0.14840492305391761, 0.24054248424078736, -0.42362742128146047, 0.9510558760318328,
)  # fmt: skip
"""digamma(1 + t) / (t - root) in powers of t - 1/2, highest first."""
REST_LOW = (
    -2.9569866447018422e-06, 8.425334697325007e-07, 3.936475364912841e-06, -8.065849786412231e-06,
    1.1186970593426583e-05, -1.0908394862134661e-05, 2.9052592732103686e-06, 1.7246719601731044e-05,
    -5.006735864136381e-05, 8.144161074663013e-05, -5.9305396144723404e-05, -0.0001439929889129305,
    0.0007307795419131115, -0.001474454928389613, -0.0031414485521039683, 0.08211813215051694,
)  # fmt: skip
"""x stirling_rest(x) in powers of 1/x - LOW for x from 1 to 2.5, highest first."""
REST_HIGH = (
    0.00033123428439612315, -0.0004983684768938155, 0.0002625597809821882, 9.943257041824091e-05,
    -0.0003161367844356042, 0.000245029160094883, 8.519472001191486e-05, -0.00043952016100277876,
    0.00037110040606093246, 0.0006625926221920151, -0.0024858135554158595, -0.0014048745986255894,
    0.08314551717587729,
)  # fmt: skip
"""The same in powers of 1/x - HIGH for x from 2.5 to 8."""
SLOPE_LOW = (
    2.4730050557949593e-05, -8.668010176898116e-06, -2.6250705680204143e-05, 5.118202626659439e-05,
    -6.804262174805854e-05, 6.801987181915952e-05, -3.391638340416393e-05, -4.740336213374754e-05,
    0.00017352580142898823, -0.0003039539537959196, 0.00032476117901101523, -1.3777668294938782e-05,
    -0.0009275338307608491, 0.0025199377991214677, -0.0028887277471520943, -0.008347134003954308,
    0.07991911816404416,
)  # fmt: skip
"""-x**2 times the slope of stirling_rest(x), in powers of 1/x - LOW for x from 1 to 2.5, highest
first."""
SLOPE_HIGH = (
    0.0002108694419557659, 0.005201840829476312, -0.004947622751311379, 0.001402352512033341,
    0.0016837409390308858, -0.0026094129021589233, 0.0012963444067353297, 0.0010465960564397306,
    -0.0025029392761312733, 0.0012786318509912886, 0.003040025915124919, -0.006935648976317172,
    -0.004114801313844505, 0.08277673759373809,
)  # fmt: skip
"""The same in powers of 1/x - HIGH for x from 2.5 to 8."""
LOW, HIGH, BETWEEN = 0.7, 0.2625, 2.5
ROOT = (0.4616321325302124, 1.2438149938918909e-08)
"""Where digamma(1 + t) is 0, in two parts, of which the first has few bits."""
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


def horner(x: Any, coefficients: tuple[float, ...]) -> Any:
    """The polynomial, the coefficient of the highest power first."""
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def series(x: Any, weight: Any) -> Any:
    """`sum(B(2k) weight(k) / x**2k)`, from k = 1."""
    terms = [b * weight(k) for k, b in enumerate(BERNOULLI, start=1)]
    inverse = 1.0 / x
    squared = inverse * inverse
    return squared * horner(squared, tuple(reversed(terms)))


def beyond_whole(xp: Any, x: Any) -> Any:
    """How far `x` is beyond the whole number below it; infinities are as good as any."""
    return x - xp.floor(x)


def stirling_rest(x: Any) -> Any:
    """`lgamma(x) - ((x - 1/2) log(x) - x + log(2 pi) / 2)` for large `x`."""
    return x * series(x, lambda k: 1 / (2 * k * (2 * k - 1)))


def lgamma(xp: Any, x: Any) -> Any:
    t = beyond_whole(xp, x)
    factors: Any = 1.0
    for step in range(1, STIRLING_FROM - 1):
        factors = factors * xp.where(x >= step + 1, x - step, 1.0)
    large = x >= STIRLING_FROM
    logarithm = xp.log(xp.where(large, x, xp.where(x >= 1, factors, x)))
    between = t * ((t - 1.0) * horner(t - 0.5, LGAMMA))
    near = between + xp.where(x >= 1, logarithm, -logarithm)
    shift = HALF_LOG_TAU - 0.5
    far = (x - 0.5) * (logarithm - 1.0) + (stirling_rest(x) + shift)
    return xp.where(large, xp.where(x == math.inf, x, far), near)


def log_factorial(xp: Any, x: Any) -> Any:
    """`lgamma(1 + x)`, where the sum is not rounded: exact near 0 as well."""
    t = beyond_whole(xp, x)
    factors: Any = 1.0
    for step in range(STIRLING_FROM - 1):
        factors = factors * xp.where(x >= step + 1, x - step, 1.0)
    large = x >= STIRLING_FROM
    logarithm = xp.log(xp.where(large, x, factors))
    near = t * ((t - 1.0) * horner(t - 0.5, LGAMMA)) + logarithm
    far = (x + 0.5) * (logarithm - 1.0) + (stirling_rest(x) + (HALF_LOG_TAU + 0.5))
    known = xp.where(large, xp.where(x == math.inf, x, far), near)
    return xp.where(x < 0, math.nan * x, known)


def log_factorial_excess(xp: Any, x: Any) -> Any:
    """`log(x!) - x log(x) + x`, what Stirling's `log(2 pi x) / 2` comes near."""
    near = xp.log_factorial(x) - (xp.xlogy(x, x) - x)
    far = 0.5 * xp.log(x) + (HALF_LOG_TAU + rest_above_one(xp, x))
    return xp.where(x >= 1, xp.where(x == math.inf, x, far), near)


def log_factorial_excess_slope(xp: Any, g: Any, out: Any, x: Any) -> Any:
    """`digamma(1 + x) - log(x)`."""
    far = 0.5 / x - fall_above_one(xp, x)
    return g * xp.where(x >= 1, far, xp.digamma(1.0 + x) - xp.log(x))


def rest_above_one(xp: Any, x: Any) -> Any:
    """`stirling_rest(x)`, from 1 on."""
    inverse = 1.0 / x
    low, high = horner(inverse - LOW, REST_LOW), horner(inverse - HIGH, REST_HIGH)
    between = inverse * xp.where(x < BETWEEN, low, high)
    return xp.where(x < STIRLING_FROM, between, stirling_rest(x))


def fall_above_one(xp: Any, x: Any) -> Any:
    """`log(x) - 1 / (2 x) - digamma(x)`, by which `rest_above_one` falls."""
    inverse = 1.0 / x
    low, high = horner(inverse - LOW, SLOPE_LOW), horner(inverse - HIGH, SLOPE_HIGH)
    between = inverse * (inverse * xp.where(x < BETWEEN, low, high))
    return xp.where(x < STIRLING_FROM, between, series(x, lambda k: 1 / (2 * k)))


def rest_of(xp: Any, x: Any) -> Any:
    """`stirling_rest(x)`, of any positive number."""
    near = xp.log_factorial_excess(x) - (0.5 * xp.log(x) + HALF_LOG_TAU)
    return xp.where(x >= 1, rest_above_one(xp, xp.maximum(x, 1.0)), near)


def fall_of(xp: Any, x: Any) -> Any:
    """`fall_above_one`, of any positive number."""
    above = fall_above_one(xp, xp.where(x < 1, 1.0 + x, x))
    step = 0.5 / (1.0 + x) + (0.5 / x - xp.log1p(1.0 / x))
    return above + xp.where(x < 1, step, 0.0)


def rising_rest(xp: Any, x: Any, y: Any) -> Any:
    """`(x + y) log(x + y) - x log(x) - y - (lgamma(x + y) - lgamma(x))`: what is left of the
    logarithm of `x (x + 1) ... (x + y - 1)` beside its largest terms.
    """
    root = xp.sqrt(y) / xp.sqrt(x)
    half = xp.where(root > ROOT_OF_LARGE, xp.log(root), 0.5 * xp.log1p(y / x))
    return xp.where(y == 0, 0.0 * x, half + (rest_of(xp, x) - rest_of(xp, x + y)))


def rising_rest_by_x(xp: Any, g: Any, x: Any, y: Any) -> Any:
    total = x + y
    return -g * (y / total * (0.5 / x) + (fall_of(xp, x) - fall_of(xp, total)))


def rising_rest_by_y(xp: Any, g: Any, x: Any, y: Any) -> Any:
    total = x + y
    return g * (0.5 / total + fall_of(xp, total))


def digamma(xp: Any, x: Any) -> Any:
    t = beyond_whole(xp, x)
    numerator, denominator = 0.0, 1.0
    for step in range(1, STIRLING_FROM - 1):
        passed, factor = x >= step + 1, x - step
        numerator = xp.where(passed, numerator * factor + denominator, numerator)
        denominator = xp.where(passed, denominator * factor, denominator)
    steps = xp.where(x >= 1, numerator, -1.0) / xp.where(x >= 1, denominator, x)
    between = ((t - ROOT[0]) - ROOT[1]) * horner(t - 0.5, DIGAMMA)
    far = xp.log(x) - (0.5 / x + series(x, lambda k: 1 / (2 * k)))
    return xp.where(x >= STIRLING_FROM, far, xp.where(x >= 0, between + steps, math.nan * x))


def trigamma(xp: Any, x: Any) -> Any:
    small = x < STIRLING_FROM
    steps: Any = 0.0
    for step in range(STIRLING_FROM):
        steps = steps + 1.0 / xp.square(x + step)
    beyond = xp.where(small, x + STIRLING_FROM, x)
    inverse = 1.0 / beyond
    far = inverse + inverse * (0.5 * inverse + series(beyond, lambda k: 1.0))
    return xp.where(x >= 0, far + xp.where(small, steps, 0.0), math.nan * x)


def trigamma_slope(xp: Any, g: Any, out: Any, x: Any) -> Any:
    """Minus twice the sum of inverse cubes, in the same way."""
    small = x < STIRLING_FROM
    steps: Any = 0.0
    for step in range(STIRLING_FROM):
        inverse = 1.0 / (x + step)
        steps = steps + 2.0 * (inverse * inverse * inverse)
    beyond = xp.where(small, x + STIRLING_FROM, x)
    inverse = 1.0 / beyond
    far = inverse * inverse * (1.0 + inverse + series(beyond, lambda k: 2 * k + 1.0))
    return -g * (far + xp.where(small, steps, 0.0))


# fmt: off
GAMMA = (
    Primitive("lgamma",   (lambda xp, g, out, x: g * xp.digamma(x),),  formula=lgamma,   domain=(POSITIVE,)),
    Primitive("digamma",  (lambda xp, g, out, x: g * xp.trigamma(x),), formula=digamma,  domain=(POSITIVE,)),
    Primitive("trigamma", (trigamma_slope,),                           formula=trigamma, domain=(POSITIVE,)),
    Primitive("log_factorial",
              (lambda xp, g, out, x: g * xp.digamma(1.0 + x),),
              formula=log_factorial, domain=(POSITIVE,)),
    Primitive("log_factorial_excess",
              (log_factorial_excess_slope,),
              formula=log_factorial_excess, domain=(POSITIVE,)),
    Primitive("rising_rest",
              (lambda xp, g, out, x, y: rising_rest_by_x(xp, g, x, y),
               lambda xp, g, out, x, y: rising_rest_by_y(xp, g, x, y)),
              formula=rising_rest, domain=(POSITIVE,)),
)
# fmt: on
