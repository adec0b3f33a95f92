"""Losses of the order of items: lists and given pairs."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import LOGIT, NONNEGATIVE, Draw
from tests.battery.specimen import Peer, register
from tests.battery.specimens.preference import softplus

ITEM = Draw(lambda random, shape: random.random(shape) < 0.7, real=False)


def listnet(scores, labels, mask=None):
    items = [i for i in range(len(scores)) if mask is None or mask[i]]
    if not items:
        return mpf(0)
    total = mpmath.fsum(truth.exp(scores[i]) for i in items)
    return mpmath.fsum(truth.times(labels[i], mpmath.log(total) - scores[i]) for i in items)


def optax_listnet(scores, labels):
    import optax

    return optax.losses.ranking_softmax_loss(scores, labels, reduce_fn=None)


register(
    tw.ranking_softmax_loss, LOGIT, NONNEGATIVE,
    reference=listnet,
    arrays={"mask": ITEM},
    hostile=(
        ([60.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
        ([0.0, 0.0, 90.0, 0.0], [0.5, 2.0, 0.0, 0.0]),
        ([1e-3, 0.0, 0.0, -1e3], [0.0, 0.0, 0.0, 0.0]),
        ([1.0, 2.0, np.nan, 0.0], [0.0, 1.0, 1.0, 0.0]),
    ),
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(Peer("optax", optax_listnet, rtol=1e-5),),
)  # fmt: skip
register(
    tw.bpr_loss, LOGIT, LOGIT,
    reference=lambda positive, negative: softplus(negative - positive),
    laws={"nonnegative", "convex"},
)  # fmt: skip
