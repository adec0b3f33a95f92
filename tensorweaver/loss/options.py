"""The options of a call, checked, and frozen so that plans can be kept by them."""

from __future__ import annotations

import inspect
import math
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensorweaver.loss.formula import Formula

__all__ = ["Option", "check_held", "chosen_options", "frozen", "thawed"]

HELD = {"float32": (2.0**-150, 2.0**128 - 2.0**103)}
"""Up to the first a number is rounded to 0, from the second on to infinity."""


class Option(NamedTuple):
    """One option.

    The text tells apart what is equal and yet not the same: True, 1 and 1.0; 0.0 and -0.0.
    """

    name: str
    value: Any
    text: str


def frozen(options: Mapping[str, Any]) -> tuple[Option, ...]:
    """Options as a key."""
    return tuple([Option(name, value, repr(value)) for name, value in options.items()])


def thawed(options: tuple[Option, ...]) -> dict[str, Any]:
    """Frozen options by name."""
    return {option.name: option.value for option in options}


def chosen_options(formula: Formula, given: Mapping[str, Any]) -> tuple[Option, ...]:
    """The formula's own options, given or default, checked and frozen."""
    plain = {name: plain_number(value) for name, value in given.items()}
    for name, value in plain.items():
        check_option(formula, name, value)
    options = {**formula.options, **plain}
    for name, value in options.items():
        if value is inspect.Parameter.empty:
            message = f"{formula.name}() needs the option {name!r}: it has no default"
            raise TypeError(message)
    return frozen(options)


def plain_number(value: Any) -> Any:
    """An array without axes as the number that it holds; everything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def check_option(formula: Formula, name: str, value: Any) -> None:
    """Refuse arrays, and what is no number where the default is one; an option annotated `Any` is
    left to the formula.
    """
    default = formula.options[name]
    if value is None and name in formula.optional:
        return
    if hasattr(value, "shape") or isinstance(value, list | dict | set):
        message = (
            f"{formula.name}: {name} must be a number or a string, got {type(value).__name__} "
            f'(a formula of your own may take it: arrays=("{name}",) in its decorator)'
        )
        raise ArgumentError(message)
    if name == "ignore_index" and formula.takes_labels:
        fits = value is None or (whole(value) and -(2**63) <= value < 2**63)
        wanted = "an integer of 64 bits or None" if whole(value) else "an integer or None"
    elif isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "True or False"
    elif isinstance(default, int | float):
        fits, wanted = isinstance(value, Real) and not isinstance(value, bool), "a number"
    else:
        return
    if not fits and not checks_itself(formula, name):
        message = f"{formula.name}: {name} must be {wanted}, got {value!r}"
        raise ArgumentError(message)


def check_held(formula: Formula, options: tuple[Option, ...], dtype: str) -> None:
    """Refuse a number that the dtype of the computation would make 0 or infinite: the formula,
    which may divide by it, has been told that it is neither.
    """
    if dtype not in HELD:
        return
    least, largest = HELD[dtype]
    for option in options:
        value = option.value
        if not isinstance(value, int | float) or value in {0, math.inf, -math.inf}:
            continue
        if abs(value) <= least or abs(value) >= largest:
            would_be = "0" if abs(value) <= least else "infinity"
            message = (
                f"{formula.name}: {option.name} must be a number that {dtype} has, got "
                f"{value!r}, which would be {would_be}; pass arrays of float64"
            )
            raise ArgumentError(message)


def checks_itself(formula: Formula, name: str) -> bool:
    """Whether the formula says that values of any kind may come, whatever the default is."""
    annotation = inspect.signature(formula.function).parameters[name].annotation
    return annotation is Any or annotation == "Any"


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
