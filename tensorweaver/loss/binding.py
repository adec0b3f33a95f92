"""A call's arrays, given by place or by name, in the order of the formula's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.errors import ArgumentError
from tensorweaver.loss.formula import COMMON_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.loss.formula import Formula

__all__ = ["bind", "check_given", "refuse_twice"]


def bind(formula: Formula, arrays: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    """The arrays, those given by name behind the others; they leave `options`."""
    names = formula.arguments
    refuse_twice(formula, [name for name in names[: len(arrays)] if name in options])
    rest = names[len(arrays) :]
    missing = [name for name in rest if name not in options]
    if len(arrays) > len(names) or missing:
        message = f"{formula.name}() takes {', '.join(names)}: "
        if missing:
            message += f"{missing[0]} is missing"
            known = {*names, *formula.options, *formula.array_options, *COMMON_NAMES}
            strange = [repr(name) for name in options if name not in known]
            message += f", and there is no argument {strange[0]}" if strange else ""
        else:
            message += f"got {len(arrays)} arrays"
        raise TypeError(message)
    return (*arrays, *[options.pop(name) for name in rest])


def refuse_twice(formula: Formula, names: Sequence[str]) -> None:
    """Refuse arguments given by place and by name."""
    for name in names:
        if name in formula.arguments:
            message = f"{formula.name}() got {name} twice, by its place and by its name"
            raise TypeError(message)


def check_given(formula: Formula, values: Sequence[Any]) -> None:
    """Refuse None where an array has to be."""
    for name, value in zip(formula.arguments, values, strict=False):
        if value is None:
            message = f"{formula.name}: {name} is None; give it an array"
            raise ArgumentError(message)
