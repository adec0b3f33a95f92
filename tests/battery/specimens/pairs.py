"""Losses of all pairs of a list, of a forecast's members, of triplets: ordinary array code."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import REAL, VECTOR, Draw
from tests.battery.peers import published
from tests.battery.specimen import Peer, register
from tests.battery.specimens.binary import positive_part
from tests.battery.specimens.embedding import difference, norm
from tests.battery.specimens.preference import softplus
from tests.battery.specimens.ranking_lists import ITEM

NAN = np.nan
GRADE = Draw(lambda random, shape: random.integers(0, 4, shape).astype(float), real=False)
"""A relevance, in whose place only its order counts, or its gain."""


# ------------------------------------------------------------------------------------- lists
def each_list(reference):
    """A reference of one list for several, those without NaN among the items that there are."""

    def call(scores, relevance, mask=None, **options):
        found = []
        for number, (row, grades) in enumerate(zip(scores, relevance, strict=True)):
            kept = [i for i in range(len(row)) if mask is None or mask[number][i]]
            items = [(row[i], grades[i]) for i in kept]
            known = not any(mpmath.isnan(x) for item in items for x in item)
            found.append(reference(items, **options) if known else mpf("nan"))
        return found

    return call


def mean_of_pairs(cost):
    def call(items, **options):
        found = [cost(a - b, **options) for a, r in items for b, s in items if r > s]
        return sum(found, mpf(0)) / max(len(found), 1)

    return call


def hinge(apart, margin=1):
    return positive_part(mpf(margin) - apart)


def lambdarank(items, *, sigma=1, truncation=None):
    order = sorted(range(len(items)), key=lambda i: -items[i][0])
    ranks = {i: place for place, i in enumerate(order)}
    discount = [1 / mpmath.log(2 + place, 2) for place in range(len(items))]
    gains = [mpf(2) ** r - 1 for _, r in items]
    ideal = sorted(gains, reverse=True)[:truncation]
    best = sum((g * d for g, d in zip(ideal, discount, strict=False)), mpf(0))
    total = mpf(0)
    for i, (a, r) in enumerate(items):
        for j, (b, s) in enumerate(items):
            places = ranks[i], ranks[j]
            if r > s and (truncation is None or min(places) < truncation):
                change = abs(gains[i] - gains[j]) * abs(discount[places[0]] - discount[places[1]])
                total += change / best * softplus(-sigma * (a - b))
    return total


def list_mle(items):
    ranked = [score for score, _ in sorted(items, key=lambda item: -item[1])]
    later = [ranked[i:] for i in range(len(ranked))]
    return sum((mpmath.log(sum(mpmath.exp(x - row[0]) for x in row)) for row in later), mpf(0))


def numpy_pairs(cost):
    """Rax's `mean` over the valid pairs of a list."""

    def call(scores, relevance, **options):
        apart = scores[:, :, None] - scores[:, None, :]
        chosen = relevance[:, :, None] > relevance[:, None, :]
        count = np.maximum(chosen.sum((1, 2)), 1)
        return np.sum(np.where(chosen, cost(apart, **options), 0), (1, 2)) / count

    return call


def numpy_list_mle(scores, relevance):
    """Rax's, whose ties come in their order here."""
    order = np.argsort(-relevance, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, 1)
    sums = np.flip(np.cumsum(np.flip(np.exp(ranked), 1), 1), 1)
    return np.sum(np.log(sums) - ranked, 1)


LISTS = (
    ([[30.0, 0.0, -30.0, 2.0]], [[3, 1, 0, 1]]),
    ([[-20.0, 0.0, 20.0, 1.0]], [[3, 1, 0, 2]]),
    ([[1.0, 1.25, 1.5, 1.75]], [[2, 2, 2, 2]]),
    ([[1.0, 2.0, NAN, 0.0]], [[0, 1, 1, 0]]),
    ([[1.0, 2.0, 0.5, 0.0]], [[0, NAN, 1, 0]]),
)
OF_LISTS = {"whole": True, "arrays": {"mask": ITEM}, "tiny": (2, 4), "shape": (5, 4)}

register(
    tw.pairwise_logistic_loss, REAL, GRADE,
    reference=each_list(mean_of_pairs(lambda apart: softplus(-apart))),
    hostile=LISTS,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(published(numpy_pairs(lambda apart: np.logaddexp(0, -apart))),),
    **OF_LISTS,
)  # fmt: skip
register(
    tw.pairwise_hinge_loss, REAL, GRADE,
    reference=each_list(mean_of_pairs(hinge)),
    options=({}, {"margin": 0.25}),
    hostile=(*LISTS, ([[2.5, 1.5, 0.0, 2.5]], [[1, 0, 0, 0]])),
    laws={"nonnegative", "convex", "shift_invariant"},
    second=False,
    peers=(published(numpy_pairs(lambda apart, margin=1.0: np.maximum(margin - apart, 0))),),
    **OF_LISTS,
)  # fmt: skip
register(
    tw.lambdarank_loss, REAL, GRADE,
    reference=each_list(lambdarank),
    options=({}, {"sigma": 0.5, "truncation": 2}),
    hostile=(*LISTS, ([[1.0, 0.5, 2.0, 0.0]], [[120.0, 119.0, 0.0, 1.0]])),
    laws={"nonnegative", "shift_invariant"},
    **OF_LISTS,
)  # fmt: skip
register(
    tw.list_mle_loss, REAL, GRADE,
    reference=each_list(list_mle),
    hostile=LISTS,
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(published(numpy_list_mle),),
    **OF_LISTS,
)  # fmt: skip


# ----------------------------------------------------------------------------------- members
def crps(members, target, *, fair=False):
    count = len(members)
    pairs = count * (count - 1) if fair else count * count
    apart = sum(abs(a - b) for a in members for b in members)
    return sum(abs(x - target) for x in members) / count - apart / (2 * pairs)


def properscoring(members, targets, *, fair=False):
    count = members.shape[-1]
    pairs = count * (count - 1) if fair else count * count
    apart = np.abs(members[..., :, None] - members[..., None, :]).sum((-2, -1))
    return np.abs(members - targets[..., None]).mean(-1) - apart / (2 * pairs)


register(
    tw.crps_ensemble_loss, REAL, REAL.of_row(),
    reference=lambda members, targets, **options: [
        crps(x, y, **options) for x, y in zip(members, targets, strict=True)
    ],
    whole=True,
    options=({}, {"fair": True}),
    tiny=(2, 4),
    hostile=(
        ([[1e6, 1e6 + 1, 1e6 - 2, 1e6 + 3]], [1e6 + 0.5]),
        ([[1.0, 1.25, -2.0, 1.5]], [300.0]),
        ([[1.0, NAN, -2.0, 1.5]], [0.5]),
        ([[1.0, 2.0, -2.0, 1.5]], [NAN]),
    ),
    laws={"nonnegative"},
    second=False,
    peers=(published(properscoring),),
)  # fmt: skip


# ---------------------------------------------------------------------------------- triplets
def triplet(anchor, positive, negative, *, margin=1, swap=False):
    far = norm(difference(anchor, negative))
    if swap:
        far = min(far, norm(difference(positive, negative)))
    return positive_part(norm(difference(anchor, positive)) - far + mpf(margin))


def torch_triplet(*vectors, **options):
    import torch

    function = torch.nn.functional.triplet_margin_with_distance_loss
    return function(
        *map(torch.tensor, vectors),
        distance_function=lambda a, b: torch.linalg.vector_norm(a - b, dim=-1),
        reduction="none",
        **options,
    ).numpy()


register(
    tw.triplet_margin_with_distance_loss, VECTOR, VECTOR, VECTOR,
    reference=lambda *vectors, **options: [
        triplet(*rows, **options) for rows in zip(*vectors, strict=True)
    ],
    whole=True,
    options=({}, {"margin": 3.0, "swap": True}),
    tiny=(2, 3),
    hostile=(
        ([[3e18, 1e18, 2e18]], [[-3e18, 3e18, 1e18]], [[2e18, 2e18, 1e18]]),
        ([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.5]]),
    ),
    laws={"nonnegative"},
    peers=(Peer("torch", torch_triplet),),
)  # fmt: skip
