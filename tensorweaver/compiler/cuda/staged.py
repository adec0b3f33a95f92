"""Rows of a few classes, a thread each, on their way through shared memory.

Rows that lie one after another are read and written by warps, 32 rows at a time, in the order of
memory, and each thread finds its own in shared memory. So no thread waits for another within a row,
and what a row costs by itself is paid once. The text is for one number of classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.cuda.resident import ResidentRows
from tensorweaver.compiler.cuda.writer import Array, base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorweaver.compiler.graph import Node

__all__ = ["StagedRows"]


class StagedRows(ResidentRows):
    """A thread a row, whose elements are neighbours in hand."""

    entry = "staged_rows"
    sizes = ("rows", "classes")
    labels_are_rare = False
    element_place = "static_cast<long long>(n)"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.whole = True
        self.stages = {array: self.text.fresh(f"{base(array)}_staged") for array in self.pointers}

    def words(self) -> tuple[str, ...]:
        """The names that the kernel's own text uses."""
        return (*super().words(), "group", "of_warp", "here", "mine")

    @property
    def classes(self) -> str:
        """How many elements a row has."""
        return f"{self.shape.neighbours}LL"

    def body(self) -> None:
        """As many rows at a time as the block has threads."""
        text, classes = self.text, self.shape.neighbours
        for array, stage in self.stages.items():
            size = f"{self.shape.threads} * {classes}"
            text.line(f"__shared__ __align__(16) {array.type} {stage}[{size}];")
        text.line("const int group = 1, lane = 0;")
        text.line("const int of_warp = threadIdx.x / 32 * 32;")
        text.line("long long first = static_cast<long long>(blockIdx.x) * blockDim.x;")
        step = "static_cast<long long>(gridDim.x) * blockDim.x"
        with text.block(f"for (; first < rows; first += {step})"):
            text.line("const long long left = rows - first - of_warp;")
            text.line("if (left <= 0) break;")
            text.line("const int here = left < 32 ? static_cast<int>(left) : 32;")
            for array in self.arrays.values():
                if array in self.stages:
                    text.line(f"stage_in<{classes}>({self.both(array)}, here);")
            text.line("__syncwarp(0xffffffffu);")
            text.line("const bool alive = threadIdx.x % 32 < here;")
            text.line("const int mine = alive ? threadIdx.x : of_warp + here - 1;")
            text.line("const long long row = first + mine;")
            self.tile()
            text.line("__syncwarp(0xffffffffu);")
            for array in self.filled.values():
                if array in self.stages:
                    text.line(f"stage_out<{classes}>({self.both(array)}, here);")
            text.line("__syncwarp(0xffffffffu);")

    def both(self, array: Array) -> str:
        """Where the warp's rows are staged, and where they come from or go to."""
        classes = self.shape.neighbours
        there = f"{array.name} + (first + of_warp) * {classes}"
        return f"{self.stages[array]} + of_warp * {classes}, {there}"

    def place_rows(self) -> None:
        """Where the row in hand is staged."""
        for array, stage in self.stages.items():
            place = f"{stage} + mine * {self.shape.neighbours}"
            self.text.line(f"{array.type} *{self.pointers[array]} = {place};")

    def size(self) -> str:
        """The number of classes is known."""
        used = "".join(f" static_cast<void>({name});" for name in ("row", "start", "hand"))
        return f"const int start = 0, hand = {self.shape.neighbours};{used}"

    def start_passes(self) -> None:
        """Every element that any pass needs."""
        nodes = dict.fromkeys(node for step in self.schedule.passes for node in step.inputs)
        self.read_elements(tuple(nodes))

    def place(self) -> None:
        """There is one vector, which is the row."""

    def label_place(self, label: str) -> str:
        """How far behind the row's first element a label is."""
        return label

    def read(self, array: Array) -> str:
        """The row."""
        return f"vector<{self.shape.neighbours}>({self.pointers[array]})"

    def store(self, array: Array, values: str) -> str:
        """Put the row where it is staged."""
        return f"if (alive) stage({self.pointers[array]}, {values})"

    def tiles(self, inputs: tuple[Node, ...]) -> Iterator[None]:
        """The row itself, which has been read."""
        del inputs
        yield
