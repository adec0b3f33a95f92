"""Which steps of a graph share a loop.

A row is walked in *passes*: each goes once over the row's elements and reduces some of them to row
values, which the next pass may need. Cross-entropy takes three: the maximum; the sum of
exponentials; the gradient. A pointwise graph is one pass, and rows of which nothing is asked but
their labels' elements take none.

Labels are read and written by index: the element at a row's label is computed from the inputs
there, and an element knows by its place in the row whether it is the label's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    category_of,
    constant,
    input_node,
    operation,
    replace,
    topological,
)
from tensorweaver.compiler.trace import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CLASS_INDEX",
    "Output",
    "Pass",
    "Schedule",
    "array_inputs",
    "by_index",
    "elements_read",
    "is_at_label",
    "scalar_inputs",
    "schedule",
]

CLASS_INDEX = input_node("class_index", Level.ELEMENT, "integral")
"""An element's place in its row."""

COSTS = {
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "log2", "log10", "tanh"), 20),
    **dict.fromkeys(("sinh", "cosh", "sin", "cos", "tan", "asin", "acos", "atan"), 40),
    **dict.fromkeys(("asinh", "acosh", "atanh", "logaddexp", "hypot", "pow", "atan2"), 40),
    **dict.fromkeys(("remainder", "floor_divide"), 40),
    **dict.fromkeys(("sqrt", "divide", "reciprocal"), 8),
}
WORTH_KEEPING = 16
"""What costs that much, in simple operations, is kept for the next pass, not computed again."""


def scalar_inputs(graph: Graph) -> list[Node]:
    """The inputs that are one number for the whole call, but for the number of classes."""
    return [n for n in graph.inputs if n.level is Level.SCALAR and n is not ROW_SIZE]


def array_inputs(graph: Graph) -> list[Node]:
    """The inputs that are arrays."""
    return [n for n in graph.inputs if n.level > Level.SCALAR and n is not CLASS_INDEX]


class Output(NamedTuple):
    """What becomes of one of a graph's outputs.

    Attributes
    ----------
    level
        The level of the array that it fills, which may be higher than its own.
    total
        Whether it is summed up instead, over all that its own level spans.
    """

    level: Level
    total: bool = False


class Pass(NamedTuple):
    """One walk over a row's elements.

    Attributes
    ----------
    reductions
        What is reduced over the elements.
    kept
        The elements' values that a later pass reads again.
    inputs
        The elements that are read.
    rows
        What is computed next from the row's values alone, in order.
    """

    reductions: tuple[Node, ...]
    kept: tuple[Node, ...]
    inputs: tuple[Node, ...]
    rows: tuple[Node, ...]


class Schedule(NamedTuple):
    """A graph in passes. Its outputs are stored in the last one, or after it.

    Attributes
    ----------
    graph
        The graph, labels by index.
    rows
        What is computed for a row before its first pass, in order.
    passes
        The walks over its elements.
    """

    graph: Graph
    rows: tuple[Node, ...]
    passes: tuple[Pass, ...]

    @property
    def order(self) -> list[Node]:
        """All nodes, arguments first."""
        return topological(self.graph.outputs)


def schedule(graph: Graph, outputs: tuple[Output, ...], *, keep: bool = True) -> Schedule:
    """The passes that compute a prepared graph.

    With `keep`, what is dear is computed once and kept beside the row; without, again in each pass.
    """
    graph = by_index(graph)
    order = topological(graph.outputs)
    ready = first_passes(order)
    stored = [
        node
        for node, output in zip(graph.outputs, outputs, strict=True)
        if Level.ELEMENT in ({node.level} if output.total else {output.level})
    ]
    reduced = [node for node in order if is_reduction(node)]
    count = max([ready[node] for node in reduced] + [ready[node] + 1 for node in stored], default=0)
    roots = [[node.arguments[0] for node in reduced if ready[node] == i + 1] for i in range(count)]
    if stored:
        roots[-1] += stored
    kept = what_to_keep(roots) if keep else {}
    rows = [node for node in order if node.level is Level.ROW and not is_reduction(node)]
    rows = [node for node in rows if node.arguments]
    passes = tuple(
        Pass(
            tuple(node for node in reduced if ready[node] == i + 1),
            tuple(node for node, first in kept.items() if first == i),
            tuple(inputs_read(roots[i], {node for node, first in kept.items() if first < i})),
            tuple(node for node in rows if ready[node] == i + 1),
        )
        for i in range(count)
    )
    return Schedule(graph, tuple(node for node in rows if ready[node] == 0), passes)


def is_reduction(node: Node) -> bool:
    return bool(node.arguments) and category_of(node.name) == "reduction"


def first_passes(order: list[Node]) -> dict[Node, int]:
    """For a row value the number of passes before it is known, for an element the first pass that
    can compute it.
    """
    ready: dict[Node, int] = {}
    for node in order:
        before = max((ready[argument] for argument in node.arguments), default=0)
        ready[node] = before + is_reduction(node)
    return ready


def what_to_keep(roots: list[list[Node]]) -> dict[Node, int]:
    """The elements' values that are dear and read in several passes, with the first of these."""
    kept: dict[Node, int] = {}
    seen: dict[Node, int] = {}
    for i, wanted in enumerate(roots):

        def leave(node: Node) -> bool:
            return node in seen and node.kind == "real" and cost(node) >= WORTH_KEEPING

        here = elements_read(wanted, leave)
        for node in here:
            if leave(node):
                kept.setdefault(node, seen[node])
        for node in here:
            seen.setdefault(node, i)
    return kept


def elements_read(wanted: list[Node], leave: Callable[[Node], bool]) -> dict[Node, None]:
    """The elements' values that `wanted` is computed from; from `leave` on no further."""
    found: dict[Node, None] = {}
    stack = list(wanted)
    while stack:
        node = stack.pop()
        if node.level is Level.ELEMENT and node not in found:
            found[node] = None
            if not leave(node):
                stack.extend(node.arguments)
    return found


def is_at_label(node: Node) -> bool:
    """Whether it tells if an element's place is the one that its row names."""
    return (
        node.name == "equal"
        and node.arguments[0] is CLASS_INDEX
        and node.arguments[1].level is Level.ROW
    )


def inputs_read(wanted: list[Node], known: set[Node]) -> list[Node]:
    found = elements_read(wanted, lambda node: node in known)
    return [node for node in found if node.name == "input" and node is not CLASS_INDEX]


def cost(node: Node) -> int:
    """What computing an element from the inputs costs, in simple operations."""
    inner = [n for n in topological([node]) if n.level is Level.ELEMENT and n.arguments]
    return sum(COSTS.get(n.name, 1) for n in inner)


# ------------------------------------------------------------------------------ labels by index
def by_index(graph: Graph) -> Graph:
    """The graph without `put_along_axis`, and with `take_along_axis` of inputs only."""
    found = replace(graph, index_node)
    inputs = (*found.inputs, CLASS_INDEX) if found.uses(CLASS_INDEX) else found.inputs
    return Graph(inputs, found.outputs, found.names)


def index_node(node: Node, arguments: tuple[Node, ...]) -> Node:
    if node.name == "put_along_axis":
        base, labels, value = arguments
        return operation("where", operation("equal", CLASS_INDEX, labels), value, base)
    if node.name == "take_along_axis":
        return at_label(arguments[0], arguments[1], {})
    if not arguments or arguments == node.arguments:
        return node
    return operation(node.name, *arguments)


def at_label(element: Node, labels: Node, done: dict[Node, Node]) -> Node:
    """What an element is at its row's label: the same operations on the inputs there."""
    if element.level is not Level.ELEMENT:
        return element
    if element not in done:
        done[element] = compute_at_label(element, labels, done)
    return done[element]


def compute_at_label(element: Node, labels: Node, done: dict[Node, Node]) -> Node:
    if element is CLASS_INDEX:
        return labels
    if element.name == "spread":
        return element.arguments[0]
    if element.name == "input":
        taken = operation("take_along_axis", element, labels)
        return operation("not_equal", taken, constant(0.0)) if element.kind == "boolean" else taken
    arguments = [at_label(argument, labels, done) for argument in element.arguments]
    if element.name == "equal" and arguments[0] is arguments[1] is labels:
        return constant(True)  # noqa: FBT003 - a number like any other
    if element.name == "where" and arguments[0].is_constant:
        return arguments[1] if arguments[0].value else arguments[2]
    return operation(element.name, *arguments)
