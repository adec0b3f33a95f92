"""Accelerated failure time: times of which an interval is known."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.regression.options import require_positive

__all__ = ["aft_nll_loss"]

LOG_ROOT_TAU = 0.5 * math.log(2 * math.pi)
LOG_2 = math.log(2)


@pointwise(domains={"lower": "nonnegative", "upper": "nonnegative"})
def aft_nll_loss(
    predictions: Any, lower: Any, upper: Any, *, distribution: str = "normal", scale: float = 1.0
) -> Any:
    """Negative log-likelihood of a time of which an interval is known, from a prediction of its
    logarithm: what was seen, what was not waited for, and what happened between two looks.

    Formula: with `z(t) = (log(t) - predictions) / scale` and a distribution with the density `f`
    and the distribution function `F`, `-log(F(z(upper)) - F(z(lower)))`, and where `lower` is
    `upper`, `-log(f(z(lower)) / (scale lower))`.

    Shapes: `predictions` of any shape; `lower` and `upper` the same, or broadcasting to it.

    Domain: all predictions; bounds from 0 to infinity. Both the same where the time is known, which
    is then positive and finite; `upper` infinite where it was not waited for (right-censored);
    `lower` 0 where only the end is known (left-censored). Negative bounds are refused, those that
    have changed places give NaN. `scale` positive, else `ArgumentError`.

    Gradient: by the predictions. For a known time `-z / scale` (normal), `-tanh(z / 2) / scale`
    (logistic), `(1 - exp(z)) / scale` (extreme); for an interval the mean of this over it, such as
    `(f(z(upper)) - f(z(lower))) / (F(z(upper)) - F(z(lower))) / scale`. It has no limit but the
    true one, where XGBoost's is held within 15. Hessian: positive; `1 / scale**2` for a known time
    and a normal distribution.

    Numerics: no probability is a difference of two others, and none is raised to 1e-12: the cost of
    an interval far out in a tail, or as narrow as numbers allow, keeps its digits; so does one that
    is nearly certain, but for what an ulp of `z` is worth there: `z**2` ulp of a normal tail.

    Parameters
    ----------
    distribution
        Of `z`: `"normal"`, `"logistic"` (times are log-logistic), or `"extreme"`, the Gumbel
        distribution of minima, `F(z) = 1 - exp(-exp(z))` (times are Weibull's).
    scale
        How far the logarithm of a time scatters.

    Same as: XGBoost's `survival:aft`, with its `aft_loss_distribution` and
    `aft_loss_distribution_scale`; for known times and a normal distribution `gaussian_nll_loss` of
    `log(lower)` with `full=True`, and `log(lower)` more.

    Reference: L. J. Wei, The Accelerated Failure Time Model, 1992; A. Barnwal, H. Cho, T. Hocking,
    Survival Regression with Accelerated Failure Time Model in XGBoost, 2022.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> lower, upper = [2.0, 2.0, 0.0, 1.0], [2.0, float("inf"), 2.0, 3.0]
    >>> tw.aft_nll_loss([0.0, 0.0, 0.0, 0.0], lower, upper, reduction="none").round(4)
    array([1.8523, 1.4101, 0.2799, 1.0105])
    >>> tw.aft_nll_loss.grad([0.0, 0.0, 0.0, 0.0], lower, upper, reduction="sum").round(4)
    array([-0.6931, -1.2853,  0.4151, -0.4965])
    """
    if distribution not in {"normal", "logistic", "extreme"}:
        message = (
            "aft_nll_loss: distribution must be 'normal', 'logistic' or 'extreme', got "
            f"{distribution!r}"
        )
        raise ArgumentError(message)
    require_positive("aft_nll_loss", "scale", scale)
    xp = array_namespace(predictions)
    # NaN goes where a slope comes from, for one that is computed without it would not be NaN.
    first = xp.where(lower <= upper, lower, math.nan)
    is_number = xp.logical_not(xp.isnan(predictions))
    start = (xp.log(first) - predictions) / scale
    start = xp.where(xp.logical_and(first == 0, is_number), -math.inf, start)
    end = (xp.log(upper) - predictions) / scale
    end = xp.where(xp.logical_and(upper == math.inf, is_number), math.inf, end)
    width = xp.power_integral(upper, first, 1) / scale
    costs = {"normal": normal, "logistic": logistic, "extreme": extreme}
    of_time, of_interval = costs[distribution](xp, start, end, width)
    return xp.where(lower == upper, of_time + (xp.log(first) + math.log(scale)), of_interval)


def normal(xp: Any, start: Any, end: Any, width: Any) -> tuple[Any, Any]:
    """Of an interval from the end that is nearer to 0, for the distribution is symmetric."""
    nearer = xp.where(start + end > 0, start, -end)
    return 0.5 * (start * start) + LOG_ROOT_TAU, -xp.log_normal_between(nearer, width)


def logistic(xp: Any, start: Any, end: Any, width: Any) -> tuple[Any, Any]:
    tails = xp.softplus(start) + xp.softplus(-end)
    return xp.softplus(start) + xp.softplus(-start), tails - log1mexp(xp, width)


def extreme(xp: Any, start: Any, end: Any, width: Any) -> tuple[Any, Any]:
    """With the logarithm of `exp(end) - exp(start)`."""
    survived = xp.exp(start)
    return survived - start, survived - xp.log_gumbel(end + log1mexp(xp, width))


def log1mexp(xp: Any, x: Any) -> Any:
    """`log(1 - exp(-x))`, for `x` from 0 on."""
    return xp.where(x < LOG_2, xp.log(-xp.expm1(-x)), xp.log1p(-xp.exp(-x)))
