"""Losses of real predictions and real targets by the share of an error."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import NONNEGATIVE, REAL
from tests.battery.peers import keras_loss, published, sklearn_metric
from tests.battery.specimen import register

INF = mpf("inf")
ABOVE_ZERO = (0, np.inf)


def mape(prediction, target, eps=0):
    error, size = prediction - target, max(abs(target), mpf(eps))
    if error == 0:
        return mpf(0)
    return abs(error) / size if size else INF


def mape_slope(prediction, target, eps=0):
    error, size = prediction - target, max(abs(target), mpf(eps))
    if mpmath.isnan(error) or error == 0:
        return error
    return mpmath.sign(error) / size if size else mpmath.sign(error) * INF


def smape(prediction, target):
    if prediction == target == 0:
        return mpf(0)
    if mpmath.isinf(prediction) != mpmath.isinf(target):
        return (
            prediction if mpmath.isnan(prediction) else target if mpmath.isnan(target) else mpf(2)
        )
    if mpmath.isinf(prediction) and prediction == -target:
        return mpf(2)
    return 2 * abs(prediction - target) / (abs(prediction) + abs(target))


def smape_slope(prediction, target):
    """Differences cannot see it where one number is a tiny part of the other."""
    if mpmath.isinf(prediction) or mpmath.isinf(target):
        return 0 * smape(prediction, target)
    if mpmath.isnan(prediction - target) or prediction == target:
        return prediction - target
    if mpmath.sign(prediction) != mpmath.sign(target):
        return mpf(0)
    size = abs(prediction) + abs(target)
    return mpmath.sign(prediction - target) * 4 * abs(target) / size**2


def msle(prediction, target):
    return (mpmath.log(1 + prediction) - mpmath.log(1 + target)) ** 2


def no_percentage(prediction, target, **options):
    """An infinite target has no share."""
    return np.isinf(target)


register(
    tw.mape_loss, REAL, REAL,
    reference=mape,
    options=({}, {"eps": 1.0}, {"eps": 1e-7}),
    exact_slopes=mape_slope,
    avoid=no_percentage,
    laws={"nonnegative", "zero_at_target", "convex"},
    bounds=ABOVE_ZERO,
    second=False,
    peers=(
        sklearn_metric("mean_absolute_percentage_error", only=lambda options: not options),
        keras_loss(
            "mean_absolute_percentage_error", factor=0.01, only=lambda options: not options
        ),
        published(
            lambda x, y, eps=0.0: np.abs(y - x) / np.maximum(np.abs(y), eps)
        ),
    ),
)  # fmt: skip
register(
    tw.smape_loss, REAL, REAL,
    reference=smape,
    exact_slopes=smape_slope,
    laws={"nonnegative", "zero_at_target", "symmetric"},
    bounds=(0, 2),
    peers=(published(lambda x, y: 2 * np.abs(x - y) / (np.abs(x) + np.abs(y))),),
)  # fmt: skip
register(
    tw.msle_loss, NONNEGATIVE, NONNEGATIVE,
    reference=msle,
    hostile=(
        (-0.5, 1.0), (-0.5, -0.75), (-1.0, 1.0), (1.0, -0.999), (3e38, -0.5),
        (np.nan, 1.0), (1.0, np.nan),
    ),
    laws={"nonnegative", "zero_at_target", "symmetric"},
    bounds=ABOVE_ZERO,
    peers=(
        sklearn_metric("mean_squared_log_error"),
        keras_loss("mean_squared_logarithmic_error", rtol=1e-4),
        published(lambda x, y: (np.log1p(x) - np.log1p(y)) ** 2),
    ),
)  # fmt: skip
