"""From the graph of a value to the graphs of its gradient, its Hessian's diagonal and its Hessian
times a vector.

The derivative rules of the vocabulary are run on traced values, so a derivative is a graph like any
other and can be differentiated again.

A branch not taken must not leak: the slope of `where(x > 0, log(x), 0)` at zero is 0, not 0 · ∞.
Rules are linear in the cotangent, so a cotangent of the form `where(condition, g, 0)` is taken
apart, the rule sees `g` alone, and the condition is put back round the *result*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.graph import (
    Level,
    Node,
    category_of,
    constant,
    operation,
    topological,
)
from tensorweaver.compiler.trace import ROW_SIZE, namespace, unwrap, wrap
from tensorweaver.errors import TensorWeaverError
from tensorweaver.primitives import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["NoDiagonalError", "diagonal", "pullback"]

ONE = constant(1.0)
ZERO = constant(0.0)


class NoDiagonalError(TensorWeaverError):
    """The Hessian's diagonal has no closed form here; whoever asked takes it from Hessian-vector
    products.
    """


def pullback(output: Node, cotangent: Node, inputs: Sequence[Node]) -> list[Node]:
    """The cotangents of `inputs` when `output` has `cotangent` (reverse mode)."""
    order = topological([output])
    reached = dependents(order, inputs)
    cotangents: dict[Node, Node] = {output: cotangent}
    for node in reversed(order):
        if node.name in {"input", "constant"} or node not in reached or node not in cotangents:
            continue
        for argument, share in shares(node, cotangents[node], reached):
            summed = sum_to_level(share, node, argument)
            before = cotangents.get(argument)
            cotangents[argument] = summed if before is None else add_cotangents(before, summed)
    return [cotangents.get(node, ZERO) for node in inputs]


def dependents(order: Sequence[Node], inputs: Sequence[Node]) -> set[Node]:
    """The nodes of `order` that depend on any of `inputs`."""
    reached = set(inputs)
    for node in order:
        if any(argument in reached for argument in node.arguments):
            reached.add(node)
    return reached


def shares(node: Node, cotangent: Node, reached: set[Node]) -> Iterator[tuple[Node, Node]]:
    """Each argument that matters, with what its rule makes of the cotangent."""
    if node.name == "as_real":
        return
    if node.name == "spread":
        yield node.arguments[0], cotangent
        return
    primitive = VOCABULARY[node.name]
    widest = Level.ELEMENT if primitive.kind == "elementwise" else Level.ROW
    conditions, inner = strip(cotangent, widest)
    if primitive.kind == "rowwise" and inner.level is not Level.ELEMENT:
        inner = operation("spread", inner)
    options = {} if primitive.kind == "elementwise" else {"axis": -1}
    if primitive.kind == "reduction" and primitive.formula is None:
        options["keepdims"] = True
    arguments = [wrap(argument) for argument in node.arguments]
    for argument, rule in zip(node.arguments, primitive.rules, strict=True):
        if rule is not None and argument in reached:
            share = unwrap(rule(namespace, wrap(inner), wrap(node), *arguments, **options))
            yield argument, restore(conditions, share)


def strip(cotangent: Node, widest: Level) -> tuple[list[tuple[Node, bool]], Node]:
    """`where(c, g, 0)` as the condition `(c, True)` and `g`; likewise, with False, `where(c, 0,
    g)`; repeatedly.
    """
    conditions = []
    while cotangent.name == "where" and cotangent.arguments[0].level <= widest:
        condition, if_true, if_false = cotangent.arguments
        if if_false is ZERO:
            conditions.append((condition, True))
            cotangent = if_true
        elif if_true is ZERO:
            conditions.append((condition, False))
            cotangent = if_false
        else:
            break
    return conditions, cotangent


def restore(conditions: Sequence[tuple[Node, bool]], share: Node) -> Node:
    for condition, wanted in reversed(conditions):
        branches = (share, ZERO) if wanted else (ZERO, share)
        share = operation("where", condition, *branches)
    return share


def add_cotangents(a: Node, b: Node) -> Node:
    """`a + b`. What both are masked by masks the sum, so that no later rule meets what it hides;
    what two branches of one condition send is joined, not added.
    """
    if a is ZERO or b is ZERO:
        return b if a is ZERO else a
    (of_a, inner_a), (of_b, inner_b) = strip(a, Level.ELEMENT), strip(b, Level.ELEMENT)
    common = [each for each in of_a if each in of_b]
    of_a = [each for each in of_a if each not in common]
    of_b = [each for each in of_b if each not in common]
    for condition, wanted in of_a:
        if (condition, not wanted) in of_b:
            mine = restore([each for each in of_a if each[0] is not condition], inner_a)
            other = restore([each for each in of_b if each[0] is not condition], inner_b)
            branches = (mine, other) if wanted else (other, mine)
            return restore(common, operation("where", condition, *branches))
    summed = operation("add", restore(of_a, inner_a), restore(of_b, inner_b))
    return restore(common, summed)


def sum_to_level(share: Node, node: Node, argument: Node) -> Node:
    """Sum back what broadcasting from the argument's level to the node's level had spread.

    What masks a whole row masks its sum, for the rules that meet the sum.
    """
    if node.name != "spread" and category_of(node.name) != "elementwise":
        return share
    if node.level is not Level.ELEMENT or argument.level is not Level.ROW:
        return share
    conditions, inner = strip(share, Level.ELEMENT)
    of_rows = [each for each in conditions if each[0].level <= Level.ROW]
    summand = restore([each for each in conditions if each not in of_rows], inner)
    if summand.level is Level.ELEMENT:
        return restore(of_rows, operation("sum", summand))
    return restore(of_rows, operation("multiply", ROW_SIZE, summand))


def diagonal(gradient: Node, variable: Node) -> Node:
    """The derivative of each element of `gradient` by the element of `variable` in its place.

    Forward through elementwise operations; what a whole row shares is differentiated backwards,
    which gives its derivative by every element at once.
    """
    order = topological([gradient])
    reached = dependents(order, [variable])
    slopes: dict[Node, Node] = {variable: ONE}
    for node in order:
        if node in reached and node is not variable:
            slopes[node] = diagonal_of(node, slopes, reached, variable)
    return slopes.get(gradient, ZERO)


def diagonal_of(node: Node, slopes: dict[Node, Node], reached: set[Node], variable: Node) -> Node:
    if node.level is Level.ROW:
        return pullback(node, ONE, [variable])[0]
    if node.name == "put_along_axis":
        base, labels, value = (slopes.get(argument, ZERO) for argument in node.arguments)
        labels = node.arguments[1]
        at_label = (
            value
            if value.level is not Level.ELEMENT
            else operation("take_along_axis", value, labels)
        )
        return operation("put_along_axis", base, labels, at_label)
    if node.name == "spread":
        return slopes[node.arguments[0]]
    category = category_of(node.name)
    if category == "rowwise":
        return rowwise_diagonal(node, slopes, reached)
    if category not in {"elementwise", "predicate"}:
        raise NoDiagonalError(node.name)
    total = ZERO
    for argument in dict.fromkeys(node.arguments):
        if slopes.get(argument, ZERO) is not ZERO:  # no rule makes something of nothing, nor NaN
            for other, share in shares(node, slopes[argument], reached):
                if other is argument:
                    total = add_cotangents(total, share)
    return total


def rowwise_diagonal(node: Node, slopes: dict[Node, Node], reached: set[Node]) -> Node:
    argument, *others = node.arguments
    if any(other in reached for other in others):
        raise NoDiagonalError(node.name)
    inside = topological([argument])
    if any(inner in reached and inner.level is Level.ROW for inner in inside):
        raise NoDiagonalError(node.name)
    if any(category_of(inner.name) == "rowwise" for inner in inside if inner.arguments):
        raise NoDiagonalError(node.name)
    primitive = VOCABULARY[node.name]
    if primitive.diagonal is None:
        raise NoDiagonalError(node.name)
    arguments: list[Any] = [wrap(argument) for argument in node.arguments]
    own = unwrap(primitive.diagonal(namespace, wrap(node), *arguments, axis=-1))
    return operation("multiply", own, slopes[argument])
