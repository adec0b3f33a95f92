"""Losses of one class out of several."""

from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import (
    DISTRIBUTION,
    LABEL,
    LOG_PROBABILITY,
    LOGIT,
    POSITIVE,
    REAL,
)
from tests.battery.peers import keras_loss, optax_loss, published, sklearn_loss, torch_loss
from tests.battery.specimen import Peer, register

INF, NAN = np.inf, np.nan
CLASS = POSITIVE._replace(level="class")
HALF, TENTH = mpf(0.5), mpf(0.1)


def distribution_of(target, row):
    """The probabilities that a label means, or those given."""
    return target if isinstance(target, list) else truth.one_hot(target, len(row))


def none_of(*names):
    """Options that a peer does not know are not chosen."""
    return lambda options: not any(name in options for name in names)


# ----------------------------------------------------------------------------- cross-entropy
def adjusted(logits, temperature=1, softcap=None):
    """The logits capped and divided, and the slope of each by what it was; masked ones stay."""
    rows = []
    for x in logits:
        y, slope = x, mpf(1)
        if softcap is not None and x != -truth.INFINITY:
            y, slope = softcap * mpmath.tanh(x / softcap), mpmath.sech(x / softcap) ** 2
        rows.append((y / temperature, slope / temperature))
    return [list(column) for column in zip(*rows, strict=True)]


def cross_entropy_and_slopes(
    logits, target, *, label_smoothing=0, temperature=1, softcap=None, z_loss=0, weight=None
):
    row, chain = adjusted(logits, temperature, softcap)
    q = truth.smoothed(distribution_of(target, row), label_smoothing, row)
    value, *slopes = truth.cross_entropy(row, q, weight)
    if z_loss:
        total, *shares = truth.logsumexp(row)
        value += z_loss * total**2
        slopes = [s + 2 * z_loss * total * p for s, p in zip(slopes, shares, strict=True)]
    return value, [s * c for s, c in zip(slopes, chain, strict=True)]


def cross_entropy(*arguments, **options):
    return cross_entropy_and_slopes(*arguments, **options)[0]


def cross_entropy_slopes(*arguments, **options):
    return cross_entropy_and_slopes(*arguments, **options)[1]


CONFIDENT = (
    ([60.0, 0.0, 0.0, 0.0], 0),
    ([0.0, 0.0, 90.0, 0.0], 1),
    ([INF, 0.0, 0.0, 0.0], 0),
    ([0.0, -INF, 1.0, 0.5], 2),
    ([-INF, 2.0, -INF, -INF], 1),
    ([1e4, 1e4 - 9, 0.0, 0.0], 0),
    ([NAN, 0.0, 0.0, 0.0], 1),
)
SOFT = (
    ([60.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
    ([0.0, 1.0, -INF, -INF], [0.75, 0.25, 0.0, 0.0]),
    ([0.0, 0.0, 200.0, 0.0], [0.25, 0.25, 0.25, 0.25]),
    ([INF, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
    ([NAN, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]),
)
PLAIN = none_of("temperature", "softcap", "z_loss")
ENTROPY_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"label_smoothing": 0.1},
    {"temperature": 2.5},
    {"softcap": 15.0},
    {"z_loss": 0.01},
    {"label_smoothing": 0.25, "temperature": 0.5, "softcap": 30.0, "z_loss": 1e-4},
)

register(
    tw.cross_entropy_loss, LOGIT, LABEL,
    reference=cross_entropy,
    exact_slopes=cross_entropy_slopes,
    options=ENTROPY_OPTIONS[:2],
    arrays={"weight": CLASS},
    hostile=CONFIDENT,
    laws={"nonnegative", "convex", "shift_invariant"},
    bounds=(0, INF),
    peers=(
        torch_loss("cross_entropy"),
        optax_loss("softmax_cross_entropy_with_integer_labels", only=lambda o: not o),
        sklearn_loss("HalfMultinomialLoss", fixed={"n_classes": 4}, only=lambda o: not o),
        keras_loss(
            "sparse_categorical_crossentropy",
            fixed={"from_logits": True},
            rows=True,
            only=lambda o: not o,
        ),
    ),
)  # fmt: skip
register(
    tw.cross_entropy_loss, LOGIT, LABEL,
    variant="adjusted",
    reference=cross_entropy,
    exact_slopes=cross_entropy_slopes,
    options=ENTROPY_OPTIONS[2:],
    hostile=CONFIDENT,
    laws={"nonnegative"},
    limit=60,  # the capped logits are rounded, CUDA's tanh by 2 ulp, before slopes that cancel
)  # fmt: skip
register(
    tw.cross_entropy_loss, LOGIT, DISTRIBUTION,
    variant="probabilities",
    reference=cross_entropy,
    exact_slopes=cross_entropy_slopes,
    options=tuple(o for o in ENTROPY_OPTIONS if "label_smoothing" not in o),
    arrays={"weight": CLASS},
    hostile=SOFT,
    laws={"nonnegative"},
    peers=(
        torch_loss("cross_entropy", only=PLAIN),
        optax_loss("softmax_cross_entropy", only=lambda o: not o),
        keras_loss(
            "categorical_crossentropy",
            fixed={"from_logits": True},
            rows=True,
            only=lambda o: not o,
        ),
    ),
)  # fmt: skip
# A smoothed distribution is rounded before the probabilities, which may be almost the same, are
# subtracted from it: the difference is as exact as the distribution, not in its own digits.
register(
    tw.cross_entropy_loss, LOGIT, DISTRIBUTION,
    variant="smoothed",
    reference=cross_entropy,
    exact_slopes=cross_entropy_slopes,
    options=tuple(o for o in ENTROPY_OPTIONS if "label_smoothing" in o),
    hostile=SOFT,
    laws={"nonnegative"},
    limit=100,
    peers=(torch_loss("cross_entropy", only=PLAIN),),
)  # fmt: skip


# ------------------------------------------------------------------------------------ nll
def nll(logs, label, weight=None):
    return truth.nll(logs, label, 1 if weight is None else weight[int(label)])[0]


def nll_slopes(logs, label, weight=None):
    return truth.nll(logs, label, 1 if weight is None else weight[int(label)])[1:]


register(
    tw.nll_loss, LOG_PROBABILITY, LABEL,
    reference=nll,
    exact_slopes=nll_slopes,
    arrays={"weight": CLASS},
    hostile=(([-INF, 0.0, 0.0, 0.0], 1), ([-INF, 0.0, 0.0, 0.0], 0), ([NAN, 0.0, 0.0, 0.0], 0)),
    laws={"nonnegative", "convex"},
    second=False,
    peers=(torch_loss("nll_loss"),),
)  # fmt: skip


# ------------------------------------------------------------------ costs of a probability
def expected(cost):
    """A reference from what a class of probability `p` costs, and its slope: `cost(p, **options)`.

    The slope of class `k` by logit `j` is `cost'(p[k]) p[k] ([j = k] - p[j])`.
    """

    def both(logits, target, label_smoothing=0, weight=None, **options):
        q = truth.smoothed(distribution_of(target, logits), label_smoothing, logits)
        p = truth.softmax(logits)
        if mpmath.isnan(p[0]):
            return NAN, [NAN] * len(p)
        weight = weight or [mpf(1)] * len(p)
        factors = [w * x for w, x in zip(weight, q, strict=True)]
        costs = [cost(x, 1 - x, **options) if f else (mpf(0), mpf(0))
                 for x, f in zip(p, factors, strict=True)]  # fmt: skip
        value = sum(truth.times(f, c) for f, (c, _) in zip(factors, costs, strict=True))
        gains = [f * slope for f, (_, slope) in zip(factors, costs, strict=True)]
        return value, [g - x * sum(gains) for g, x in zip(gains, p, strict=True)]

    return {
        "reference": lambda *a, **options: both(*a, **options)[0],
        "exact_slopes": lambda *a, **options: both(*a, **options)[1],
    }


def focal(p, complement, gamma=2):
    """The cost, and `p` times its slope by `p`, which is finite at both ends."""
    if p == 0:
        return truth.INFINITY, mpf(-1)
    if complement == 0:
        return mpf(0), mpf(-1 if gamma == 0 else 0)
    cost = -mpmath.log(p) * complement**gamma
    return cost, gamma * p * complement ** (gamma - 1) * mpmath.log(p) - complement**gamma


def focal_by_alpha(*arguments, alpha=None, **options):
    return FOCAL["reference"](*arguments, weight=alpha, **options)


def focal_slopes_by_alpha(*arguments, alpha=None, **options):
    return FOCAL["exact_slopes"](*arguments, weight=alpha, **options)


def poly1(p, complement, epsilon=2):
    if p == 0:
        return truth.INFINITY, mpf(-1)
    return epsilon * complement - mpmath.log(p), -1 - epsilon * p


def generalized(p, _complement, q=HALF):
    return (1 - p**q) / q, -(p**q)


FOCAL = expected(focal)
IMPOSSIBLE = ([-INF, 2.0, 0.0, 0.0], 0)
FOCAL_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"gamma": 0.5},
    {"gamma": 0.0},
    {"gamma": 5.0},
    {"gamma": 0.001},
    {"gamma": 1.0},
)
ABOUT_FOCAL = {
    "reference": focal_by_alpha,
    "exact_slopes": focal_slopes_by_alpha,
    "arrays": {"alpha": CLASS},
    "laws": {"nonnegative", "shift_invariant"},
}

register(
    tw.softmax_focal_loss, LOGIT, LABEL,
    **ABOUT_FOCAL,
    options=(*FOCAL_OPTIONS, {"label_smoothing": 0.1}),
    hostile=(*CONFIDENT, IMPOSSIBLE, ([80.0, 0.0, 1.0, 2.0], 0), ([350.0, 0.0, 1.0, 2.0], 0)),
)  # fmt: skip
register(
    tw.softmax_focal_loss, LOGIT, DISTRIBUTION,
    variant="probabilities",
    **ABOUT_FOCAL,
    options=FOCAL_OPTIONS,
    hostile=SOFT,
    limit=16,  # the classes' costs are rounded one by one before their slopes cancel
    peers=(
        keras_loss(
            "categorical_focal_crossentropy",
            fixed={"from_logits": True, "alpha": 1.0},
            rows=True,
        ),
    ),
)  # fmt: skip


def keras_generalized(logits, labels, q=0.5):
    """Of probabilities; one minus a power loses what is small."""
    call = keras_loss("categorical_generalized_cross_entropy", rows=True).call
    p = np.exp(logits)
    return call(p / p.sum(-1, keepdims=True), labels, q=q)


POLY_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"epsilon": 1.0}, {"epsilon": -0.5})
register(
    tw.poly1_cross_entropy_loss, LOGIT, LABEL,
    **expected(poly1),
    options=POLY_OPTIONS,
    hostile=(*CONFIDENT, IMPOSSIBLE),
    laws={"shift_invariant"},
)  # fmt: skip
register(
    tw.poly1_cross_entropy_loss, LOGIT, DISTRIBUTION,
    variant="probabilities",
    **expected(poly1),
    options=POLY_OPTIONS,
    hostile=SOFT,
    laws={"shift_invariant"},
    peers=(optax_loss("poly_loss_cross_entropy"),),
)  # fmt: skip
GENERALIZED_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"q": 1.0}, {"q": 1e-6})
register(
    tw.generalized_cross_entropy_loss, LOGIT, LABEL,
    **expected(generalized),
    options=GENERALIZED_OPTIONS,
    limit=24,  # a slope is a product of two small probabilities: 12.8 was seen
    hostile=(*CONFIDENT, IMPOSSIBLE),
    laws={"nonnegative", "shift_invariant"},
    peers=(Peer("keras", keras_generalized, rtol=1e-4, only=lambda o: not o),),
)  # fmt: skip
register(
    tw.generalized_cross_entropy_loss, LOGIT, DISTRIBUTION,
    variant="probabilities",
    **expected(generalized),
    options=GENERALIZED_OPTIONS,
    hostile=SOFT,
    laws={"nonnegative", "shift_invariant"},
    limit=24,  # each class's factor p**q is rounded before the slopes of the classes cancel
)  # fmt: skip


def symmetric(logits, target, alpha=TENTH, beta=1, log_zero=-4):
    q, p = distribution_of(target, logits), truth.softmax(logits)
    logs = [max(mpmath.log(x), mpf(log_zero)) if x else mpf(log_zero) for x in q]
    value, *slopes = truth.cross_entropy(logits, q)
    mean = sum(x * y for x, y in zip(p, logs, strict=True))
    both = zip(slopes, p, logs, strict=True)
    return alpha * value - beta * mean, [alpha * s - beta * x * (y - mean) for s, x, y in both]


def published_symmetric(logits, labels, alpha=0.1, beta=1.0, log_zero=-4.0):
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    hot = np.eye(logits.shape[-1])[labels]
    logs = np.where(hot == 1, 0.0, log_zero)
    return -alpha * np.log(p[hot == 1]) - beta * np.sum(p * logs, -1)


ABOUT_SYMMETRIC = {
    "reference": lambda *a, **options: symmetric(*a, **options)[0],
    "exact_slopes": lambda *a, **options: symmetric(*a, **options)[1],
    "options": ({}, {"alpha": 6.0, "beta": 0.1}, {"alpha": 0.0, "log_zero": -9.25}),
    "laws": {"nonnegative", "shift_invariant"},
}
register(
    tw.symmetric_cross_entropy_loss, LOGIT, LABEL,
    **ABOUT_SYMMETRIC,
    hostile=CONFIDENT,
    peers=(published(published_symmetric),),
)  # fmt: skip
register(
    tw.symmetric_cross_entropy_loss, LOGIT, DISTRIBUTION,
    variant="probabilities",
    **ABOUT_SYMMETRIC,
    hostile=SOFT,
)  # fmt: skip


def logit_adjusted(logits, label, prior=None, tau=1):
    handicap = [0] * len(logits) if prior is None else [tau * mpmath.log(x) for x in prior]
    row = [x + h for x, h in zip(logits, handicap, strict=True)]
    return truth.cross_entropy(row, truth.one_hot(label, len(row)))


register(
    tw.logit_adjusted_cross_entropy_loss, LOGIT, LABEL,
    reference=lambda *a, **options: logit_adjusted(*a, **options)[0],
    exact_slopes=lambda *a, **options: logit_adjusted(*a, **options)[1:],
    options=({"tau": 1.0}, {}),
    arrays={"prior": CLASS},
    hostile=CONFIDENT,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(optax_loss("softmax_cross_entropy_with_integer_labels", only=lambda o: not o),),
)  # fmt: skip


# ------------------------------------------------------------------------------- margins
def multi_margin(logits, label, p=1, margin=1, weight=None):
    factor = mpf(1) if weight is None else weight[int(label)]
    own = logits[int(label)]
    costs = [hinge(margin - own + x) ** p for j, x in enumerate(logits) if j != int(label)]
    return truth.times(factor, sum(costs) / len(logits))


def hinge(x):
    return x if mpmath.isnan(x) else max(x, mpf(0))


def crammer_singer(logits, label, margin=1):
    others = [x for j, x in enumerate(logits) if j != int(label)]
    best = NAN if any(mpmath.isnan(x) for x in others) else max(others)
    return hinge(margin + best - logits[int(label)])


def perceptron(logits, label):
    return crammer_singer(logits, label, margin=0)


def categorical_hinge(row, target, margin=1):
    if not isinstance(target, list):
        return crammer_singer(row, target, margin)
    own = sum(truth.times(q, x) for q, x in zip(target, row, strict=True))
    return hinge(margin - own + max((1 - q) * x for q, x in zip(target, row, strict=True) if q < 1))


def optax_margin(name):
    return optax_loss(name, only=lambda options: not options)


RANKED = (
    ([3.0, 1.0, 1.5, -2.0], 0),
    ([3.0, 1.0, 1.5, -2.0], 2),
    ([1e4, -1e4, 0.0, 0.0], 1),
    ([NAN, 0.0, 0.0, 0.0], 0),
)
register(
    tw.multi_margin_loss, REAL, LABEL,
    reference=multi_margin,
    options=({"p": 2}, {"p": 2, "margin": 0.25}),
    arrays={"weight": CLASS},
    hostile=RANKED,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(torch_loss("multi_margin_loss"),),
)  # fmt: skip
register(
    tw.multi_margin_loss, REAL, LABEL,
    variant="linear",
    reference=multi_margin,
    options=({}, {"margin": 3.0}),
    arrays={"weight": CLASS},
    hostile=RANKED,
    second=False,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(torch_loss("multi_margin_loss"),),
)  # fmt: skip
register(
    tw.multiclass_hinge_loss, REAL, LABEL,
    reference=crammer_singer,
    options=({}, {"margin": 0.25}),
    hostile=RANKED,
    second=False,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(optax_margin("multiclass_hinge_loss"),),
)  # fmt: skip
register(
    tw.multiclass_perceptron_loss, REAL, LABEL,
    reference=perceptron,
    hostile=RANKED,
    second=False,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(optax_margin("multiclass_perceptron_loss"),),
)  # fmt: skip
register(
    tw.categorical_hinge_loss, REAL, LABEL,
    reference=categorical_hinge,
    options=({}, {"margin": 0.25}),
    hostile=RANKED,
    second=False,
    laws={"nonnegative", "convex", "shift_invariant"},
)  # fmt: skip
register(
    tw.categorical_hinge_loss, REAL, DISTRIBUTION,
    variant="probabilities",
    reference=categorical_hinge,
    hostile=(([-3.0, -5.0, -6.0, -9.0], [1.0, 0.0, 0.0, 0.0]),),
    second=False,
    laws={"nonnegative", "convex"},
)  # fmt: skip
