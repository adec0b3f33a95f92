"""Calls on arrays of another library than computes, ordered with that library's work on a GPU."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tensorweaver.backends.backend import BACKENDS
from tensorweaver.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["beside", "ordered"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def beside(arrays: Sequence[Any], options: dict[str, Any]) -> AbstractContextManager[Any]:
    """A context for a call with those arguments; see `Backend.beside`."""
    name = options["backend"]
    backend = BACKENDS.get(name) if isinstance(name, str) else None  # the call refuses others
    return nullcontext() if backend is None else backend.beside(list(given(arrays, options)))


def given(arrays: Sequence[Any], options: dict[str, Any]) -> Iterator[Any]:
    """Everything that may be an array, out of its Tensor."""
    for value in (*arrays, *options.values()):
        for each in value if isinstance(value, tuple | list) else (value,):
            yield each.data if isinstance(each, Tensor) else each


def ordered(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A method of a loss, which `backend=` may send to another library than its arrays'."""

    @functools.wraps(method)
    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if options.get("backend") is None:
            return method(*arguments, **options)
        with beside(arguments[1:], options):
            return method(*arguments, **options)

    return call
