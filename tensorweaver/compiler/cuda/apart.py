"""Rows and elements at any distance, read one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorweaver.compiler.cuda.rows import EvenRows
from tensorweaver.compiler.graph import Level

if TYPE_CHECKING:
    from tensorweaver.compiler.cuda.writer import Array

__all__ = ["OUTER", "ApartRows"]

OUTER = 3
"""How many axes rows may lie along in one launch."""


class ApartRows(EvenRows):
    """Rows along up to three axes, elements along another."""

    entry = "apart_rows"
    sizes = ("rows", "size_1", "size_2", "classes", "group")

    def words(self) -> tuple[str, ...]:
        """The names that the kernel's own text uses."""
        return (*super().words(), "row_0", "row_1", "row_2")

    def steps(self, array: Array) -> list[str]:
        """The parameters that tell how an array lies."""
        found = [f"long long {array.name}_step_{axis}" for axis in range(OUTER)]
        if array.level is Level.ELEMENT:
            found.append(f"long long {array.name}_step")
        return found

    def offset(self, array: Array) -> str:
        """How far from its beginning an array has the row in hand."""
        return " + ".join(f"row_{axis} * {array.name}_step_{axis}" for axis in range(OUTER))

    def place_rows(self) -> None:
        """Where the row in hand begins in each array."""
        self.text.line("const long long row_2 = row % size_2;")
        self.text.line("const long long row_1 = row / size_2 % size_1;")
        self.text.line("const long long row_0 = row / size_2 / size_1;")
        super().place_rows()

    def read(self, array: Array) -> str:
        """The element in hand."""
        return f"load_apart({self.pointers[array]}, start + at, size, {self.element_step(array)})"

    def store(self, array: Array, values: str) -> str:
        """Put the element in hand."""
        step = self.element_step(array)
        return f"store_apart({self.pointers[array]}, start + at, size, {step}, {values})"

    def element_step(self, array: Array) -> str:
        """How far apart the elements of a row are."""
        return f"{array.name}_step"

    def align(self) -> None:
        """Elements that are read one by one need no alignment."""
        self.text.line("const int phase = 0;")
