"""The neighbours that a thread has in hand, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.cuda.pointwise import read_inside
from tensorweaver.compiler.cuda.usual import QuickScope, Usual
from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.schedule import CLASS_INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


__all__ = ["Hand"]


class Hand:
    """What is computed of each of some neighbours, as they usually are or however they are.

    Parameters
    ----------
    rows
        Who writes the kernel.
    number
        The pass.
    labels
        By condition the variable that tells how far a row's label is.
    sums
        The sums to which neighbours are added together.
    inside
        Whether something is asked of those of the row alone.
    """

    def __init__(
        self,
        rows: Any,
        number: int,
        labels: Mapping[Node, str],
        sums: tuple[str, ...],
        *,
        inside: bool,
    ) -> None:
        self.rows = rows
        self.text = rows.text
        self.number = number
        self.labels = labels
        self.sums = sums
        self.inside = inside
        self.usual: Usual | None = None
        self.terms: dict[str, str] = {}
        self.scope = QuickScope(self.text, rows.real, self.given, rows.names)

    def elements(self, usual: Usual | None) -> Iterator[Hand]:
        """A loop over the neighbours, its text still to be written; None: however they are."""
        text, together = self.text, self.rows.shape.neighbours
        self.usual = usual
        self.terms = {name: text.fresh(f"{name}_terms") for name in self.sums} if usual else {}
        for terms in self.terms.values():
            text.line(f"float {terms}[{together}];")
        with text.unrolled("n", together):
            if self.inside and not usual and not self.rows.whole:
                text.line("const bool inside = at + n >= begin && at + n < end;")
            self.scope = QuickScope(text, self.rows.real, self.given, self.rows.names, usual)
            yield self
        for name, terms in self.terms.items():
            text.line(f"{name}.add(sum_of({terms}));")

    def add(self, name: str, value: str, condition: str | None = None) -> None:
        """Add the element to a reduction, under a condition."""
        if self.usual and condition is None and name in self.terms:
            self.text.line(f"{self.terms[name]}[n] = {value};")
            return
        conditions = [
            *([] if self.usual or self.rows.whole else ["inside"]),
            *([condition] if condition else []),
        ]
        head = f"if ({' && '.join(conditions)}) " if conditions else ""
        self.text.line(f"{head}{name}.add({value});")

    def given(self, node: Node) -> str | None:
        """What is known of the element in hand."""
        rows = self.rows
        if node.level is Level.SCALAR:
            return str(rows.rounded[node])
        if node.level < Level.ELEMENT:
            return str(rows.row.known[node])
        if rows.is_kept_before(node, self.number):
            return f"{rows.kept[node]}[u * {rows.shape.neighbours} + n]"
        found = None
        if node is CLASS_INDEX:
            found = rows.element_place
        elif node in self.labels:
            found = f"n == {self.labels[node]}"
        elif node.name == "input":
            found = read_inside(node, f"{rows.reads[node]}[u].at(n)")
        return None if found is None else self.scope.variable(node, found)
