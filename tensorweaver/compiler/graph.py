"""What a formula does, as a graph of interned nodes.

A node stands for a value at one of three levels: a *scalar* (one for the whole call), a *row* (one
for each row of classes), an *element*. An operation on several levels broadcasts to the highest, so
that a graph knows no shapes and serves every size of input. Equal nodes are the same object, so
equality is identity and common subexpressions are shared by construction.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from tensorweaver.errors import TraceError
from tensorweaver.primitives import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Graph",
    "Level",
    "Node",
    "NumberKind",
    "category_of",
    "constant",
    "input_node",
    "is_decay",
    "is_log1p_of_decay",
    "operation",
    "replace",
    "topological",
    "verify",
]

NumberKind = Literal["real", "integral", "boolean"]


class Level(IntEnum):
    """How much of the data a value spans."""

    SCALAR = 0
    ROW = 1
    ELEMENT = 2


class Node:
    """One value of a graph; made by `input_node`, `constant` and `operation`, never by hand."""

    __slots__ = ("__weakref__", "arguments", "kind", "level", "name", "value")

    def __init__(
        self, name: str, arguments: tuple[Node, ...], value: Any, level: Level, kind: NumberKind
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.value = value  # an input's name, a constant's number
        self.level = level
        self.kind = kind

    @property
    def is_constant(self) -> bool:
        """Whether it is a number known when the formula is traced."""
        return self.name == "constant"

    def __repr__(self) -> str:
        return (
            f"<{self.name} {'' if self.value is None else self.value!r} {self.level.name.lower()}>"
        )


GRAPH_OPERATIONS = {"as_real": "elementwise", "spread": "rowwise"}
"""What only graphs need: a boolean or label as a number; a row value laid out over its elements."""

INTEGRAL = {"add", "subtract", "multiply", "negative", "positive", "abs", "square", "sign"}
INTEGRAL |= {"where", "maximum", "minimum", "remainder", "floor_divide"}
"""What makes integers of integers."""

interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()
interning = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child must not inherit the lock from another thread
    os.register_at_fork(
        before=interning.acquire,
        after_in_parent=interning.release,
        after_in_child=interning.release,
    )


def intern_node(
    name: str, arguments: tuple[Node, ...], value: Any, level: Level, kind: NumberKind
) -> Node:
    # repr tells 0.0 from -0.0, 1 from 1.0 and finds nan equal to itself, where == does not.
    key = (name, tuple(id(argument) for argument in arguments), repr(value), level, kind)
    with interning:
        node = interned.get(key)
        if node is None:  # a signal's handler may have made it meanwhile
            node = interned.setdefault(key, Node(name, arguments, value, level, kind))
    return node


def input_node(name: str, level: Level = Level.ELEMENT, kind: NumberKind = "real") -> Node:
    """A value that the caller brings."""
    return intern_node("input", (), name, level, kind)


def constant(value: float) -> Node:
    """A number known when the formula is traced."""
    if isinstance(value, bool):
        return intern_node("constant", (), value, Level.SCALAR, "boolean")
    if isinstance(value, int):
        return intern_node("constant", (), value, Level.SCALAR, "integral")
    # np.float64 is a float, but does not print as one.
    return intern_node("constant", (), float(value), Level.SCALAR, "real")


def operation(name: str, *arguments: Node) -> Node:
    """One operation of the vocabulary, or of the two that only graphs have, on nodes."""
    arguments = promoted(name, arguments)
    level, kind = result_level(name, arguments), result_kind(name, arguments)
    return intern_node(name, arguments, None, level, kind)


def promoted(name: str, arguments: tuple[Node, ...]) -> tuple[Node, ...]:
    """The arguments as numbers of one kind: labels stay integers as long as only integers meet."""
    category = category_of(name)
    if name in GRAPH_OPERATIONS:
        return arguments
    if name.startswith("logical_"):
        return tuple(map(as_boolean, arguments))
    fixed = 1 if name == "where" else 0
    if fixed:
        arguments = (as_boolean(arguments[0]), *arguments[1:])
    numbers = arguments[fixed:]
    if category in {"label", "rowwise", "reduction"}:
        return tuple(
            argument if place == 1 and category != "reduction" else as_real(argument)
            for place, argument in enumerate(arguments)
        )
    labels = any(node.kind == "integral" and not node.is_constant for node in numbers)
    real = any(node.kind == "real" for node in numbers)
    stays = labels and not real and (name in INTEGRAL or category == "predicate")
    if stays or all(node.kind == "boolean" for node in numbers):
        return arguments
    return (*arguments[:fixed], *map(as_real, numbers))


def as_real(node: Node) -> Node:
    """The node as real numbers."""
    if node.kind == "real":
        return node
    return constant(float(node.value)) if node.is_constant else operation("as_real", node)


def as_boolean(node: Node) -> Node:
    """Whether the node is not zero, as Python and NumPy take a number for a truth value."""
    if node.kind == "boolean":
        return node
    if node.is_constant:
        return constant(bool(node.value))
    return operation("not_equal", node, constant(0 if node.kind == "integral" else 0.0))


def category_of(name: str) -> str:
    """The kind of an operation, also of the two that only graphs have."""
    return VOCABULARY[name].kind if name in VOCABULARY else GRAPH_OPERATIONS[name]


def arity_of(name: str) -> int:
    return VOCABULARY[name].arity if name in VOCABULARY else 1


def result_level(name: str, arguments: tuple[Node, ...]) -> Level:
    highest = max(argument.level for argument in arguments)
    if name == "spread":
        return Level.ELEMENT
    category = category_of(name)
    if category in {"elementwise", "predicate"}:
        return highest
    if category == "reduction" or (category == "label" and name != "put_along_axis"):
        return min(highest, Level.ROW)
    if category == "rowwise" and arguments[0].level is not Level.ELEMENT:
        message = (
            f"{name} needs a value for every class, got one a {arguments[0].level.name.lower()}"
        )
        raise TraceError(message)
    return Level.ELEMENT


def result_kind(name: str, arguments: tuple[Node, ...]) -> NumberKind:
    if name == "as_real":
        return "real"
    if category_of(name) == "predicate":
        return "boolean"
    kinds = {argument.kind for argument in (arguments[1:] if name == "where" else arguments[:1])}
    return "real" if "real" in kinds else kinds.pop() if len(kinds) == 1 else "integral"


@dataclass(frozen=True)
class Graph:
    """Inputs in the order of the call, outputs in the order of the result, and the formula's names
    for its steps.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    names: Mapping[Node, str] = field(default_factory=dict)

    def with_outputs(self, *outputs: Node) -> Graph:
        """The same inputs and names with other results."""
        return Graph(self.inputs, outputs, self.names)

    def uses(self, node: Node) -> bool:
        """Whether any output depends on `node`."""
        return any(other is node for other in topological(self.outputs))

    def __str__(self) -> str:
        """One line a node, in order; the same text in every process."""
        numbers: dict[Node, int] = {}
        lines = []
        for node in topological(self.outputs):
            numbers[node] = len(numbers)
            detail = [repr(node.value)] if node.value is not None else []
            detail += [f"%{numbers[argument]}" for argument in node.arguments]
            lines.append(
                f"%{numbers[node]} = {node.name}({', '.join(detail)}) : {node.level.name.lower()}"
            )
        lines.append("return " + ", ".join(f"%{numbers[node]}" for node in self.outputs))
        return "\n".join(lines)


def topological(outputs: Iterable[Node]) -> list[Node]:
    """Every node that `outputs` depend on, arguments first, in an order that depends on the graph
    alone.
    """
    order: dict[Node, None] = {}
    stack = [(node, False) for node in reversed(tuple(outputs))]
    while stack:
        node, arguments_done = stack.pop()
        if node in order:
            continue
        if arguments_done:
            order[node] = None
        else:
            stack.append((node, True))
            stack.extend((argument, False) for argument in reversed(node.arguments))
    return list(order)


def replace(graph: Graph, rebuild: Any) -> Graph:
    """The graph with `rebuild(node, new_arguments)` in every node's place, arguments first."""
    new: dict[Node, Node] = {}
    for node in topological(graph.outputs):
        new[node] = rebuild(node, tuple(new[argument] for argument in node.arguments))
    names = {new.get(node, node): name for node, name in graph.names.items()}
    return Graph(graph.inputs, tuple(new[node] for node in graph.outputs), names)


def verify(graph: Graph) -> None:
    """Raise `TraceError` unless every node is well formed; the tests call this after every pass."""
    declared = set(graph.inputs)
    for node in topological(graph.outputs):
        if node.name == "input":
            fault = None if node in declared else "is not among the graph's inputs"
        elif node.name == "constant":
            fault = None if isinstance(node.value, bool | int | float) else "holds no number"
        elif node.name not in VOCABULARY and node.name not in GRAPH_OPERATIONS:
            fault = "is no operation of the vocabulary"
        elif len(node.arguments) != arity_of(node.name):
            fault = f"has {len(node.arguments)} arguments"
        elif node.level is not result_level(node.name, node.arguments):
            fault = f"has level {node.level.name}"
        elif node.kind != result_kind(node.name, node.arguments):
            fault = f"has kind {node.kind}"
        else:
            fault = None
        if fault is not None:
            message = f"malformed graph: {node!r} {fault}"
            raise TraceError(message)


def is_log1p_of_decay(node: Node) -> bool:
    """Whether it is `log1p(exp(-abs(x)))` or the like: the argument is between 0 and 1, for which
    there are quicker ways.
    """
    return node.name == "log1p" and is_decay(node.arguments[0])


def is_decay(node: Node) -> bool:
    """Whether it is `exp(x)` of what is never above 0, as far as a look tells."""
    return node.name == "exp" and is_never_positive(node.arguments[0])


def is_never_positive(node: Node) -> bool:
    """Whether it is `-abs(x)` or `x - max(x)`, or one of them but for where it is a number."""
    if node.name == "where":
        _, chosen, other = node.arguments
        return chosen.is_constant and chosen.value <= 0 and is_never_positive(other)
    if node.name == "subtract":
        minuend, subtrahend = node.arguments
        return subtrahend.name == "max" and subtrahend.arguments[0] is minuend
    return node.name == "negative" and node.arguments[0].name == "abs"
