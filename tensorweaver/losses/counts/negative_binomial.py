"""Losses of counts whose variance is larger than their mean."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["negative_binomial_nll_loss"]


@pointwise(
    wrt=("predictions", "dispersion"),
    domains={"targets": "nonnegative", "dispersion": "nonnegative"},
)
def negative_binomial_nll_loss(
    predictions: Any, targets: Any, dispersion: Any, *, log_input: bool = True, full: bool = False
) -> Any:
    """Negative log-likelihood of counts that scatter more than Poisson's, from the logarithm of
    their mean and from a dispersion that is learned with it.

    Formula: with `m = exp(predictions)`, or `m = predictions` with `log_input=False`, and `r =
    dispersion`, `lgamma(r) - lgamma(targets + r) - r log(r / (r + m)) - targets log(m / (r + m))`,
    and `log(targets!)` where `full`. The variance is `m + m**2 / r`.

    Shapes: `predictions` of any shape; `targets` and `dispersion` the same, or broadcasting to it.

    Domain: all predictions, infinite ones included; means from 0 on, negative ones give NaN.
    Targets from 0 on and positive dispersions, others are refused; an infinite one gives NaN.

    Gradient: by both predictions and dispersion: `(m - targets) r / (r + m)`, by a mean this
    through `m`; and `digamma(r) - digamma(targets + r) + log1p(m / r) + (targets - m) / (r + m)`.

    Numerics: for dispersions so large that the law is Poisson's, and for small ones, value and
    slopes are as exact as anywhere: the gamma functions' large terms meet those of the mean before
    they are rounded, and what is left of them is a series.

    Same as: PyTorch's `distributions.NegativeBinomial(total_count=r, logits=predictions -
    log(r))` with `full`; in the limit of large dispersions `poisson_nll_loss`.

    Reference: J. M. Hilbe, Negative Binomial Regression, 2011.

    Parameters
    ----------
    log_input
        Whether predictions are logarithms of means.
    full
        Whether to add `log(targets!)`, which depends on the targets alone.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.negative_binomial_nll_loss([2.0], [3.0], [1.0], log_input=False, full=True).round(6)
    np.float64(2.315008)
    >>> mean, dispersion = tw.negative_binomial_nll_loss.grad([0.0], [3.0], [1.0])
    >>> print(mean, dispersion.round(4))
    [-1.] [-0.1402]
    """
    xp = array_namespace(predictions)
    rest = xp.rising_rest(dispersion, targets)
    if full:
        divergence = xp.dispersed_divergence_of_log if log_input else xp.dispersed_divergence
        known = xp.log_factorial_excess(targets)
        return divergence(targets, predictions, dispersion) + (known + rest)
    cost = xp.dispersed_cost_of_log if log_input else xp.dispersed_cost
    return cost(targets, predictions, dispersion) + rest
