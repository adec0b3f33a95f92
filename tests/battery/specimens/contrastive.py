"""Losses that compare all vectors of a batch."""

import mpmath
import numpy as np
from mpmath import exp, log, mpf

import tensorweaver as tw
from tests.battery.draws import LABEL, VECTOR
from tests.battery.specimen import Peer, register


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / mpmath.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b)
    )


def cosines(rows, columns):
    return [[cosine(a, b) for b in columns] for a in rows]


def cross_entropy(row, place):
    return log(sum(exp(x - row[place]) for x in row))


def info_nce(queries, keys, *, temperature=0.05, symmetric=False):
    scores = [[s / temperature for s in row] for row in cosines(queries, keys)]
    found = [cross_entropy(row, i) for i, row in enumerate(scores)]
    if symmetric:
        columns = list(zip(*scores, strict=True))
        other = [cross_entropy(column, i) for i, column in enumerate(columns)]
        found = [(a + b) / 2 for a, b in zip(found, other, strict=True)]
    return found


def nt_xent(first, second, temperature=0.5):
    views = [*first, *second]
    count = len(first)
    found = []
    for i, row in enumerate(cosines(views, views)):
        partner = (i + count) % len(views)
        others = [j for j in range(len(views)) if j != i]
        scores = [row[j] / temperature for j in others]
        found.append(cross_entropy(scores, others.index(partner)))
    return found


def supervised(embeddings, labels, temperature=0.1):
    found = []
    for i, row in enumerate(cosines(embeddings, embeddings)):
        others = [j for j in range(len(row)) if j != i]
        scores = [row[j] / temperature for j in others]
        same = [k for k, j in enumerate(others) if labels[j] == labels[i]]
        total = sum((cross_entropy(scores, k) for k in same), mpf(0))
        found.append(total / len(same) if same else mpf(0))
    return found


def circle(embeddings, labels, gamma=80, margin=0.4):
    found = []
    for i, row in enumerate(cosines(embeddings, embeddings)):
        others = [j for j in range(len(row)) if j != i]
        pull = [gamma * max(1 + margin - row[j], 0) * (1 - margin - row[j])
                for j in others if labels[j] == labels[i]]  # fmt: skip
        push = [gamma * max(row[j] + margin, 0) * (row[j] - margin)
                for j in others if labels[j] != labels[i]]  # fmt: skip
        if not (pull and push):
            found.append(mpf(0))
            continue
        both = [log(sum(exp(x) for x in terms)) for terms in (pull, push)]
        found.append(log(1 + exp(sum(both))))
    return found


def numpy_info_nce(queries, keys, *, temperature=0.05, symmetric=False):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, keys))
    scores = a @ b.T / temperature
    found = np.log(np.exp(scores).sum(1)) - np.diag(scores)
    other = np.log(np.exp(scores).sum(0)) - np.diag(scores)
    return (found + other) / 2 if symmetric else found


COUPLED = {"whole": True, "rows_are_independent": False, "shape": (6, 4), "tiny": (3, 2)}
LABELS = ([[1.0, 0.5], [2.0, -0.3], [-0.4, 1.5], [1.0, 0.7]], [0, 0, 1, 1])

register(
    tw.info_nce_loss, VECTOR, VECTOR,
    reference=info_nce,
    options=({}, {"temperature": 0.5, "symmetric": True}),
    laws={"nonnegative"},
    hostile=(
        ([[1e20, 2e20], [3e-20, 1e-20]], [[1e-25, 2e-25], [5.0, 1.0]]),
    ),
    peers=(Peer("numpy", numpy_info_nce),),
    **COUPLED,
)  # fmt: skip
register(
    tw.nt_xent_loss, VECTOR, VECTOR,
    reference=nt_xent,
    options=({}, {"temperature": 0.07}),
    laws={"nonnegative"},
    **COUPLED,
)  # fmt: skip
register(
    tw.supervised_contrastive_loss, VECTOR, LABEL,
    reference=supervised,
    options=({}, {"temperature": 1.0}),
    laws={"nonnegative"},
    hostile=(LABELS,),
    **COUPLED,
)  # fmt: skip
register(
    tw.circle_loss, VECTOR, LABEL,
    reference=circle,
    options=({"gamma": 2.0}, {}),
    laws={"nonnegative"},
    hostile=(LABELS,),
    **COUPLED,
)  # fmt: skip
