"""Contiguous arrays of elements that know nothing of each other: one loop over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorweaver.compiler.cuda.usual import NOTHING, QuickScope
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
        own = ("first", "threads", "aligned", "u", "place", "left", "inside")
        return (*super().words(), *own)

    def steps(self, array: Array) -> list[str]:
        """Nothing has to be told."""
        del array
        return []

    def body(self) -> None:
        """Some vectors at a time: whole ones quickly, those at the end element by element."""
        text, (together, unroll, *_) = self.text, self.shape
        text.line("const long long threads = static_cast<long long>(gridDim.x) * blockDim.x;")
        text.line(
            "long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;"
        )
        phases = [f"phase_of<{together}>({array.name}) == 0" for array in self.all_arrays]
        text.line(f"const bool aligned = {' && '.join(phases) or 'true'};")
        with text.block(f"for (; first * {together} < count; first += {unroll} * threads)"):
            reach = f"(first + {unroll - 1} * threads) * {together} + {together}"
            with text.block(f"if (aligned && {reach} <= count)"):
                self.vectors(whole=True)
            with text.block("else"):
                self.vectors(whole=False)

    def vectors(self, *, whole: bool) -> None:
        """Some vectors, `whole` or not: all reads first."""
        text, (together, unroll, *_) = self.text, self.shape
        vectors = {}
        for node, array in self.arrays.items():
            vectors[node] = text.fresh(f"{base(array)}_read")
            text.line(f"Pack<{array.type}, {together}> {vectors[node]}[{unroll}];")
        with text.unrolled("u", unroll):
            self.place(whole=whole)
            for node, array in self.arrays.items():
                read = f"load<{together}>({array.name} + place, 0, 0, left, aligned)"
                if whole:
                    read = f"vector<{together}>({array.name} + place)"
                text.line(f"{vectors[node]}[u] = {read};")
        with text.unrolled("u", unroll):
            self.place(whole=whole)
            written = {i: text.fresh(f"{base(a)}_made") for i, a in self.filled.items()}
            for name in written.values():
                text.line(f"real {name}[{together}];")
            with text.unrolled("n", together):
                self.element(lambda node: f"{vectors[node]}[u].at(n)", written, whole=whole)
            for i, name in written.items():
                result = self.filled[i].name
                if whole:
                    text.line(f"store({result} + place, {name});")
                else:
                    text.line(f"store({result} + place, 0, 0, left, aligned, {name});")

    def place(self, *, whole: bool) -> None:
        """Where the `u`-th vector begins, and how many elements it has."""
        text, together = self.text, self.shape.neighbours
        text.line(f"const long long place = (first + u * threads) * {together};")
        if not whole:
            last = f"place + {together} <= count ? {together} : static_cast<int>(count - place)"
            text.line(f"const int left = place >= count ? 0 : {last};")

    def element(
        self,
        read: Callable[[Node], str],
        written: dict[int, str],
        *,
        whole: bool,
    ) -> None:
        """One element, `n` places behind `place`."""
        if self.totals and not whole:
            self.text.line("const bool inside = n < left;")

        def given(node: Node) -> str | None:
            if node.level is Level.SCALAR:
                return self.rounded[node]
            if node.name == "input":
                return scope.variable(node, read_inside(node, read(node)))
            return None

        def add(name: str, value: str) -> None:
            self.text.line(f"{'' if whole else 'if (inside) '}{name}.add({value});")

        def keep(i: int, value: str) -> None:
            self.text.line(f"{written[i]}[n] = {value};")

        usual = NOTHING._replace(rough=self.rough_nodes([]))
        scope = QuickScope(self.text, self.real, given, self.names, usual)
        self.finish(Level.ELEMENT, scope, add, keep)


def read_inside(node: Node, place: str) -> str:
    """What is read from memory, as the kernel computes with it."""
    function = {"real": "number", "integral": "whole", "boolean": "truth"}[node.kind]
    return f"{function}({place})"
