"""Losses of lists as wholes: softmaxes, smooth ranks, changes of the average precision."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import LOGIT, REAL, Draw
from tests.battery.peers import published
from tests.battery.specimen import register
from tests.battery.specimens.pairs import GRADE, LISTS, OF_LISTS, each_list
from tests.battery.specimens.preference import sigmoid, softplus
from tests.battery.specimens.ranking_lists import ITEM, listnet

GRADES = Draw(lambda random, shape: random.integers(0, 4, shape).astype(float))
NOISE = Draw(lambda random, shape: random.random(shape))


def discounted(gains, ranks):
    return mpmath.fsum(g / mpmath.log(1 + r, 2) for g, r in zip(gains, ranks, strict=True))


# ------------------------------------------------------------------------------ cross-entropies
def xendcg(scores, relevance, noise=None, mask=None):
    items = [i for i in range(len(scores)) if mask is None or mask[i]]
    if not items:
        return mpf(0)
    gains = [mpf(2) ** relevance[i] - (0 if noise is None else noise[i]) for i in items]
    total = mpmath.fsum(gains)
    labels = [g / total if total else mpf(0) for g in gains]
    return listnet([scores[i] for i in items], labels)


def numpy_xendcg(scores, relevance):
    """As LightGBM writes it, without its noise."""
    gains = 2.0**relevance
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    logs = np.log(exponentials / exponentials.sum(-1, keepdims=True))
    return -np.sum(gains / gains.sum(-1, keepdims=True) * logs, -1)


register(
    tw.xendcg_loss, LOGIT, GRADES,
    reference=xendcg,
    arrays={"noise": NOISE, "mask": ITEM},
    hostile=(
        ([60.0, 0.0, 0.0, 0.0], [30.0, 0.0, 0.0, 0.0]),
        ([0.0, 1.0, 90.0, 0.0], [120.0, 119.0, 0.0, 0.0]),
        ([1.0, 2.0, np.nan, 0.0], [0.0, 1.0, 1.0, 0.0]),
    ),
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(published(numpy_xendcg),),
)  # fmt: skip


def unique_softmax(items):
    total = mpf(0)
    for score, grade in items:
        less = [s for s, r in items if r < grade]
        inner = truth.exp(score) + mpmath.fsum(truth.exp(s) for s in less)
        total += (mpf(2) ** grade - 1) * (mpmath.log(inner) - score)
    return total


def numpy_unique_softmax(scores, relevance):
    """As Rax writes it."""
    less = relevance[:, None, :] < relevance[:, :, None]
    takes_part = less | np.eye(scores.shape[-1], dtype=bool)
    inner = np.where(takes_part, np.exp(scores)[:, None, :], 0).sum(-1)
    return np.sum((2.0**relevance - 1) * (np.log(inner) - scores), -1)


register(
    tw.unique_softmax_loss, REAL, GRADE,
    reference=each_list(unique_softmax),
    hostile=LISTS,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(published(numpy_unique_softmax),),
    **OF_LISTS,
)  # fmt: skip


# ---------------------------------------------------------------------------------- smooth ranks
def approx_ndcg(items, *, temperature=1):
    t, count = mpf(temperature), len(items)
    gains = [mpf(2) ** r - 1 for _, r in items]
    best = discounted(sorted(gains, reverse=True), range(1, count + 1))
    if not best:
        return mpf(0)
    ranks = [
        1 + sum((sigmoid((b - a) / t) for j, (b, _) in enumerate(items) if j != i), mpf(0))
        for i, (a, _) in enumerate(items)
    ]
    return 1 - discounted(gains, ranks) / best


def numpy_approx_ndcg(scores, relevance, temperature=1.0):
    """Rax's `approx_t12n(ndcg_metric)`, less 1 and negated."""
    steps = 1 / (1 + np.exp((scores[:, :, None] - scores[:, None, :]) / temperature))
    ranks = 1 + steps.sum(-1) - 0.5
    gains = 2.0**relevance - 1
    ideal = np.flip(np.sort(gains, -1), -1) / np.log2(2 + np.arange(scores.shape[-1]))
    return 1 - np.sum(gains / np.log2(1 + ranks), -1) / ideal.sum(-1)


register(
    tw.approx_ndcg_loss, REAL, GRADE,
    reference=each_list(approx_ndcg),
    options=({}, {"temperature": 0.25}),
    hostile=(*LISTS, ([[1.0, 0.5, 2.0, 0.0]], [[120.0, 119.0, 0.0, 1.0]])),
    laws={"shift_invariant"},
    peers=(published(numpy_approx_ndcg),),
    **OF_LISTS,
)  # fmt: skip


# ----------------------------------------------------------------------------- average precision
def average_precision(relevant):
    """Of a list of truth values, by rank."""
    found = [mpf(sum(relevant[: i + 1])) / (i + 1) for i, r in enumerate(relevant) if r]
    return mpmath.fsum(found) / max(len(found), 1)


def lambdarank_by_map(items, *, sigma=1, truncation=None, metric="map"):
    """By exchanging each pair."""
    assert metric == "map"
    order = sorted(range(len(items)), key=lambda i: -items[i][0])
    relevant = [items[i][1] > 0 for i in order]
    now, total = average_precision(relevant), mpf(0)
    for a, i in enumerate(order):
        for b, j in enumerate(order):
            if relevant[a] > relevant[b] and (truncation is None or min(a, b) < truncation):
                other = list(relevant)
                other[a], other[b] = other[b], other[a]
                change = abs(average_precision(other) - now)
                total += change * softplus(-mpf(sigma) * (items[i][0] - items[j][0]))
    return total


register(
    tw.lambdarank_loss, REAL, GRADE,
    variant="map",
    reference=each_list(lambdarank_by_map),
    options=({"metric": "map"}, {"metric": "map", "sigma": 0.5, "truncation": 2}),
    hostile=LISTS,
    laws={"nonnegative", "shift_invariant"},
    **{**OF_LISTS, "tiny": (2, 5)},
)  # fmt: skip
