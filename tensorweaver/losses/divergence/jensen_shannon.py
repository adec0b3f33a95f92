"""Jensen-Shannon divergences: how far two distributions are from their mixture."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise
from tensorweaver.losses.divergence.log_ratio import (
    far_total,
    impossible_for_both,
    is_mostly,
    relative_entropy,
)

__all__ = ["generalized_jsd_loss", "jensen_shannon_loss"]

BOTH = 0.5


@rowwise
def jensen_shannon_loss(predictions: Any, targets: Any, *, from_logits: bool = False) -> Any:
    """Jensen-Shannon divergence: a symmetric and bounded distance of two distributions.

    Formula: with `q` the predicted probabilities, `p` the targets and `m = (p + q) / 2`, `KL(p ||
    m) / 2 + KL(q || m) / 2`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same, or broadcasting
    to it.

    Domain: log-probabilities, -inf included, or any logits with `from_logits`. A class that neither
    has costs nothing, one that only one has `log(2) / 2` times its probability. At most `log(2)`.

    Gradient: by log-probabilities, `q log(q / m) / 2`. Hessian: from the formula.

    Numerics: as for `generalized_jsd_loss`: nothing cancels between nearly equal distributions.

    Parameters
    ----------
    from_logits
        Whether both arguments are logits, to be normalised here.

    Same as: `generalized_jsd_loss(beta=0.5)`; Kornia's `js_div_loss_2d`.

    Reference: J. Lin, Divergence Measures Based on the Shannon Entropy, 1991.

    Examples
    --------
    >>> import numpy as np, tensorweaver as tw
    >>> tw.jensen_shannon_loss(np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])).round(6)
    np.float64(0.033822)
    >>> tw.jensen_shannon_loss([[0.0, 1.0]], [[0.0, 1.0]], from_logits=True)
    np.float64(0.0)
    """
    return mixed_divergence(predictions, targets, BOTH, from_logits=from_logits)


@rowwise
def generalized_jsd_loss(
    predictions: Any, targets: Any, *, beta: float = 0.5, from_logits: bool = False
) -> Any:
    """Generalized Jensen-Shannon divergence: between both directions of the Kullback-Leibler
    divergence, for distillation.

    Formula: with `q` the predicted probabilities, `p` the targets (the teacher's) and `m = beta p +
    (1 - beta) q`, `beta KL(p || m) + (1 - beta) KL(q || m)`; for `beta=0` `KL(p || q)`, for
    `beta=1` `KL(q || p)`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same, or broadcasting
    to it.

    Domain: log-probabilities, -inf included, or any logits with `from_logits`. A class that neither
    has costs nothing. `beta` in [0, 1], else `ArgumentError`; inside, the loss is bounded.

    Gradient: by log-probabilities, `(1 - beta) q log(q / m)`; for `beta=0` `-p`, for `beta=1` `q
    (log(q / p) + 1)`. Hessian: from the formula.

    Numerics: each class's share is written as a sum of two terms that are not negative, so that
    nothing cancels between nearly equal distributions. From logits, the ratio of the
    probabilities is found from the logits' differences; log-probabilities have lost it already.

    Parameters
    ----------
    beta
        The weight of the targets in the mixture.
    from_logits
        Whether both arguments are logits, to be normalised here.

    Same as: Liger's `LigerJSD`, TRL's `generalized_jsd_loss`.

    Reference: R. Agarwal et al., On-Policy Distillation of Language Models, 2024.

    Examples
    --------
    >>> import numpy as np, tensorweaver as tw
    >>> log_q, log_p = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    >>> tw.generalized_jsd_loss(log_q, log_p, beta=0.0).round(6) # KL(p || q)
    np.float64(0.130812)
    >>> tw.generalized_jsd_loss.grad(log_q, log_p, beta=0.1).round(6)
    array([[ 0.023082, -0.021956]])
    """
    if not 0 <= beta <= 1:
        message = f"generalized_jsd_loss: beta must be in [0, 1], got {beta!r}"
        raise ArgumentError(message)
    return mixed_divergence(predictions, targets, beta, from_logits=from_logits)


def mixed_divergence(predictions: Any, targets: Any, beta: float, *, from_logits: bool) -> Any:
    """The divergence of a row, for any `beta` from 0 to 1."""
    xp = array_namespace(predictions)
    if from_logits:
        q, p = xp.softmax(predictions, axis=-1), xp.softmax(targets, axis=-1)
        ratio = xp.log_softmax_ratio(predictions, targets, 1.0)
    else:
        q, p = xp.exp(predictions), xp.exp(targets)
        masked = impossible_for_both(xp, predictions, targets)
        ratio = xp.where(masked, 0.0, predictions - targets)
    if 0 < beta < 1:
        if from_logits:
            return mixture_of_logits(xp, p, q, ratio, beta)
        shares = shares_of_mixture(xp, p, q, ratio, beta, constant=math.log(1 - beta))
    elif from_logits:
        forward = beta == 0
        return from_teacher(xp, p, q, ratio) if forward else from_student(xp, p, q, ratio)
    elif beta == 0:
        shares = xp.where(p == 0, 0.0, -ratio * p)
    else:
        shares = xp.where(q == 0, 0.0, ratio * q)
    return xp.sum(shares, axis=-1, keepdims=True)


def from_teacher(xp: Any, p: Any, q: Any, ratio: Any) -> Any:
    """`KL(p || q)` of distributions that add up."""
    return xp.sum(relative_entropy(xp, p, q, ratio), axis=-1, keepdims=True)


def from_student(xp: Any, p: Any, q: Any, ratio: Any) -> Any:
    """`KL(q || p)` of distributions that add up: near equality by shares that are not negative, to
    which `p - q` was added; elsewhere as it stands, and `p - q` of those adds up to the same.
    """
    is_near = xp.abs(ratio) < 1
    close = xp.where(is_near, -ratio, 0.0)
    near = xp.where(is_near, q * xp.expm1mx(close), 0.0)
    far = xp.where(xp.logical_or(is_near, q == 0), 0.0, q * ratio)
    surplus = xp.where(is_near, q * xp.expm1(close), p - q)
    mostly_far = is_mostly(xp, q, xp.logical_not(is_near))
    added = far_total(xp, surplus, is_near, total=0.0, mostly_far=mostly_far)
    return xp.sum(near + far, axis=-1, keepdims=True) + added


def mixture_of_logits(xp: Any, p: Any, q: Any, ratio: Any, beta: float) -> Any:
    """The divergence of distributions that add up. Apart from each other, `log(m / q)` is `log(1 -
    beta)` and little more; the part that it shares with other classes has no slope.
    """
    is_near = xp.abs(ratio) < 1
    mostly_far = is_mostly(xp, q, xp.logical_not(is_near))
    shares = shares_of_mixture(xp, p, q, ratio, beta, constant=0.0)
    far = far_total(xp, q, is_near, total=1.0, mostly_far=mostly_far)
    return xp.sum(shares, axis=-1, keepdims=True) - (1 - beta) * math.log(1 - beta) * far


def shares_of_mixture(xp: Any, p: Any, q: Any, ratio: Any, beta: float, *, constant: float) -> Any:
    """The classes' shares, from `ratio = log(q / p)`. `constant` is `log(1 - beta)`, or 0 where
    what it adds to classes far from equality is added elsewhere.

    Near equality, with `x = m / p - 1` and `y = m / q - 1`, `beta p (x - log(1 + x)) + (1 - beta) q
    (y - log(1 + y))`: what is added to either divergence cancels between them, class by class.
    Elsewhere both logarithms are made of one, the softplus of how far `beta p` outweighs the rest.
    """
    rest = 1 - beta
    is_near = xp.abs(ratio) < 1
    close = xp.where(is_near, ratio, 0.0)
    x, y = rest * xp.expm1(close), beta * xp.expm1(-close)
    near = -(beta * (p * xp.log1pmx(x)) + rest * (q * xp.log1pmx(y)))
    lead = math.log(beta / rest) - ratio
    behind = (math.log(rest) + ratio) + xp.softplus(lead)
    far_x = xp.where(lead > 0, math.log(beta) + xp.softplus(-lead), behind)
    far_y = xp.softplus(lead) + constant
    first = xp.where(p == 0, 0.0, beta * (p * far_x))
    second = xp.where(q == 0, 0.0, rest * (q * far_y))
    return xp.where(is_near, near, -(first + second))
