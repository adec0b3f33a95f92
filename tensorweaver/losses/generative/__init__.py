"""Losses of models that generate: adversarial ones, and variational ones."""

from tensorweaver.losses.generative.gan import gan_discriminator_loss, gan_generator_loss
from tensorweaver.losses.generative.gaussian_kl import gaussian_kl_loss

__all__ = ["gan_discriminator_loss", "gan_generator_loss", "gaussian_kl_loss"]

PEERS: dict[str, dict[str, str]] = {}
"""What other libraries call each loss, where they mean the same up to a factor."""
