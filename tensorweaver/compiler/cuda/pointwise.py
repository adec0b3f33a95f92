"""Contiguous arrays of elements that know nothing of each other: one loop over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorweaver.compiler.cuda.scope import Scope
from tensorweaver.compiler.cuda.writer import Array, Writer, base
from tensorweaver.compiler.graph import Level, Node

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pointwise", "read_inside"]


class Pointwise(Writer):
    """Every thread takes vectors of neighbours, as far apart as all threads reach."""

    entry = "pointwise"
    sizes = ("count",)

    def words(self) -> tuple[str, ...]:
        """The names that the kernel's own text uses."""
        return (*super().words(), "first", "threads", "u", "place", "inside")

    def steps(self, array: Array) -> list[str]:
        """Nothing has to be told."""
        del array
        return []

    def body(self) -> None:
        """Some vectors at a time: all reads first."""
        text, (together, unroll, *_) = self.text, self.shape
        text.line("const long long threads = static_cast<long long>(gridDim.x) * blockDim.x;")
        text.line(
            "long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;"
        )
        with text.block(f"for (; first * {together} < count; first += {unroll} * threads)"):
            vectors = {}
            for node, array in self.arrays.items():
                vectors[node] = text.fresh(f"{base(array)}_read")
                text.line(f"Pack<{array.type}, {together}> {vectors[node]}[{unroll}];")
            with text.unrolled("u", unroll):
                text.line(f"const long long place = (first + u * threads) * {together};")
                for node, array in self.arrays.items():
                    text.line(f"{vectors[node]}[u] = load<{together}>({array.name}, place, count);")
            with text.unrolled("u", unroll):
                text.line(f"const long long place = (first + u * threads) * {together};")
                written = {i: text.fresh(f"{base(a)}_made") for i, a in self.filled.items()}
                for i, name in written.items():
                    text.line(f"Pack<{self.filled[i].type}, {together}> {name};")
                with text.unrolled("n", together):
                    self.element(lambda node: f"{vectors[node]}[u].at[n]", written)
                for i, name in written.items():
                    text.line(f"store<{together}>({self.filled[i].name}, place, count, {name});")

    def element(self, read: Callable[[Node], str], written: dict[int, str]) -> None:
        """One element, `n` places behind `place`."""
        if self.totals:
            self.text.line("const bool inside = place + n < count;")

        def given(node: Node) -> str | None:
            if node.level is Level.SCALAR:
                return self.rounded[node]
            if node.name == "input":
                return scope.variable(node, read_inside(node, read(node)))
            return None

        scope = Scope(self.text, self.real, given, self.names)
        self.finish(
            Level.ELEMENT,
            scope,
            "inside",
            lambda i, value: self.text.line(f"put({value}, {written[i]}.at[n]);"),
        )


def read_inside(node: Node, place: str) -> str:
    """What is read from memory, as the kernel computes with it."""
    function = {"real": "number", "integral": "whole", "boolean": "truth"}[node.kind]
    return f"{function}({place})"
