"""Rows short enough that their elements stay in registers between passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorweaver.compiler.cuda.rows import EvenRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorweaver.compiler.graph import Node

__all__ = ["ResidentRows"]


class ResidentRows(EvenRows):
    """All elements are read before the first pass."""

    entry = "resident_rows"

    def size(self) -> str:
        """How many elements of the row in hand there are: few enough for 32 bits."""
        return "const int size = alive ? static_cast<int>(classes) : 0;"

    def start_passes(self) -> None:
        """Every element that any pass needs."""
        nodes = dict.fromkeys(node for step in self.schedule.passes for node in step.inputs)
        self.align()
        self.text.line("const int start = -phase, begin = phase, end = phase + size;")
        self.read_elements(tuple(nodes))

    def settled(self, expression: str) -> str:
        """There is one tile."""
        return expression

    def settle_labels(self) -> None:
        """There is one tile."""

    def online(self, number: int) -> None:
        """No two passes are one: reading again costs nothing."""

    def tiles(self, inputs: tuple[Node, ...]) -> Iterator[None]:
        """The only one, which has been read."""
        del inputs
        yield
