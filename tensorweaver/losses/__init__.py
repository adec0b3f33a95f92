"""The losses: formulas, one loss and its close relatives a file."""

from tensorweaver.losses.binary_cross_entropy import (
    binary_cross_entropy_loss,
    binary_cross_entropy_with_logits_loss,
)
from tensorweaver.losses.cross_entropy import cross_entropy_loss, nll_loss
from tensorweaver.losses.huber import huber_loss, smooth_l1_loss
from tensorweaver.losses.kl_div import kl_div_loss
from tensorweaver.losses.l1 import l1_loss
from tensorweaver.losses.mse import mse_loss

__all__ = [
    "binary_cross_entropy_loss",
    "binary_cross_entropy_with_logits_loss",
    "cross_entropy_loss",
    "huber_loss",
    "kl_div_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]
