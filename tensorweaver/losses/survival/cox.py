"""Cox's partial likelihood: who of those at risk has the event."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.spoil import spoil
from tensorweaver.losses.survival.scan import add_logarithms, from_here, later, up_to_here

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cox_ph_loss"]

NOTHING = -math.inf
"""The logarithm of no hazard."""


def check_cox(given: Mapping[str, Any], *, ties: str) -> None:
    if ties not in {"breslow", "efron"}:
        message = f"cox_ph_loss: ties must be 'breslow' or 'efron', got {ties!r}"
        raise ArgumentError(message)
    shapes = {
        name: tuple(x if isinstance(x, tuple) else x.shape)
        for name, x in given.items()
        if name in {"predictions", "times", "events", "strata"}
    }
    if len(set(shapes.values())) > 1 or len(shapes["predictions"]) != 1:
        told = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        message = f"cox_ph_loss: {told} must be alike, with a single axis that counts the subjects"
        raise ShapeError(message)


class Cohort(NamedTuple):
    """Subjects by stratum and time, events before what is censored at their time.

    `places` are the subjects' numbers, `predictions` and `is_event` theirs in this order. `strata`
    numbers the strata; `blocks` the events, and the censored, of one time.
    """

    places: Any
    predictions: Any
    is_event: Any
    strata: Any
    blocks: Any


def cohort(xp: Any, predictions: Any, times: Any, is_event: Any, strata: Any) -> Cohort:
    """The subjects in order: by the last key first, for sorting is stable."""
    order = xp.argsort(xp.astype(is_event, predictions.dtype), descending=True, stable=True)
    order = by(xp, times, order)
    order = order if strata is None else by(xp, strata, order)
    times, is_event = picked(xp, times, order), picked(xp, is_event, order)
    groups = xp.zeros_like(order) if strata is None else runs(xp, picked(xp, strata, order))
    blocks = runs(xp, groups, times, is_event)
    return Cohort(order, picked(xp, predictions, order), is_event, groups, blocks)


def by(xp: Any, key: Any, order: Any) -> Any:
    return picked(xp, order, xp.argsort(picked(xp, key, order), stable=True))


def picked(xp: Any, x: Any, places: Any) -> Any:
    return xp.take(x, places, axis=0)


def runs(xp: Any, *keys: Any) -> Any:
    """Runs of equal keys, numbered."""
    changes = keys[0][1:] != keys[0][:-1]
    for key in keys[1:]:
        changes = xp.logical_or(changes, key[1:] != key[:-1])
    first = xp.zeros((1,), dtype=xp.bool, device=changes.device)
    return xp.cumulative_sum(xp.astype(xp.concat([first, changes]), xp.int64))


def later_in_block(xp: Any, x: Any, blocks: Any, way: int = 1) -> Any:
    """What stands a place later, or earlier; at the end of a block nothing."""
    is_same = blocks == later(xp, blocks, way, -1)
    return xp.where(is_same, later(xp, x, way, NOTHING), NOTHING)


def breslow(xp: Any, subjects: Cohort, after: Any) -> Any:
    """`log(1 + others / own)` with the hazards of all others at risk, those of its time too."""
    x, blocks = subjects.predictions, subjects.blocks
    before = later_in_block(xp, up_to_here(xp, x, blocks, add_logarithms, NOTHING), blocks, -1)
    others = add_logarithms(xp, after, before)
    alone = others == NOTHING
    own = xp.where(subjects.is_event, x, 0.0)
    return xp.where(alone, 0.0, xp.softplus(xp.where(alone, 0.0, others) - own))


def efron(xp: Any, subjects: Cohort, after: Any) -> Any:
    """Of `d` events of one time, with the sum `tied` of their hazards and `rest` of all others at
    risk: `log(tied / own)`, and the mean of `log(1 - k / d + rest / tied)` for `k` below `d`.
    """
    x, blocks = subjects.predictions, subjects.blocks
    first, end = (xp.searchsorted(blocks, blocks, side=side) for side in ("left", "right"))
    count = xp.astype(end - first, x.dtype)
    place = xp.arange(x.shape[0], device=x.device)
    share_left = xp.log1p(-xp.astype(place - first, x.dtype) / count)
    tied = picked(xp, from_here(xp, x, blocks, add_logarithms, NOTHING), first)
    rest = picked(xp, after, end - 1)
    # Of an event by itself the first part is 0 and has no slope, which would drown the other's.
    no_share = (tied == NOTHING) | (count == 1)
    relative = xp.where(rest == NOTHING, NOTHING, rest - tied)
    terms = from_here(xp, add_logarithms(xp, share_left, relative), blocks, add, 0.0)
    own = xp.where(subjects.is_event, x, 0.0)
    return xp.where(no_share, 0.0, tied - own) + picked(xp, terms, first) / count


def add(_xp: Any, x: Any, y: Any) -> Any:
    return x + y


@composed(
    arrays=("strata",),
    roles={"times": "target", "events": "target", "strata": "target"},
    check=check_cox,
)
def cox_ph_loss(
    predictions: Any, times: Any, events: Any, *, ties: str = "breslow", strata: Any = None
) -> Any:
    """Cox's proportional hazards: of all that are still at risk, the one with the event is to have
    the highest hazard; what is censored need not have a time of its own.

    Formula: of a subject `i` with an event `log(sum(exp(predictions[j]) for j at risk)) -
    predictions[i]`, where those are at risk whose time is not before the one of `i`; of a censored
    subject 0. The sum over all is the negative logarithm of the partial likelihood.

    Shapes: `predictions`, `times`, `events` and `strata` `(N,)`, a subject each; a loss a subject.
    A mean counts the events: without events it is 0, with a zero gradient.

    Domain: predictions, the logarithms of relative hazards, finite, or -inf for no hazard: an event
    there costs infinity, unless nobody else is at risk. Times are any numbers, of which only the
    order counts; whole numbers are compared as they are. Events are 1, or 0 where a subject is
    censored. A time of NaN, or any other event, makes all losses NaN.

    Gradient: a subject's probability at each event at which it is at risk, added up, less 1 for its
    own event. It adds up to 0.

    Numerics: hazards are added as logarithms, by doubling, in `N log N` steps: no range of
    predictions is too wide, and no sum is a difference of others. A subject's own hazard is left
    out of what it is compared with, so that an event that was certain costs 1e-12 and not 0.

    Parameters
    ----------
    ties
        How events of one time share those at risk: `"breslow"` has all of them at risk at each,
        `"efron"` on average only those that are left, `log(sum(at risk) - k / d sum(tied))` for the
        `k`-th of `d`; each of these costs the mean.
    strata
        Labels: subjects are compared within their stratum only.

    `sample_weight` and `where` are for the events' costs: who is left out costs nothing, and
    remains at risk.

    Same as: XGBoost's `survival:cox`, where a negative label marks what is censored: `times =
    abs(labels)`, `events = labels > 0`; its gradient is that of the sum. The mean is pycox's
    `CoxPHLoss` where no times tie, but for the 1e-7 that it adds, and torchsurv's
    `neg_partial_log_likelihood(ties_method="breslow")`, whose mean by Efron is over times and not
    over events. The sum with `ties="efron"` is that of lifelines and of R's `coxph`.

    Reference: D. R. Cox, Regression Models and Life-Tables, 1972; B. Efron, The Efficiency of Cox's
    Likelihood Function for Censored Data, 1977.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> times, events = [5.0, 2.0, 2.0, 9.0], [1, 1, 0, 0]
    >>> tw.cox_ph_loss([0.0, 1.0, 0.0, 0.0], times, events, reduction="none").round(4)
    array([0.6931, 0.7437, 0.    , 0.    ])
    >>> tw.cox_ph_loss.grad([0.0, 1.0, 0.0, 0.0], times, events, reduction="sum").round(4)
    array([-0.3251, -0.5246,  0.1749,  0.6749])
    """
    xp = array_namespace(predictions)
    if not predictions.shape[0]:
        return 0.0 * predictions
    happened = xp.astype(events, predictions.dtype)
    subjects = cohort(xp, predictions, times, happened == 1, strata)
    at_risk = from_here(xp, subjects.predictions, subjects.strata, add_logarithms, NOTHING)
    after = later_in_block(xp, at_risk, subjects.strata)
    costs = (efron if ties == "efron" else breslow)(xp, subjects, after)
    ordered = xp.where(subjects.is_event, costs, 0.0)
    losses = picked(xp, ordered, xp.argsort(subjects.places))
    unknown = xp.any(xp.logical_not((happened == 0) | (happened == 1)))
    if not xp.isdtype(times.dtype, "integral"):
        unknown = xp.logical_or(unknown, xp.any(xp.isnan(times)))
    counts = xp.where(unknown, 1.0, happened)
    return spoil(xp, losses, xp.sum(predictions), unknown), counts
