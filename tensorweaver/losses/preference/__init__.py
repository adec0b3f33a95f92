"""Losses of preferences between completions, and of policies that are rewarded."""

from tensorweaver.losses.preference.dpo import dpo_loss, ipo_loss
from tensorweaver.losses.preference.gspo import gspo_loss
from tensorweaver.losses.preference.importance_weights import cispo_loss, vespo_loss
from tensorweaver.losses.preference.kto import kto_loss
from tensorweaver.losses.preference.policy_gradient import (
    grpo_loss,
    ppo_clip_loss,
    ppo_value_clip_loss,
)
from tensorweaver.losses.preference.reference_free import (
    cpo_loss,
    orpo_loss,
    reward_model_loss,
    simpo_loss,
)
from tensorweaver.losses.preference.sapo import sapo_loss
from tensorweaver.losses.preference.token_weights import token_weights

__all__ = [
    "cispo_loss",
    "cpo_loss",
    "dpo_loss",
    "grpo_loss",
    "gspo_loss",
    "ipo_loss",
    "kto_loss",
    "orpo_loss",
    "ppo_clip_loss",
    "ppo_value_clip_loss",
    "reward_model_loss",
    "sapo_loss",
    "simpo_loss",
    "token_weights",
    "vespo_loss",
]

PEERS = {
    "cpo_loss": {"liger": "LigerFusedLinearCPOLoss"},
    "dpo_loss": {"liger": "LigerFusedLinearDPOLoss"},
    "grpo_loss": {"liger": "LigerFusedLinearGRPOLoss"},
    "cispo_loss": {"liger": "LigerFusedLinearGRPOLoss"},
    "sapo_loss": {"liger": "LigerFusedLinearGRPOLoss"},
    "vespo_loss": {"liger": "LigerFusedLinearGRPOLoss"},
    "gspo_loss": {"liger": "LigerFusedLinearGRPOLoss"},
    "kto_loss": {"liger": "LigerFusedLinearKTOLoss"},
    "orpo_loss": {"liger": "LigerFusedLinearORPOLoss"},
    "simpo_loss": {"liger": "LigerFusedLinearSimPOLoss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
