"""Losses of masks: each row is the pixels of one."""

from tensorweaver.losses.segmentation.generalized_dice import generalized_dice_loss
from tensorweaver.losses.segmentation.lovasz import lovasz_hinge_loss, lovasz_softmax_loss
from tensorweaver.losses.segmentation.overlap import (
    dice_loss,
    focal_tversky_loss,
    jaccard_loss,
    tversky_loss,
)

__all__ = [
    "dice_loss",
    "focal_tversky_loss",
    "generalized_dice_loss",
    "jaccard_loss",
    "lovasz_hinge_loss",
    "lovasz_softmax_loss",
    "tversky_loss",
]

PEERS = {
    "dice_loss": {"keras": "dice", "optax": "dice_loss"},
    "tversky_loss": {"keras": "tversky"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
