"""Padded sequences: how long each is, which labels it holds, and what is refused."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tensorweaver.errors import ArgumentError, LabelError, ShapeError
from tensorweaver.loss.arguments import refuse_labels
from tensorweaver.tensor.eager import EagerNamespace, eager_namespace

__all__ = [
    "Labels",
    "at_classes",
    "check_labels",
    "check_lengths",
    "each",
    "limited",
    "padded_labels",
    "to_classes",
]

#: More places than this need an index of 64 bits.
MOST_PLACES = 2**31 - 1


# --------------------------------------------------------------------------------------- refusals
def check_lengths(
    loss: str, name: str, given: Any, batch: int, longest: int, of: str, *, least: int = 0
) -> None:
    """A length for each sequence, or one for all, between `least` and `longest`."""
    shape = given if isinstance(given, tuple) else given.shape
    if shape not in {(), (1,), (batch,)}:
        message = f"{loss}: {name} must have shape ({batch},), one length a sequence, got {shape}"
        raise ShapeError(message)
    if isinstance(given, tuple):
        return
    bad = (given < least) | (given > longest)
    if bad.any():
        place = first_place(bad)
        message = (
            f"{loss}: {name}{place_text(place)} is {int(given[place])}, but {of} allow "
            f"{least} to {longest}"
        )
        raise ArgumentError(message)


def check_labels(loss: str, targets: Any, used: Any, classes: int, blank: int) -> None:
    """Refuse the first label that is used and is no class, or is the blank."""
    outside = used & ((targets < 0) | (targets >= classes))
    refuse_labels(loss, "targets", targets, outside, classes)
    is_blank = used & (targets == blank)
    if is_blank.any():
        place = first_place(is_blank)
        message = (
            f"{loss}: targets{place_text(place)} is {blank}, the blank, which is no label; "
            "drop it, or say which class is the blank with blank="
        )
        raise LabelError(message)


def first_place(bad: Any) -> tuple[int, ...]:
    """Where the first True is."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))


def place_text(place: tuple[int, ...]) -> str:
    """As an index is written; nothing for a single number."""
    return f"[{', '.join(map(str, place))}]" if place else ""


# ----------------------------------------------------------------------------------------- labels
class Labels(NamedTuple):
    """The labels of a batch of N sequences, padded to W.

    Attributes
    ----------
    xp
        The functions of the arrays' library.
    labels
        (N, W), of the dtype that indexes; 0 in the padding and where a label is no class.
    lengths
        (N,), how many of them count.
    steps
        (N,), how many steps of the predictions count.
    good
        (N,), whether all of the sequence's labels and lengths are what they must be.
    """

    xp: EagerNamespace
    labels: Any
    lengths: Any
    steps: Any
    good: Any


def padded_labels(
    predictions: Any,
    targets: Any,
    steps: Any,
    lengths: Any,
    sizes: tuple[int, int, int],
    blank: int,
) -> Labels:
    """The labels of tensors for `sizes = (N, longest steps, classes)`; a row of labels a sequence,
    or all labels one behind the other.
    """
    xp = eager_namespace(predictions.home)
    batch, longest, classes = sizes
    steps = each(xp, steps.array, batch)
    lengths = each(xp, lengths.array, batch)
    labels = xp.as_index(targets.array)
    if labels.ndim == 1:
        labels = rows_of(xp, labels, lengths)
    width = labels.shape[1]
    good = (steps >= 0) & (steps <= longest) & (lengths >= 0) & (lengths <= width)
    lengths, steps = limited(xp, lengths, width), limited(xp, steps, longest)
    if not width:
        none = xp.zeros_like(lengths)
        return Labels(xp, none[:, None], lengths, steps, good)
    used = xp.places_along(labels, 1) < lengths[:, None]
    sound = (labels >= 0) & (labels < classes) & (labels != blank)
    good = good & xp.all(sound | ~used, axis=1)
    labels = xp.where(used & sound, labels, xp.zeros_like(labels))
    return Labels(xp, labels, lengths, steps, good)


def each(xp: EagerNamespace, lengths: Any, batch: int) -> Any:
    """One length a sequence."""
    return xp.broadcast_to(xp.reshape(xp.as_index(lengths), (-1,)), (batch,))


def limited(xp: EagerNamespace, lengths: Any, most: int) -> Any:
    """Lengths that are in the array, whatever was given."""
    none = xp.zeros_like(lengths)
    return xp.where(lengths < 0, none, xp.where(lengths > most, none + most, lengths))


def rows_of(xp: EagerNamespace, labels: Any, lengths: Any) -> Any:
    """Concatenated labels as padded rows: as wide as the longest where that may be looked at, else
    as wide as all of them together.
    """
    size = labels.shape[0]
    known = xp.backend.visible(lengths)
    width = (int(xp.max(lengths)) if lengths.shape[0] else 0) if known else size
    if not size or not width:
        return xp.zeros_like(lengths)[:, None][:, :0]
    ends = xp.cumulative_sum(lengths)
    places = (ends - lengths)[:, None] + xp.reshape(xp.places(width, labels), (1, width))
    inside = xp.where((places < 0) | (places >= size), xp.zeros_like(places), places)
    return xp.reshape(xp.take(labels, xp.reshape(inside, (-1,)), axis=0), places.shape)


# ---------------------------------------------------------------------------------------- classes
def flat_places(xp: EagerNamespace, like: Any, labels: Any) -> Any:
    """Where the labels (N, W) lie in a flattened array (..., N, C): (..., N, W); None where the
    library cannot count so far.
    """
    *rest, batch, classes = like.shape
    if math.prod(like.shape) > MOST_PLACES and xp.index_dtype != xp.library.int64:
        return None
    rows = xp.reshape(xp.places(math.prod(rest) * batch, labels), (*rest, batch, 1))
    return rows * classes + labels


def at_classes(xp: EagerNamespace, x: Any, labels: Any) -> Any:
    """Of (T, N, C) what stands at the labels (N, W): (T, N, W)."""
    places = flat_places(xp, x, labels)
    if places is None:
        wanted = xp.broadcast_to(labels[None, :, :], (x.shape[0], *labels.shape))
        return xp.take_along_axis(x, wanted, axis=2)
    found = xp.take(xp.reshape(x, (-1,)), xp.reshape(places, (-1,)), axis=0)
    return xp.reshape(found, places.shape)


def to_classes(xp: EagerNamespace, like: Any, labels: Any, values: Any) -> Any:
    """Zeros shaped as `like` (T, N, C), plus `values` (T, N, W) at the labels (N, W), which may
    repeat.
    """
    places = flat_places(xp, like, labels) if scatters(xp, like) else None
    if places is not None:
        return xp.scatter_add(like, places, values)
    classes = xp.reshape(xp.places(like.shape[2], labels), (1, 1, -1))
    chosen = xp.astype(labels[:, :, None] == classes, like.dtype)
    return xp.permute_dims(xp.matmul(xp.permute_dims(values, (1, 0, 2)), chosen), (1, 0, 2))


def scatters(xp: EagerNamespace, array: Any) -> bool:
    """Whether the library can add to chosen places; see `scatter_add`."""
    can = (array, "at"), (array, "index_put_"), (getattr(xp.library, "add", None), "at")
    return any(hasattr(holder, name) for holder, name in can)
