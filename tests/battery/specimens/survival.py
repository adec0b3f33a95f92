"""Losses of times until an event."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import LOG_RATE, LOGIT, Draw
from tests.battery.specimen import Peer, register

INFINITY, NAN = mpf("inf"), mpf("nan")
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


# ------------------------------------------------------------------------------ accelerated failure
START = Draw(
    lambda random, shape: 0.2 + 2 * random.random(shape),
    lambda dtype: [0.0, 1e-3, 0.5, 1.0, 300.0, 1e10],
)
END = Draw(
    lambda random, shape: 2.3 + 2 * random.random(shape),
    lambda dtype: [1e-3, 0.5, 1.0 + 2.0**-20, 2.0, 1e10, np.inf],
)


ENOUGH = 10**4  # an exponential of minus that is nothing in any dtype


def normal(z):
    """Minus the logarithms of the density and of the distribution's tails."""
    return z**2 / 2 + mpmath.log(2 * mpmath.pi) / 2, mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def logistic(z):
    return 2 * mpmath.log(1 + mpmath.exp(z)) - z, 1 / (1 + mpmath.exp(-z))


def extreme(z):
    return mpmath.exp(z) - z, 1 - mpmath.exp(-mpmath.exp(z))


LAWS_OF_TIME = {"normal": normal, "logistic": logistic, "extreme": extreme}


def standard(bound, prediction, scale):
    return (mpmath.log(bound) - prediction) / scale


def probability(law, z):
    """Of values up to `z`; of the normal and the logistic law also of those beyond `-z`."""
    if mpmath.isinf(z):
        return mpf(z > 0)
    return LAWS_OF_TIME[law](z)[1]


def aft(prediction, lower, upper, *, distribution="normal", scale=1.0):
    numbers = prediction, lower, upper
    if any(map(mpmath.isnan, numbers)) or not 0 <= lower <= upper:
        return NAN
    scale = mpf(scale)
    start = -INFINITY if lower == 0 else standard(lower, prediction, scale)
    end = INFINITY if upper == INFINITY else standard(upper, prediction, scale)
    if lower == upper:
        return LAWS_OF_TIME[distribution](start)[0] + mpmath.log(lower) + mpmath.log(scale)
    if distribution == "extreme":
        if start == INFINITY:
            return INFINITY
        if end == -INFINITY:
            return INFINITY
        hazards = [mpf(0) if z == -INFINITY else z if z == INFINITY else mpmath.exp(z)
                   for z in (start, end)]  # fmt: skip
        survived = hazards[1] - hazards[0]
        return hazards[0] - mpmath.log(1 - (mpf(0) if survived > ENOUGH else mpmath.exp(-survived)))
    if start + end > 0:  # both from the other side, where neither is nearly 1
        start, end = -end, -start
    between = probability(distribution, end) - probability(distribution, start)
    return INFINITY if between <= 0 else -mpmath.log(between)


def ulp_of_ends(prediction, lower, upper, **options):
    """What `z` is worth: its last digit is a bound's logarithm's, which is rounded."""
    numbers = prediction, lower, upper
    if not (mpmath.isfinite(prediction) and mpmath.isfinite(lower) and 0 <= lower <= upper):
        return None
    distances = [abs(mpmath.log(x) - prediction) for x in numbers[1:] if 0 < x < INFINITY]
    step = mpf(10) ** -(mpmath.mp.dps // 4)
    before, here, after = (aft(prediction + k * step, lower, upper, **options) for k in (-1, 0, 1))
    first, second = (after - before) / (2 * step), (after - 2 * here + before) / step**2
    distance = max(distances, default=mpf(0))
    return max(here, abs(first) * distance), max(abs(first), abs(second) * distance)


def undefined(prediction, lower, upper):
    """What has no likelihood: a time that is known to be 0 or infinite, or a finite bound of a
    prediction that is not.
    """
    return lower == upper or (np.isinf(prediction) and not (lower == 0 or upper == np.inf))


def published_aft(predictions, lower, upper, *, distribution="normal", scale=1.0):
    """XGBoost's formula for intervals."""
    from scipy import stats

    law = {"normal": stats.norm, "logistic": stats.logistic, "extreme": stats.gumbel_l}
    ends = [(np.log(bound) - predictions) / scale for bound in (lower, upper)]
    return -np.log(law[distribution].cdf(ends[1]) - law[distribution].cdf(ends[0]))


register(
    tw.aft_nll_loss, LOG_RATE, START, END,
    reference=aft,
    options=(*({"distribution": law} for law in LAWS_OF_TIME), {"scale": 0.25}),
    hostile=(
        (0.0, 1.0, 1.0 + 2.0**-22),
        (3.0, 0.0, np.inf),
        (-3.0, 0.25, 0.25 * (1 + 2.0**-20)),
        (0.5, 2.0, 1.0),
        (0.5, -1.0, 1.0),
        (np.nan, 1.0, 2.0),
    ),
    avoid=undefined,
    terms=ulp_of_ends,
    laws={"nonnegative", "convex"},
    peers=(Peer("scipy", published_aft, rtol=1e-9, only=lambda o: "scale" not in o),),
)  # fmt: skip
