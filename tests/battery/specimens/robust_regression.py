"""Losses of real predictions and real targets that are smooth, asymmetric or robust."""

from functools import lru_cache

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import POSITIVE, REAL
from tests.battery.peers import (
    keras_loss,
    optax_loss,
    published,
    sklearn_loss,
    sklearn_metric,
    torch_loss,
)
from tests.battery.specimen import register

INF = mpf("inf")
SYMMETRIC = {"nonnegative", "zero_at_target", "symmetric", "convex"}
REDESCENDING = SYMMETRIC - {"convex"}
ABOVE_ZERO = (0, np.inf)


def with_limits(formula, at_infinity):
    """`formula(e, **options)` of the error, and what it is where the error is infinite."""

    def reference(prediction, target, **options):
        error = prediction - target
        if mpmath.isinf(error):
            return mpf(at_infinity(**options) if callable(at_infinity) else at_infinity)
        return formula(error, **options)

    return reference


def slopes_of(formula, at_infinity):
    """The gradient by the prediction, with its limit at an infinite error."""

    def slopes(prediction, target, **options):
        error = prediction - target
        if mpmath.isinf(error):
            limit = at_infinity(**options) if callable(at_infinity) else at_infinity
            return mpmath.sign(error) * mpf(limit)
        return formula(error, **options)

    return slopes


def error_of(formula):
    """A NumPy formula of the error, as a peer."""
    return published(lambda x, y, **options: formula(x - y, **options))


# ------------------------------------------------------------------------------------ squares
register(
    tw.half_mse_loss, REAL, REAL,
    reference=lambda x, y: (x - y) ** 2 / 2,
    exact_slopes=lambda x, y: x - y,
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    peers=(
        torch_loss("mse_loss", factor=0.5),
        optax_loss("l2_loss"),
        sklearn_loss("HalfSquaredError"),
        sklearn_metric("mean_squared_error", factor=0.5),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------- smooth lines
register(
    tw.log_cosh_loss, REAL, REAL,
    reference=with_limits(lambda e: abs(e) + mpmath.log((1 + mpmath.exp(-2 * abs(e))) / 2), "inf"),
    exact_slopes=slopes_of(mpmath.tanh, 1),
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    peers=(
        optax_loss("log_cosh"),
        keras_loss("log_cosh"),
        error_of(lambda e: e + np.logaddexp(0, -2 * e) - np.log(2)),
    ),
)  # fmt: skip
register(
    tw.pseudo_huber_loss, REAL, REAL,
    reference=with_limits(
        lambda e, delta=1: mpf(delta) ** 2 * (mpmath.sqrt(1 + (e / mpf(delta)) ** 2) - 1), "inf"
    ),
    options=({}, {"delta": 0.25}, {"delta": 2.0**66}, {"delta": 2.0**-66}),
    exact_slopes=slopes_of(
        lambda e, delta=1: e / mpmath.sqrt(1 + (e / mpf(delta)) ** 2), lambda delta=1: delta
    ),
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    second=lambda options: options.get("delta", 1) > 1e-3,  # elsewhere it is below 1e-50
    peers=(error_of(lambda e, delta=1.0: delta**2 * (np.sqrt(1 + (e / delta) ** 2) - 1))._replace(
        only=lambda options: 1e-3 < options.get("delta", 1) < 1e3),),
)  # fmt: skip
register(
    tw.charbonnier_loss, REAL, REAL,
    reference=with_limits(
        lambda e, eps=1: mpmath.sqrt(e**2 + mpf(eps) ** 2) - mpf(eps), "inf"
    ),
    options=({}, {"eps": 1e-3}, {"eps": 2.0**66}),
    exact_slopes=slopes_of(lambda e, eps=1: e / mpmath.sqrt(e**2 + mpf(eps) ** 2), 1),
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    peers=(error_of(lambda e, eps=1.0: np.sqrt(e**2 + eps**2) - eps)._replace(
        only=lambda options: options.get("eps", 1) < 1e3),),
)  # fmt: skip


def fair(e, c=1):
    return mpf(c) * abs(e) - mpf(c) ** 2 * mpmath.log(1 + abs(e) / mpf(c))


register(
    tw.fair_loss, REAL, REAL,
    reference=with_limits(fair, "inf"),
    options=({}, {"c": 0.25}, {"c": 2.0**66}),
    exact_slopes=slopes_of(lambda e, c=1: e / (1 + abs(e) / mpf(c)), lambda c=1: c),
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    peers=(error_of(lambda e, c=1.0: c * np.abs(e) - c**2 * np.log(1 + np.abs(e) / c))._replace(
        only=lambda options: options.get("c", 1) < 1e3),),
)  # fmt: skip


# --------------------------------------------------------------------------------- asymmetric
def quantile(prediction, target, quantile=0.5):
    error, level = prediction - target, mpf(quantile)
    factor = 1 - level if error > 0 else level
    return mpf(0) if not factor and not mpmath.isnan(error) else factor * abs(error)


def quantile_slope(prediction, target, quantile=0.5):
    error, level = prediction - target, mpf(quantile)
    return error if mpmath.isnan(error) else (error > 0) * (1 - level) - (error < 0) * level


def multi_quantile(predictions, target, quantiles):
    pairs = zip(predictions, quantiles, strict=True)
    return sum(quantile(x, target, q) for x, q in pairs) / len(quantiles)


def numpy_quantiles(x, y, quantiles):
    gap, levels = y[:, None] - x, np.asarray(quantiles)
    return np.mean(np.maximum(levels * gap, (levels - 1) * gap), axis=-1)


def expectile(prediction, target, expectile=0.5):
    error, level = prediction - target, mpf(expectile)
    return (1 - level if error > 0 else level) * error**2 / 2


def expectile_slope(prediction, target, expectile=0.5):
    error, level = prediction - target, mpf(expectile)
    return (1 - level if error > 0 else level) * error


def beyond(error, epsilon):
    """What is left of the distance; NaN stays NaN."""
    return mpf(0) if abs(error) <= epsilon else abs(error) - epsilon


def sign(x):
    return x if mpmath.isnan(x) else mpmath.sign(x)


register(
    tw.quantile_loss, REAL, REAL,
    reference=quantile,
    options=tuple({"quantile": q} for q in (0.5, 0.875, 2.0**-10, 0.0, 1.0)),
    exact_slopes=quantile_slope,
    laws={"nonnegative", "zero_at_target", "convex"},
    bounds=ABOVE_ZERO,
    second=False,
    peers=(
        sklearn_metric("mean_pinball_loss", rename={"quantile": "alpha"}),
        sklearn_loss("PinballLoss", only=lambda options: 0 < options["quantile"] < 1),
    ),
)  # fmt: skip
register(
    tw.multi_quantile_loss, REAL, REAL.of_row(),
    reference=multi_quantile,
    options=({"quantiles": (0.125, 0.5, 0.75, 0.875)}, {"quantiles": (0.0, 0.25, 0.25, 1.0)}),
    hostile=(([1.0, 1.0, 1.0, 1.0], 1.0), ([5e37, -5e37, 0.0, 1e-45], 0.0)),
    laws={"nonnegative", "convex"},
    bounds=ABOVE_ZERO,
    second=False,
    peers=(published(numpy_quantiles),),
)  # fmt: skip
register(
    tw.expectile_loss, REAL, REAL,
    reference=expectile,
    options=({}, {"expectile": 0.875}, {"expectile": 2.0**-10}),
    exact_slopes=expectile_slope,
    laws={"nonnegative", "zero_at_target", "convex"},
    bounds=ABOVE_ZERO,
    peers=(error_of(lambda e, expectile=0.5: 0.5 * np.abs(expectile - (e >= 0)) * e**2),),
)  # fmt: skip
register(
    tw.epsilon_insensitive_loss, REAL, REAL,
    reference=lambda x, y, epsilon=0.1: beyond(x - y, epsilon),
    options=({}, {"epsilon": 1.5}, {"epsilon": 0.0}),
    exact_slopes=lambda x, y, epsilon=0.1: sign(x - y) * sign(beyond(x - y, epsilon)),
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    second=False,
    peers=(error_of(lambda e, epsilon=0.1: np.maximum(np.abs(e) - epsilon, 0)),),
)  # fmt: skip
register(
    tw.squared_epsilon_insensitive_loss, REAL, REAL,
    reference=lambda x, y, epsilon=0.1: beyond(x - y, epsilon) ** 2,
    hostile=((2e38, 0.0), (1e19, 0.0)),
    options=({}, {"epsilon": 1.5}, {"epsilon": 0.0}),
    exact_slopes=lambda x, y, epsilon=0.1: 2 * sign(x - y) * beyond(x - y, epsilon),
    laws=SYMMETRIC,
    bounds=ABOVE_ZERO,
    peers=(error_of(lambda e, epsilon=0.1: np.maximum(np.abs(e) - epsilon, 0) ** 2),),
)  # fmt: skip


# ------------------------------------------------------------------------------------- robust
def scaled(formula):
    return lambda e, scale=1: formula(e / mpf(scale))


def scaled_slope(formula):
    return lambda e, scale=1: formula(e / mpf(scale)) / mpf(scale)


def bell(u):
    """`exp(-u**2 / 2)`, at least where a number of any precision can tell it from 0."""
    return mpmath.exp(-min(u**2 / 2, mpf(10) ** 5)) if not mpmath.isnan(u) else u


def robust(u, alpha):
    """Barron's loss of a scaled error, by its definition."""
    if alpha == 2:
        return u**2 / 2
    if alpha == 0:
        return mpmath.log(1 + u**2 / 2)
    if alpha == -INF:
        return 1 - bell(u)
    b = abs(mpf(alpha) - 2)
    return b / mpf(alpha) * ((u**2 / b + 1) ** (mpf(alpha) / 2) - 1)


def robust_slope(u, alpha):
    if alpha == -INF:
        return u * bell(u)
    b = abs(mpf(alpha) - 2)
    return u if alpha == 2 else u * (u**2 / b + 1) ** (mpf(alpha) / 2 - 1)


def robust_limit(alpha=1, scale=1):
    """What an infinite error costs."""
    if alpha >= 0:
        return INF
    return 1 if mpmath.isinf(alpha) else (mpf(alpha) - 2) / mpf(alpha)


def robust_slope_limit(alpha=1, scale=1):
    if alpha == 1:
        return 1 / mpf(scale)
    return INF if alpha > 1 else mpf(0)


def quotient_overflows(prediction, target):
    """The largest errors divided by a scale below 1 are infinite, and so are the losses."""
    error = abs(prediction - target)
    return 1e38 < error < 1e39 or 8e307 < error < np.inf


SCALES: tuple[dict[str, float], ...] = ({}, {"scale": 0.25}, {"scale": 32.0})
SHAPES = (2.0, 1.0, 2.0**-30, 0.0, -2.0, -(2.0**20), -np.inf, 1.75, 2 - 2.0**-23, 2.5, 4.0, 0.5)

register(
    tw.cauchy_loss, REAL, REAL,
    reference=with_limits(scaled(lambda u: mpmath.log(1 + u**2 / 2)), "inf"),
    options=SCALES,
    exact_slopes=slopes_of(scaled_slope(lambda u: u / (1 + u**2 / 2)), 0),
    avoid=quotient_overflows,
    laws=REDESCENDING,
    bounds=ABOVE_ZERO,
    peers=(error_of(lambda e, scale=1.0: np.log(0.5 * (e / scale) ** 2 + 1)),),
)  # fmt: skip
register(
    tw.geman_mcclure_loss, REAL, REAL,
    reference=with_limits(scaled(lambda u: 2 * u**2 / (u**2 + 4)), 2),
    options=SCALES,
    exact_slopes=slopes_of(scaled_slope(lambda u: 16 * u / (u**2 + 4) ** 2), 0),
    laws=REDESCENDING,
    bounds=(0, 2),
    peers=(error_of(lambda e, scale=1.0: 2 * (e / scale) ** 2 / ((e / scale) ** 2 + 4)),),
)  # fmt: skip
register(
    tw.welsch_loss, REAL, REAL,
    reference=with_limits(scaled(lambda u: 1 - bell(u)), 1),
    options=SCALES,
    exact_slopes=slopes_of(scaled_slope(lambda u: u * bell(u)), 0),
    laws=REDESCENDING,
    bounds=(0, 1),
    peers=(error_of(lambda e, scale=1.0: 1 - np.exp(-0.5 * (e / scale) ** 2)),),
)  # fmt: skip
register(
    tw.general_robust_loss, REAL, REAL,
    reference=with_limits(
        lambda e, alpha=1, scale=1: robust(e / mpf(scale), alpha), robust_limit
    ),
    options=(*({"alpha": alpha} for alpha in SHAPES), {"alpha": -2.0, "scale": 0.25}),
    exact_slopes=slopes_of(
        lambda e, alpha=1, scale=1: robust_slope(e / mpf(scale), alpha) / mpf(scale),
        robust_slope_limit,
    ),
    laws=REDESCENDING,
    bounds=ABOVE_ZERO,
)  # fmt: skip


def tukey(e, c=4.685):
    c = mpf(c)
    return c**2 / 6 * (1 - (1 - min(abs(e) / c, mpf(1)) ** 2) ** 3) if not mpmath.isnan(e) else e


def tukey_slope(e, c=4.685):
    return e * (1 - min(abs(e) / mpf(c), mpf(1)) ** 2) ** 2 if not mpmath.isnan(e) else e


register(
    tw.tukey_biweight_loss, REAL, REAL,
    reference=with_limits(tukey, lambda c=4.685: mpf(c) ** 2 / 6),
    options=({}, {"c": 0.5}, {"c": 32.0}, {"c": 2.0**66}),
    hostile=((4e19, 0.0), (7.3e19, 0.0)),
    exact_slopes=slopes_of(tukey_slope, 0),
    laws=REDESCENDING,
    bounds=ABOVE_ZERO,
    peers=(error_of(
        lambda e, c=4.685: c**2 / 6 * (1 - np.where(np.abs(e) < c, 1 - (e / c) ** 2, 0) ** 3)
    )._replace(only=lambda options: options.get("c", 4.685) < 1e3),),
)  # fmt: skip


@lru_cache
def normaliser(df, precision):
    """The same for every element, and slow to find."""
    return mpmath.loggamma(df / 2) - mpmath.loggamma((df + 1) / 2) + mpmath.log(mpmath.pi * df) / 2


def student_t(prediction, target, scale, *, df=3, full=False):
    u = (prediction - target) / scale
    if mpmath.isinf(df):
        loss, constant = u**2 / 2, mpmath.log(2 * mpmath.pi) / 2
    else:
        df = mpf(df)
        loss = (df + 1) / 2 * mpmath.log(1 + u**2 / df)
        constant = normaliser(df, mpmath.mp.prec) if full else 0
    return loss + mpmath.log(scale) + (constant if full else 0)


def student_t_slopes(prediction, target, scale, *, df=3, full=False):
    """By the prediction and by the scale."""
    u = (prediction - target) / scale
    pull = u if mpmath.isinf(df) else (df + 1) * u / (df + u**2)
    return pull / scale, (1 - u * pull) / scale


def extreme(prediction, target, scale):
    """A quotient of error and scale that overflows costs infinity."""
    return abs(prediction - target) > 1e37 * min(scale, 1)


def torch_student_t(predictions, targets, scale, *, df=3.0, full=False):
    import torch

    distribution = torch.distributions.StudentT(df, *map(torch.tensor, (predictions, scale)))
    return -distribution.log_prob(torch.tensor(targets)).numpy()


register(
    tw.student_t_nll_loss, REAL, REAL, POSITIVE,
    reference=student_t,
    exact_slopes=student_t_slopes,
    avoid=extreme,
    options=({}, {"df": 1.0}, {"df": 2.5, "full": True}, {"df": np.inf, "full": True}),
    peers=(published(torch_student_t)._replace(
        library="torch", only=lambda options: options.get("full") and options["df"] < np.inf),),
)  # fmt: skip


def wing(e, width=5, curvature=0.5):
    width, curvature = mpf(width), mpf(curvature)
    if abs(e) <= width:
        return width * mpmath.log(1 + abs(e) / curvature)
    return abs(e) - width + width * mpmath.log(1 + width / curvature)


def wing_slope(e, width=5, curvature=0.5):
    if mpmath.isnan(e):
        return e
    size = width / (mpf(curvature) + abs(e)) if abs(e) <= width else 1
    return mpmath.sign(e) * size


def published_wing(e, width=5.0, curvature=0.5):
    joined = width - width * np.log(1 + width / curvature)
    size = np.abs(e)
    return np.where(size < width, width * np.log(1 + size / curvature), size - joined)


register(
    tw.wing_loss, REAL, REAL,
    reference=with_limits(wing, "inf"),
    options=({}, {"width": 10.0, "curvature": 2.0}, {"width": 1.0, "curvature": 64.0}),
    exact_slopes=slopes_of(wing_slope, 1),
    laws=REDESCENDING,
    bounds=ABOVE_ZERO,
    peers=(error_of(published_wing),),
)  # fmt: skip
