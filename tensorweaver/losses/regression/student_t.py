"""The likelihood of Student's t distribution."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

__all__ = ["student_t_nll_loss"]

LARGE = 40
"""From here on the logarithms of two gamma functions cancel, and six terms of a series do."""


@pointwise(wrt=("predictions", "scale"), domains={"scale": "nonnegative"})
def student_t_nll_loss(
    predictions: Any, targets: Any, scale: Any, *, df: float = 3.0, full: bool = False
) -> Any:
    """Negative log-likelihood of Student's t distribution: a Gaussian with heavy tails, for data
    with outliers whose spread is learnt, too.

    Formula: with `u = (targets - predictions) / scale`, `(df + 1) / 2 log(1 + u**2 / df) +
    log(scale)`; `full` adds the constant `lgamma(df / 2) - lgamma((df + 1) / 2) + log(pi df) / 2`.

    Shapes: `predictions` of any shape; `targets` and `scale` the same, or broadcasting to it.

    Domain: all real numbers; positive scales: at 0 the loss is infinite or NaN, negative ones are
    refused. `df` positive, else `ArgumentError`; `df=inf` is the Gaussian.

    Gradient: by the predictions `-(df + 1) u / (df + u**2) / scale`, which falls to 0 for infinite
    errors; by the scale `(1 - (df + 1) u**2 / (df + u**2)) / scale`. `.grad` gives both. At an
    infinite error the second is `-df / scale`.

    Numerics: nothing overflows in the square, in value, gradient or Hessian; the value is infinite
    where `u` itself is, and the gradient still finite.

    Parameters
    ----------
    df
        Degrees of freedom: the smaller, the heavier the tails. 1 is the Cauchy distribution.
    full
        Whether to add the constant that makes it a likelihood.

    Same as: `-torch.distributions.StudentT(df, predictions, scale).log_prob(targets)`, with `full`.

    Reference: K. L. Lange, R. J. A. Little and J. M. G. Taylor, Robust Statistical Modeling Using
    the t Distribution, 1989.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.student_t_nll_loss([0.0, 3.0], [0.0, 0.0], [1.0, 1.0], df=1.0, reduction="none").round(4)
    array([0.    , 2.3026])
    >>> tw.student_t_nll_loss([0.0], [0.0], [1.0], df=1.0, full=True).round(6)
    np.float64(1.14473)
    """
    if not df > 0:
        message = f"student_t_nll_loss: df must be positive, got {df!r}"
        raise ArgumentError(message)
    xp = array_namespace(predictions)
    if math.isinf(df):
        scaled = (predictions - targets) / scale
        loss = (0.5 * scaled) * scaled + xp.log(scale)
    else:
        loss = xp.student_cost(predictions - targets, scale, df)
    return loss + normaliser(df) if full else loss


def normaliser(df: float) -> float:
    """The logarithm of what the density is divided by, for a scale of 1."""
    if df > LARGE:
        z = 0.5 * df
        terms = ((-1, 8), (1, 192), (-1, 640), (17, 14336), (-31, 18432), (691, 180224))
        grown = sum(a / b * z ** -(2 * k + 1) for k, (a, b) in enumerate(terms))
        return 0.5 * math.log(2 * math.pi) - grown
    return math.lgamma(0.5 * df) - math.lgamma(0.5 * (df + 1)) + 0.5 * math.log(math.pi * df)
