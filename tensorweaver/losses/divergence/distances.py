"""Distances between distributions other than relative entropies of a mixture."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise
from tensorweaver.losses.divergence.log_ratio import relative_entropy

__all__ = ["renyi_divergence_loss", "squared_hellinger_loss", "total_variation_loss"]


@rowwise
def total_variation_loss(predictions: Any, targets: Any) -> Any:
    """Total variation distance: the largest difference in what two distributions give an event.

    Formula: `sum(abs(predictions - targets)) / 2`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same, or broadcasting
    to it.

    Domain: all numbers; probabilities are meant. At most 1 for these.

    Gradient: half the sign of `predictions - targets`; 0 where they are equal. Hessian: 0.

    Same as: Liger's `LigerTVDLoss`; half of `l1_loss`, summed over the classes.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.total_variation_loss([[0.5, 0.5]], [[0.25, 0.75]])
    np.float64(0.25)
    >>> tw.total_variation_loss.grad([[0.5, 0.5]], [[0.25, 0.75]])
    array([[ 0.5, -0.5]])
    """
    xp = array_namespace(predictions)
    return 0.5 * xp.sum(xp.abs(predictions - targets), axis=-1, keepdims=True)


@rowwise
def squared_hellinger_loss(predictions: Any, targets: Any) -> Any:
    """Squared Hellinger distance: half the squared distance of the roots of two distributions.

    Formula: `sum((sqrt(predictions) - sqrt(targets))**2) / 2`, for distributions `1 -
    sum(sqrt(predictions targets))`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same, or broadcasting
    to it.

    Domain: numbers that are not negative, else NaN; probabilities are meant. At most 1 for these.

    Gradient: `(1 - sqrt(targets / predictions)) / 2`: -inf at a prediction of 0 for a class that
    occurs; where it does not occur 1 / 2, and 0 at the prediction 0, the slope of smallest norm at
    the end of the domain. Hessian: `sqrt(targets) / predictions**1.5 / 4`.

    Numerics: the roots' difference is `(predictions - targets) / (sqrt(predictions) +
    sqrt(targets))`, in which nothing cancels.

    Reference: E. Hellinger, Neue Begruendung der Theorie quadratischer Formen, 1909.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.squared_hellinger_loss([[0.25, 0.75]], [[1.0, 0.0]])
    np.float64(0.5)
    >>> tw.squared_hellinger_loss.grad([[0.25, 0.75]], [[1.0, 0.0]])
    array([[-0.5,  0.5]])
    """
    xp = array_namespace(predictions)
    both_zero = xp.logical_and(predictions == 0, targets == 0)
    roots = xp.sqrt(xp.where(both_zero, 1.0, predictions)) + xp.sqrt(targets)
    difference = xp.where(both_zero, 0.0, (predictions - targets) / roots)
    return 0.5 * xp.sum(difference**2, axis=-1, keepdims=True)


@rowwise
def renyi_divergence_loss(
    predictions: Any, targets: Any, *, alpha: float = 0.5, from_logits: bool = False
) -> Any:
    """Renyi divergence of the targets from the predictions, around Kullback and Leibler's.

    Formula: with `q` the predicted probabilities and `p` the targets, `log(sum(p**alpha q**(1 -
    alpha))) / (alpha - 1)`; for `alpha=1` its limit, `KL(p || q)`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same, or broadcasting
    to it.

    Domain: log-probabilities, -inf included, or any logits with `from_logits`. `alpha` positive and
    finite, else `ArgumentError`. A class that the targets do not have costs nothing; one that only
    they have costs infinity where `alpha >= 1`.

    Gradient: by log-probabilities, minus the share of each class in the sum. Hessian: from the
    formula.

    Numerics: from logits the sum's distance from 1 is found class by class from the ratio of the
    probabilities, so that neither nearly the same rows nor an `alpha` near 1 lose digits.
    Log-probabilities do not tell how far they are from adding up to 1: their rounding is divided by
    `alpha - 1`.

    Parameters
    ----------
    alpha
        1 / 2 is twice the Bhattacharyya distance.
    from_logits
        Whether both arguments are logits, to be normalised here.

    Reference: A. Renyi, On Measures of Entropy and Information, 1961.

    Examples
    --------
    >>> import numpy as np, tensorweaver as tw
    >>> log_q, log_p = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    >>> tw.renyi_divergence_loss(log_q, log_p, alpha=2.0).round(6)
    np.float64(0.223144)
    >>> tw.renyi_divergence_loss(log_q, log_p, alpha=1.0).round(6)
    np.float64(0.130812)
    """
    if not 0 < alpha < math.inf:
        message = f"renyi_divergence_loss: alpha must be positive and finite, got {alpha!r}"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    log_q, log_p = predictions, targets
    if from_logits:
        log_q, log_p = xp.log_softmax(predictions, axis=-1), xp.log_softmax(targets, axis=-1)
    impossible = log_p == -math.inf
    if alpha == 1:
        if from_logits:
            q, p = xp.exp(log_q), xp.exp(log_p)
            ratio = xp.log_softmax_ratio(predictions, targets, 1.0)
            return xp.sum(relative_entropy(xp, p, q, ratio), axis=-1)
        return xp.sum(xp.where(impossible, 0.0, xp.exp(log_p) * (log_p - log_q)), axis=-1)
    exponents = xp.where(impossible, -math.inf, alpha * log_p + (1 - alpha) * log_q)
    log_sum = xp.logsumexp(exponents, axis=-1, keepdims=True)
    if not from_logits:
        return log_sum / (alpha - 1)
    q, p = xp.softmax(predictions, axis=-1), xp.softmax(targets, axis=-1)
    ratio = xp.log_softmax_ratio(predictions, targets, 1.0)
    if alpha < HALF:  # from the other side, whose exponent is not near 1
        shares = excess(xp, q, p, -ratio, alpha, xp.exp(exponents))
    else:
        shares = excess(xp, p, q, ratio, 1 - alpha, xp.exp(exponents))
    near = xp.log1p(xp.sum(shares, axis=-1, keepdims=True))
    return xp.where(xp.abs(log_sum) < HALF, near, log_sum) / (alpha - 1)


HALF = 0.5


def excess(xp: Any, p: Any, q: Any, ratio: Any, rest: float, term: Any) -> Any:
    """What a class adds to `sum(p exp(rest ratio)) - 1`, with `ratio = log(q / p)`: `term - p -
    rest (q - p)` with `term = p exp(rest ratio)`.

    `q - p` adds up to nothing, and makes all shares of one sign, by the convexity of powers, and of
    the second order near equality: their sum does not cancel, however little `rest` is.
    """
    change = rest * ratio
    gain = xp.where(xp.abs(change) < 1, p * xp.expm1(change), term - p)
    near = p * (xp.expm1mx(change) - rest * xp.expm1mx(ratio))
    return xp.where(xp.abs(ratio) < 1, near, gain - rest * (q - p))
