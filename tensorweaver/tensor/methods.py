"""Operators and methods of a tensor, made from the table: each calls its function of `xp`."""

from collections.abc import Callable
from typing import Any, TypeVar

from tensorweaver.primitives import VOCABULARY
from tensorweaver.tensor.tape import Variable

__all__ = ["METHODS", "binary", "install_methods", "unary"]

Kind = TypeVar("Kind", bound=Variable)

#: What follows the array as `axis`, by position or by name.
OVER_AXES = (
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "var",
    "std",
    "cumulative_sum",
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "logsumexp",
)

#: What is no row of the table, or does not compute element by element.
COMPOSED = (
    "argsort",
    "broadcast_to",
    "clip",
    "diff",
    "expand_dims",
    "flip",
    "matmul",
    "moveaxis",
    "repeat",
    "roll",
    "sort",
    "take",
    "tile",
    "tril",
    "triu",
)

METHODS: tuple[str, ...] = (
    *(
        name
        for name, row in VOCABULARY.items()
        if row.kind in {"elementwise", "predicate", "rowwise", "label"} and name != "where"
    ),
    *OVER_AXES,
    *COMPOSED,
)
"""The functions that a tensor also has as methods."""


def binary(name: str) -> tuple[Callable[[Kind, Any], Kind], Callable[[Kind, Any], Kind]]:
    """An operator and its reflected form.

    What is no number, list or array is left to the other side.
    """

    def operator(self: Any, other: Any) -> Any:
        if not operand(other):
            return NotImplemented
        return getattr(self.__array_namespace__(), name)(self, other)

    def reflected(self: Any, other: Any) -> Any:
        if not operand(other):
            return NotImplemented
        return getattr(self.__array_namespace__(), name)(other, self)

    return operator, reflected


def operand(value: Any) -> bool:
    """Whether it may stand beside a tensor, as numbers, lists and arrays of any library may."""
    return isinstance(value, bool | int | float | list | tuple) or hasattr(value, "dtype")


def unary(name: str) -> Callable[[Kind], Kind]:
    """An operator on the tensor alone."""

    def operator(self: Any) -> Any:
        return getattr(self.__array_namespace__(), name)(self)

    return operator


def method(name: str) -> Callable[..., Any]:
    """The namespace's function, with the tensor as its first argument."""
    if name in OVER_AXES:

        def over_axes(self: Any, axis: Any = None, **options: Any) -> Any:
            if axis is not None:
                options["axis"] = axis
            return getattr(self.__array_namespace__(), name)(self, **options)

        return over_axes

    def on_tensor(self: Any, *values: Any, **options: Any) -> Any:
        return getattr(self.__array_namespace__(), name)(self, *values, **options)

    return on_tensor


def install_methods(cls: type) -> None:
    """Give a class every method of the list that it does not define itself."""
    for name in METHODS:
        if name not in vars(cls):
            function = method(name)
            function.__name__ = name
            function.__qualname__ = f"{cls.__qualname__}.{name}"
            function.__doc__ = f"`xp.{name}` of this tensor."
            setattr(cls, name, function)
