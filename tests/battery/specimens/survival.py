"""Losses of times until an event."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import LOGIT, Draw
from tests.battery.specimen import Peer, register

INFINITY = mpf("inf")
TIME = Draw(lambda random, shape: random.integers(1, 4, shape), real=False)
EVENT = Draw(lambda random, shape: random.integers(0, 2, shape), real=False)
STRATUM = Draw(lambda random, shape: random.integers(0, 2, shape), real=False)


# ------------------------------------------------------------------------------ Cox
def total(predictions, places):
    return mpmath.fsum(mpf(0) if x == -INFINITY else mpmath.exp(x) for x in
                       (predictions[j] for j in places))  # fmt: skip


def log(x):
    return mpmath.log(x) if x else -INFINITY


def cox(predictions, times, events, *, ties="breslow", strata=None):
    strata = [0] * len(times) if strata is None else strata
    losses = []
    for x, time, event, stratum in zip(predictions, times, events, strata, strict=True):
        if not event:
            losses.append(mpf(0))
            continue
        same = [j for j, other in enumerate(strata) if other == stratum]
        at_risk = total(predictions, [j for j in same if times[j] >= time])
        tied = [j for j in same if times[j] == time and events[j]]
        count = len(tied) if ties == "efron" else 1
        sums = [at_risk - mpf(k) / count * total(predictions, tied) for k in range(count)]
        cost = mpmath.fsum(map(log, sums)) / count
        losses.append(cost - x)
    return losses


def published_cox(predictions, times, events, *, ties="breslow", strata=None):
    """Subjects sorted by falling time and a running sum, as pycox has it; it knows no ties, so
    that each is given the sum of the last that ties.
    """
    strata = np.zeros(len(times), int) if strata is None else strata
    found = np.zeros(len(times))
    for stratum in set(strata):
        chosen = np.flatnonzero(strata == stratum)
        order = chosen[np.argsort(-times[chosen], kind="stable")]
        hazards = np.exp(predictions[order])
        sums = np.cumsum(hazards)
        last = np.searchsorted(-times[order], -times[order], side="right") - 1
        found[order] = (np.log(sums[last]) - predictions[order]) * events[order]
    return found


CERTAIN = ([50.0, 0.0, -1.0, -50.0], [1, 2, 3, 4], [1, 1, 1, 1])
CROWDED = ([3.0, -2.0, 0.5, 1.0, -1.0, 0.0], [2, 2, 2, 2, 1, 3], [1, 1, 0, 1, 1, 0])
WIDE = ([-700.0, 700.0, 1e4, -1e4], [2, 3, 1, 4], [1, 0, 1, 1])
NO_EVENT = ([1.0, 2.0, 3.0], [3, 2, 1], [0, 0, 0])

register(
    tw.cox_ph_loss, LOGIT, TIME, EVENT,
    reference=cox,
    options=({}, {"ties": "efron"}),
    arrays={"strata": STRATUM},
    hostile=(CERTAIN, CROWDED, WIDE, NO_EVENT, ([2.0], [1], [1])),
    peers=(Peer("numpy", published_cox, only=lambda options: options.get("ties") != "efron"),),
    whole=True, rows_are_independent=False, shape=(12,), tiny=(5,),
)  # fmt: skip
