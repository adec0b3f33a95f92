"""`tensor[key]`, and the way back to the places that were read."""

from math import isnan
from types import EllipsisType
from typing import Any, TypeVar

from tensorweaver.backends import Array
from tensorweaver.errors import ArgumentError
from tensorweaver.tensor.recording import Recorder, stripped
from tensorweaver.tensor.scatter import scatter_into_slices
from tensorweaver.tensor.tape import Variable, is_grad_enabled

__all__ = ["read_items"]

Kind = TypeVar("Kind", bound=Variable)


def read_items(recorder: Recorder[Kind], x: Kind, key: Any) -> Kind:
    """The elements that a key of numbers, slices, `...`, `None`, integer arrays or a mask names."""
    xp, array = recorder.eager, x.array
    parts = tuple(
        as_part(recorder, array, part) for part in (key if isinstance(key, tuple) else (key,))
    )
    if not all(is_basic(part) for part in parts):
        if x.tracked and is_grad_enabled() and has_unknown_shape(array[parts]):
            message = (
                f"indexing with a mask has no gradient on {recorder.home.label}, "
                "where the result's shape is unknown: use xp.where(mask, x, 0)"
            )
            raise ArgumentError(message)
        return recorder.select(x, lambda source: source[parts])
    parts = completed(parts, array.ndim)

    def scattered(g: Array) -> Array:
        return scatter_into_slices(xp, xp.zeros_like(array, dtype=g.dtype), parts, g)

    return recorder.linear(x, lambda source: source[parts], scattered)


def as_part(recorder: Recorder[Any], x: Array, part: Any) -> Any:
    """One part of a key: tensors, lists and arrays as what the library indexes `x` with."""
    part = stripped(part)
    if is_basic(part) or isinstance(part, bool):
        return part
    array = recorder.beside(part, x)
    return array if recorder.eager.isdtype(array.dtype, "bool") else recorder.eager.as_index(array)


def is_basic(part: Any) -> bool:
    """Whether the part reads a block rather than scattered elements."""
    if isinstance(part, bool):
        return False
    return part is None or isinstance(part, int | slice | EllipsisType)


def completed(parts: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """The key with the trailing ellipsis that the standard wants."""
    named = sum(part is not None and part is not Ellipsis for part in parts)
    return parts if Ellipsis in parts or named == ndim else (*parts, Ellipsis)


def has_unknown_shape(array: Array) -> bool:
    """Dask does not know how many elements a mask keeps."""
    return any(size is None or isnan(size) for size in array.shape)
