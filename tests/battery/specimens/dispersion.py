"""Losses of counts that scatter more than Poisson's."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import COUNT, LOG_RATE, LOGIT, NONNEGATIVE, POSITIVE
from tests.battery.specimen import Peer, register

NAN, INFINITY = mpf("nan"), mpf("inf")


def times(factor, x):
    """A product in which a factor of zero wins over infinity."""
    return mpf(0) if factor == 0 else factor * x


def rising(function, r, target):
    """`function(r + target) - function(r)`, with digits for what is of second order in `1 / r`."""
    if target == 0:
        return mpf(0)
    with mpmath.workdps(60 + 3 * max(0, int(mpmath.log10(r)))):
        return function(r + target) - function(r)


# ------------------------------------------------------------------------ negative binomial
def mean_of(prediction, log_input):
    return mpmath.exp(prediction) if log_input else prediction


def negative_binomial(prediction, target, r, *, log_input=True, full=False):
    if mpmath.isnan(prediction) or not r > 0 or (prediction < 0 and not log_input):
        return NAN
    if prediction == INFINITY:
        return INFINITY
    mean = mean_of(prediction, log_input)
    if mean == 0 and target > 0:
        return INFINITY
    rate = r * mpmath.log1p(mean / r) - times(target, mpmath.log(mean) - mpmath.log(r + mean))
    constant = rising(mpmath.loggamma, mpf(1), target) if full else 0
    return rate - rising(mpmath.loggamma, r, target) + constant


def negative_binomial_slopes(prediction, target, r, *, log_input=True, full=False):
    if not mpmath.isfinite(prediction) or (prediction < 0 and not log_input):
        return NAN, NAN
    mean = mean_of(prediction, log_input)
    by_log = (mean - target) * r / (r + mean)
    known = by_log / mean if mean else mpf(1) if target == 0 else -INFINITY
    by_size = mpmath.log1p(mean / r) + (target - mean) / (r + mean)
    by_size -= rising(mpmath.digamma, r, target)
    return by_log if log_input else known, by_size


def negative_binomial_terms(prediction, target, r, *, log_input=True, full=False):
    """The value is 0 somewhere but where `full`, the slope by the size always."""
    mean = mean_of(prediction, log_input)
    if not mean > 0 or not mpmath.isfinite(mean):
        return None
    gain = times(target, mpmath.log(mean) - mpmath.log(r + mean))
    of_value = rising(mpmath.loggamma, r, target) + times(target, mpmath.log(r / (r + mean)))
    w = (target - mean) / (r + mean)
    with mpmath.workdps(mpmath.mp.dps * 2):
        of_size = w - mpmath.log1p(w)
    return (0 if full else max(abs(gain), abs(of_value))), 0, of_size


def torch_negative_binomial(predictions, targets, r, *, log_input=True, full=False):
    import torch

    means = np.exp(predictions) if log_input else predictions
    law = torch.distributions.NegativeBinomial(torch.tensor(r), torch.tensor(means / (r + means)))
    found = -law.log_prob(torch.tensor(targets)).numpy()
    constant = torch.lgamma(torch.tensor(targets) + 1).numpy()
    return found if full else found - constant


register(
    tw.negative_binomial_nll_loss, LOG_RATE, COUNT, POSITIVE,
    reference=negative_binomial,
    options=({}, {"full": True}),
    hostile=((6.9, 1000.0, 1e6), (2.833213344056216, 17.0, 1e30), (0.5, 2.0, 1e-30)),
    exact_slopes=negative_binomial_slopes,
    terms=negative_binomial_terms,
    peers=(Peer("torch", torch_negative_binomial),),
)  # fmt: skip
register(
    tw.negative_binomial_nll_loss, NONNEGATIVE, COUNT, POSITIVE,
    variant="means",
    reference=negative_binomial,
    options=({"log_input": False}, {"log_input": False, "full": True}),
    hostile=((1000.5, 1000.0, 1e6), (17.0, 17.0, 1e30), (-1.0, 0.0, 1.0), (2.0, 17.0, 1e-30)),
    exact_slopes=negative_binomial_slopes,
    terms=negative_binomial_terms,
    peers=(Peer("torch", torch_negative_binomial),),
)  # fmt: skip


# ----------------------------------------------------------------------------- zero-inflated
def softplus(x):
    return mpmath.log1p(mpmath.exp(x)) if x != INFINITY else x


def zero_inflated(prediction, target, logit, *, full=False):
    if mpmath.isnan(prediction) or mpmath.isnan(logit):
        return NAN
    rate = mpmath.exp(prediction)
    if target > 0:
        poisson = rate if prediction == INFINITY else rate - target * prediction
        constant = rising(mpmath.loggamma, mpf(1), target) if full else 0
        return softplus(logit) + poisson + constant
    if logit == INFINITY:
        return mpf(0)
    likelihood = mpmath.exp(logit) + mpmath.exp(-rate)
    return softplus(logit) - mpmath.log(likelihood) if likelihood else INFINITY


def zero_inflated_slopes(prediction, target, logit, *, full=False):
    if not (mpmath.isfinite(prediction) and mpmath.isfinite(logit)):
        return NAN, NAN
    rate = mpmath.exp(prediction)
    if target > 0:
        return rate - target, 1 / (1 + mpmath.exp(-logit))
    other = 1 / (1 + mpmath.exp(logit + rate))
    by_logit = mpmath.expm1(-rate) * (1 - other) / (1 + mpmath.exp(logit))
    return rate * other, by_logit


def zero_inflated_terms(prediction, target, logit, *, full=False):
    """Poisson's part is negative where the target is large."""
    if full or not target > 0 or not mpmath.isfinite(prediction):
        return None
    return max(target * abs(prediction), mpmath.exp(prediction)), 0, 0


def published_zero_inflated(predictions, targets, logits, *, full=False):
    """As Lambert writes it."""
    share, rate = 1 / (1 + np.exp(-logits)), np.exp(predictions)
    counted = -np.log(1 - share) + rate - targets * predictions
    known = np.vectorize(lambda y: float(mpmath.loggamma(y + 1)))(targets) if full else 0.0
    zero = -np.log(share + (1 - share) * np.exp(-rate))
    return np.where(targets == 0, zero, counted + known)


register(
    tw.zero_inflated_poisson_nll_loss, LOG_RATE, COUNT, LOGIT,
    reference=zero_inflated,
    options=({}, {"full": True}),
    hostile=((1.0, 0.0, -1.5), (0.5, 0.0, -0.5), (4.0, 0.0, 30.0), (6.5, 0.0, -600.0)),
    exact_slopes=zero_inflated_slopes,
    terms=zero_inflated_terms,
    peers=(Peer("numpy", published_zero_inflated),),
)  # fmt: skip
