"""Losses of one class out of several."""

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
)
from tests.battery.peers import optax_loss, sklearn_loss, torch_loss
from tests.battery.specimen import register

INF, NAN = np.inf, np.nan
CLASS = POSITIVE._replace(level="class")


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
    logits, target, label_smoothing=0, temperature=1, softcap=None, z_loss=0, weight=None
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
ENTROPY_OPTIONS = (
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
