"""Losses of real predictions and real targets."""

from tensorweaver.losses.regression.huber import huber_loss, smooth_l1_loss
from tensorweaver.losses.regression.l1 import l1_loss
from tensorweaver.losses.regression.mse import mse_loss

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]

PEERS = {
    "mse_loss": {
        "torch": "mse_loss",
        "optax": "squared_error",
        "keras": "mean_squared_error",
        "sklearn": "mean_squared_error",
    },
    "l1_loss": {
        "torch": "l1_loss",
        "keras": "mean_absolute_error",
        "sklearn": "mean_absolute_error",
        "xgboost": "reg:absoluteerror",
        "lightgbm": "regression_l1",
    },
    "huber_loss": {
        "torch": "huber_loss",
        "optax": "huber_loss",
        "keras": "huber",
        "sklearn": "huber",
        "lightgbm": "huber",
    },
    "smooth_l1_loss": {"torch": "smooth_l1_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
