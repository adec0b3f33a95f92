"""A loss as it was written, and what its decorator said of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from tensorweaver.loss.domains import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorweaver.loss.domains import Domain

__all__ = ["Formula", "Role"]

Role = Literal["element", "row", "label", "class", "target"]
"""What an array argument holds: a number an element, a number a row, a class index a row, a number
a class; `target` is either class indices or a number an element, told apart by its dtype and
shape."""

COMMON_NAMES = {"reduction", "sample_weight", "where", "axis", "backend", "wrt", "out", "vector"}
COMMON_OPTIONS = {"reduction": "mean", "sample_weight": None, "where": None, "backend": None}
COMMON_REDUCTIONS = ("mean", "sum", "none")
MORE_REDUCTIONS = {"batchmean"}
KERNEL_NAMES = {"row_size", "seed", "count_seed", "class_index"}


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula and what its decorator said of it.

    Attributes
    ----------
    function
        Positional arguments are arrays, keyword arguments are options.
    rowwise
        Whether it reduces an axis of classes.
    domains
        What numbers arguments may hold, where that is less than all.
    composed
        Whether it is ordinary array code on Tensors, and no graph is made of it.
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
    optional
        The options that may be None whatever their default, because their annotation says so.
    reductions
        The reductions that it knows.
    check
        What refuses bad arguments of a composed formula; see `composed`.
    first_order
        A quicker way to the same losses that is differentiable once; see `composed`.
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
    optional: frozenset[str]
    reductions: tuple[str, ...]
    domains: Mapping[str, Domain] = field(default_factory=dict)
    composed: bool = False
    check: Callable[..., None] | None = None
    first_order: Callable[..., Any] | None = None
    variants: dict[Any, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.function.__name__

    @property
    def array_names(self) -> tuple[str, ...]:
        """All array arguments, positional first."""
        return self.arguments + self.array_options

    @property
    def takes_labels(self) -> bool:
        """Whether an argument holds class indices, or may."""
        return not {"label", "target"}.isdisjoint(self.roles.values())

    def public_signature(self) -> inspect.Signature:
        """The formula's signature with the options common to all losses."""
        parameters = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in self.arguments
        ]
        options = {**dict.fromkeys(self.array_options), **self.options}
        if self.rowwise:
            options["axis"] = -1
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in {**options, **COMMON_OPTIONS}.items()
        ]
        return inspect.Signature(parameters)

    @staticmethod
    def read(
        function: Callable[..., Any],
        *,
        rowwise: bool,
        arrays: tuple[str, ...],
        roles: Mapping[str, Role],
        wrt: tuple[str, ...] | None,
        reductions: tuple[str, ...],
        **more: Any,
    ) -> Formula:
        """What the function's signature says; `more` are further attributes."""
        if not hasattr(function, "__name__"):
            message = f"a loss is made of a function that has a name, got {function!r}"
            raise TypeError(message)
        name = function.__name__
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD} for p in parameters):
            message = f"{name}: a formula names all its arguments, without * and **"
            raise TypeError(message)
        positional = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if not positional:
            message = f"{name}: a formula needs an argument that is an array"
            raise TypeError(message)
        for argument in (*arrays, *roles, *(wrt or ())):
            if argument not in {*positional, *keywords}:
                message = f"{name} has no argument {argument!r}"
                raise TypeError(message)
        refuse_taken(name, (*positional, *keywords), (*positional, *arrays))
        refuse_misplaced(name, positional, arrays, roles, wrt or ())
        refuse_unknown_domains(name, more.get("domains", {}), (*positional, *arrays))
        for reduction in reductions:
            if reduction not in {*COMMON_REDUCTIONS, *MORE_REDUCTIONS}:
                known = ", ".join(map(repr, sorted(MORE_REDUCTIONS)))
                message = f"{name}: no reduction is called {reduction!r}; there is {known}"
                raise ValueError(message)
        options = {key: default for key, default in keywords.items() if key not in arrays}
        return Formula(
            function,
            rowwise,
            positional,
            arrays,
            dict(roles),
            wrt or positional[:1],
            options,
            frozenset(p.name for p in parameters if "None" in str(p.annotation)),
            tuple(dict.fromkeys((*COMMON_REDUCTIONS, *reductions))),
            **more,
        )


def refuse_misplaced(
    loss: str,
    positional: tuple[str, ...],
    arrays: tuple[str, ...],
    roles: Mapping[str, Role],
    wrt: tuple[str, ...],
) -> None:
    """Refuse what a decorator cannot say of an argument."""
    for name in arrays:
        if name in positional:
            message = f"{loss}: {name} is positional, so an array already; leave it out of arrays"
            raise TypeError(message)
    for name, role in roles.items():
        if role not in get_args(Role):
            known = ", ".join(map(repr, get_args(Role)))
            message = f"{loss}: the role of {name} must be one of {known}, got {role!r}"
            raise ValueError(message)
        if name not in {*positional, *arrays}:
            message = f"{loss}: {name} is an option, not an array; it has no role"
            raise TypeError(message)
    for name in wrt:
        if name not in positional or roles.get(name) == "label":
            message = f"{loss}: wrt names positional arguments that hold real numbers, not {name}"
            raise TypeError(message)


def refuse_unknown_domains(loss: str, domains: Mapping[str, str], arrays: tuple[str, ...]) -> None:
    """Refuse domains of what is no array, and those that nobody knows."""
    for name, domain in domains.items():
        if name not in arrays:
            message = f"{loss}: {name} is no array; it has no domain"
            raise TypeError(message)
        if domain not in DOMAINS:
            known = ", ".join(map(repr, DOMAINS))
            message = f"{loss}: the domain of {name} must be one of {known}, got {domain!r}"
            raise ValueError(message)


def refuse_taken(loss: str, names: tuple[str, ...], arrays: tuple[str, ...]) -> None:
    """Refuse the names that every loss has already, and those that kernels add to the arrays."""
    for name in names:
        inside = name in arrays and (name in KERNEL_NAMES or name.startswith("vector_"))
        if name in COMMON_NAMES or inside:
            message = (
                f"{loss}: an argument cannot be called {name!r}: every loss uses that name itself"
            )
            raise TypeError(message)
