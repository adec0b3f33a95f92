"""Losses of how many of several trials succeed."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["binomial_nll_loss"]

FAR = 30.0
"""A logit from which on the likelihood of an unlikely result is far from that of any other."""
LOWEST = -50.0
"""A number of which `softplus` is the exponential to the last digit."""


@pointwise(domains={"targets": "nonnegative", "trials": "nonnegative"})
def binomial_nll_loss(logits: Any, targets: Any, trials: Any, *, full: bool = False) -> Any:
    """Negative log-likelihood of the number of successes in several trials, from the logit of the
    probability of each.

    Formula: `targets softplus(-logits) + (trials - targets) softplus(logits)`.

    Shapes: `logits` of any shape; `targets` and `trials` the same, or broadcasting to it.

    Domain: all logits, infinite ones included: the loss is then its limit. Targets from 0 to
    `trials`; negative ones are refused, with `full` those beyond the trials give NaN.

    Gradient: `(trials - targets) sigmoid(logits) - targets sigmoid(-logits)`, which is `trials
    sigmoid(logits) - targets` without its cancellation. Hessian: `trials sigmoid(logits)
    sigmoid(-logits)`.

    Numerics: with `full` the large terms, which cancel near the best logit, are brought together
    first: what is left is half the deviance and a rest that depends on the counts alone.

    Same as: with `trials=1`, and targets between 0 and 1, `binary_cross_entropy_with_logits_loss`
    and scikit-learn's `HalfBinomialLoss`.

    Reference: P. McCullagh and J. A. Nelder, Generalized Linear Models, 1989.

    Parameters
    ----------
    full
        Whether to take away the logarithm of the binomial coefficient, which does not depend on the
        logits.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.binomial_nll_loss([0.0, 0.0], [1.0, 2.0], [2.0, 2.0], reduction="none").round(4)
    array([1.3863, 1.3863])
    >>> tw.binomial_nll_loss([0.0], [1.0], [2.0], full=True).round(4)
    np.float64(0.6931)
    >>> tw.binomial_nll_loss.grad([0.0], [3.0], [4.0])
    array([-1.])
    """
    xp = array_namespace(logits)
    failures = trials - targets
    loss = times_softplus(xp, targets, -logits) + times_softplus(xp, failures, logits)
    if not full:
        return loss
    successes = xp.power_divergence(targets, trials * xp.sigmoid(logits), 1)
    close = successes + xp.power_divergence(failures, trials * xp.sigmoid(-logits), 1)
    # Far out nothing cancels, but an expected number may be too small to be divided by.
    apart = loss - (information(xp, targets, failures) + information(xp, failures, targets))
    rest = xp.log_factorial_excess(targets) + xp.log_factorial_excess(failures)
    rest = rest - xp.log_factorial_excess(trials)
    return xp.where(xp.abs(logits) < FAR, close, apart) + rest


def times_softplus(xp: Any, count: Any, x: Any) -> Any:
    """`count softplus(x)`, which may be a number where `softplus(x)` is too small for one."""
    usual = xp.multiply_no_nan(xp.softplus(x), count)
    return xp.where(x < LOWEST, xp.times_exp(count, xp.minimum(x, 0.0)), usual)


def information(xp: Any, count: Any, others: Any) -> Any:
    """`count log((count + others) / count)`."""
    return xp.multiply_no_nan(xp.log1p(others / count), count)
