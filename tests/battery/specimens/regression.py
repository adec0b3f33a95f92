"""Losses of real predictions and real targets."""

import numpy as np

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import REAL
from tests.battery.peers import (
    keras_loss,
    optax_loss,
    sklearn_loss,
    sklearn_metric,
    torch_loss,
)
from tests.battery.specimen import register


def mse(prediction, target):
    return (prediction - target) ** 2


def l1(prediction, target):
    return abs(prediction - target)


def huber(prediction, target, delta=1):
    return truth.huber(prediction, target, delta)[0]


def smooth_l1(prediction, target, beta=1):
    return truth.smooth_l1(prediction, target, beta)[0]


SYMMETRIC = {"nonnegative", "zero_at_target", "symmetric", "convex"}

register(
    tw.mse_loss, REAL, REAL,
    reference=mse,
    exact_slopes=lambda x, y: 2 * (x - y),
    laws=SYMMETRIC,
    bounds=(0, np.inf),
    peers=(
        torch_loss("mse_loss"),
        optax_loss("squared_error"),
        keras_loss("mean_squared_error"),
        sklearn_metric("mean_squared_error"),
        sklearn_loss("HalfSquaredError", factor=2),
    ),
)  # fmt: skip
register(
    tw.l1_loss, REAL, REAL,
    reference=l1,
    exact_slopes=lambda x, y: truth.l1(x, y)[1],
    laws=SYMMETRIC,
    bounds=(0, np.inf),
    second=False,
    peers=(
        torch_loss("l1_loss"),
        keras_loss("mean_absolute_error"),
        sklearn_metric("mean_absolute_error"),
        sklearn_loss("AbsoluteError"),
        sklearn_loss("PinballLoss", fixed={"quantile": 0.5}, factor=2),
    ),
)  # fmt: skip
register(
    tw.huber_loss, REAL, REAL,
    reference=huber,
    options=({}, {"delta": 0.25}, {"delta": 250.0}, {"delta": 1e-30}, {"delta": 2.0**66}),
    hostile=((2.5e19, 0.0),),
    exact_slopes=lambda x, y, delta=1: truth.huber(x, y, delta)[1],
    laws=SYMMETRIC,
    bounds=(0, np.inf),
    second=lambda options: options.get("delta", 1) > 1e-3,  # no ordinary error comes nearer
    peers=(
        torch_loss("huber_loss"),
        optax_loss("huber_loss"),
        sklearn_loss("HuberLoss", fixed={"delta": 1.0}),
        keras_loss("huber", only=lambda options: options.get("delta", 1) < 1e3),
    ),
)  # fmt: skip
register(
    tw.smooth_l1_loss, REAL, REAL,
    reference=smooth_l1,
    options=({}, {"beta": 0.1}, {"beta": 1e-24}, {"beta": 0.0}),
    exact_slopes=lambda x, y, beta=1: truth.smooth_l1(x, y, beta)[1],
    laws=SYMMETRIC,
    bounds=(0, np.inf),
    second=lambda options: options.get("beta", 1) > 1e-3,  # no ordinary error comes nearer
    peers=(torch_loss("smooth_l1_loss"),),
)  # fmt: skip
