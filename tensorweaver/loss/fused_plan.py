"""Calls on NumPy arrays that an engine carries out block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.compiler import pages
from tensorweaver.compiler.compile import weave_fused
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.schedule import Output
from tensorweaver.loss.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.compiler.graph import Graph

__all__ = ["FusedPlan"]

TOTAL = Output(Level.SCALAR, total=True)


class FusedPlan(Plan):
    """A plan whose kernels read the arguments where they lie, and write results where they belong.

    Nothing of the arguments' size is made but the results; the gradient by an argument that was
    broadcast is summed from a whole one.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        frame = self.frame
        self.shape = frame.full
        if self.formula.rowwise:
            self.shape = frame.full[: frame.axis] + frame.full[frame.axis + 1 :]
        self.fused: dict[Any, Any] = {}
        self.sees = [port.view for port in self.ports.values()]
        self.plain = not any(port.view_steps for port in self.ports.values())
        given = (i for i, described in enumerate(self.question.arrays) if described is not None)
        self.places = dict(zip(self.ports, given, strict=True))

    # ------------------------------------------------------------------------------ kernels
    def fused_kernel(
        self,
        kind: str,
        wrt: tuple[str, ...],
        results: tuple[Output, ...],
        *,
        watching: bool = False,
    ) -> Any:
        """The engine's kernel for one kind of thing; `watching` for numbers that may not be."""
        key = (kind, wrt, results, watching)
        found = self.fused.get(key)
        if found is None:
            graph = self.variant.graph(kind, wrt)
            if watching:
                graph = self.variant.watching(graph)
            found = self.fused[key] = self.weave(graph, results)
        return found

    def weave(self, graph: Graph, results: tuple[Output, ...]) -> Any:
        """A new kernel."""
        engine = self.question.engine
        return weave_fused(graph, results, engine, self.dtype, rowwise=self.formula.rowwise)

    def views(self, arrays: Sequence[Any]) -> list[Any]:
        """The arguments as the kernels see them."""
        given = [array for array in arrays if array is not None]
        if self.plain:
            return given
        return [see(array) for see, array in zip(self.sees, given, strict=True)]

    def result_of(self, name: str) -> Output:
        """The gradient by an argument."""
        return Output(self.variant.nodes[name].level)

    def compute(
        self,
        kernel: Any,
        views: list[Any],
        scalars: Sequence[Any] = (),
        results: Sequence[Any] = (),
    ) -> list[Any]:
        """Run a kernel on arguments as it sees them."""
        found: list[Any] = kernel(self.shape, self.frame.classes, views, scalars, results)
        return found

    def reduced(
        self,
        kernel: Any,
        views: list[Any],
        divisor: Any,
        scalars: Sequence[Any] = (),
        results: Sequence[Any] = (),
    ) -> Any:
        """Run a kernel that has one total, and give that over the divisor."""
        (total,) = self.compute(kernel, views, scalars, results)
        return self.backend.quotient(total, divisor, self.dtype)

    # ------------------------------------------------------------------------------ where they lie
    def inverse(self, divisor: Any) -> Any:
        """What the derivative of the losses' sum is multiplied by."""
        return self.backend.inverse(divisor, self.dtype)

    def times(self, number: Any, factor: Any) -> Any:
        """The product of two numbers, as kernels take them."""
        return number * float(factor)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """A new array."""
        return pages.empty(shape, self.backend.dtype(dtype))

    def empty_like(self, array: Any, dtype: Any) -> Any:
        """A new array that lies as that one does."""
        if array.flags.c_contiguous:
            return pages.empty(array.shape, np.dtype(dtype))
        return np.empty_like(array, dtype=dtype, subok=False)

    def shares_memory(self, one: Any, other: Any) -> bool:
        """Whether two arrays may have numbers in common."""
        return bool(np.may_share_memory(one, other))

    def same_place(self, one: Any, other: Any) -> bool:
        """Whether two arrays are the same numbers in memory."""
        same = one.__array_interface__ == other.__array_interface__
        return bool(same and one.strides == other.strides)

    def in_the_way(self, target: Any, inputs: Sequence[Any]) -> bool:
        """Whether writing a part of the gradient might spoil an input of a later part.

        It may be an input, number for number: a part is read before it is written.
        """
        return any(self.shares_memory(target, a) and not self.same_place(target, a) for a in inputs)

    # ------------------------------------------------------------------------------ the numbers
    def count_views(self, views: list[Any]) -> Any:
        """The divisor of the sum."""
        if self.divisor is not None:
            return self.divisor
        if self.variant.value.outputs[1].level is Level.SCALAR:
            return self.count(views)
        return self.compute(self.fused_kernel("count", (), (TOTAL,)), views)[0]

    def value(self, arrays: Sequence[Any]) -> Any:
        """The loss."""
        views = self.views(arrays)
        if self.question.reduction == "none":
            return self.losses(views)
        return self.reduced(
            self.fused_kernel("value", (), (TOTAL,)), views, self.count_views(views)
        )

    def losses(self, views: list[Any]) -> Any:
        """The losses as they are, in their own shape and dtype."""
        losses, seen, output = self.room_for_losses()
        self.compute(self.fused_kernel("value", (), (output,)), views, (), [seen])
        return losses[()]

    def room_for_losses(self) -> tuple[Any, Any, Output]:
        """Memory for the losses; it as a kernel sees it; what that fills it with."""
        frame = self.frame
        losses = seen = self.empty(frame.losses, self.result_dtype)
        elements = len(frame.losses) == len(frame.full)
        if self.formula.rowwise and elements:
            seen = self.backend.namespace().moveaxis(losses, frame.axis, -1)
        return losses, seen, Output(Level.ELEMENT if elements else Level.ROW)

    def value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient by each of `wrt`, in one run."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)
        views = self.views(arrays)
        divisor = self.count_views(views)
        scalars = (self.inverse(divisor),)
        rooms = self.rooms(wrt, arrays, targets)
        seen = [room.seen for room in rooms]
        of_gradients = tuple(map(self.result_of, wrt))
        if self.question.reduction == "none":
            losses, seen_losses, output = self.room_for_losses()
            kernel = self.fused_kernel("value_and_gradient", wrt, (output, *of_gradients))
            self.compute(kernel, views, scalars, [seen_losses, *seen])
            value = losses[()]
        else:
            kernel = self.fused_kernel("value_and_gradient", wrt, (TOTAL, *of_gradients))
            value = self.reduced(kernel, views, divisor, scalars, seen)
        return value, [room.finish() for room in rooms]

    def gradients(
        self,
        kind: str,
        wrt: tuple[str, ...],
        arrays: Sequence[Any],
        scalars: Sequence[Any],
        *more: Any,
        targets: Sequence[Any] = (),
    ) -> list[Any]:
        """The outputs of a derivative's kernel, one for each of `wrt`."""
        kernel = self.fused_kernel(kind, wrt, tuple(map(self.result_of, wrt)))
        rooms = self.rooms(wrt, arrays, targets)
        views = [*self.views(arrays), *more]
        self.compute(kernel, views, scalars, [room.seen for room in rooms])
        return [room.finish() for room in rooms]

    def inverse_count(self, arrays: Sequence[Any]) -> Any:
        """What the derivative of the losses' sum is multiplied by."""
        divisor = self.count_views(self.views(arrays)) if self.divisor is None else self.divisor
        return self.inverse(divisor)

    def gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> list[Any]:
        """The gradient of the reduced loss by each of `wrt`."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)[1]
        scalars = (self.inverse_count(arrays),)
        return self.gradients("gradient", wrt, arrays, scalars, targets=targets)

    def second_derivative(
        self, kind: str, name: str, arrays: Sequence[Any], vector: Any = None
    ) -> Any:
        """The Hessian's diagonal, or its product with a vector, by one argument."""
        more = () if vector is None else (self.ports[name].view(vector),)
        scalars = (self.inverse_count(arrays),)
        return self.gradients(kind, (name,), arrays, scalars, *more)[0]

    def mean_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any
    ) -> tuple[Any, list[Any]]:
        """The same for a divisor that moves too: `d(S/C) = (dS - S/C dC) / C`."""
        views = self.views(arrays)
        value = self.value(arrays)
        seed = self.times(self.inverse(self.count_views(views)), cotangent)
        scalars = (seed, self.times(-seed, value))
        return value, self.gradients("mean_gradient", wrt, arrays, scalars)

    def pullback(self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any) -> list[Any]:
        """The gradient for a cotangent of the result, an array where that is not reduced."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, cotangent)[1]
        if self.question.reduction != "none":
            seed = self.times(self.inverse_count(arrays), cotangent)
            return self.gradients("gradient", wrt, arrays, (seed,))
        frame, xp = self.frame, self.backend.namespace()
        seen = xp.broadcast_to(self.backend.asarray(cotangent), frame.losses)
        if self.formula.rowwise and len(frame.losses) == len(frame.full):
            seen = xp.moveaxis(seen, frame.axis, -1)
        return self.gradients("pullback", wrt, arrays, (), seen)

    # ------------------------------------------------------------------------------ results
    def rooms(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any]
    ) -> list[Room]:
        """Memory for the gradient by each of `wrt`: the caller's, where it has the right form."""
        given = [arrays[self.places[name]] for name in wrt]
        if not targets:
            return [Room(self, name, a) for name, a in zip(wrt, given, strict=True)]
        inputs = [array for array in arrays if array is not None]
        free = []
        for target in targets:
            others = [other for other in targets if other is not target]
            shared = any(self.shares_memory(target, other) for other in others)
            free.append(None if shared or self.in_the_way(target, inputs) else target)
        return [Room(self, *each) for each in zip(wrt, given, free, strict=True)]


class Room:
    """Memory that a gradient is written into.

    Attributes
    ----------
    seen
        It, as the kernel sees it.
    """

    def __init__(self, plan: FusedPlan, name: str, argument: Any, target: Any = None) -> None:
        self.plan = plan
        self.port = port = plan.ports[name]
        if port.whole:
            self.array = plan.empty_like(argument, port.native) if target is None else target
            self.seen = port.view(plan.backend.asarray(self.array))
        else:
            self.array = self.seen = plan.empty(port.inside, plan.dtype)
            if plan.formula.rowwise:
                xp = plan.backend.namespace()
                self.seen = xp.moveaxis(self.array, plan.frame.kernel_axis, -1)
            if port.of_rows:
                self.seen = self.seen[..., 0]

    def finish(self) -> Any:
        """The gradient in the argument's own shape and dtype."""
        if self.port.whole:
            return self.array
        with self.plan.backend.quiet():
            return self.port.leave(self.array, None)
