"""Distances between distributions."""

from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import (
    DISTRIBUTION,
    LABEL,
    LOG_DISTRIBUTION,
    LOG_PROBABILITY,
    LOGIT,
    NONNEGATIVE,
    PROBABILITY,
    REAL,
)
from tests.battery.peers import keras_loss, optax_loss, published, torch_loss
from tests.battery.specimen import register

INF, NAN = np.inf, np.nan
HALF = mpf(0.5)


# --------------------------------------------------------------------------------- one way
register(
    tw.kl_div_loss, LOG_PROBABILITY, PROBABILITY,
    reference=lambda x, t: truth.kl_div(x, t)[0],
    exact_slopes=lambda x, t: truth.NAN if mpmath.isnan(t) else truth.kl_div(x, t)[1],
    second=False,
    peers=(torch_loss("kl_div"), keras_loss("kl_divergence", seen=np.exp)),
)  # fmt: skip
register(
    tw.kl_div_loss, LOG_PROBABILITY, LOG_PROBABILITY,
    variant="log_target",
    reference=lambda x, t, log_target: truth.kl_div_log_target(x, t)[0],
    exact_slopes=lambda x, t, log_target: truth.kl_div_log_target(x, t)[1],
    options=({"log_target": True},),
    # A target whose probability underflows costs nothing, whatever is predicted; where it is
    # subnormal, its logarithm magnifies what it has lost.
    avoid=lambda x, t: t <= -104 and (t > -1000 or not x > -1000),
    second=False,
    peers=(torch_loss("kl_div"),),
)  # fmt: skip


def generalized_kl(row, targets):
    shares = zip(row, targets, strict=True)
    return sum(truth.kl_div(x, t)[0] + mpmath.exp(x) - t for x, t in shares)


def difference_of_measures(row, targets):
    if any(mpmath.isnan(x) for x in row):
        return None
    return [mpmath.exp(x) - t for x, t in zip(row, targets, strict=True)]


register(
    tw.generalized_kl_div_loss, REAL, NONNEGATIVE,
    reference=generalized_kl,
    exact_slopes=difference_of_measures,
    laws={"nonnegative", "convex"},
    bounds=(0, INF),
    hostile=(
        ([0.0, 0.6931, 0.0, 0.0], [1.0001, 2.0, 1.0, 1.0]),
        ([-INF, 1.0, -20.0, 5.0], [0.0, 0.0, 3.0, 1e-30]),
        ([-INF, 1.0, 0.0, 0.0], [1.0, 0.0, 3.0, 1.0]),
        ([-100.0, 1.0, 0.0, 0.0], [1e10, 2.75, 0.0, 1.0]),
    ),
    peers=(optax_loss("generalized_kl_divergence"),),
)  # fmt: skip


# --------------------------------------------------------------------------------- mixtures
def probabilities(row, from_logits):
    return truth.softmax(row) if from_logits else [mpmath.exp(x) for x in row]


def relative_entropy(p, q):
    """`KL(p || q)` as it is taught; a class that `p` does not have costs nothing."""
    pairs = [(x, y) for x, y in zip(p, q, strict=True) if x]
    return sum(x * mpmath.log(x / y) if y else truth.INFINITY for x, y in pairs)


def mixed(row, targets, *, beta=HALF, from_logits=False):
    q, p = probabilities(row, from_logits), probabilities(targets, from_logits)
    beta = mpf(beta)
    if beta in {0, 1}:
        return relative_entropy(p, q) if beta == 0 else relative_entropy(q, p)
    m = [beta * x + (1 - beta) * y for x, y in zip(p, q, strict=True)]
    return beta * relative_entropy(p, m) + (1 - beta) * relative_entropy(q, m)


def mixed_slopes(row, targets, *, beta=HALF, from_logits=False):
    """By log-probabilities `q (1 - beta) log(q / m)` and the like; by logits less `q` times the
    sum.
    """
    q, p = probabilities(row, from_logits), probabilities(targets, from_logits)
    if any(mpmath.isnan(x) for x in q + p):
        return [NAN] * len(q)
    gains = [gain(x, y, mpf(beta)) for x, y in zip(q, p, strict=True)]
    if not from_logits:
        return gains
    return [g - x * sum(gains) for g, x in zip(gains, q, strict=True)]


def gain(q, p, beta):
    if beta == 0:
        return -p
    if q == 0:
        return mpf(0)
    if beta == 1:
        return q * (mpmath.log(q / p) + 1) if p else truth.INFINITY
    return (1 - beta) * q * mpmath.log(q / (beta * p + (1 - beta) * q))


def liger_jsd(predictions, targets, *, beta=0.5, from_logits=False):
    if from_logits:
        predictions = predictions - np.log(np.exp(predictions).sum(-1, keepdims=True))
        targets = targets - np.log(np.exp(targets).sum(-1, keepdims=True))
    q, p = np.exp(predictions), np.exp(targets)
    if beta in {0, 1}:
        terms = p * (targets - predictions) if beta == 0 else q * (predictions - targets)
    else:
        log_m = np.log(beta * p + (1 - beta) * q)
        terms = beta * p * (targets - log_m) + (1 - beta) * q * (predictions - log_m)
    return terms.sum(-1)


LOGS = (
    ([-1.0, -0.5, -INF, -1.5], [-1.0000001, -0.5, -INF, -1.5]),
    ([-INF, -0.5, -1.0, -INF], [-0.5, -INF, -1.0, -INF]),
    ([-60.0, -0.5, -1.0, -1e-9], [-0.5, -50.0, -1.0, -90.0]),
)
CLOSE = (
    ([0.0, 1.001, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]),
    ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]),
    ([5.0, 6.0, 7.0, 8.001], [0.0, 1.0, 2.0, 3.0]),
    ([-INF, 1.0, 0.5, 0.0], [-INF, 1.25, 0.5, 0.0]),
    ([-INF, 1.0, 0.5, 0.0], [0.5, 1.25, 0.5, 0.0]),
    ([30.0, 0.0, 0.0, 0.0], [30.25, 0.0, 0.5, 0.0]),
    ([1e4, 0.0, 0.0, 0.0], [0.0, 1e4, 0.0, 0.0]),
    ([20.0, 0.0, 0.0, 0.0], [20.0, 0.125, 0.0, 0.0]),
    ([10.0, 0.0, -100.0, -50.0], [10.0, 1e-3, -90.0, -60.0]),
    ([10.0, 9.0, -20.0, 0.0], [10.0, 9.001, -18.0, -3.0]),
    ([3.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0]),
)
FINITE_CLOSE = tuple(rows for rows in CLOSE if INF not in map(abs, rows[0]))
JSD_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"beta": 0.1}, {"beta": 0.9})
register(
    tw.generalized_jsd_loss, LOG_DISTRIBUTION, LOG_DISTRIBUTION,
    reference=mixed,
    exact_slopes=mixed_slopes,
    options=JSD_OPTIONS,
    hostile=LOGS,
    laws={"nonnegative", "zero_at_target"},
    peers=(published(liger_jsd),),
)  # fmt: skip
register(
    tw.generalized_jsd_loss, LOG_DISTRIBUTION, LOG_DISTRIBUTION,
    variant="one way",
    reference=mixed,
    exact_slopes=mixed_slopes,
    options=({"beta": 1.0},),
    hostile=LOGS[:1],
    peers=(published(liger_jsd),),
)  # fmt: skip
register(
    tw.generalized_jsd_loss, LOG_DISTRIBUTION, LOG_DISTRIBUTION,
    variant="other way",
    reference=mixed,
    exact_slopes=mixed_slopes,
    options=({"beta": 0.0},),
    hostile=LOGS[:2],
    second=False,
    peers=(published(liger_jsd),),
)  # fmt: skip
register(
    tw.generalized_jsd_loss, LOGIT, LOGIT,
    variant="logits",
    reference=mixed,
    exact_slopes=mixed_slopes,
    options=tuple({"from_logits": True, **o} for o in (*JSD_OPTIONS, {"beta": 0.0})),
    hostile=CLOSE,
    laws={"nonnegative", "shift_invariant"},
    peers=(published(liger_jsd),),
)  # fmt: skip
register(
    tw.generalized_jsd_loss, LOGIT, LOGIT,
    variant="one way of logits",
    reference=mixed,
    exact_slopes=mixed_slopes,
    options=({"from_logits": True, "beta": 1.0},),
    hostile=CLOSE[:4],
    laws={"nonnegative", "shift_invariant"},
    limit=24,  # q times a difference of logarithms of the classes, each rounded by itself
    peers=(published(liger_jsd),),
)  # fmt: skip
register(
    tw.jensen_shannon_loss, LOG_DISTRIBUTION, LOG_DISTRIBUTION,
    reference=mixed,
    exact_slopes=mixed_slopes,
    hostile=LOGS,
    laws={"nonnegative", "zero_at_target", "symmetric"},
    bounds=(0, np.log(2)),
    peers=(published(liger_jsd),),
)  # fmt: skip
register(
    tw.jensen_shannon_loss, LOGIT, LOGIT,
    variant="logits",
    reference=mixed,
    exact_slopes=mixed_slopes,
    options=({"from_logits": True},),
    hostile=CLOSE,
    laws={"nonnegative", "symmetric", "shift_invariant"},
    bounds=(0, np.log(2)),
)  # fmt: skip


# ------------------------------------------------------------------------------ other distances
def renyi(row, targets, *, alpha=HALF, from_logits=False):
    q, p = probabilities(row, from_logits), probabilities(targets, from_logits)
    if alpha == 1:
        return relative_entropy(p, q)
    terms = (x**alpha * y ** (1 - mpf(alpha)) for x, y in zip(p, q, strict=True) if x)
    return mpmath.log(sum(terms)) / (mpf(alpha) - 1)


register(
    tw.renyi_divergence_loss, LOG_DISTRIBUTION, LOG_DISTRIBUTION,
    reference=renyi,
    options=({}, {"alpha": 2.0}, {"alpha": 0.125}),
    second=True,
)  # fmt: skip
register(
    tw.renyi_divergence_loss, LOGIT, LOGIT,
    variant="logits",
    reference=renyi,
    options=tuple(
        {"from_logits": True, "alpha": a} for a in (0.5, 1.0, 2.0, 1.000001, 0.9375, 1e-6)
    ),
    hostile=FINITE_CLOSE,
    laws={"nonnegative", "shift_invariant"},
)  # fmt: skip


def total_variation(row, targets):
    return sum(abs(x - y) for x, y in zip(row, targets, strict=True)) / 2


def hellinger(row, targets):
    pairs = zip(row, targets, strict=True)
    return sum((mpmath.sqrt(x) - mpmath.sqrt(y)) ** 2 for x, y in pairs) / 2


EQUAL = ([0.25, 0.25, 0.5, 0.0], [0.25, 0.125, 0.625, 0.0])
register(
    tw.total_variation_loss, DISTRIBUTION, DISTRIBUTION,
    reference=total_variation,
    hostile=(EQUAL,),
    laws={"nonnegative", "zero_at_target", "symmetric", "convex"},
    bounds=(0, 1),
    second=False,
)  # fmt: skip
register(
    tw.squared_hellinger_loss, DISTRIBUTION, DISTRIBUTION,
    reference=hellinger,
    hostile=(([0.25, 0.25001, 0.49999, 1e-30], [0.25, 0.25, 0.5, 0.0]),),
    laws={"nonnegative", "zero_at_target", "symmetric", "convex"},
    bounds=(0, 1),
)  # fmt: skip


# ------------------------------------------------------------------------------- distillation
def distillation(
    row, teacher, label, *, temperature=1, weight_hard_loss=HALF, weight_soft_loss=HALF
):
    hard = truth.cross_entropy(row, truth.one_hot(label, len(row)))[0]
    q, p = (truth.softmax([x / temperature for x in logits]) for logits in (row, teacher))
    return weight_hard_loss * hard + weight_soft_loss * temperature**2 * relative_entropy(p, q)


def taught(logits, teacher, labels, temperature=1.0, weight_hard_loss=0.5, weight_soft_loss=0.5):
    def log_softmax(x):
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    hard = -log_softmax(logits)[np.arange(len(labels)), labels]
    log_q, log_p = log_softmax(logits / temperature), log_softmax(teacher / temperature)
    soft = np.sum(np.exp(log_p) * (log_p - log_q), -1)
    return weight_hard_loss * hard + weight_soft_loss * temperature**2 * soft


register(
    tw.distillation_loss, LOGIT, LOGIT, LABEL,
    reference=distillation,
    options=(
        {},
        {"temperature": 4.0, "weight_hard_loss": 0.25, "weight_soft_loss": 2.0},
        {"weight_hard_loss": 0.0, "weight_soft_loss": 1.0},
        {"weight_hard_loss": 0.0, "weight_soft_loss": 1.0, "temperature": 0.5},
    ),
    hostile=tuple((*rows, 1) for rows in FINITE_CLOSE),
    laws={"nonnegative", "shift_invariant"},
    peers=(published(taught),),
)  # fmt: skip
