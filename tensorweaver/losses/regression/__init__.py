"""Losses of real predictions and real targets."""

from tensorweaver.losses.regression.adaptive_huber import adaptive_delta_huber_loss
from tensorweaver.losses.regression.huber import huber_loss, smooth_l1_loss
from tensorweaver.losses.regression.insensitive import (
    epsilon_insensitive_loss,
    squared_epsilon_insensitive_loss,
)
from tensorweaver.losses.regression.l1 import l1_loss
from tensorweaver.losses.regression.mse import half_mse_loss, mse_loss
from tensorweaver.losses.regression.quantile import (
    expectile_loss,
    multi_quantile_loss,
    quantile_loss,
)
from tensorweaver.losses.regression.relative import mape_loss, msle_loss, smape_loss
from tensorweaver.losses.regression.robust import (
    cauchy_loss,
    geman_mcclure_loss,
    general_robust_loss,
    tukey_biweight_loss,
    welsch_loss,
)
from tensorweaver.losses.regression.root_mean import rmse_loss, rmsle_loss
from tensorweaver.losses.regression.smooth import (
    charbonnier_loss,
    fair_loss,
    log_cosh_loss,
    pseudo_huber_loss,
)
from tensorweaver.losses.regression.student_t import student_t_nll_loss
from tensorweaver.losses.regression.wing import wing_loss

__all__ = [
    "adaptive_delta_huber_loss",
    "cauchy_loss",
    "charbonnier_loss",
    "epsilon_insensitive_loss",
    "expectile_loss",
    "fair_loss",
    "geman_mcclure_loss",
    "general_robust_loss",
    "half_mse_loss",
    "huber_loss",
    "l1_loss",
    "log_cosh_loss",
    "mape_loss",
    "mse_loss",
    "msle_loss",
    "multi_quantile_loss",
    "pseudo_huber_loss",
    "quantile_loss",
    "rmse_loss",
    "rmsle_loss",
    "smape_loss",
    "smooth_l1_loss",
    "squared_epsilon_insensitive_loss",
    "student_t_nll_loss",
    "tukey_biweight_loss",
    "welsch_loss",
    "wing_loss",
]

PEERS = {
    "mse_loss": {
        "torch": "mse_loss",
        "optax": "squared_error",
        "keras": "mean_squared_error",
        "sklearn": "mean_squared_error",
    },
    "half_mse_loss": {
        "optax": "l2_loss",
        "sklearn": "HalfSquaredError",
        "xgboost": "reg:squarederror",
        "lightgbm": "regression",
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
    "log_cosh_loss": {"optax": "log_cosh", "keras": "log_cosh"},
    "pseudo_huber_loss": {"xgboost": "reg:pseudohubererror"},
    "fair_loss": {"lightgbm": "fair"},
    "quantile_loss": {
        "sklearn": "mean_pinball_loss",
        "xgboost": "reg:quantileerror",
        "lightgbm": "quantile",
    },
    "expectile_loss": {"xgboost": "reg:expectileerror"},
    "epsilon_insensitive_loss": {"sklearn": "epsilon_insensitive"},
    "squared_epsilon_insensitive_loss": {"sklearn": "squared_epsilon_insensitive"},
    "mape_loss": {
        "keras": "mean_absolute_percentage_error",
        "sklearn": "mean_absolute_percentage_error",
        "lightgbm": "mape",
    },
    "msle_loss": {
        "keras": "mean_squared_logarithmic_error",
        "sklearn": "mean_squared_log_error",
        "xgboost": "reg:squaredlogerror",
    },
    "rmse_loss": {"sklearn": "root_mean_squared_error"},
    "rmsle_loss": {"sklearn": "root_mean_squared_log_error"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
