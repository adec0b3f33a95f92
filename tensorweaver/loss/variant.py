"""The graphs of a formula, for one way of calling it."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.compiler.compile import (
    gradient_graph,
    hessian_diagonal_graph,
    hessian_product_graph,
    mean_gradient_graph,
    prepare,
    reduces_rows,
    trace_formula,
    weave,
)
from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    as_boolean,
    as_real,
    constant,
    input_node,
    operation,
    topological,
)
from tensorweaver.compiler.trace import ROW_SIZE, namespace, unwrap, wrap
from tensorweaver.errors import TraceError
from tensorweaver.loss.domains import DOMAINS
from tensorweaver.loss.options import Option, thawed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorweaver.compiler.kernel import Kernel, Setting
    from tensorweaver.loss.formula import Formula, Role

__all__ = ["Variant", "VariantKey", "variant_of"]

ONE = constant(1.0)
NAN = constant(math.nan)
MOST_OUTPUTS = 2
VARIANTS_KEPT = 256


class VariantKey(NamedTuple):
    """What a formula's graph depends on: never a shape, a dtype or a backend."""

    roles: tuple[Role | None, ...]  # one for each array argument; None where it was not given
    weighted: bool
    masked: bool
    poisoned: bool
    options: tuple[Option, ...]


class Variant:
    """The graphs of a formula for one way of calling it, each made on first use.

    `value` has two outputs: the loss of each element or row, and how much of it a mean counts.
    """

    def __init__(self, formula: Formula, key: VariantKey) -> None:
        self.formula = formula
        self.graphs: dict[Any, Graph] = {}
        self.kernels: dict[Any, Kernel] = {}
        self.nodes: dict[str, Node] = {}
        self.counted: dict[str, bool] = {}
        self.value = self.trace(key)
        loss = self.value.with_outputs(self.value.outputs[0])
        self.last_step = prepare(loss).outputs[0].name
        self.level = max(
            self.value.outputs[0].level, Level.ELEMENT if not formula.rowwise else Level.ROW
        )

    def trace(self, key: VariantKey) -> Graph:
        """Call the formula, and put poison, weights and mask round what it gives."""
        formula = self.formula
        seen: dict[str, Node | None] = {}
        poison = ONE
        for name, role in zip(formula.array_names, key.roles, strict=True):
            if role is None:
                seen[name] = None
                continue
            seen[name] = node = self.nodes[name] = input_for(name, role)
            if role == "label" and key.poisoned:
                valid = valid_labels(node, thawed(key.options).get("ignore_index"))
                seen[name] = operation("where", valid, node, constant(0))
                poison = operation("where", valid, constant(1.0), constant(float("nan")))
        positional = [seen[name] for name in formula.arguments]
        options = {name: seen[name] for name in formula.array_options} | thawed(key.options)
        traced = trace_formula(formula.function, positional, **options)
        check_traced(formula, traced)
        value = traced.outputs[0]
        if not any(node in self.nodes.values() for node in topological([value])):
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
        if value.level is Level.ELEMENT and count.level is Level.ROW:
            count = operation("multiply", count, ROW_SIZE)  # each element counts that much
        return Graph((*self.nodes.values(), ROW_SIZE), (value, count), traced.names)

    @property
    def gives_input(self) -> bool:
        """Whether the losses are an argument as it came, and not an array of their own."""
        return self.last_step == "input"

    @property
    def repeats(self) -> bool:
        """Whether the loss of an element is one number a row, and kernels give it once a row."""
        return self.last_step == "spread"

    def watching(self, graph: Graph) -> Graph:
        """A graph that begins with the losses, which now are NaN where a number outside its domain
        counts; behind all else how many of a row's labels are none of the classes.
        """
        losses, *others = graph.outputs
        for node in self.outside_domains():
            if losses.level is Level.ELEMENT:
                losses = operation("where", node, NAN, losses)
            else:
                poison = operation("where", node, NAN, constant(0.0))
                losses = operation("add", losses, operation("sum", poison))
        labels = [node for node in self.nodes.values() if node.kind == "integral"]
        strangers = [as_real(operation("logical_not", valid_labels(n, None))) for n in labels]
        if strangers:
            others.append(functools.reduce(functools.partial(operation, "add"), strangers))
        return graph.with_outputs(losses, *others)

    def outside_domains(self) -> Iterator[Node]:
        """Where a number counts that its argument may not hold."""
        counts = []
        if "sample_weight" in self.nodes:
            counts.append(as_boolean(self.nodes["sample_weight"]))
        if "where" in self.nodes:
            counts.append(self.nodes["where"])
        for name, domain in self.formula.domains.items():
            node = self.nodes.get(name)
            if node is not None and node.kind == "real":
                outside = unwrap(DOMAINS[domain].outside(namespace, wrap(node)))
                yield functools.reduce(functools.partial(operation, "logical_and"), counts, outside)

    def counts(self, name: str) -> bool:
        """Whether what a mean divides by depends on the argument."""
        found = self.counted.get(name)
        if found is None:
            count = self.value.with_outputs(self.value.outputs[1])
            found = self.counted[name] = count.uses(self.nodes[name])
        return found

    def graph(
        self, kind: str, wrt: tuple[str, ...] = (), along: tuple[str, ...] | None = None
    ) -> Graph:
        """One of the derivative graphs: see `make_graph`."""
        key = (kind, wrt, along)
        if key not in self.graphs:
            directions = [self.nodes[name] for name in (wrt if along is None else along)]
            self.graphs[key] = self.make_graph(kind, [self.nodes[name] for name in wrt], directions)
        return self.graphs[key]

    def make_graph(self, kind: str, wrt: list[Node], along: list[Node]) -> Graph:  # noqa: PLR0911
        """The graph of one kind of thing; its inputs are the variant's, then what the kind adds."""
        loss, count = self.value.outputs
        if kind == "value":
            return self.value.with_outputs(loss)
        if kind == "count":
            return self.value.with_outputs(count)
        if kind == "counted_value":
            return self.value.with_outputs(count, loss)
        if kind == "gradient":
            return gradient_graph(self.value, wrt, value=False)
        if kind == "value_and_gradient":
            return gradient_graph(self.value, wrt)
        if kind == "pullback":  # the cotangent is an array: one number for each loss
            seed = input_node("seed", self.level)
            graph = gradient_graph(self.value, wrt, seed, value=False)
            return graph.with_outputs(*(unless_zero(seed, slope) for slope in graph.outputs))
        if kind == "mean_gradient":
            return mean_gradient_graph(self.value, wrt)
        if kind == "hessian_diagonal":
            return hessian_diagonal_graph(self.value, wrt[0])
        return hessian_product_graph(self.value, along, wrt)

    def kernel(
        self,
        setting: Setting,
        kind: str,
        wrt: tuple[str, ...] = (),
        along: tuple[str, ...] | None = None,
    ) -> Kernel:
        """A woven graph, which takes this variant's inputs, `row_size`, and what the kind adds."""
        key = (setting, kind, wrt, along)
        found = self.kernels.get(key)
        if found is None:
            found = self.kernels[key] = weave(self.graph(kind, wrt, along), setting)
        return found


def variant_of(formula: Formula, key: VariantKey) -> Variant:
    """The graphs for one way of calling the formula, traced once."""
    found: Variant | None = formula.variants.get(key)
    if found is None:
        if len(formula.variants) >= VARIANTS_KEPT:
            formula.variants.clear()
        found = formula.variants[key] = Variant(formula, key)
    return found


def check_traced(formula: Formula, traced: Graph) -> None:
    """Refuse what a formula's decorator does not allow it to give."""
    if not formula.rowwise and reduces_rows(traced):
        message = f"{formula.name}: a pointwise formula cannot reduce: decorate it with @rowwise"
        raise TraceError(message)
    if len(traced.outputs) > MOST_OUTPUTS:
        message = (
            f"{formula.name}: a formula gives a loss, or a loss and a count, "
            f"not {len(traced.outputs)} values"
        )
        raise TraceError(message)


def input_for(name: str, role: Role) -> Node:
    if role == "label":
        return input_node(name, Level.ROW, "integral")
    return input_node(name, Level.ROW if role == "row" else Level.ELEMENT)


def unless_zero(seed: Node, slope: Node) -> Node:
    """A slope that is 0 where its cotangent is, whatever the loss holds there."""
    if slope.level < seed.level:
        return slope
    nothing = operation("equal", seed, constant(0.0))
    return operation("where", nothing, constant(0.0), slope)


def valid_labels(labels: Node, ignore_index: int | None) -> Node:
    """Where a label is one of the classes, or the one to ignore."""
    not_negative = operation("greater_equal", labels, constant(0))
    inside = operation("logical_and", not_negative, operation("less", labels, ROW_SIZE))
    if ignore_index is None:
        return inside
    return operation("logical_or", inside, operation("equal", labels, constant(ignore_index)))
