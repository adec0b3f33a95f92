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
