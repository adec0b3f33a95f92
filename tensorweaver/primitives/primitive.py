"""What is true of one operation: a row of the table that every other part of the library reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Kind", "Primitive", "Rule"]

Kind = Literal["elementwise", "predicate", "reduction", "rowwise", "label", "shape"]

Rule = Callable[..., Any]
"""`rule(xp, g, out, *args, **options)` gives the cotangent of one argument from `g`, the cotangent
of `out`.

It is written against the namespace it is handed: on arrays it computes a gradient, on traced values
it builds the gradient's graph, and applied twice it builds the Hessian's. It must be linear in `g`
and must not look at `g`'s value.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """One operation.

    Attributes
    ----------
    name
        The array API's name where the standard has one.
    rules
        One derivative rule an argument; `None` where the argument has no derivative (a condition, a
        label). Broadcasting is not the rule's business: whoever applies it sums back to the
        argument's shape.
    kind
        `elementwise`, `predicate` (elementwise, boolean result), `reduction` (over axes), `rowwise`
        (same shape, but each result depends on its whole row), `label` (reads or writes one place a
        row), `shape`.
    formula
        `formula(xp, *args, **options)`, for what the standard does not have or does not do exactly:
        the operation in simpler primitives.
    diagonal
        For `rowwise`: `diagonal(xp, out, *args, **options)`, the derivative of each result by the
        element in its place.
    domain
        The interval the tests draw arguments from, one for all or one an argument.
    """

    name: str
    rules: tuple[Rule | None, ...]
    kind: Kind = "elementwise"
    formula: Callable[..., Any] | None = None
    diagonal: Callable[..., Any] | None = None
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),)

    @property
    def arity(self) -> int:
        """How many arrays it takes."""
        return len(self.rules)
