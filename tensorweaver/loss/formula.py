"""A loss as it was written, and the graphs that come of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tensorweaver.compiler.compile import (
    gradient_graph,
    hessian_diagonal_graph,
    hessian_product_graph,
    mean_gradient_graph,
    trace_formula,
    weave,
)
from tensorweaver.compiler.graph import Graph, Level, Node, constant, input_node, operation
from tensorweaver.compiler.trace import ROW_SIZE
from tensorweaver.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorweaver.backends import Backend
    from tensorweaver.compiler.kernel import Kernel

__all__ = ["Formula", "Role", "Variant", "VariantKey"]

Role = Literal["element", "row", "label", "class", "target"]
"""What an array argument holds: a number an element, a number a row, a class index a row, a number
a class; `target` is either class indices or a number an element, told apart by its dtype and
shape."""

ONE = constant(1.0)
VARIANTS_KEPT = 256

COMMON_NAMES = {"reduction", "sample_weight", "where", "axis", "backend", "wrt", "out"}
KERNEL_NAMES = {"row_size", "seed", "count_seed"}


class VariantKey(NamedTuple):
    """What a formula's graph depends on: never a shape, a dtype or a backend."""

    roles: tuple[Role | None, ...]  # one for each array argument; None where it was not given
    weighted: bool
    masked: bool
    poisoned: bool
    options: tuple[tuple[str, Any], ...]


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
    """

    function: Callable[..., Any]
    rowwise: bool
    arguments: tuple[str, ...]
    array_options: tuple[str, ...]
    roles: Mapping[str, Role]
    differentiable: tuple[str, ...]
    options: Mapping[str, Any]
    reductions: tuple[str, ...]
    variants: dict[VariantKey, Variant] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.function.__name__

    @property
    def array_names(self) -> tuple[str, ...]:
        """All array arguments, positional first."""
        return self.arguments + self.array_options

    def variant(self, key: VariantKey) -> Variant:
        """The graphs for one way of calling the formula, traced once."""
        found = self.variants.get(key)
        if found is None:
            if len(self.variants) >= VARIANTS_KEPT:
                self.variants.clear()
            found = self.variants[key] = Variant(self, key)
        return found

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


class Variant:
    """The graphs of a formula for one way of calling it, each made on first use.

    `value` has two outputs: the loss of each element or row, and how much of it a mean counts.
    """

    def __init__(self, formula: Formula, key: VariantKey) -> None:
        self.formula = formula
        self.graphs: dict[Any, Graph] = {}
        self.kernels: dict[Any, Kernel] = {}
        self.nodes: dict[str, Node] = {}
        self.value = self.trace(key)
        self.level = max(
            self.value.outputs[0].level, Level.ELEMENT if not formula.rowwise else Level.ROW
        )

    def trace(self, key: VariantKey) -> Graph:
        formula = self.formula
        seen: dict[str, Node | None] = {}
        poison = ONE
        for name, role in zip(formula.array_names, key.roles, strict=True):
            if role is None:
                seen[name] = None
                continue
            seen[name] = node = self.nodes[name] = input_for(name, role)
            if role == "label" and key.poisoned:
                valid = valid_labels(node, dict(key.options).get("ignore_index"))
                seen[name] = operation("where", valid, node, constant(0))
                poison = operation("where", valid, constant(1.0), constant(float("nan")))
        positional = [seen[name] for name in formula.arguments]
        options = {name: seen[name] for name in formula.array_options} | dict(key.options)
        traced = trace_formula(formula.function, positional, **options)
        value = traced.outputs[0]
        if value.level is Level.SCALAR:
            message = f"{formula.name}: the formula does not depend on its arguments"
            raise TraceError(message)
        count = traced.outputs[1] if len(traced.outputs) > 1 else ONE
        if poison is not ONE:
            value = operation("multiply", poison, value)
        level = max(value.level, Level.ROW if formula.rowwise else Level.ELEMENT)
        if key.weighted:
            weight = self.nodes["sample_weight"] = input_node("sample_weight", level)
            value = operation("multiply_no_nan", value, weight)
            count = operation("multiply", count, weight)
        if key.masked:
            mask = self.nodes["where"] = input_node("where", level, "boolean")
            value = operation("where", mask, value, constant(0.0))
            count = operation("where", mask, count, constant(0.0))
        return Graph((*self.nodes.values(), ROW_SIZE), (value, count), traced.names)

    def counts(self, name: str) -> bool:
        """Whether what a mean divides by depends on the argument."""
        return self.value.with_outputs(self.value.outputs[1]).uses(self.nodes[name])

    def graph(
        self, kind: str, wrt: tuple[str, ...] = (), along: tuple[str, ...] | None = None
    ) -> Graph:
        """One of the derivative graphs: see `make_graph`."""
        key = (kind, wrt, along)
        if key not in self.graphs:
            directions = [self.nodes[name] for name in (wrt if along is None else along)]
            self.graphs[key] = self.make_graph(kind, [self.nodes[name] for name in wrt], directions)
        return self.graphs[key]

    def make_graph(self, kind: str, wrt: list[Node], along: list[Node]) -> Graph:
        loss, count = self.value.outputs
        if kind == "value":
            return self.value.with_outputs(loss)
        if kind == "count":
            return self.value.with_outputs(count)
        if kind == "gradient":
            return gradient_graph(self.value, wrt, value=False)
        if kind == "value_and_gradient":
            return gradient_graph(self.value, wrt)
        if kind == "pullback":  # the cotangent is an array: one number for each loss
            seed = input_node("seed", self.level)
            return gradient_graph(self.value, wrt, seed, value=False)
        if kind == "mean_gradient":
            return mean_gradient_graph(self.value, wrt)
        if kind == "hessian_diagonal":
            return hessian_diagonal_graph(self.value, wrt[0])
        return hessian_product_graph(self.value, along, wrt)

    def kernel(
        self,
        kind: str,
        wrt: tuple[str, ...],
        backend: Backend,
        dtype: str,
        label_dtype: str | None,
        device: Any,
        axis: int,
        along: tuple[str, ...] | None = None,
    ) -> Kernel:
        """A woven graph; its inputs are this variant's, then `row_size`, then what the kind adds."""
        key = (kind, wrt, along, backend.name, dtype, label_dtype, device, axis)
        found = self.kernels.get(key)
        if found is None:
            graph = self.graph(kind, wrt, along)
            found = self.kernels[key] = weave(
                graph, backend, dtype, label_dtype=label_dtype, device=device, axis=axis
            )
        return found


def refuse_taken(loss: str, names: tuple[str, ...], arrays: tuple[str, ...]) -> None:
    """The names that every loss has already, and those that kernels have beside a formula's arrays."""
    for name in names:
        inside = name in arrays and (name in KERNEL_NAMES or name.startswith("vector_"))
        if name in COMMON_NAMES or inside:
            message = (
                f"{loss}: an argument cannot be called {name!r}: every loss uses that name itself"
            )
            raise TypeError(message)


def input_for(name: str, role: Role) -> Node:
    if role == "label":
        return input_node(name, Level.ROW, "integral")
    return input_node(name, Level.ROW if role == "row" else Level.ELEMENT)


def valid_labels(labels: Node, ignore_index: int | None) -> Node:
    """Where a label is one of the classes, or the one to ignore."""
    not_negative = operation("greater_equal", labels, constant(0))
    inside = operation("logical_and", not_negative, operation("less", labels, ROW_SIZE))
    if ignore_index is None:
        return inside
    return operation("logical_or", inside, operation("equal", labels, constant(ignore_index)))
