"""Losses of a row's root mean square, and the Huber loss that finds its own width."""

import math

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import NONNEGATIVE, POSITIVE, REAL
from tests.battery.specimen import Peer, register

INFINITY = mpf("inf")


# ------------------------------------------------------------------------------ roots
def root(errors, weight):
    weight = [mpf(1)] * len(errors) if weight is None else weight
    squares = sum((w * e**2 for w, e in zip(weight, errors, strict=True) if w), mpf(0))
    total = sum(weight)
    return mpmath.sqrt(squares / total) if total else mpf(0)


def root_slopes(errors, weight):
    """By each error; none where all are 0."""
    weight = [mpf(1)] * len(errors) if weight is None else weight
    total, size = sum(weight), root(errors, weight)
    if not size:
        return [mpf(0)] * len(errors)
    return [w * e / (total * size) if w else mpf(0) for w, e in zip(weight, errors, strict=True)]


def differences(predictions, targets):
    return [x - y for x, y in zip(predictions, targets, strict=True)]


def logarithm(x):
    return mpf("nan") if x < -1 else -INFINITY if x == -1 else mpmath.log(1 + x)


def log_differences(predictions, targets):
    return [logarithm(x) - logarithm(y) for x, y in zip(predictions, targets, strict=True)]


def rmse(predictions, targets, weight=None):
    return root(differences(predictions, targets), weight)


def rmse_slopes(predictions, targets, weight=None):
    return root_slopes(differences(predictions, targets), weight)


def rmsle(predictions, targets, weight=None):
    return root(log_differences(predictions, targets), weight)


def rmsle_slopes(predictions, targets, weight=None):
    slopes = root_slopes(log_differences(predictions, targets), weight)
    return [s / (1 + x) if s else s for s, x in zip(slopes, predictions, strict=True)]


def sklearn_root(name):
    """`sklearn.metrics.NAME` of each row by itself."""

    def call(predictions, targets, weight=None):
        from sklearn import metrics

        function = getattr(metrics, name)
        rows = range(len(targets))
        weights = [None] * len(targets) if weight is None else weight
        return [function(targets[i], predictions[i], sample_weight=weights[i]) for i in rows]

    return Peer("sklearn", call)


register(
    tw.rmse_loss, REAL, REAL,
    reference=rmse,
    arrays={"weight": NONNEGATIVE},
    exact_slopes=rmse_slopes,
    hostile=(
        ([1.0, 2.0, -1.0, 0.0], [1.0, 2.0, -1.0, 0.0]),
        ([1e30, -2e30, 0.0, 1.0], [0.0, 1e29, 0.0, 0.0]),
        ([1e-30, -2e-30, 0.0, 0.0], [0.0, 1e-31, 0.0, 0.0]),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0000001, 1.0, 1.0]),
        ([2e-38, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
        ([np.nan, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]),
    ),
    laws={"nonnegative", "zero_at_target", "symmetric", "convex"},
    peers=(sklearn_root("root_mean_squared_error"),),
)  # fmt: skip
register(
    tw.rmsle_loss, POSITIVE, NONNEGATIVE,
    reference=rmsle,
    arrays={"weight": NONNEGATIVE},
    exact_slopes=rmsle_slopes,
    hostile=(
        ([1.0, 2.0, 0.5, 0.0], [1.0, 2.0, 0.5, 0.0]),
        ([1e30, 2e30, 0.0, 1.0], [0.0, 1e-30, 0.0, 0.0]),
        ([1e-30, 2e-30, 0.0, 0.0], [0.0, 1e-31, 0.0, 0.0]),
        ([300.0, 1e10, 1.0, 1.0], [300.0001, 1e10, 1.0, 1.0]),
        ([-2.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]),
    ),
    laws={"nonnegative", "zero_at_target", "symmetric"},
    peers=(sklearn_root("root_mean_squared_log_error"),),
)  # fmt: skip


# ------------------------------------------------------------------------------ Huber
def delta_of(errors, quantile):
    return sorted(map(abs, errors))[math.ceil(quantile * len(errors)) - 1]


def flat_errors(predictions, targets):
    rows = zip(predictions, targets, strict=True)
    return [x - y for row in rows for x, y in zip(*row, strict=True)]


def adaptive(predictions, targets, quantile=0.9):
    errors = flat_errors(predictions, targets)
    delta = delta_of(errors, quantile)
    return [e**2 / 2 if abs(e) <= delta else delta * (abs(e) - delta / 2) for e in errors]


def adaptive_slopes(predictions, targets, quantile=0.9):
    errors = differences(predictions, targets)
    delta = delta_of(errors, quantile)
    return [max(-delta, min(e, delta)) for e in errors]


def sklearn_adaptive(predictions, targets, quantile=0.9):
    from sklearn._loss.loss import HuberLoss
    from sklearn.ensemble._gb import set_huber_delta

    made = HuberLoss(quantile=quantile)
    x, y = predictions.ravel(), targets.ravel()
    set_huber_delta(made, y, x, np.ones(x.size))
    return made.loss(y, x).reshape(predictions.shape)


register(
    tw.adaptive_delta_huber_loss, REAL, REAL,
    reference=adaptive,
    options=({}, {"quantile": 0.5}, {"quantile": 1.0}),
    exact_slopes=adaptive_slopes,
    hostile=(
        ([[1.0, 2.0], [-1.0, 0.0]], [[1.0, 2.0], [-1.0, 0.0]]),
        ([[1e18, -2e18], [0.0, 1.0]], [[0.0, 1e17], [0.0, 0.0]]),
        ([[3.0, 3.0], [-3.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]),
    ),
    laws={"nonnegative", "symmetric"},
    peers=(
        Peer("sklearn", sklearn_adaptive, only=lambda options: options.get("quantile") != 1),
    ),
    stopped=("predictions",),
    whole=True, rows_are_independent=False, tiny=(3, 2),
)  # fmt: skip
