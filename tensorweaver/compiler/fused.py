"""What the engines that fuse have in common: for NumPy, from whole arrays to blocks and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.compiler.schedule import array_inputs, scalar_inputs
from tensorweaver.compiler.tiles import Operand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.compiler.graph import Graph, Node
    from tensorweaver.compiler.schedule import Output

__all__ = ["FusedKernel", "GraphKernel"]

Array = np.ndarray[Any, Any]
DTYPES = {"integral": "int64", "boolean": "bool"}


class GraphKernel:
    """A graph that an engine computes in few runs over the arrays, its results summed up or written
    where they belong.

    Parameters
    ----------
    graph
        A prepared graph.
    outputs
        What becomes of each of its outputs.
    dtype
        The dtype of all real numbers inside.
    rowwise
        Whether the elements stand in rows.
    """

    engine: str

    @property
    def source(self) -> str:
        """The text that runs."""
        raise NotImplementedError

    def __init__(
        self, graph: Graph, outputs: tuple[Output, ...], dtype: str, *, rowwise: bool
    ) -> None:
        self.graph = graph
        self.outputs = outputs
        self.rowwise = rowwise
        self.real = np.dtype(dtype)
        self.scalars = scalar_inputs(graph)
        self.arrays = array_inputs(graph)
        self.filled = [output for output in outputs if not output.total]
        self.totals = len(outputs) - len(self.filled)

    def dtype_of(self, node: Node) -> np.dtype[Any]:
        """What the kernel takes an input for."""
        return self.real if node.kind == "real" else np.dtype(DTYPES[node.kind])


class FusedKernel(GraphKernel):
    """The same block by block, on NumPy arrays."""

    def operands(self, inputs: Sequence[Array], results: Sequence[Array]) -> list[Operand]:
        """All arrays of a call."""
        read = [
            Operand(array, node.level, self.dtype_of(node))
            for node, array in zip(self.arrays, inputs, strict=True)
        ]
        written = [
            Operand(array, output.level, self.real, written=True)
            for output, array in zip(self.filled, results, strict=True)
        ]
        return read + written

    def __call__(
        self,
        shape: tuple[int, ...],
        classes: int,
        inputs: Sequence[Array],
        scalars: Sequence[float],
        results: Sequence[Array],
    ) -> list[float]:
        """Fill `results`, and give the totals.

        Parameters
        ----------
        shape
            Of the rows; for a pointwise graph of the elements.
        classes
            How many elements a row has.
        inputs
            The graph's array inputs in order: elements `(*shape, classes)` or, pointwise, `shape`;
            row values `shape`. Any dtype and strides.
        scalars
            The graph's scalar inputs in order, but for the number of classes.
        results
            The arrays to fill, for every output that is no total. One may be an input, number for
            number: a block is read before it is written. It must not overlap one in another way.
        """
        if not math.prod(shape):
            return [0.0] * self.totals
        return self.run(shape, classes, self.operands(inputs, results), scalars)

    def direct(
        self, shape: tuple[int, ...], classes: int, inputs: Sequence[Array]
    ) -> Callable[[Array, Array], Sequence[float] | None] | None:
        """What gives the totals of two inputs like these, or None for some that lie otherwise;
        nothing where there is no shorter way than a call.
        """
        del shape, classes, inputs
        return None

    def run(
        self,
        shape: tuple[int, ...],
        classes: int,
        operands: list[Operand],
        scalars: Sequence[float],
    ) -> list[float]:
        """Walk over the blocks."""
        raise NotImplementedError
