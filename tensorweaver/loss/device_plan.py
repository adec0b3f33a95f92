"""Calls on arrays of a CUDA device: the same as in blocks, with every number left there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.compile import weave_cuda
from tensorweaver.compiler.cuda.engine import COUNTED
from tensorweaver.compiler.graph import Level
from tensorweaver.loss.fused_plan import TOTAL, FusedPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.compiler.graph import Graph
    from tensorweaver.compiler.schedule import Output

__all__ = ["DevicePlan"]


class DevicePlan(FusedPlan):
    """A plan whose kernels are queued on the current stream of the arrays' device.

    Nothing waits for the device. A divisor that has to be counted stays there, with one over it
    behind it.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.launcher = self.backend.launcher()
        self.device = self.question.device

    def weave(self, graph: Graph, results: tuple[Output, ...]) -> Any:
        """A new kernel."""
        return weave_cuda(graph, results, self.dtype, rowwise=self.formula.rowwise)

    # ------------------------------------------------------------------------------ running
    def queue(
        self,
        kernel: Any,
        views: list[Any],
        scalars: Sequence[Any],
        results: Sequence[Any],
        divisor: Any,
    ) -> list[Any]:
        """Queue a kernel, and give its totals."""
        call = (self.launcher, self.shape, self.frame.classes, views, scalars, results)
        found: list[Any] = kernel.queue(*call, divisor=divisor)
        return found

    def compute(
        self,
        kernel: Any,
        views: list[Any],
        scalars: Sequence[Any] = (),
        results: Sequence[Any] = (),
    ) -> list[Any]:
        """Queue a kernel without totals."""
        return self.queue(kernel, views, scalars, results, 1.0)

    def reduced(
        self,
        kernel: Any,
        views: list[Any],
        divisor: Any,
        scalars: Sequence[Any] = (),
        results: Sequence[Any] = (),
    ) -> Any:
        """Queue a kernel that has one total, which the device divides."""
        (total,) = self.queue(kernel, views, scalars, results, divisor)
        return total.quotient[()]

    @property
    def is_counted(self) -> bool:
        """Whether the divisor of the sum has to be counted on the device."""
        return self.divisor is None and self.variant.value.outputs[1].level is not Level.SCALAR

    def count_views(self, views: list[Any]) -> Any:
        """The divisor of the sum."""
        if not self.is_counted:
            return super().count_views(views)
        (total,) = self.queue(self.fused_kernel("count", (), (TOTAL,)), views, (), (), None)
        return total.count

    # ------------------------------------------------------------------------------ where they lie
    def inverse(self, divisor: Any) -> Any:
        """What the derivative of the losses' sum is multiplied by."""
        return super().inverse(divisor) if isinstance(divisor, float) else divisor[1:]

    def times(self, number: Any, factor: Any) -> Any:
        """The product of two numbers, of which one may be on the device."""
        if not isinstance(factor, float | int):
            array = self.backend.asarray(factor, "float64", self.device)
            factor = self.backend.reshape(array, (1,))
        return number * factor

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """A new array."""
        return self.launcher.empty(shape, dtype)

    def empty_like(self, array: Any, dtype: Any) -> Any:
        """A new array that lies as that one does."""
        return self.backend.namespace().empty_like(array, dtype=dtype)

    def shares_memory(self, one: Any, other: Any) -> bool:
        """Whether two arrays may have numbers in common."""
        first, second = self.extent(one), self.extent(other)
        return first[0] < second[1] and second[0] < first[1]

    def same_place(self, one: Any, other: Any) -> bool:
        """Whether two arrays are the same numbers in memory."""
        return bool(
            self.launcher.address(one) == self.launcher.address(other)
            and (one.dtype, one.shape, one.strides) == (other.dtype, other.shape, other.strides)
        )

    def extent(self, array: Any) -> tuple[int, int]:
        """Where the memory of an array begins and ends."""
        start = self.launcher.address(array)
        if not math.prod(array.shape):
            return start, start
        steps = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
        low = sum(step for step in steps if step < 0)
        high = sum(step for step in steps if step > 0)
        return start + low, start + high + array.dtype.itemsize

    # ------------------------------------------------------------------------------ on the device
    def value(self, arrays: Sequence[Any]) -> Any:
        """The loss; where its divisor has to be counted, that is done in the same run."""
        with self.launcher.at(self.device):
            if not self.is_counted or self.question.reduction == "none":
                return super().value(arrays)
            kernel = self.fused_kernel("counted_value", (), (TOTAL, TOTAL))
            _, total = self.queue(kernel, self.views(arrays), (), (), COUNTED)
            return total.quotient[()]

    def value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient by each of `wrt`, in one run."""
        with self.launcher.at(self.device):
            return super().value_and_gradient(wrt, arrays, targets)

    def gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> list[Any]:
        """The gradient of the reduced loss by each of `wrt`."""
        with self.launcher.at(self.device):
            return super().gradient(wrt, arrays, targets)

    def second_derivative(
        self, kind: str, name: str, arrays: Sequence[Any], vector: Any = None
    ) -> Any:
        """The Hessian's diagonal, or its product with a vector, by one argument."""
        with self.launcher.at(self.device):
            return super().second_derivative(kind, name, arrays, vector)

    def pullback(self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any) -> list[Any]:
        """The gradient for a cotangent of the result, an array where that is not reduced."""
        with self.launcher.at(self.device):
            return super().pullback(wrt, arrays, cotangent)
