"""Operations whose plain spelling loses digits, overflows or makes NaN: written here once, exactly.

Each is a formula in simpler primitives together with the derivative one would want by hand.
`log_softmax` keeps its relative accuracy for a confident row because the largest term of the sum,
which is exactly one, never enters it: with `u = x - max(x)`, `log(sum(exp(u))) = log1p(rest)` where
`rest` sums all but one largest term.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tensorweaver.primitives.gamma import horner
from tensorweaver.primitives.primitive import Primitive

__all__ = ["STABLE"]

UNIT = (0.05, 0.95)
LOGIT = (-4.0, 4.0)
HALF = 0.5
EXPM1MX = tuple(1 / math.factorial(k + 2) for k in reversed(range(18)))
"""(exp(x) - 1 - x) / x**2 in powers of x, highest first."""


# ------------------------------------------------------------------------------------------------ elementwise
def sigmoid(xp: Any, x: Any) -> Any:
    decay = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, decay) / (1.0 + decay)


def softplus(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def log_sigmoid(xp: Any, x: Any) -> Any:
    return xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


def stop_gradient(xp: Any, x: Any) -> Any:
    """`x` itself; derivatives take it for a constant."""
    return x


def multiply_no_nan(xp: Any, x: Any, y: Any) -> Any:
    return xp.where(y == 0, 0.0, x * y)


def xlogy(xp: Any, x: Any, y: Any) -> Any:
    return xp.where(x == 0, 0.0, x * xp.log(y))


def xlog1py(xp: Any, x: Any, y: Any) -> Any:
    return xp.where(x == 0, 0.0, x * xp.log1p(y))


def expm1mx(xp: Any, x: Any) -> Any:
    """`exp(x) - 1 - x`, which is `x**2 / 2` near 0, where three numbers of that size cancel."""
    series = x * (x * horner(x, EXPM1MX))
    direct = xp.where(x == math.inf, x, xp.expm1(x) - x)
    return xp.where(xp.abs(x) < 1.0, series, direct)


def log1pmx(xp: Any, x: Any) -> Any:
    """`log(1 + x) - x`, which is `-x**2 / 2` near 0."""
    return -xp.log1p_excess(x, 1.0)


# ------------------------------------------------------------------------------------------------------- rows
class Exponentials(NamedTuple):
    """A row seen from its maximum: `shifted = x - max`, `terms = exp(shifted)`, `rest = sum(terms)
    - 1`.
    """

    maximum: Any
    shifted: Any
    terms: Any
    rest: Any


def shifted_from_maximum(xp: Any, x: Any, axis: int) -> tuple[Any, Any]:
    """The row's maximum and `x - max`; a logit of +inf stands at zero, several share evenly."""
    maximum = xp.max(x, axis=axis, keepdims=True)
    return maximum, xp.where(x == math.inf, 0.0, x - maximum)


def exponentials(xp: Any, x: Any, axis: int) -> Exponentials:
    maximum, shifted = shifted_from_maximum(xp, x, axis)
    terms = xp.exp(shifted)
    is_largest = shifted == 0
    smaller = xp.sum(xp.where(is_largest, 0.0, terms), axis=axis, keepdims=True)
    largest = xp.sum(xp.where(is_largest, xp.ones_like(x), 0.0), axis=axis, keepdims=True)
    return Exponentials(maximum, shifted, terms, smaller + (largest - 1.0))


def logsumexp(xp: Any, x: Any, axis: int = -1) -> Any:
    row = exponentials(xp, x, axis)
    return xp.where(row.maximum == -math.inf, -math.inf, row.maximum + xp.log1p(row.rest))


def softmax(xp: Any, x: Any, axis: int = -1) -> Any:
    row = exponentials(xp, x, axis)
    return row.terms / (1.0 + row.rest)


def softmax_complement(xp: Any, x: Any, axis: int = -1) -> Any:
    """`1 - softmax(x)` without the subtraction: at the maximum it is `rest / total`."""
    row = exponentials(xp, x, axis)
    total = 1.0 + row.rest
    return xp.where(row.shifted == 0, row.rest, total - row.terms) / total


def log_softmax(xp: Any, x: Any, axis: int = -1) -> Any:
    row = exponentials(xp, x, axis)
    return row.shifted - xp.log1p(row.rest)


class OthersOfLabel(NamedTuple):
    """A row seen from its label: the terms with the label's replaced by 0, their sum, the sum of
    all terms less 1.
    """

    shifted_label: Any
    terms: Any
    others: Any
    rest: Any


def others_of_label(xp: Any, x: Any, labels: Any, axis: int) -> OthersOfLabel:
    _, shifted = shifted_from_maximum(xp, x, axis)
    terms = xp.put_along_axis(xp.exp(shifted), labels, 0.0, axis=axis)
    others = xp.sum(terms, axis=axis, keepdims=True)
    shifted_label = xp.take_along_axis(shifted, labels, axis=axis)
    # Below the maximum `others` is at least 1, so that `exp - 1` is as good as `expm1`.
    rest = others + (xp.exp(shifted_label) - 1.0)
    return OthersOfLabel(shifted_label, terms, others, rest)


def log_softmax_at(xp: Any, x: Any, labels: Any, axis: int = -1) -> Any:
    """`take_along_axis(log_softmax(x), labels)`. With `d` the label's distance below the maximum
    and `others` the sum of all other terms, `-(d + log1p(others + (exp(-d) - 1)))`: both summands
    are positive, nothing cancels.
    """
    row = others_of_label(xp, x, labels, axis)
    return row.shifted_label - xp.log1p(row.rest)


def softmax_at(xp: Any, x: Any, labels: Any, axis: int = -1) -> Any:
    """`take_along_axis(softmax(x), labels)`."""
    row = others_of_label(xp, x, labels, axis)
    return xp.exp(row.shifted_label) / (1.0 + row.rest)


def softmax_complement_at(xp: Any, x: Any, labels: Any, axis: int = -1) -> Any:
    """`take_along_axis(softmax_complement(x), labels)`: the share of all other terms."""
    row = others_of_label(xp, x, labels, axis)
    return row.others / (1.0 + row.rest)


def softmax_minus_one_hot(xp: Any, x: Any, labels: Any, axis: int = -1) -> Any:
    """Probabilities minus one-hot, the gradient of cross-entropy; at the label it is `-others /
    total`.
    """
    row = others_of_label(xp, x, labels, axis)
    return xp.put_along_axis(row.terms, labels, -row.others, axis=axis) / (1.0 + row.rest)


def sum_of_others(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """At each place of a row the sum of `g` at the other places. The place of the largest `x`,
    where the result counts most, is not subtracted from a sum that it may dominate. (Which place
    that is must not depend on `g`: a rule is linear in it.)
    """
    is_largest = shifted_from_maximum(xp, x, axis)[1] == 0
    smaller = xp.where(is_largest, 0.0, g)
    largest = xp.where(is_largest, g, 0.0)
    others = xp.sum(smaller, axis=axis, keepdims=True) - smaller
    return others + (xp.sum(largest, axis=axis, keepdims=True) - largest)


def softmax_pullback(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """`p (g - sum(g p))`, arranged so that a one-hot `g` meets no cancellation."""
    p = xp.softmax(x, axis=axis)
    return p * (g * xp.softmax_complement(x, axis=axis) - sum_of_others(xp, g * p, x, axis))


def log_softmax_pullback(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """`g - p sum(g)`, arranged in the same way."""
    gain = g * xp.softmax_complement(x, axis=axis)
    return gain - xp.softmax(x, axis=axis) * sum_of_others(xp, g, x, axis)


def log_softmax_complement(xp: Any, x: Any, axis: int = -1) -> Any:
    """`log(1 - softmax(x))`."""
    return log_of_complement(xp, xp.softmax(x, axis=axis), xp.softmax_complement(x, axis=axis))


def log_softmax_complement_at(xp: Any, x: Any, labels: Any, axis: int = -1) -> Any:
    """`take_along_axis(log_softmax_complement(x), labels)`."""
    p = xp.softmax_at(x, labels, axis=axis)
    return log_of_complement(xp, p, xp.softmax_complement_at(x, labels, axis=axis))


def log_of_complement(xp: Any, p: Any, complement: Any) -> Any:
    """By whichever of both has not been rounded to 1."""
    return xp.where(p < HALF, xp.log1p(-p), xp.log(complement))


def softmax_without(xp: Any, others: Any, axis: int) -> Any:
    """`softmax(others)`, of logits of which one is -inf; 0 where all are."""
    nothing = xp.max(others, axis=axis, keepdims=True) == -math.inf
    return xp.where(nothing, 0.0, xp.softmax(others, axis=axis))


def log_complement_pullback(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """`sum(g[j] p[j] p / (1 - p[j]) for the others j) - g p`.

    The complement of a likely class may be too small to divide by: there `p / (1 - p[j])` is the
    softmax of the classes without it.
    """
    p, complement = xp.softmax(x, axis=axis), xp.softmax_complement(x, axis=axis)
    likely = complement < HALF
    gain = g * p
    usual = xp.where(likely, 0.0, gain / xp.where(likely, 1.0, complement))
    of_likely = xp.sum(xp.where(likely, gain, 0.0), axis=axis, keepdims=True)
    share = softmax_without(xp, xp.where(likely, -math.inf, x), axis)
    return p * sum_of_others(xp, usual, x, axis) + share * of_likely - gain


def share_minus_one_hot(xp: Any, x: Any, labels: Any, axis: int) -> Any:
    """The softmax of the classes without the label, and -1 at the label."""
    others = xp.put_along_axis(x, labels, -math.inf, axis=axis)
    return xp.put_along_axis(softmax_without(xp, others, axis), labels, -1.0, axis=axis)


# ------------------------------------------------------------------------------------- two rows
def divided(x: Any, temperature: float) -> Any:
    return x if temperature == 1 else x / temperature


def log_softmax_ratio(xp: Any, x: Any, y: Any, temperature: float, axis: int = -1) -> Any:
    """`log_softmax(x / temperature) - log_softmax(y / temperature)`, exact where they are nearly
    the same; 0 for a class that is masked in both.

    There the difference of two log-softmax has lost its digits. That of the logits has not, and the
    normalisers differ by `log1p(growth)` with `growth = sum(p expm1(difference))`. A whole number
    is subtracted before, which changes nothing, so that rows may be far apart by what all their
    logits share. Of a class that is not near, `p exp(difference)` is `q (1 + growth)`: it is enough
    that more than half of the probability is near.
    """
    masked = xp.logical_and(x == -math.inf, y == -math.inf)
    difference = divided(xp.where(masked, 0.0, x - y), temperature)
    x, y = divided(x, temperature), divided(y, temperature)
    of_x, of_y = exponentials(xp, x, axis), exponentials(xp, y, axis)
    shared = (of_x.maximum - of_y.maximum) + (xp.log1p(of_x.rest) - xp.log1p(of_y.rest))
    change = difference - xp.round(shared)
    is_near = xp.abs(change) < 1
    q, p = of_x.terms / (1.0 + of_x.rest), of_y.terms / (1.0 + of_y.rest)
    gains = xp.where(is_near, p * xp.expm1(xp.where(is_near, change, 0.0)), q - p)
    near = xp.sum(xp.where(is_near, q, 0.0), axis=axis, keepdims=True)
    is_close = near > HALF
    growth = xp.sum(gains, axis=axis, keepdims=True) / xp.where(is_close, near, 1.0)
    close = change - xp.log1p(xp.where(is_close, growth, 0.0))
    far = (of_x.shifted - xp.log1p(of_x.rest)) - (of_y.shifted - xp.log1p(of_y.rest))
    return xp.where(masked, 0.0, xp.where(is_close, close, far))


def ratio_pullback(xp: Any, g: Any, x: Any, temperature: float, axis: int) -> Any:
    return divided(log_softmax_pullback(xp, g, divided(x, temperature), axis), temperature)


def ratio_slope(xp: Any, x: Any, temperature: float, axis: int) -> Any:
    return divided(xp.softmax_complement(divided(x, temperature), axis=axis), temperature)


def softmax_slope(xp: Any, x: Any, axis: int) -> Any:
    return xp.softmax(x, axis=axis) * xp.softmax_complement(x, axis=axis)


# fmt: off
STABLE = (
    Primitive("sigmoid",     (lambda xp, g, out, x: g * (out * xp.sigmoid(-x)),), formula=sigmoid, domain=(LOGIT,)),
    Primitive("softplus",    (lambda xp, g, out, x: g * xp.sigmoid(x),),          formula=softplus, domain=(LOGIT,)),
    Primitive("log_sigmoid", (lambda xp, g, out, x: g * xp.sigmoid(-x),),         formula=log_sigmoid, domain=(LOGIT,)),
    Primitive("stop_gradient", (None,),                                           formula=stop_gradient),
    Primitive("multiply_no_nan",
                             (lambda xp, g, out, x, y: xp.where(y == 0, 0.0, g * y),
                              lambda xp, g, out, x, y: g * x),                    formula=multiply_no_nan),
    Primitive("xlogy",       (lambda xp, g, out, x, y: g * xp.log(y),
                              lambda xp, g, out, x, y: xp.where(x == 0, 0.0, g * (x / y))),
                              formula=xlogy, domain=(UNIT, UNIT)),
    Primitive("xlog1py",     (lambda xp, g, out, x, y: g * xp.log1p(y),
                              lambda xp, g, out, x, y: xp.where(x == 0, 0.0, g * (x / (1.0 + y)))),
                              formula=xlog1py, domain=(UNIT, UNIT)),
    Primitive("expm1mx",     (lambda xp, g, out, x: g * xp.expm1(x),),            formula=expm1mx),
    Primitive("log1pmx",     (lambda xp, g, out, x: -g * (x / (1.0 + x)),),       formula=log1pmx, domain=((-0.95, 3.0),)),
    Primitive("logsumexp",   (lambda xp, g, out, x, *, axis=-1: g * xp.softmax(x, axis=axis),),
                              kind="reduction", formula=logsumexp, domain=(LOGIT,)),
    Primitive("softmax",     (lambda xp, g, out, x, *, axis=-1: softmax_pullback(xp, g, x, axis),),
                              kind="rowwise", formula=softmax, domain=(LOGIT,),
                              diagonal=lambda xp, out, x, *, axis=-1: softmax_slope(xp, x, axis)),
    Primitive("softmax_complement",
                             (lambda xp, g, out, x, *, axis=-1: -softmax_pullback(xp, g, x, axis),),
                              kind="rowwise", formula=softmax_complement, domain=(LOGIT,),
                              diagonal=lambda xp, out, x, *, axis=-1: -softmax_slope(xp, x, axis)),
    Primitive("log_softmax", (lambda xp, g, out, x, *, axis=-1: log_softmax_pullback(xp, g, x, axis),),
                              kind="rowwise", formula=log_softmax, domain=(LOGIT,),
                              diagonal=lambda xp, out, x, *, axis=-1: xp.softmax_complement(x, axis=axis)),
    Primitive("log_softmax_complement",
                             (lambda xp, g, out, x, *, axis=-1: log_complement_pullback(xp, g, x, axis),),
                              kind="rowwise", formula=log_softmax_complement, domain=(LOGIT,)),
    Primitive("log_softmax_ratio",
                             (lambda xp, g, out, x, y, t, *, axis=-1: ratio_pullback(xp, g, x, t, axis),
                              lambda xp, g, out, x, y, t, *, axis=-1: -ratio_pullback(xp, g, y, t, axis),
                              None),
                              kind="rowwise", formula=log_softmax_ratio, domain=(LOGIT,),
                              diagonal=lambda xp, out, x, y, t, *, axis=-1: ratio_slope(xp, x, t, axis)),
    Primitive("log_softmax_at",
                             (lambda xp, g, out, x, labels, *, axis=-1:
                                  -g * xp.softmax_minus_one_hot(x, labels, axis=axis), None),
                              kind="label", formula=log_softmax_at, domain=(LOGIT,)),
    Primitive("softmax_at",
                             (lambda xp, g, out, x, labels, *, axis=-1:
                                  -g * out * xp.softmax_minus_one_hot(x, labels, axis=axis), None),
                              kind="label", formula=softmax_at, domain=(LOGIT,)),
    Primitive("softmax_complement_at",
                             (lambda xp, g, out, x, labels, *, axis=-1:
                                  g * xp.softmax_at(x, labels, axis=axis)
                                  * xp.softmax_minus_one_hot(x, labels, axis=axis), None),
                              kind="label", formula=softmax_complement_at, domain=(LOGIT,)),
    Primitive("log_softmax_complement_at",
                             (lambda xp, g, out, x, labels, *, axis=-1:
                                  g * xp.softmax_at(x, labels, axis=axis)
                                  * share_minus_one_hot(xp, x, labels, axis), None),
                              kind="label", formula=log_softmax_complement_at, domain=(LOGIT,)),
    Primitive("softmax_minus_one_hot",
                             (lambda xp, g, out, x, labels, *, axis=-1: softmax_pullback(xp, g, x, axis), None),
                              kind="rowwise", formula=softmax_minus_one_hot, domain=(LOGIT,),
                              diagonal=lambda xp, out, x, labels, *, axis=-1: softmax_slope(xp, x, axis)),
)
# fmt: on
