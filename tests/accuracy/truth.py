"""What each loss and function is worth exactly: textbook formulas on mpmath numbers.

Nothing here is rearranged for floating point. The working precision (`digits`) is so high that
`log(exp(x) / sum(exp(x)))` and `p - 1` keep their digits where they cancel: it exceeds the number
of decimal places between one and the smallest subnormal number. Where an infinity makes the plain
formula meaningless, the limit is stated beside it.

A pointwise reference takes numbers and returns `(value, slope)`. A row's reference takes lists and
returns `[value, slope, slope, ...]`, or a list of values where the function has one a class.
"""

from functools import lru_cache

import mpmath
from mpmath import log, mpf

__all__ = ["digits"]

INFINITY = mpf("inf")
NAN = mpf("nan")
DIGITS = {"float32": 110, "float64": 380}


def digits(dtype):
    """A context in which the formulas below are exact enough to judge `dtype`."""
    return mpmath.workdps(DIGITS[dtype])


def exp(x):
    return remembered_exp(x, mpmath.mp.prec)


@lru_cache(maxsize=4096)
def remembered_exp(x, precision):
    """The same logits occur again and again, one of them moved."""
    return mpmath.exp(x)


def times(factor, x):
    """A product in which a factor of zero wins over infinity: no weight, no cost."""
    return mpf(0) if factor == 0 else factor * x


def quotient(x, y):
    """`x / y` where 0 / 0 is 0, for `y >= 0`; what has no weight has no slope."""
    if x == 0:
        return mpf(0)
    return mpmath.sign(x) * INFINITY if y == 0 else x / y


# ------------------------------------------------------------------------------ regression
def mse(prediction, target):
    error = prediction - target
    return error * error, 2 * error


def l1(prediction, target):
    error = prediction - target
    return abs(error), sign(error)


def sign(x):
    return NAN if mpmath.isnan(x) else mpmath.sign(x)


def huber(prediction, target, delta):
    error = prediction - target
    if abs(error) <= delta:
        return error * error / 2, error
    return delta * (abs(error) - mpf(delta) / 2), delta * sign(error)


def smooth_l1(prediction, target, beta):
    error = prediction - target
    if abs(error) < beta:
        return error * error / (2 * mpf(beta)), error / beta
    return abs(error) - mpf(beta) / 2, sign(error)


# ------------------------------------------------------------------------------- functions
def sigmoid(x):
    """Its limits are 0 and 1; the slope's are 0."""
    value = mpf(0) if x == -INFINITY else 1 / (1 + exp(-x))
    return value, times(value, 1 - value)


def softplus(x):
    """Its limits are 0 and infinity."""
    value = x if x == INFINITY else log(1 + exp(x))
    return value, sigmoid(x)[0]


def log_sigmoid(x):
    value, slope = softplus(-x)
    return -value, slope


# ---------------------------------------------------------------------------------- binary
def binary_cross_entropy(probability, target, weight=1):
    """With 0 log 0 = 0; the slope of a term with factor 0 is 0."""
    positive = times(target, log(probability))
    negative = times(1 - target, log(1 - probability))
    slope = quotient(1 - target, 1 - probability) - quotient(target, probability)
    return times(weight, -(positive + negative)), times(weight, slope)


def binary_cross_entropy_with_logits(logit, target, pos_weight=1):
    """At an infinite logit the limit: 0 on the right side, infinity on the wrong one."""
    cost_if_positive, _ = softplus(-logit)
    cost_if_negative, probability = softplus(logit)
    value = times(pos_weight * target, cost_if_positive) + times(1 - target, cost_if_negative)
    return value, (1 - target) * probability - pos_weight * target * (1 - probability)


# ----------------------------------------------------------------------------- divergences
def kl_div(prediction, target):
    """A target of probability 0 costs nothing, whatever is predicted."""
    return times(target, log(target) - prediction), -target


def kl_div_log_target(prediction, target):
    probability = exp(target)
    return times(probability, target - prediction), -probability


# ------------------------------------------------------------------------------------ rows
def softmax(row):
    """A logit of +inf is certain, several share evenly; a row of -inf alone has no limit."""
    if any(mpmath.isnan(x) for x in row) or max(row) == -INFINITY:
        return [NAN] * len(row)
    if max(row) == INFINITY:
        return [mpf(bool(x == INFINITY)) / row.count(INFINITY) for x in row]
    terms = [exp(x) for x in row]
    total = sum(terms)
    return [term / total for term in terms]


def softmax_slopes(row, chosen):
    """The derivative of the probability of class `chosen` by each logit."""
    probabilities = softmax(row)
    mine = probabilities[chosen]
    return [mine * ((k == chosen) - p) for k, p in enumerate(probabilities)]


def log_softmax(row):
    return [log(p) for p in softmax(row)]


def log_softmax_slopes(row, chosen):
    return [(k == chosen) - p for k, p in enumerate(softmax(row))]


def logsumexp(row):
    """Infinite with its largest logit; of -inf alone it is -inf, and its slopes have no limit."""
    if any(mpmath.isnan(x) for x in row):
        value = NAN
    elif abs(max(row)) == INFINITY:
        value = max(row)
    else:
        value = log(sum(exp(x) for x in row))
    return [value, *softmax(row)]


def one_hot(label, classes):
    return [mpf(int(k == label)) for k in range(classes)]


def smoothed(distribution, smoothing, row):
    """A share of the distribution spread over the classes that are not masked."""
    kept = [mpf(bool(x != -INFINITY)) for x in row]
    share = mpf(smoothing) / sum(kept) if any(kept) else NAN
    return [(1 - mpf(smoothing)) * q + share * k for q, k in zip(distribution, kept, strict=True)]


def cross_entropy(row, distribution, weight=None):
    """`-sum(weight q log p)` and `p sum(weight q) - weight q`; what has no weight costs nothing."""
    weight = [mpf(1)] * len(row) if weight is None else weight
    factors = [w * q for w, q in zip(weight, distribution, strict=True)]
    if not any(factors):
        return [mpf(0)] * (1 + len(row))
    probabilities = softmax(row)
    if mpmath.isnan(probabilities[0]):
        return [NAN] * (1 + len(row))
    total = sum(factors)
    value = -sum(f * log(p) for f, p in zip(factors, probabilities, strict=True) if f)
    return [value, *(p * total - f for f, p in zip(factors, probabilities, strict=True))]


def nll(row, label, weight=1):
    hot = one_hot(label, len(row))
    return [times(weight, -row[int(label)]), *(-weight * h for h in hot)]
