"""Losses of predictions that come with a variance or a scale of their own."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["beta_nll_loss", "gaussian_nll_loss", "laplace_nll_loss"]


@pointwise(wrt=("predictions", "variance"), domains={"variance": "nonnegative"})
def gaussian_nll_loss(
    predictions: Any, targets: Any, variance: Any, *, full: bool = False, eps: float = 1e-6
) -> Any:
    """Negative log-likelihood under a normal distribution, for models that predict a variance
    beside the mean.

    Formula: with `v = max(variance, eps)`, `(log(v) + (predictions - targets)**2 / v) / 2`.

    Shapes: `predictions` of any shape; `targets` and `variance` the same, or broadcasting to it.

    Domain: all real predictions and targets; variances from 0 on, others are refused.

    Gradient: by both predictions and variance: `(predictions - targets) / v`, and `(1 -
    (predictions - targets)**2 / v) / (2 v)` where the variance is above `eps`, else 0, the slope of
    the maximum. Hessian: `1 / v` by the predictions.

    Numerics: the error is divided by the standard deviation before it is squared, so that a large
    error with a large variance does not overflow.

    Same as: PyTorch's `gaussian_nll_loss`, whose gradient by a variance below `eps` is not that of
    its value.

    Reference: D. A. Nix and A. S. Weigend, Estimating the Mean and Variance of the Target
    Probability Distribution, 1994.

    Parameters
    ----------
    full
        Whether to add `log(2 pi) / 2`.
    eps
        The least variance, to keep a model from becoming too sure; 0 for none.

    Errors: `ArgumentError` where `eps` is negative or not finite.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.gaussian_nll_loss([1.0, 3.0], [1.0, 1.0], [1.0, 4.0], reduction="none").round(4)
    array([0.    , 1.1931])
    >>> mean, variance = tw.gaussian_nll_loss.grad([3.0], [1.0], [4.0])
    >>> print(mean, variance)
    [0.5] [0.]
    """
    check_eps("gaussian_nll_loss", eps)
    xp = array_namespace(predictions)
    loss = xp.normal_cost(predictions - targets, floored(xp, variance, eps))
    return loss + 0.5 * math.log(2 * math.pi) if full else loss


def no_negative(xp: Any, x: Any) -> Any:
    """NaN, and a slope of NaN, where it is negative."""
    return xp.where(x < 0, xp.sqrt(x), x)


def floored(xp: Any, variance: Any, eps: float) -> Any:
    """The variance, at least `eps`; NaN where it is negative."""
    known = no_negative(xp, variance)
    return known if eps == 0 else xp.maximum(known, eps)


def check_eps(loss: str, eps: float) -> None:
    if not 0 <= eps < math.inf:
        message = f"{loss}: eps must be 0 or positive and finite, got {eps!r}"
        raise ArgumentError(message)


@pointwise(wrt=("predictions", "variance"), domains={"variance": "nonnegative"})
def beta_nll_loss(
    predictions: Any, targets: Any, variance: Any, *, beta: float = 0.5, eps: float = 0.0
) -> Any:
    """Gaussian negative log-likelihood weighted with a power of the predicted variance, so that
    what is predicted badly is not given up as noise.

    Formula: `v**beta (log(v) + (predictions - targets)**2 / v) / 2` with `v = max(variance, eps)`,
    where the factor `v**beta` counts as a constant: derivatives do not see it.

    Shapes: `predictions` of any shape; `targets` and `variance` the same, or broadcasting to it.

    Domain: all real predictions and targets; positive variances, negative ones are refused.

    Gradient: `v**beta` times that of `gaussian_nll_loss`, by both predictions and variance; with
    `beta=1` the one by the predictions is that of half the squared error. It is not the slope of
    the value. Hessian: `v**(beta - 1)` by the predictions.

    Same as: `gaussian_nll_loss` with `beta=0`.

    Reference: M. Seitzer et al., On the Pitfalls of Heteroscedastic Uncertainty Estimation with
    Probabilistic Neural Networks, 2022.

    Parameters
    ----------
    beta
        The power, from 0 to 1.
    eps
        The least variance.

    Errors: `ArgumentError` where `beta` is not between 0 and 1, or `eps` is negative or not finite.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.beta_nll_loss([1.0, 3.0], [1.0, 1.0], [1.0, 4.0], reduction="none").round(4)
    array([0.    , 2.3863])
    >>> mean, variance = tw.beta_nll_loss.grad([4.0], [1.0], [4.0])
    >>> print(mean, variance)
    [1.5] [-0.3125]
    """
    if not 0 <= beta <= 1:
        message = f"beta_nll_loss: beta must be from 0 to 1, got {beta!r}"
        raise ArgumentError(message)
    check_eps("beta_nll_loss", eps)
    xp = array_namespace(predictions)
    known = floored(xp, variance, eps)
    if beta == 0:
        return xp.normal_cost(predictions - targets, known)
    root = xp.stop_gradient(known ** (beta / 2))
    scaled = (predictions - targets) * (root / xp.sqrt(known))
    return (root * root) * (0.5 * xp.log(known)) + (0.5 * scaled) * scaled


@pointwise(wrt=("predictions", "scale"), domains={"scale": "nonnegative"})
def laplace_nll_loss(predictions: Any, targets: Any, scale: Any, *, full: bool = False) -> Any:
    """Negative log-likelihood under a Laplace distribution, for models that predict a scale beside
    the median and meet outliers.

    Formula: `log(scale) + abs(predictions - targets) / scale`.

    Shapes: `predictions` of any shape; `targets` and `scale` the same, or broadcasting to it.

    Domain: all real predictions and targets; positive scales, negative ones are refused.

    Gradient: by both predictions and scale: `sign(predictions - targets) / scale`, 0 at the target,
    and `(1 - abs(predictions - targets) / scale) / scale`. Hessian: 0 by the predictions.

    Same as: the negative `log_prob` of `torch.distributions.Laplace` with `full=True`; `l1_loss`
    with scale 1.

    Reference: A. Kendall and Y. Gal, What Uncertainties Do We Need in Bayesian Deep Learning, 2017.

    Parameters
    ----------
    full
        Whether to add `log(2)`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.laplace_nll_loss([1.0, 3.0], [1.0, 1.0], [1.0, 2.0], reduction="none").round(4)
    array([0.    , 1.6931])
    >>> median, scale = tw.laplace_nll_loss.grad([4.0], [1.0], [2.0])
    >>> print(median, scale)
    [0.5] [-0.25]
    """
    xp = array_namespace(predictions)
    known = no_negative(xp, scale)
    loss = xp.laplace_cost(xp.abs(predictions - targets), known)
    return loss + math.log(2) if full else loss
