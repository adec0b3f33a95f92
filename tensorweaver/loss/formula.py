"""A loss as it was written, and what its decorator said of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Formula", "Role"]

Role = Literal["element", "row", "label", "class", "target"]
"""What an array argument holds: a number an element, a number a row, a class index a row, a number
a class; `target` is either class indices or a number an element, told apart by its dtype and
shape."""

COMMON_NAMES = {"reduction", "sample_weight", "where", "axis", "backend", "wrt", "out"}
KERNEL_NAMES = {"row_size", "seed", "count_seed"}


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula and what its decorator said of it.

    Attributes
    ----------
    function
        Positional arguments are arrays, keyword arguments are options.
    rowwise
        Whether it reduces an axis of classes.
    arguments
        The positional arguments' names.
    array_options
        The names of keyword arguments that are arrays when given.
    roles
        What each array argument holds; `element` where nothing is said.
    differentiable
        The arguments that `.grad` differentiates by.
    options
        The keyword options and their defaults.
    reductions
        The reductions that it knows.
    variants
        Its graphs, by the way of calling it; `variant_of` fills it.
    """

    function: Callable[..., Any]
    rowwise: bool
    arguments: tuple[str, ...]
    array_options: tuple[str, ...]
    roles: Mapping[str, Role]
    differentiable: tuple[str, ...]
    options: Mapping[str, Any]
    reductions: tuple[str, ...]
    variants: dict[Any, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.function.__name__

    @property
    def array_names(self) -> tuple[str, ...]:
        """All array arguments, positional first."""
        return self.arguments + self.array_options

    @staticmethod
    def read(
        function: Callable[..., Any],
        *,
        rowwise: bool,
        arrays: tuple[str, ...],
        roles: Mapping[str, Role],
        wrt: tuple[str, ...] | None,
        reductions: tuple[str, ...],
    ) -> Formula:
        """What the function's signature says."""
        parameters = inspect.signature(function).parameters.values()
        positional = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        unknown = [
            name for name in (*arrays, *roles, *(wrt or ())) if name not in {*positional, *keywords}
        ]
        if unknown:
            message = f"{function.__name__} has no argument {unknown[0]!r}"
            raise TypeError(message)
        refuse_taken(function.__name__, (*positional, *keywords), (*positional, *arrays))
        options = {name: default for name, default in keywords.items() if name not in arrays}
        return Formula(
            function,
            rowwise,
            positional,
            arrays,
            dict(roles),
            wrt or positional[:1],
            options,
            reductions,
        )


def refuse_taken(loss: str, names: tuple[str, ...], arrays: tuple[str, ...]) -> None:
    """Refuse the names that every loss has already, and those that kernels add to the arrays."""
    for name in names:
        inside = name in arrays and (name in KERNEL_NAMES or name.startswith("vector_"))
        if name in COMMON_NAMES or inside:
            message = (
                f"{loss}: an argument cannot be called {name!r}: every loss uses that name itself"
            )
            raise TypeError(message)
