"""Losses of counts, of amounts, and of predicted distributions."""

from tensorweaver.losses.counts.binomial import binomial_nll_loss
from tensorweaver.losses.counts.ensemble import crps_ensemble_loss
from tensorweaver.losses.counts.gamma import gamma_deviance_loss, gamma_nll_loss
from tensorweaver.losses.counts.negative_binomial import negative_binomial_nll_loss
from tensorweaver.losses.counts.normal import beta_nll_loss, gaussian_nll_loss, laplace_nll_loss
from tensorweaver.losses.counts.poisson import poisson_deviance_loss, poisson_nll_loss
from tensorweaver.losses.counts.scores import crps_gaussian_loss, interval_score_loss
from tensorweaver.losses.counts.tweedie import tweedie_deviance_loss, tweedie_nll_loss
from tensorweaver.losses.counts.zero_inflated import zero_inflated_poisson_nll_loss

__all__ = [
    "beta_nll_loss",
    "binomial_nll_loss",
    "crps_ensemble_loss",
    "crps_gaussian_loss",
    "gamma_deviance_loss",
    "gamma_nll_loss",
    "gaussian_nll_loss",
    "interval_score_loss",
    "laplace_nll_loss",
    "negative_binomial_nll_loss",
    "poisson_deviance_loss",
    "poisson_nll_loss",
    "tweedie_deviance_loss",
    "tweedie_nll_loss",
    "zero_inflated_poisson_nll_loss",
]

PEERS = {
    "gamma_deviance_loss": {"sklearn": "mean_gamma_deviance"},
    "gamma_nll_loss": {"sklearn": "HalfGammaLoss", "xgboost": "reg:gamma", "lightgbm": "gamma"},
    "gaussian_nll_loss": {"torch": "gaussian_nll_loss"},
    "poisson_deviance_loss": {"sklearn": "mean_poisson_deviance"},
    "poisson_nll_loss": {
        "torch": "poisson_nll_loss",
        "keras": "poisson",
        "sklearn": "HalfPoissonLoss",
        "xgboost": "count:poisson",
        "lightgbm": "poisson",
    },
    "tweedie_deviance_loss": {"sklearn": "mean_tweedie_deviance"},
    "tweedie_nll_loss": {
        "sklearn": "HalfTweedieLoss",
        "xgboost": "reg:tweedie",
        "lightgbm": "tweedie",
    },
}
"""What other libraries call each loss, where they mean the same up to a factor."""
