"""A graph as plain Python text, one assignment a step.

The text is the same for every array library; only the names it calls are bound differently. For the
mean squared error with its gradient it reads

    def kernel(predictions, targets, seed, row_size):
        difference = (predictions - targets)
        squared = square(difference)
        return squared, ((2.0 * seed) * difference)

A value used once is written where it is used, so that its memory is free as soon as it has been
read; one used more often gets a name and is deleted after its last use.
"""

from __future__ import annotations

import itertools
import keyword
import math
from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.graph import GRAPH_OPERATIONS, Graph, Level, Node, topological
from tensorweaver.primitives import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PythonText", "emit_python"]

INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/",
    "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=",
    "greater": ">", "greater_equal": ">=",
    "logical_and": "&", "logical_or": "|", "logical_xor": "^",
}  # fmt: skip
PREFIX = {"negative": "-", "logical_not": "~"}
RESERVED = ("c_", "places_")
"""How the names of constants and of looked-up places begin."""

AT_LABEL = {"take_along_axis": 1, "put_along_axis": 1}
LONGEST_EXPRESSION = 72
#: What a text calls, which none of its variables may be called.
CALLED = {*VOCABULARY, *GRAPH_OPERATIONS, "kernel", "places", "put_in_place"}


class PythonText(NamedTuple):
    """The text of a kernel, and the numbers it refers to by name: name -> (value, kind)."""

    source: str
    constants: Mapping[str, tuple[float, str]]


def emit_python(graph: Graph) -> PythonText:
    """The text of `graph`."""
    return Writer(graph).write()


class Writer:
    """What is known while one text is written."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.order = topological(graph.outputs)
        self.uses = self.count_uses()
        self.users = self.find_users()
        self.taken = set(CALLED)
        self.parameters = self.name_parameters()
        self.constants: dict[str, tuple[float, str]] = {}
        self.texts: dict[Node, str] = {}
        self.assigned: set[Node] = set()
        self.evaluated: set[Node] = set()
        self.lines: list[str] = []
        self.places: dict[Node, str] = {}

    def count_uses(self) -> dict[Node, int]:
        uses = dict.fromkeys(self.order, 0)
        for node in self.order:
            for argument in node.arguments:
                uses[argument] += 1
        for node in self.graph.outputs:
            uses[node] += 1
        return uses

    def name_parameters(self) -> dict[Node, str]:
        """The inputs' own names, but for `where` and the like, which the text calls."""
        names = {}
        for node in sorted(self.graph.inputs, key=lambda node: node.level is not Level.SCALAR):
            name = str(node.value)
            while name in self.taken or name.startswith(RESERVED):
                name = f"input_{name}"
            names[node] = name
            self.taken.add(name)
        return names

    def find_users(self) -> dict[Node, list[Node]]:
        users: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for argument in node.arguments:
                users[argument].append(node)
        return users

    def write(self) -> PythonText:
        for node in self.order:
            self.write_node(node)
        results = ", ".join(self.text_of(node) for node in self.graph.outputs)
        parameters = ", ".join(self.parameters[node] for node in self.graph.inputs)
        body = [*self.lines, f"return {results}"]
        source = f"def kernel({parameters}):\n" + "".join(f"    {line}\n" for line in body)
        return PythonText(source, self.constants)

    def write_node(self, node: Node) -> None:
        if node.name == "input":
            self.texts[node] = self.parameters[node]
            return
        if node.is_constant:
            return
        expression = self.expression(node)
        if self.uses[node] == 1 and len(expression) <= LONGEST_EXPRESSION:
            self.texts[node] = expression
            return
        self.texts[node] = name = self.fresh_name(node)
        self.lines.append(f"{name} = {expression}")
        self.assigned.add(node)
        self.finish_statement(node)

    def finish_statement(self, node: Node) -> None:
        """Note what has been computed by now, and free what nobody reads any more."""
        inlined = [node]
        read: dict[Node, None] = {}
        while inlined:
            current = inlined.pop()
            self.evaluated.add(current)
            for argument in current.arguments:
                if argument in self.assigned:
                    read[argument] = None
                elif argument.arguments:
                    inlined.append(argument)
        done = [n for n in read if n not in self.graph.outputs and self.all_read(n)]
        if done:
            self.assigned.difference_update(done)
            self.lines.append("del " + ", ".join(self.texts[n] for n in done))

    def all_read(self, node: Node) -> bool:
        return all(user in self.evaluated for user in self.users[node])

    def fresh_name(self, node: Node) -> str:
        wanted = self.graph.names.get(node, "")
        usable = wanted.isidentifier() and not keyword.iskeyword(wanted)
        if not usable or wanted in self.taken or wanted.startswith(RESERVED):
            numbers = itertools.count(len(self.taken))
            wanted = next(f"v{n}" for n in numbers if f"v{n}" not in self.taken)
        self.taken.add(wanted)
        return wanted

    def text_of(self, node: Node) -> str:
        return (
            repr(node.value)
            if node.is_constant and math.isfinite(node.value)
            else self.argument(node)
        )

    def argument(self, node: Node) -> str:
        """An operand of a function: numbers by name, as arrays of the right dtype."""
        if not node.is_constant:
            return self.texts[node]
        name = (
            f"c_{node.kind}_{repr(node.value).replace('-', 'm').replace('.', 'p').replace('+', '')}"
        )
        self.constants[name] = (node.value, node.kind)
        return name

    def expression(self, node: Node) -> str:
        if node.name in INFIX:
            left, right = map(self.text_of, node.arguments)
            return f"({left} {INFIX[node.name]} {right})"
        if node.name in PREFIX:
            return f"({PREFIX[node.name]}{self.text_of(node.arguments[0])})"
        arguments = list(map(self.argument, node.arguments))
        name = node.name
        if name in AT_LABEL:
            arguments[1] = self.places_of(node.arguments[1])
        if name == "put_along_axis":
            arguments.append("row_size")
            if self.may_overwrite(node.arguments[0], node):
                name = "put_in_place"
        return f"{name}({', '.join(arguments)})"

    def places_of(self, labels: Node) -> str:
        """Where the labels point in memory, looked up once for all that read or write there."""
        if labels not in self.places:
            self.places[labels] = name = f"places_{len(self.places)}"
            self.lines.append(f"{name} = places({self.texts[labels]}, row_size)")
        return self.places[labels]

    def may_overwrite(self, base: Node, user: Node) -> bool:
        """Whether `base` is a temporary of elements that everybody else has finished reading."""
        if not base.arguments or base.level is not Level.ELEMENT or base in self.graph.outputs:
            return False
        return all(other is user or other in self.evaluated for other in self.users[base])
