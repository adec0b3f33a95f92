"""A maximum, and the sums of exponentials below it, in one pass.

A row's log-sum-exp asks for the maximum first and for `sum(exp(x - maximum))` after it. Both come
from one reading where what was summed below an old maximum can be moved below a new one: a term
`exp(x - old)` becomes `exp(x - new)` by the factor `exp(old - new)`. This module finds the sums of
a schedule that allow it, by their form alone:

    scaled      a sum of exp(x - maximum), or 0 in places that know no maximum
    smaller     the same without the elements that are the maximum: those of an old maximum join
                it, each as 1, when there is a new one
    others      a sum of what knows no maximum without the elements that are it: those of an old
                maximum join it when there is a new one
    largest     a sum of what knows no maximum over the elements that are it: none, when there is a
                new one
    fixed       a sum that knows no maximum
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.graph import Level, Node, topological

if TYPE_CHECKING:
    from tensorweaver.compiler.schedule import Schedule

__all__ = ["Online", "online_pass"]


class Online(NamedTuple):
    """Two passes as one.

    Attributes
    ----------
    maximum
        The reduction of the first.
    sums
        Those of the second, and how each follows the maximum.
    others
        Reductions of the first that go their own way.
    """

    maximum: Node
    sums: dict[Node, str]
    others: tuple[Node, ...]


def online_pass(schedule: Schedule, first: int, *, stores: bool) -> Online | None:
    """How a pass and the next become one; None where they do not.

    `stores` tells whether the last pass has elements to store or sum up. Nothing is kept.
    """
    passes_after = len(schedule.passes) - first - 1
    if passes_after < 1 + stores:
        return None
    step, after = schedule.passes[first : first + 2]
    for maximum in step.reductions:
        sums = {node: kind_of_sum(node, maximum) for node in after.reductions}
        known = known_before(schedule, first)
        follows = all(k and depends_only(n, known, maximum) for n, k in sums.items())
        if maximum.name == "max" and sums and follows:
            others = tuple(node for node in step.reductions if node is not maximum)
            return Online(maximum, {n: k for n, k in sums.items() if k}, others)
    return None


def known_before(schedule: Schedule, first: int) -> set[Node]:
    """The row values that are known when a pass begins."""
    known = set(schedule.rows)
    for step in schedule.passes[:first]:
        known |= {*step.reductions, *step.rows}
    return known


def depends_only(node: Node, known: set[Node], maximum: Node) -> bool:
    """Whether the sum needs no row values but those known and the maximum."""
    stack = [node.arguments[0]]
    seen = set()
    while stack:
        each = stack.pop()
        if each in seen or each in known or each is maximum or each.level is Level.SCALAR:
            continue
        seen.add(each)
        if each.level is Level.ROW and each.name != "input":
            return False
        stack.extend(each.arguments)
    return True


def kind_of_sum(node: Node, maximum: Node) -> str | None:
    """How a sum follows the maximum; None for one that does not."""
    if node.name != "sum":
        return None
    term = node.arguments[0]
    if not uses(term, maximum):
        return "fixed"
    if term.name == "where" and is_largest(term.arguments[0], maximum):
        _, if_largest, otherwise = term.arguments
        if is_number(if_largest, 0):
            fixed = not uses(otherwise, maximum)
            return "others" if fixed else "smaller" if falls_below(otherwise, maximum) else None
        return "largest" if is_number(otherwise, 0) and not uses(if_largest, maximum) else None
    return "scaled" if is_scaled(term, maximum) else None


def is_scaled(term: Node, maximum: Node) -> bool:
    """Whether a term shrinks by the factor by which exponentials do."""
    if term.name == "where":
        condition, *branches = term.arguments
        return not uses(condition, maximum) and all(is_scaled(b, maximum) for b in branches)
    return falls_below(term, maximum) or is_number(term, 0)


def falls_below(node: Node, maximum: Node) -> bool:
    """Whether it is `exp(x - maximum)`, where a logit of +inf may stand at the maximum."""
    return node.name == "exp" and is_shifted(node.arguments[0], maximum)


def is_shifted(node: Node, maximum: Node) -> bool:
    of = maximum.arguments[0]
    if node.name == "where":
        condition, at_infinity, node = node.arguments
        if not (is_infinite(condition, of) and is_number(at_infinity, 0)):
            return False
    return node.name == "subtract" and node.arguments == (of, maximum)


def is_infinite(condition: Node, of: Node) -> bool:
    return (
        condition.name == "equal"
        and condition.arguments[0] is of
        and is_number(condition.arguments[1], math.inf)
    )


def is_largest(condition: Node, maximum: Node) -> bool:
    return (
        condition.name == "equal"
        and is_shifted(condition.arguments[0], maximum)
        and is_number(condition.arguments[1], 0)
    )


def is_number(node: Node, value: float) -> bool:
    return node.is_constant and node.value == value


def uses(node: Node, other: Node) -> bool:
    return any(each is other for each in topological([node]))
