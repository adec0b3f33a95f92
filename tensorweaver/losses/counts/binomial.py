"""Losses of how many of several trials succeed."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["binomial_nll_loss"]


@pointwise(domains={"targets": "nonnegative", "trials": "nonnegative"})
def binomial_nll_loss(logits: Any, targets: Any, trials: Any, *, full: bool = False) -> Any:
    """Negative log-likelihood of the number of successes in several trials, from the logit of the
    probability of each.

    Formula: `targets softplus(-logits) + (trials - targets) softplus(logits)`.

    Shapes: `logits` of any shape; `targets` and `trials` the same, or broadcasting to it.

    Domain: all logits, infinite ones included: the loss is then its limit. Targets from 0 to
    `trials`; without `full` others are taken as they are.

    Gradient: `(trials - targets) sigmoid(logits) - targets sigmoid(-logits)`, which is `trials
    sigmoid(logits) - targets` without its cancellation. Hessian: `trials sigmoid(logits)
    sigmoid(-logits)`.

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
    loss_of_successes = xp.multiply_no_nan(xp.softplus(-logits), targets)
    loss_of_failures = xp.multiply_no_nan(xp.softplus(logits), failures)
    loss = loss_of_successes + loss_of_failures
    if not full:
        return loss
    orders = xp.log_factorial(targets) + xp.log_factorial(failures)
    return loss - (xp.log_factorial(trials) - orders)
