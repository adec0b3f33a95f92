"""The forward and the backward recursion of a transducer, diagonal by diagonal, both in one loop.

At (t, u) a blank goes on to (t + 1, u), a label to (t, u + 1): both to the next diagonal t + u. So
all places of a diagonal are found at once from the one before, and every alignment passes from each
diagonal to the next exactly once. It ends at (T, U), by a blank.

An array by diagonals is (D, N, W), D = T + U diagonals of W = U + 1 places u.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.losses.sequence.ctc_lattice import begun, flat, log_add, steps_first, turned

if TYPE_CHECKING:
    from tensorweaver.losses.sequence.lengths import Labels
    from tensorweaver.tensor import Tensor
    from tensorweaver.tensor.eager import EagerNamespace

__all__ = ["sums", "total_on_tape"]


class Diagonals(NamedTuple):
    """Where what lies by diagonals lies in (N, T, W), and back.

    Attributes
    ----------
    places
        (D, N, W): positions in a flattened (N, T, W).
    blank_there, label_there
        (D, N, W): whether a blank, or a label, may be said there.
    back
        (N, T, W): positions in a flattened (D, N, W).
    within
        (N, T, W): whether the place is one of the lattice's.
    last
        (N,): the diagonal of the last blank.
    """

    places: Any
    blank_there: Any
    label_there: Any
    back: Any
    within: Any
    last: Any


def diagonals(known: Labels, shape: tuple[int, int, int]) -> Diagonals:
    """How the lattice of `shape` (N, T, W) lies."""
    xp = known.xp
    batch, steps, width = shape
    sequences = xp.places(batch, known.steps)[:, None]
    u = xp.reshape(xp.places(width, known.steps), (1, 1, width))
    t = xp.places(steps + width - 1, known.steps)[:, None, None] - u
    ends, lengths = known.steps[:, None], known.lengths[:, None]
    blank_there = (t >= 0) & (t < ends) & (u <= lengths)
    inside = xp.where((t < 0) | (t >= steps), xp.zeros_like(t), t)
    places = (sequences * steps + inside) * width + u
    t = xp.reshape(xp.places(steps, known.steps), (1, steps, 1))
    back = ((t + u) * batch + sequences[:, :, None]) * width + u
    within = (t < ends[:, :, None]) & (u <= lengths[:, :, None])
    last = known.steps - 1 + known.lengths
    last = xp.where(last < 0, xp.zeros_like(last), last)
    return Diagonals(places, blank_there, blank_there & (u < lengths), back, within, last)


def laid(xp: Any, x: Any, places: Any) -> Any:
    """The elements of `x` at flat places, in their shape."""
    return xp.reshape(xp.take(flat(xp, x), flat(xp, places), axis=0), tuple(places.shape))


def shifted(xp: Any, of_labels: Any) -> Any:
    """Each label's number at the place that the label leads to; -inf where none does."""
    nowhere = xp.zeros_like(of_labels[:, :, :1]) - math.inf
    return xp.concat([nowhere, of_labels[:, :, :-1]], axis=2)


def picked(xp: Any, x: Any, way: Diagonals, known: Labels) -> Any:
    """(N,): of what lies by diagonals, what stands where the last blank is said."""
    _, batch, width = x.shape
    rows = way.last * batch + known.xp.places(batch, way.last)
    return xp.take(flat(xp, x), rows * width + known.lengths, axis=0)


def sums(of_blank: Any, of_label: Any, known: Labels, *, shares: bool) -> tuple[Any, Any]:
    """The logarithm of each sequence's probability (N,); and, where wanted, how probable it is to
    say a blank, and the label, at each place: two of (N, T, W).
    """
    xp = known.xp
    way = diagonals(known, of_blank.shape)
    blanks = xp.where(way.blank_there, laid(xp, of_blank, way.places), -math.inf)
    labels = xp.where(way.label_there, laid(xp, of_label, way.places), -math.inf)
    width = of_blank.shape[2]
    given, starts = (blanks, shifted(xp, labels)), xp.zeros_like(known.lengths)
    if shares:
        back = (turned(xp, each, way.last + 1) for each in (blanks, labels))
        given = tuple(xp.concat(list(pair), axis=1) for pair in zip(given, back, strict=True))
        starts = xp.concat([starts, width - 1 - known.lengths], axis=0)
    ways, levels = walk(xp, given, begun(xp, of_blank, starts, width - 1)[0])
    half = known.lengths.shape[0]
    counted = steps_first(xp, levels) < way.last[None, :]
    lowered = xp.sum(xp.where(counted, levels[:, :half, 0], 0.0), axis=0)
    there = ways[:, :half, :]
    total = picked(xp, there + blanks, way, known) + lowered
    if not shares:
        return total, None
    onward = turned(xp, ways[:, half:, :], way.last + 1)
    after = xp.concat([onward[:, :, 1:], xp.zeros_like(onward[:, :, :1]) - math.inf], axis=2)
    found = passed(xp, there + blanks + onward, there + labels + after)
    return total, [xp.where(way.within, laid(xp, each, way.back), 0.0) for each in found]


def walk(xp: EagerNamespace, given: tuple[Any, Any], start: Any) -> tuple[Any, Any]:
    """(D, N, W): the ways to each place, lowered by the levels of the diagonals before, which are
    (D, N, 1).
    """
    lowest = float(xp.finfo(start.dtype).min)

    def step(state: tuple[Any], emitted: tuple[Any, Any]) -> tuple[Any, Any]:
        (ways,) = state
        of_blanks, of_labels = emitted
        below = xp.concat([ways[:, :1], ways[:, :-1]], axis=1)
        arrivals = log_add(xp, ways + of_blanks, below + of_labels, lowest)
        level = xp.maximum(xp.max(arrivals, axis=1, keepdims=True), lowest)
        return (arrivals - level,), (ways, level)

    _, (ways, levels) = xp.backend.scan(step, (start,), given)
    return ways, levels


def passed(xp: EagerNamespace, by_blank: Any, by_label: Any) -> tuple[Any, Any]:
    """From each diagonal to the next one passes once: the softmax over all ways to do so; 0 where
    there is none.
    """
    lowest = float(xp.finfo(by_blank.dtype).min)
    most = xp.maximum(
        xp.max(by_blank, axis=2, keepdims=True), xp.max(by_label, axis=2, keepdims=True)
    )
    most = xp.maximum(most, lowest)
    by_blank, by_label = xp.exp(by_blank - most), xp.exp(by_label - most)
    whole = xp.sum(by_blank, axis=2, keepdims=True) + xp.sum(by_label, axis=2, keepdims=True)
    none = whole == 0
    return xp.where(none, 0.0, by_blank / whole), xp.where(none, 0.0, by_label / whole)


def total_on_tape(of_blank: Tensor, of_label: Tensor, known: Labels) -> Tensor:
    """The logarithm of each sequence's probability, as one writes it down."""
    xp: Any = of_blank.__array_namespace__()
    way = diagonals(known, of_blank.shape)  # type: ignore[arg-type]
    blanks = xp.where(xp.asarray(way.blank_there), laid(xp, of_blank, way.places), -math.inf)
    labels = xp.where(xp.asarray(way.label_there), laid(xp, of_label, way.places), -math.inf)
    arriving = shifted(xp, labels)
    starts = known.xp.zeros_like(known.lengths)
    ways = xp.asarray(begun(known.xp, of_blank.array, starts, of_blank.shape[2] - 1)[0])
    found = []
    for d in range(blanks.shape[0]):
        found.append(ways + blanks[d])
        below = xp.concat([ways[:, :1], ways[:, :-1]], axis=1)
        ways = xp.logaddexp(found[-1], below + arriving[d])
    total: Tensor = picked(xp, xp.stack(found), way, known)
    return total
