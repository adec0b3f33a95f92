"""What a loss can be asked, checked before anything is computed.

Every refusal names the loss, the argument, what came and what would be right.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.errors import ArgumentError, DTypeError, LabelError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.backends import Backend
    from tensorweaver.loss.formula import Formula, Role

__all__ = [
    "LABEL_DTYPES",
    "Described",
    "axis_number",
    "check_labels",
    "check_out",
    "check_reduction",
    "check_weights",
    "compute_dtype",
    "is_floating",
    "layout",
    "refuse_labels",
    "resolve_roles",
]

HALVES = {"float16", "bfloat16"}
FLOATS = ("float32", "float64")
LABEL_DTYPES = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}


class Described(NamedTuple):
    """An array argument without its numbers."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def is_floating(dtype: str) -> bool:
    """Whether arrays of that dtype can hold a gradient."""
    return dtype in HALVES or dtype in FLOATS


def resolve_roles(formula: Formula, arrays: Sequence[Described | None]) -> tuple[Role | None, ...]:
    """What each array argument holds; a `target` turns out to be labels or numbers."""
    resolved: list[Role | None] = []
    first = arrays[0]
    for name, described in zip(formula.array_names, arrays, strict=True):
        role: Role | None = formula.roles.get(name, "element")
        if described is None:
            role = None
        elif role == "target" and first is not None:
            role = target_role(formula.name, described, first)
        if role == "label" and described is not None:
            check_label_dtype(formula.name, described)
        resolved.append(role)
    return tuple(resolved)


def target_role(loss: str, targets: Described, first: Described) -> Role:
    """Integers without the class axis are labels; anything in the shape of `first` is a number an
    element. Neither broadcasts, for then one could be taken for the other.
    """
    if targets.shape == first.shape:
        return "element"
    if targets.dtype in LABEL_DTYPES:
        if len(targets.shape) != len(first.shape):
            return "label"
        message = (
            f"{loss}: {targets.name} of shape {targets.shape} does not fit {first.name} of shape "
            f"{first.shape}: labels have that shape without the class axis, probabilities exactly "
            "that shape"
        )
        raise ShapeError(message)
    message = (
        f"{loss}: {targets.name} of shape {targets.shape} and dtype {targets.dtype}: class labels "
        f"must be integers; probabilities need the shape {first.shape}"
    )
    labels_meant = len(targets.shape) == len(first.shape) - 1
    raise DTypeError(message) if labels_meant else ShapeError(message)


def check_label_dtype(loss: str, labels: Described) -> None:
    if labels.dtype not in LABEL_DTYPES:
        message = (
            f"{loss}: {labels.name} must be integer class indices, got {labels.dtype}; "
            "convert them to an integer dtype such as int64"
        )
        raise DTypeError(message)


def compute_dtype(formula: Formula, arrays: Sequence[Described | None]) -> tuple[str, str]:
    """The dtype that the loss is computed in, and the one that its elements are given in.

    The widest floating dtype among the positional arguments; half precision computes in float32.
    """
    for described in arrays[: len(formula.arguments)]:
        if described is not None and described.dtype.startswith("complex"):
            message = (
                f"{formula.name}: {described.name} is complex ({described.dtype}); use real numbers"
            )
            raise DTypeError(message)
    for name in formula.differentiable:
        described = next(a for a in arrays if a is not None and a.name == name)
        if not is_floating(described.dtype):
            message = (
                f"{formula.name}: {name} must be floating point, got {described.dtype}; "
                f"convert {name} to a floating dtype such as float32"
            )
            raise DTypeError(message)
    given = {
        a.dtype for a in arrays[: len(formula.arguments)] if a is not None and is_floating(a.dtype)
    }
    if given <= HALVES:
        return "float32", given.pop() if len(given) == 1 else "float32"
    widest = "float64" if "float64" in given else "float32"
    return widest, widest


def layout(
    formula: Formula, arrays: Sequence[Described | None], roles: Sequence[Role | None], axis: int
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The shape of the elements, the shape of the losses, and the class axis counted from the
    front.
    """
    first = arrays[0]
    if first is None:
        message = f"{formula.name}: {formula.arguments[0]} is missing"
        raise ArgumentError(message)
    full = first.shape
    if not formula.rowwise:
        for described in arrays[1:]:
            if described is not None:
                check_broadcast(formula.name, described, first, full)
        return full, full, 0
    classes_axis = check_axis(formula.name, first, axis)
    rows = full[:classes_axis] + full[classes_axis + 1 :]
    for described, role in zip(arrays[1:], roles[1:], strict=True):
        if described is None:
            continue
        if role in {"label", "row"}:
            check_rows(formula.name, described, first, rows, classes_axis)
        elif role == "class":
            check_classes(formula.name, described, full[classes_axis])
        else:
            check_broadcast(formula.name, described, first, full)
    return full, rows, classes_axis


def check_axis(loss: str, first: Described, axis: Any) -> int:
    rank = len(first.shape)
    if rank == 0:
        message = f"{loss}: {first.name} needs an axis of classes, got a single number"
        raise ShapeError(message)
    if not isinstance(axis, int) or not -rank <= axis < rank:
        message = f"{loss}: axis must be an integer from {-rank} to {rank - 1}, got {axis!r}"
        raise ArgumentError(message)
    if first.shape[axis] == 0:
        message = f"{loss}: {first.name} of shape {first.shape} has no classes on its axis {axis}"
        raise ShapeError(message)
    return int(axis) % rank


def axis_number(axis: Any) -> Any:
    """An integer of any kind as Python's; anything else as it is, for `check_axis` to refuse."""
    try:
        return operator.index(axis)
    except TypeError:
        return axis


def check_broadcast(loss: str, given: Described, first: Described, full: tuple[int, ...]) -> None:
    """An argument may be smaller than the predictions in whole axes, never make them larger."""
    if given.shape == full:
        return
    lacking = len(full) - len(given.shape)
    aligned = (1,) * lacking + given.shape
    if lacking < 0 or any(a not in {1, b} for a, b in zip(aligned, full, strict=True)):
        message = (
            f"{loss}: {given.name} of shape {given.shape} does not fit {first.name} of shape "
            f"{full}; give {given.name} the shape {full}, or one that broadcasts to it"
        )
        raise ShapeError(message)


def check_rows(
    loss: str, given: Described, first: Described, rows: tuple[int, ...], axis: int
) -> None:
    if given.shape != rows:
        message = (
            f"{loss}: {given.name} of shape {given.shape} does not fit {first.name} of shape "
            f"{first.shape} with its classes on axis {axis}; give {given.name} the shape {rows}"
        )
        raise ShapeError(message)


def check_classes(loss: str, given: Described, classes: int) -> None:
    if given.shape != (classes,):
        message = (
            f"{loss}: {given.name} holds one number a class: its shape must be ({classes},), "
            f"got {given.shape}"
        )
        raise ShapeError(message)


def check_labels(
    loss: str, name: str, labels: np.ndarray[Any, Any], classes: int, ignore_index: int | None
) -> bool:
    """Whether every label is a class; `LabelError` for the first that is neither a class nor the
    one to ignore.
    """
    if labels.dtype == np.int64 and labels.flags.c_contiguous:
        # Seen as unsigned, a negative label is huge: one pass finds both kinds of bad label.
        if np.maximum.reduce(labels.view(np.uint64), axis=None, initial=0) < classes:
            return True
    elif labels.size == 0 or (labels.min() >= 0 and labels.max() < classes):
        return True
    bad = (labels < 0) | (labels >= classes)
    if ignore_index is not None:
        bad &= labels != ignore_index
    ignored = "" if ignore_index is None else f" (or ignore_index={ignore_index})"
    refuse_labels(loss, name, labels, bad, classes, ignored)
    return False


def refuse_labels(
    loss: str,
    name: str,
    labels: np.ndarray[Any, Any],
    bad: np.ndarray[Any, Any],
    classes: int,
    besides: str = "",
) -> None:
    """`LabelError` for the first label that is bad; `besides` tells what is right too."""
    if not bad.any():
        return
    place = np.unravel_index(int(np.argmax(bad)), bad.shape)
    where = f"[{', '.join(str(int(i)) for i in place)}]" if place else ""
    message = (
        f"{loss}: {name}{where} is {int(labels[place])}, but the {classes} classes are "
        f"0 to {classes - 1}{besides}"
    )
    raise LabelError(message)


def leading(given: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...] | None:
    """`given` with ones behind it, where it is `full` or its first axes (each whole or 1); else
    None.
    """
    if len(given) > len(full):
        return None
    padded = given + (1,) * (len(full) - len(given))
    return padded if all(a in {1, b} for a, b in zip(padded, full, strict=True)) else None


def check_weights(loss: str, given: Described, losses: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `sample_weight` or `where` takes beside the losses: its axes are their first
    axes.
    """
    shape = leading(given.shape, losses)
    if shape is None:
        message = (
            f"{loss}: {given.name} of shape {given.shape} does not fit losses of shape {losses}; "
            f"give it that shape, or one number for each of the first axes"
        )
        raise ShapeError(message)
    if given.name == "where" and given.dtype != "bool":
        message = f"{loss}: where must be boolean, got {given.dtype}"
        raise DTypeError(message)
    if given.name == "sample_weight" and given.dtype.startswith("complex"):
        message = f"{loss}: sample_weight must be real, got {given.dtype}"
        raise DTypeError(message)
    return shape


def check_out(loss: str, out: Any, backend: Backend, like: Any) -> None:
    """`out` must be an array of the gradient's library, shape and dtype that can be written to."""
    if not backend.owns(type(out)):
        message = f"{loss}: out must be a {backend.name} array, got {type(out).__name__}"
        raise DTypeError(message)
    if tuple(out.shape) != tuple(like.shape):
        message = f"{loss}: out has shape {tuple(out.shape)}, the gradient {tuple(like.shape)}"
        raise ShapeError(message)
    if out.dtype != like.dtype:
        message = f"{loss}: out has dtype {out.dtype}, the gradient {like.dtype}"
        raise DTypeError(message)
    if not backend.writable(out):
        message = (
            f"{loss}: out cannot be written to (read-only, or a library whose arrays never change)"
        )
        raise ArgumentError(message)


def check_reduction(formula: Formula, reduction: Any) -> None:
    """One of the reductions that the loss knows."""
    if not isinstance(reduction, str) or reduction not in formula.reductions:
        known = ", ".join(repr(name) for name in formula.reductions)
        message = f"{formula.name}: reduction must be one of {known}, got {reduction!r}"
        raise ArgumentError(message)
