"""Losses of masks."""

from typing import Any

import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import BINARY, LOGIT, UNIT
from tests.battery.peers import published
from tests.battery.specimen import register

HALF = mpf(0.5)
LOGITS = {"from_logits": True}


def overlap(row, targets, from_logits):
    """Hits, false positives and false negatives."""
    p = [truth.sigmoid(x)[0] for x in row] if from_logits else row
    pairs = list(zip(p, targets, strict=True))
    hits = sum(x * t for x, t in pairs)
    return hits, sum(p) - hits, sum(targets) - hits


def quotient(hits, everything):
    return mpf(0) if everything == 0 else 1 - hits / everything


def dice(row, targets, *, smooth=0, from_logits=False):
    hits, positives, negatives = overlap(row, targets, from_logits)
    return quotient(2 * hits + smooth, 2 * hits + positives + negatives + smooth)


def tversky(row, targets, *, alpha=HALF, beta=HALF, smooth=0, from_logits=False):
    hits, positives, negatives = overlap(row, targets, from_logits)
    return quotient(hits + smooth, hits + alpha * positives + beta * negatives + smooth)


def jaccard(row, targets, **options):
    return tversky(row, targets, alpha=1, beta=1, **options)


def focal_tversky(row, targets, *, gamma, **options):
    return tversky(row, targets, **options) ** gamma


def monai_dice(predictions, targets, *, smooth=0.0, from_logits=False):
    p = 1 / (1 + np.exp(-predictions)) if from_logits else predictions
    hits = np.sum(p * targets, -1)
    return 1 - (2 * hits + smooth) / (np.sum(p, -1) + np.sum(targets, -1) + smooth)


def optax_tversky(predictions, targets, *, alpha=0.5, beta=0.5, smooth=0.0, from_logits=False):
    p = 1 / (1 + np.exp(-predictions)) if from_logits else predictions
    hits = np.sum(p * targets, -1)
    positives, negatives = np.sum(p, -1) - hits, np.sum(targets, -1) - hits
    return 1 - (hits + smooth) / (hits + alpha * positives + beta * negatives + smooth)


MASKS = (
    ([0.0, 0.0, 1e-12, 1.0], [0.0, 0.0, 0.0, 1.0]),
    ([1e-12, 0.0, 0.5, 0.75], [1.0, 0.0, 0.0, 0.0]),
    ([0.5, 0.25, 0.75, 1.0], [0.5, 0.25, 0.75, 1.0]),
)
TAILS = (
    ([40.0, -40.0, -30.0, 60.0], [1.0, 0.0, 0.0, 1.0]),
    ([-40.0, 40.0, 30.0, 3.0], [1.0, 0.0, 0.0, 0.0]),
    ([-80.0, -90.0, -85.0, -60.0], [0.0, 0.0, 0.0, 0.0]),
)
EXACT_WEIGHTS = {"alpha": 0.25, "beta": 0.75}
REGISTERED: tuple[Any, ...] = (
    (tw.dice_loss, dice, ({}, {"smooth": 1.0}), monai_dice),
    (tw.jaccard_loss, jaccard, ({}, {"smooth": 0.5}), None),
    (
        tw.tversky_loss,
        tversky,
        ({}, EXACT_WEIGHTS, {**EXACT_WEIGHTS, "smooth": 1.0}),
        optax_tversky,
    ),
    (
        tw.focal_tversky_loss,
        focal_tversky,
        ({**EXACT_WEIGHTS, "gamma": 0.75}, {**EXACT_WEIGHTS, "gamma": 2.0}),
        None,
    ),
)
for loss, reference, options, peer in REGISTERED:
    peers = () if peer is None else (published(peer),)
    register(
        loss, UNIT, UNIT,
        reference=reference,
        options=options,
        hostile=MASKS,
        laws={"nonnegative"},
        bounds=(0, 1),
        peers=peers,
    )  # fmt: skip
    register(
        loss, LOGIT, BINARY,
        variant="logits",
        reference=reference,
        options=tuple({**LOGITS, **chosen} for chosen in options),
        hostile=TAILS,
        laws={"nonnegative"},
        bounds=(0, 1),
        peers=peers,
    )  # fmt: skip
