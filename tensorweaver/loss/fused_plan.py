"""Calls on NumPy arrays that an engine carries out block by block."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.compiler import pages
from tensorweaver.compiler.compile import weave_fused
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.schedule import Output
from tensorweaver.loss.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.compiler.fused import FusedKernel

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
        self.fused: dict[Any, FusedKernel] = {}
        self.sees = [port.view for port in self.ports.values()]
        self.plain = not any(port.view_steps for port in self.ports.values())
        given = (i for i, described in enumerate(self.question.arrays) if described is not None)
        self.places = dict(zip(self.ports, given, strict=True))
        self.of_classes: FusedKernel | None = None
        self.trusts = bool(self.label_places) and self.question.reduction != "none"

    # ------------------------------------------------------------------------------ kernels
    def fused_kernel(
        self, kind: str, wrt: tuple[str, ...], results: tuple[Output, ...]
    ) -> FusedKernel:
        """The engine's kernel for one kind of thing; of one result more, that is how many labels
        are no classes.
        """
        key = (kind, wrt, results)
        found = self.fused.get(key)
        if found is None:
            graph = self.variant.graph(kind, wrt)
            if len(results) > len(graph.outputs):
                graph = graph.with_outputs(*graph.outputs, self.variant.strangers)
            found = self.fused[key] = weave_fused(
                graph, results, self.question.engine, self.dtype, rowwise=self.formula.rowwise
            )
        return found

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
        kernel: FusedKernel,
        views: list[Any],
        scalars: Sequence[float] = (),
        results: Sequence[Any] = (),
    ) -> list[float]:
        """Run a kernel on arguments as it sees them."""
        return kernel(self.shape, self.frame.classes, views, scalars, results)

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
        (total,) = self.compute(self.fused_kernel("value", (), (TOTAL,)), views)
        return self.backend.quotient(total, self.count_views(views), self.dtype)

    def losses(self, views: list[Any]) -> Any:
        """The losses as they are, in their own shape and dtype."""
        losses, seen, output = self.room_for_losses()
        self.compute(self.fused_kernel("value", (), (output,)), views, (), [seen])
        return losses[()]

    def room_for_losses(self) -> tuple[Any, Any, Output]:
        """Memory for the losses; it as a kernel sees it; what that fills it with."""
        frame = self.frame
        losses = pages.empty(frame.losses, self.backend.dtype(self.result_dtype))
        elements = len(frame.losses) == len(frame.full)
        seen = np.moveaxis(losses, frame.axis, -1) if self.formula.rowwise and elements else losses
        return losses, seen, Output(Level.ELEMENT if elements else Level.ROW)

    def value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient by each of `wrt`, in one run."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)
        if self.question.reduction != "none":
            value, gradients, _ = self.total_and_gradient(wrt, arrays, targets)
            return value, gradients
        views = self.views(arrays)
        rooms = self.rooms(wrt, arrays, targets)
        losses, seen_losses, output = self.room_for_losses()
        results = (output, *map(self.result_of, wrt))
        kernel = self.fused_kernel("value_and_gradient", wrt, results)
        self.compute(kernel, views, (1.0,), [seen_losses, *[room.seen for room in rooms]])
        return losses[()], [room.finish() for room in rooms]

    def total_and_gradient(
        self,
        wrt: tuple[str, ...],
        arrays: Sequence[Any],
        targets: Sequence[Any],
        *strangers: Output,
    ) -> tuple[Any, list[Any], float]:
        """The reduced loss, its gradient by each of `wrt`, and, if asked for, the number of labels
        that are no classes.
        """
        views = self.views(arrays)
        divisor = self.count_views(views)
        rooms = self.rooms(wrt, arrays, targets)
        results = (TOTAL, *map(self.result_of, wrt), *strangers)
        kernel = self.fused_kernel("value_and_gradient", wrt, results)
        scalars = (self.backend.inverse(divisor, self.dtype),)
        total, *more = self.compute(kernel, views, scalars, [room.seen for room in rooms])
        value = self.backend.quotient(total, divisor, self.dtype)
        return value, [room.finish() for room in rooms], sum(more)

    # ------------------------------------------------------------------------------ labels
    def checked_value(self, arrays: Sequence[Any]) -> Any:
        """The loss; strangers among the labels are counted on the way."""
        if self.trusts:
            plan = self.for_classes()
            views = plan.views(arrays)
            with suppress(IndexError):
                total, strangers = plan.total_and_strangers(views)
                if not strangers:
                    return self.backend.quotient(total, plan.count_views(views), self.dtype)
        return super().checked_value(arrays)

    def shortcut(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        """The same in as few steps as possible, for small arrays that need no preparation."""
        general = super().shortcut(arrays)
        plan = self.for_classes()
        if not plan.plain or plan.divisor is None or self.question.reduction == "none":
            return general
        labelled = bool(self.label_places)
        kernel = plan.fused_kernel("value", (), (TOTAL,) * (1 + labelled))
        direct = kernel.direct(plan.shape, plan.frame.classes, arrays[:2])
        if direct is None:
            return general
        quotient, divisor, dtype = self.backend.quotient, plan.divisor, self.dtype

        def value(a: Any, b: Any) -> Any:
            found = direct(a, b)
            if found is None or (labelled and (found[1] or not self.trusts)):
                return general(a, b)
            return quotient(found[0], divisor, dtype)

        return value

    def checked_value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient; strangers among the labels are counted on the way, unless
        there is something to spoil.
        """
        plan = self.for_classes() if self.trusts and not targets else None
        if plan is not None and not plan.divisor_moves(wrt):
            with suppress(IndexError):
                value, gradients, strangers = plan.total_and_gradient(wrt, arrays, (), TOTAL)
                if not strangers:
                    return value, gradients
        return super().checked_value_and_gradient(wrt, arrays, targets)

    def checked(self, arrays: Sequence[Any]) -> Plan:
        """The plan for labels that were looked at. Where some are to be ignored, all are looked at
        first from then on: nothing is to be computed twice at every call.
        """
        found = super().checked(arrays)
        self.trusts = self.trusts and found is self.for_classes()
        return found

    def total_and_strangers(self, views: list[Any]) -> list[float]:
        """The sum of the losses and the number of labels that are no classes."""
        if self.of_classes is None:
            self.of_classes = self.fused_kernel("value", (), (TOTAL, TOTAL))
        return self.compute(self.of_classes, views)

    def gradients(
        self,
        kind: str,
        wrt: tuple[str, ...],
        arrays: Sequence[Any],
        scalars: Sequence[float],
        *more: Any,
        targets: Sequence[Any] = (),
    ) -> list[Any]:
        """The outputs of a derivative's kernel, one for each of `wrt`."""
        kernel = self.fused_kernel(kind, wrt, tuple(map(self.result_of, wrt)))
        rooms = self.rooms(wrt, arrays, targets)
        views = [*self.views(arrays), *more]
        self.compute(kernel, views, scalars, [room.seen for room in rooms])
        return [room.finish() for room in rooms]

    def inverse_count(self, arrays: Sequence[Any]) -> float:
        """What the derivative of the losses' sum is multiplied by."""
        divisor = self.count_views(self.views(arrays)) if self.divisor is None else self.divisor
        return float(self.backend.inverse(divisor, self.dtype))

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
        divisor = self.count_views(views)
        value = self.value(arrays)
        seed = self.backend.inverse(divisor, self.dtype) * float(cotangent)
        scalars = (seed, -float(value) * seed)
        return value, self.gradients("mean_gradient", wrt, arrays, scalars)

    def pullback(self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any) -> list[Any]:
        """The gradient for a cotangent of the result, an array where that is not reduced."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, cotangent)[1]
        if self.question.reduction != "none":
            seed = self.inverse_count(arrays) * float(cotangent)
            return self.gradients("gradient", wrt, arrays, (seed,))
        frame = self.frame
        seen = np.broadcast_to(np.asarray(cotangent), frame.losses)
        if self.formula.rowwise and len(frame.losses) == len(frame.full):
            seen = np.moveaxis(seen, frame.axis, -1)
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
            shared = any(np.may_share_memory(target, other) for other in others)
            free.append(None if shared or in_the_way(target, inputs) else target)
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
            self.array = room_like(argument, port.native) if target is None else target
            self.seen = port.view(np.asarray(self.array))
        else:
            self.array = np.empty(port.inside, plan.dtype)
            self.seen = self.array[..., 0] if port.of_rows else self.array

    def finish(self) -> Any:
        """The gradient in the argument's own shape and dtype."""
        if self.port.whole:
            return self.array
        with self.plan.backend.quiet():
            return self.port.leave(self.array, None)


def room_like(argument: Any, dtype: Any) -> Any:
    """Memory for a gradient, whose numbers lie as the argument's do."""
    if argument.flags.c_contiguous:
        return pages.empty(argument.shape, np.dtype(dtype))
    return np.empty_like(argument, dtype=dtype, subok=False)


def in_the_way(target: Any, inputs: Sequence[Any]) -> bool:
    """Whether writing a block of the gradient might spoil an input of a later block.

    It may be an input, number for number: a block is read before it is written.
    """
    return any(np.may_share_memory(target, a) and not same_place(target, a) for a in inputs)


def same_place(a: Any, b: Any) -> bool:
    """Whether two arrays are the same numbers in memory."""
    return bool(a.__array_interface__ == b.__array_interface__ and a.strides == b.strides)
