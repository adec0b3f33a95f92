"""Rows short enough that their elements stay in registers between passes."""

from __future__ import annotations

from contextlib import contextmanager
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

    def label_of_row(self, node: Node) -> str:
        """The label in 32 bits; -1 for one that is no class."""
        label = super().label_of_row(node)
        name = self.text.fresh("label_of_row")
        inside = f"{label} >= 0 && {label} < classes"
        self.text.line(f"const int {name} = {inside} ? static_cast<int>({label}) : -1;")
        return name

    def label_place(self, label: str) -> str:
        """How far behind the first of the neighbours in hand a label is."""
        name = self.text.fresh("label_place")
        self.text.line(f"const int {name} = {label} - place;")
        return name

    def start_passes(self) -> None:
        """Every element that any pass needs."""
        nodes = dict.fromkeys(node for step in self.schedule.passes for node in step.inputs)
        self.text.line(f"const int phase = {self.phase()};")
        self.read_elements(tuple(nodes))

    def online(self, number: int) -> None:
        """No two passes are one: reading again costs nothing."""

    def place(self) -> None:
        """Where the `u`-th vector in hand lies in its row, of which there is one tile."""
        start = f"(u * group + lane) * {self.shape.neighbours}"
        self.text.line(f"const int place = {start} - phase;")

    @contextmanager
    def tiles(self, inputs: tuple[Node, ...]) -> Iterator[None]:
        """The only one, which has been read."""
        del inputs
        yield
