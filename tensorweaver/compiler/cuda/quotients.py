"""Divisions of a row's elements by numbers of the row, as products."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.schedule import elements_read

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Quotients", "quotients_of"]


class Quotients(NamedTuple):
    """The variables of a row for divisions by its numbers; see `Usual`.

    Attributes
    ----------
    usual
        That which tells whether all of them can be used, and what else is usual for the whole row.
    """

    inverses: Mapping[Node, str] = MappingProxyType({})
    factors: Mapping[Node, str] = MappingProxyType({})
    usual: str = ""


def quotients_of(rows: Any, number: int) -> Quotients:
    """What a pass of an `EvenRows`, the last, needs; its text is written."""
    wanted = [node for node, _ in rows.outputs]
    read = elements_read(wanted, lambda node: rows.is_kept_before(node, number))
    text, known = rows.text, rows.row.known
    inverses, factors, numbers = {}, {}, []
    for node in dict.fromkeys(node.arguments[1] for node in read if is_by_row(node)):
        name = inverses[node] = text.fresh("inverse")
        text.line(f"const Inverse {name} = Inverse::of({known[node]});")
        numbers.append(known[node])
    rough = rows.rough_nodes([])
    for node in filter(is_scaled, read):
        factor, quotient = node.arguments
        if node in rough and not factor.is_constant:
            by = rows.rounded[factor] if factor in rows.rounded else known[factor]
            name = factors[node] = text.fresh("factor")
            text.line(f"const float {name} = {by} * {inverses[quotient.arguments[1]]}.high;")
            numbers.append(name)
    conditions = [f"Inverse::usual({name})" for name in numbers]
    conditions += rows.usual(read, (), ()).of_row
    if not conditions:
        return Quotients(inverses, factors)
    name = text.fresh("usual")
    text.line(f"const bool {name} = {rows.settled(' && '.join(conditions))};")
    return Quotients(inverses, factors, name)


def is_by_row(node: Node) -> bool:
    """Whether it is an element divided by a real number of its row."""
    if node.name != "divide":
        return False
    element, row = node.arguments
    return element.level is Level.ELEMENT and (row.level, row.kind) == (Level.ROW, "real")


def is_scaled(node: Node) -> bool:
    """Whether it is such a quotient times a real number of the row or of the call."""
    if node.name != "multiply":
        return False
    factor, quotient = node.arguments
    return factor.level < Level.ELEMENT and factor.kind == "real" and is_by_row(quotient)
