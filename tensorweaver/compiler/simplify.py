"""Rewriting rules: the same values by fewer or better operations.

No rule may hide a NaN or lose a digit: `0 * x` stays, a division becomes a multiplication only by
powers of two.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    category_of,
    constant,
    operation,
    replace,
)
from tensorweaver.compiler.trace import ROW_SIZE, namespace, unwrap, wrap
from tensorweaver.primitives import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lower", "recognise", "simplify"]

Arguments = tuple[Node, ...]


# ------------------------------------------------------------------------------ before derivatives
def recognise(graph: Graph) -> Graph:
    """Plain spellings of what the vocabulary can do exactly, before a derivative is taken."""
    return replace(graph, recognise_node)


def recognise_node(node: Node, arguments: Arguments) -> Node:
    if node.name == "take_along_axis" and f"{arguments[0].name}_at" in VOCABULARY:
        return operation(f"{arguments[0].name}_at", arguments[0].arguments[0], arguments[1])
    if node.name == "log" and arguments[0].name in {"softmax", "sigmoid"}:
        return operation(f"log_{arguments[0].name}", *arguments[0].arguments)
    return simplify_node(node, arguments)


# ------------------------------------------------------------------------------- after derivatives
def lower(graph: Graph) -> Graph:
    """Operations that have a formula, replaced by it; what a formula needs may have one again."""
    lowered = replace(graph, lower_node)
    while lowered.outputs != graph.outputs:
        graph, lowered = lowered, replace(lowered, lower_node)
    return lowered


def lower_node(node: Node, arguments: Arguments) -> Node:
    primitive = VOCABULARY.get(node.name)
    if primitive is None or primitive.formula is None:
        return rebuilt(node, arguments)
    options = {} if primitive.kind == "elementwise" else {"axis": -1}
    return unwrap(primitive.formula(namespace, *map(wrap, arguments), **options))


def rebuilt(node: Node, arguments: Arguments) -> Node:
    return node if arguments == node.arguments else operation(node.name, *arguments)


# ------------------------------------------------------------------------------------------ always
def simplify(graph: Graph) -> Graph:
    """The rules below, bottom up, until nothing changes."""
    while True:
        simpler = replace(graph, simplify_node)
        if simpler.outputs == graph.outputs:
            return simpler
        graph = simpler


def simplify_node(node: Node, arguments: Arguments) -> Node:
    if not arguments:
        return node
    if category_of(node.name) in {"elementwise", "predicate"} and any(
        a.name == "spread" for a in arguments
    ):
        return without_spread(node, arguments)
    if all(argument.is_constant for argument in arguments) and node.name in FOLD:
        return constant(FOLD[node.name](*(argument.value for argument in arguments)))
    rule = RULES.get(node.name)
    new = None if rule is None else rule(*arguments)
    if new is None:
        return rebuilt(node, arguments)
    # What was one number an element stays so: a row of equal numbers still has its sum.
    lowered = node.level is Level.ELEMENT and new.level is not Level.ELEMENT
    return operation("spread", new) if lowered and node.name != "spread" else new


def without_spread(node: Node, arguments: Arguments) -> Node:
    """A row value beside elements needs no laying out; alone, it is laid out afterwards."""
    bare = tuple(a.arguments[0] if a.name == "spread" else a for a in arguments)
    new = operation(node.name, *bare)
    return new if new.level is Level.ELEMENT else operation("spread", new)


def is_number(node: Node, value: float) -> bool:
    return node.is_constant and node.value == value


def power_of_two(node: Node) -> bool:
    if not (node.is_constant and node.kind == "real" and math.isfinite(node.value)):
        return False
    return math.frexp(abs(node.value))[0] == 0.5 and abs(math.log2(abs(node.value))) < 64  # noqa: PLR2004


def add(x: Node, y: Node) -> Node | None:
    if is_number(x, 0):
        return y
    if is_number(y, 0):
        return x
    if y.name == "negative":
        return operation("subtract", x, y.arguments[0])
    if x.name == "negative":
        return operation("subtract", y, x.arguments[0])
    return operation("multiply", constant(2.0), x) if x is y else None


def subtract(x: Node, y: Node) -> Node | None:
    if is_number(y, 0):
        return x
    return operation("add", x, y.arguments[0]) if y.name == "negative" else None


def multiply(x: Node, y: Node) -> Node | None:  # noqa: PLR0911 - a rule a line
    if y.is_constant and not x.is_constant:
        return operation("multiply", y, x)
    if is_number(x, 1):
        return y
    if is_number(y, 1):
        return x
    if is_number(x, -1):
        return operation("negative", y)
    if power_of_two(x) and y.name == "multiply" and power_of_two(y.arguments[0]):
        return operation("multiply", constant(x.value * y.arguments[0].value), y.arguments[1])
    if x.name == "negative" and y.name == "negative":
        return operation("multiply", x.arguments[0], y.arguments[0])
    if y.name == "negative" and x.level <= y.level:
        return operation("multiply", operation("negative", x), y.arguments[0])
    # A power of two is exact wherever it stands: with the scalars it costs nothing.
    if x.level is Level.SCALAR and y.name == "multiply" and power_of_two(y.arguments[0]):
        scale = operation("multiply", y.arguments[0], x)
        return operation("multiply", scale, y.arguments[1])
    if power_of_two(x) and y.name == "multiply" and y.arguments[0].level is Level.SCALAR < y.level:
        scale = operation("multiply", x, y.arguments[0])
        return operation("multiply", scale, y.arguments[1])
    return None


def divide(x: Node, y: Node) -> Node | None:
    if is_number(y, 1):
        return x
    if power_of_two(y):
        return operation("multiply", constant(1.0 / y.value), x)
    return None


def negative(x: Node) -> Node | None:
    if x.name == "negative":
        return x.arguments[0]
    if x.name == "multiply" and x.arguments[0].level < x.level:
        return operation("multiply", operation("negative", x.arguments[0]), x.arguments[1])
    return operation("subtract", x.arguments[1], x.arguments[0]) if x.name == "subtract" else None


def absolute(x: Node) -> Node | None:
    return operation("abs", x.arguments[0]) if x.name == "negative" else None


def power(x: Node, y: Node) -> Node | None:
    """What at most two roundings give: less than most libraries' `pow` loses, and much quicker."""
    if not y.is_constant:
        return None
    return POWERS[y.value](x) if y.value in POWERS else None


POWERS: dict[float, Callable[[Node], Node]] = {
    -1: lambda x: operation("reciprocal", x),
    0.25: lambda x: operation("sqrt", operation("sqrt", x)),
    0.5: lambda x: operation("sqrt", x),
    1: lambda x: x,
    1.5: lambda x: operation("multiply", x, operation("sqrt", x)),
    2: lambda x: operation("square", x),
    3: lambda x: operation("multiply", x, operation("square", x)),
    4: lambda x: operation("square", operation("square", x)),
}


def where(condition: Node, x: Node, y: Node) -> Node | None:
    if condition.is_constant:
        return x if condition.value else y
    if x is y:
        return x
    if condition.name == "logical_not":
        return operation("where", condition.arguments[0], y, x)
    if x.name == y.name == "multiply":
        (scale, of_x), (other, of_y) = x.arguments, y.arguments
        if scale is other and scale.level is Level.SCALAR:
            return operation("multiply", scale, operation("where", condition, of_x, of_y))
    return None


def equal(x: Node, y: Node) -> Node | None:
    """A row has at least one element."""
    return constant(False) if x is ROW_SIZE and is_number(y, 0) else None  # noqa: FBT003 - a value


def total(x: Node) -> Node | None:
    if x.name == "spread":
        return operation("multiply", ROW_SIZE, x.arguments[0])
    return x if x.level is not Level.ELEMENT else None


def extreme(x: Node) -> Node | None:
    if x.name == "spread":
        return x.arguments[0]
    return x if x.level is not Level.ELEMENT else None


def product(x: Node) -> Node | None:
    if x.name == "spread":
        return operation("pow", x.arguments[0], ROW_SIZE)
    return x if x.level is not Level.ELEMENT else None


def larger(x: float, y: float) -> float:
    return math.nan if math.isnan(x) or math.isnan(y) else max(x, y)


def smaller(x: float, y: float) -> float:
    return math.nan if math.isnan(x) or math.isnan(y) else min(x, y)


def take(x: Node, labels: Node) -> Node | None:
    if x.name == "put_along_axis" and x.arguments[1] is labels:
        return x.arguments[2]
    return extreme(x)


def put(x: Node, labels: Node, value: Node) -> Node | None:
    return (
        operation("put_along_axis", x.arguments[0], labels, value) if x.name == "spread" else None
    )


def spread(x: Node) -> Node | None:
    return x if x.level is Level.ELEMENT else None


# fmt: off
RULES: dict[str, Callable[..., Node | None]] = {
    "add":      add,       "subtract": subtract,  "multiply": multiply,
    "divide":   divide,    "negative": negative,  "pow":      power,
    "abs":      absolute,
    "equal":    equal,
    "where":    where,     "sum":      total,     "max":      extreme,
    "prod":     product,
    "min":      extreme,   "spread":   spread,    "positive": lambda x: x,
    "take_along_axis": take,                      "put_along_axis": put,
    "as_real":  lambda x: x if x.kind == "real" else None,
    "multiply_no_nan": lambda x, y: x if is_number(y, 1) else None,
    "xlogy":    lambda x, y: operation("log", y) if is_number(x, 1) else None,
}

FOLD: dict[str, Callable[..., Any]] = {
    "add":      operator.add,        "subtract": operator.sub,     "multiply": operator.mul,
    "negative": operator.neg,        "equal":    operator.eq,      "not_equal": operator.ne,
    "less":     operator.lt,         "less_equal": operator.le,    "greater":  operator.gt,
    "greater_equal": operator.ge,    "as_real":  float,            "square":   lambda x: x * x,
    "maximum":  larger,              "minimum":  smaller,              "logical_not": operator.not_,
}
# fmt: on
