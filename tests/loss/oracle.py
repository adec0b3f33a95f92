"""Naive losses in NumPy's float64, written from the textbook, one row after another."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["POINTWISE", "cross_entropy", "reduce"]


def binary_cross_entropy(p, t):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


POINTWISE: dict[str, Callable[..., Any]] = {
    "mse_loss": lambda p, t: (p - t) ** 2,
    "l1_loss": lambda p, t: np.abs(p - t),
    "huber_loss": lambda p, t, delta=1.0: np.where(
        np.abs(p - t) <= delta, (p - t) ** 2 / 2, delta * (np.abs(p - t) - delta / 2)
    ),
    "smooth_l1_loss": lambda p, t, beta=1.0: np.where(
        np.abs(p - t) < beta, (p - t) ** 2 / (2 * beta), np.abs(p - t) - beta / 2
    ),
    "binary_cross_entropy_with_logits_loss": lambda x, t: binary_cross_entropy(
        1 / (1 + np.exp(-x)), t
    ),
    "kl_div_loss": lambda q, t: t * (np.log(t) - q),
}


def cross_entropy(x, targets, axis, weight, ignore_index, smoothing):
    """Losses and counts of the rows along `axis`, in the order of the other axes."""
    rows = np.moveaxis(x, axis, -1)
    losses, counts = np.zeros(rows.shape[:-1]), np.zeros(rows.shape[:-1])
    classes = rows.shape[-1]
    for place in np.ndindex(losses.shape):
        row = rows[place]
        log_p = row - np.log(np.sum(np.exp(row)))
        if targets.dtype.kind == "f":
            q = np.moveaxis(targets, axis, -1)[place]
            counts[place] = 1.0
        else:
            label = targets[place]
            if label == ignore_index:
                continue
            q = np.eye(classes)[label]
            counts[place] = 1.0 if weight is None else weight[label]
        q = (1 - smoothing) * q + smoothing / classes
        losses[place] = -np.sum((1.0 if weight is None else weight) * q * log_p)
    return losses, counts


def reduce(losses, counts, reduction, sample_weight, where):
    """The reduced loss; a mean over nothing is 0."""
    factor = np.ones(losses.shape)
    if sample_weight is not None:
        factor = factor * sample_weight
    if where is not None:
        factor = factor * where
    if reduction == "none":
        return losses * factor
    total = np.sum(losses * factor)
    if reduction == "sum":
        return total
    divisor = np.sum(counts * factor)
    return total / divisor if divisor else 0.0
