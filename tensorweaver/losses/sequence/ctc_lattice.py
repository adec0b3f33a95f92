"""The forward and the backward recursion of CTC, both in one loop, and what they say together.

With labels `l[0..S-1]` a sequence walks through the states blank, l[0], blank, ... l[S-1], blank.
`blanks[j]` is the logarithm of the probability of all ways to the blank before `l[j]`, `labels[j]`
that of all ways to the label. A step goes on from each state to itself and to the next one, from a
label also to the next label if that is another one. So with the arrivals at a blank
`a[j + 1] = log(exp(blanks[j + 1]) + exp(labels[j]))`, those at a label are itself and `a[j]`, or
itself and `blanks[j]` where the label repeats: two sums of two for every two states.

The walk back is the same walk, with time and labels turned round. Both are one batch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.losses.sequence.lengths import at_classes

if TYPE_CHECKING:
    from tensorweaver.losses.sequence.lengths import Labels
    from tensorweaver.tensor import Tensor
    from tensorweaver.tensor.eager import EagerNamespace

__all__ = ["forward", "sums", "total_on_tape"]


class Walk(NamedTuple):
    """What a walk leaves, a row for each of the T steps.

    Attributes
    ----------
    blanks, labels
        (T, N, W + 1) and (T, N, W): the ways to each state with the step's own emission, lowered
        by the `levels` of all steps so far.
    levels
        (T, N, 1).
    blank_arrivals, label_arrivals
        The same as `blanks` and `labels` without the step's own emission and level, of the walk
        back: in its own order.
    """

    blanks: Any
    labels: Any
    levels: Any
    blank_arrivals: Any = None
    label_arrivals: Any = None


def skips(xp: Any, labels: Any) -> Any:
    """(N, W): which labels differ from the one before."""
    first = labels[:, :1] != labels[:, :1]
    return xp.concat([first, labels[:, 1:] != labels[:, :-1]], axis=1)


def begun(xp: EagerNamespace, like: Any, starts: Any, width: int) -> tuple[Any, Any]:
    """The states before the first step: each sequence at the blank that `starts` (N,) says."""
    at_start = xp.reshape(xp.places(width + 1, starts), (1, -1)) == starts[:, None]
    zeros = 0.0 * xp.astype(at_start, like.dtype)
    blanks = xp.where(at_start, zeros, -math.inf)
    return blanks, blanks[:, :-1] - math.inf


def steps_first(xp: EagerNamespace, like: Any) -> Any:
    """(T, 1): the number of each step."""
    return xp.places(like.shape[0], like)[:, None]


def log_add(xp: Any, a: Any, b: Any, lowest: float) -> Any:
    """`log(exp(a) + exp(b))`; of two -inf it is -inf."""
    most = xp.maximum(a, b)
    more = xp.exp(xp.minimum(a, b) - xp.maximum(most, lowest))
    # log1p(more), by a logarithm that libraries have vectorised and what rounding took from it
    whole = 1.0 + more
    return most + (xp.log(whole) + (more - (whole - 1.0)) / whole)


def walk(
    xp: EagerNamespace, given: tuple[Any, Any], skip: Any, begin: tuple[Any, Any], *, halves: bool
) -> Walk:
    """Walk through the emissions; with `halves`, the second half of the batch is walked back, and
    of each half only what is wanted is kept.
    """
    lowest = float(xp.finfo(given[0].dtype).min)
    half = skip.shape[0] // 2 if halves else skip.shape[0]

    def step(state: tuple[Any, Any], emitted: tuple[Any, Any]) -> tuple[Any, Any]:
        blanks, labels = state
        of_blank, of_labels = emitted
        both = log_add(xp, blanks[:, 1:], labels, lowest)
        arrivals = xp.concat([blanks[:, :1], both], axis=1)
        before = xp.where(skip, arrivals[:, :-1], blanks[:, :-1])
        at_labels = log_add(xp, labels, before, lowest)
        level = xp.maximum(xp.max(arrivals, axis=1, keepdims=True), lowest)
        blanks = arrivals - level + of_blank
        labels = at_labels - level + of_labels
        kept: tuple[Any, ...] = (blanks[:half, :], labels[:half, :], level[:half, :])
        if halves:
            kept = (*kept, arrivals[half:, :], at_labels[half:, :])
        return (blanks, labels), kept

    _, made = xp.backend.scan(step, begin, given)
    return Walk(*made)


def total(found: Walk, known: Labels) -> Any:
    """(N,): the logarithm of the probability of all ways to the end, with the last step's."""
    xp = known.xp
    _, batch, width = found.labels.shape
    lowest = float(xp.finfo(found.labels.dtype).min)
    last = xp.where(known.steps > 0, known.steps - 1, known.steps)
    rows = last * batch + xp.places(batch, last)
    labelled = known.lengths > 0
    final = xp.where(labelled, known.lengths - 1, known.lengths)
    at_blank = xp.take(flat(xp, found.blanks), rows * (width + 1) + known.lengths, axis=0)
    at_label = xp.take(flat(xp, found.labels), rows * width + final, axis=0)
    at_label = xp.where(labelled, at_label, -math.inf)
    counted = steps_first(xp, found.levels) < known.steps[None, :]
    levels = xp.sum(xp.where(counted, found.levels[:, :, 0], 0.0), axis=0)
    ways = log_add(xp, at_blank, at_label, lowest) + levels
    nothing = xp.where(labelled, 0.0 * levels - math.inf, 0.0 * levels)
    return xp.where(known.steps > 0, ways, nothing)


def flat(xp: Any, x: Any) -> Any:
    return xp.reshape(x, (-1,))


def turned(xp: EagerNamespace, x: Any, steps: Any) -> Any:
    """Each sequence of (T, N, K) backwards in time from its own end, and its states as well."""
    size, batch, width = x.shape
    rest = steps[None, :] - 1 - steps_first(xp, x)
    rows = xp.where(rest < 0, xp.zeros_like(rest), rest) * batch + xp.places(batch, steps)
    rows = xp.take(xp.reshape(x, (size * batch, width)), flat(xp, rows), axis=0)
    return xp.flip(xp.reshape(rows, x.shape), axis=2)


def sums(log_probs: Any, known: Labels, blank: int, *, shares: bool) -> tuple[Any, Any]:
    """The logarithm of each sequence's probability (N,); and, where wanted, how probable it is to
    be at each label at each step, and last at a blank: (T, N, W + 1).
    """
    xp, labels, steps = known.xp, known.labels, known.steps
    given: tuple[Any, ...] = (log_probs[:, :, blank : blank + 1], at_classes(xp, log_probs, labels))
    skip, starts = skips(xp, labels), xp.zeros_like(steps)
    if shares:
        given = tuple(xp.concat([each, turned(xp, each, steps)], axis=1) for each in given)
        skip = xp.concat([skip, skips(xp, xp.flip(labels, axis=1))], axis=0)
        starts = xp.concat([starts, labels.shape[1] - known.lengths], axis=0)
    begin = begun(xp, log_probs, starts, labels.shape[1])
    found = walk(xp, given, skip, begin, halves=shares)
    if not shares:
        return total(found, known), None
    at_labels = found.labels + turned(xp, found.label_arrivals, steps)
    at_blanks = found.blanks + turned(xp, found.blank_arrivals, steps)
    return total(found, known), occupied(xp, at_labels, at_blanks, known)


def forward(log_probs: Any, known: Labels, blank: int) -> tuple[Any, Any]:
    """(T, N, W + 1) and (T, N, W): the logarithm of the probability of all ways to each blank and
    to each label, after each step; beyond a sequence's end as at its last step, beyond its labels
    -inf.
    """
    xp, labels = known.xp, known.labels
    given = (log_probs[:, :, blank : blank + 1], at_classes(xp, log_probs, labels))
    begin = begun(xp, log_probs, xp.zeros_like(known.steps), labels.shape[1])
    found = walk(xp, given, skips(xp, labels), begin, halves=False)
    levels = xp.cumulative_sum(found.levels, axis=0)
    return tuple(
        held(xp, made + levels, start, known, more)
        for made, start, more in zip(found[:2], begin, (1, 0), strict=True)
    )


def held(xp: EagerNamespace, x: Any, start: Any, known: Labels, more: int) -> Any:
    """(T, N, K) as at the last step from there on; of no steps as at the start."""
    size, batch, width = x.shape
    last = xp.where(known.steps > 0, known.steps - 1, known.steps)[None, :]
    step = steps_first(xp, x)
    rows = xp.where(step < last, step + xp.zeros_like(last), last + xp.zeros_like(step)) * batch
    rows = flat(xp, rows + xp.places(batch, known.steps))
    kept = xp.reshape(xp.take(xp.reshape(x, (size * batch, width)), rows, axis=0), x.shape)
    kept = xp.where((known.steps > 0)[None, :, None], kept, start[None, :, :])
    there = xp.places_along(kept[0, ...], 1) < known.lengths[:, None] + more
    return xp.where(
        known.good[None, :, None], xp.where(there[None, :, :], kept, -math.inf), math.nan
    )


def occupied(xp: EagerNamespace, at_labels: Any, at_blanks: Any, known: Labels) -> Any:
    """Of each step the softmax over all states; 0 beyond the end, and where no way leads through.

    That all ways pass through some state at every step makes errors common to all states cancel.
    """
    lowest = float(xp.finfo(at_labels.dtype).min)
    most = xp.maximum(
        xp.max(at_blanks, axis=2, keepdims=True), xp.max(at_labels, axis=2, keepdims=True)
    )
    most = xp.maximum(most, lowest)
    by_label = xp.exp(at_labels - most)
    by_blank = xp.sum(xp.exp(at_blanks - most), axis=2, keepdims=True)
    whole = by_blank + xp.sum(by_label, axis=2, keepdims=True)
    outside = (steps_first(xp, at_labels) >= known.steps[None, :])[:, :, None] | (whole == 0)
    found = xp.concat([by_label, by_blank], axis=2) / whole
    return xp.where(outside, 0.0, found)


def total_on_tape(log_probs: Tensor, known: Labels, blank: int) -> Tensor:
    """The logarithm of each sequence's probability, as one writes it down."""
    xp: Any = log_probs.__array_namespace__()
    skip, lengths = map(xp.asarray, (skips(known.xp, known.labels), known.lengths[:, None]))
    within = steps_first(known.xp, log_probs.array) < known.steps[None, :]
    within = xp.asarray(within[:, :, None])
    wanted = known.xp.broadcast_to(
        known.labels[None, :, :], (log_probs.shape[0], *known.labels.shape)
    )
    at_labels = xp.take_along_axis(log_probs, wanted, axis=2)
    of_blank = xp.where(within, log_probs[:, :, blank : blank + 1], 0.0)
    of_labels = xp.where(within, at_labels, 0.0)
    starts = known.xp.zeros_like(known.lengths)
    begin = begun(known.xp, log_probs.array, starts, known.labels.shape[1])
    blanks, labels = map(xp.asarray, begin)
    for step in range(log_probs.shape[0]):
        both = xp.logaddexp(blanks[:, 1:], labels)
        arrivals = xp.concat([blanks[:, :1], both], axis=1)
        before = xp.where(skip, arrivals[:, :-1], blanks[:, :-1])
        at_labels = xp.logaddexp(labels, before)
        blanks = xp.where(within[step], arrivals + of_blank[step], blanks)
        labels = xp.where(within[step], at_labels + of_labels[step], labels)
    labelled = lengths > 0
    at_label = xp.take_along_axis(labels, xp.where(labelled, lengths - 1, lengths), axis=1)
    at_label = xp.where(labelled, at_label, -math.inf)
    ways: Tensor = xp.logaddexp(xp.take_along_axis(blanks, lengths, axis=1), at_label)
    return ways[:, 0]
