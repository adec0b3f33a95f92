"""Calls on NumPy arrays that an engine carries out: labels looked at by the way, and the short way
for small arrays.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tensorweaver.loss.fused_plan import TOTAL, FusedPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.loss.plan import Plan

__all__ = ["HostPlan"]


class HostPlan(FusedPlan):
    """A plan that takes labels for classes, lets machine code count strangers among them, and looks
    at them only where there are any. For NumPy's functions looking is quicker than counting.

    Where labels to ignore were met, all are looked at first from then on: nothing is to be computed
    twice at every call.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        counts = self.question.engine == "llvm" and self.question.reduction != "none"
        self.trusts = counts and bool(self.label_places)
        self.of_classes: Any = None

    def checked(self, arrays: Sequence[Any]) -> Plan:
        """The plan for labels that were looked at."""
        found = super().checked(arrays)
        self.trusts = self.trusts and found is self.for_classes()
        return found

    # ------------------------------------------------------------------------------ the value
    def checked_value(self, arrays: Sequence[Any]) -> Any:
        """The loss."""
        if self.trusts:
            plan = self.for_classes()
            views = plan.views(arrays)
            with suppress(IndexError):  # of NumPy's functions, which copied rows go through
                total, strangers = plan.total_and_strangers(views)
                if not strangers:
                    return self.backend.quotient(total, plan.count_views(views), self.dtype)
        return super().checked_value(arrays)

    def total_and_strangers(self, views: list[Any]) -> list[float]:
        """The sum of the losses and the number of labels that are no classes."""
        if self.of_classes is None:
            self.of_classes = self.fused_kernel("value", (), (TOTAL, TOTAL))
        return self.compute(self.of_classes, views)

    def shortcut(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        """The loss in as few steps as possible, for small arrays that need no preparation."""
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

    # ------------------------------------------------------------------------------ the gradient
    def checked_value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient; labels are looked at first where something could be spoilt."""
        plan = self.for_classes() if self.trusts and not targets else None
        if plan is not None and not plan.divisor_moves(wrt):
            with suppress(IndexError):
                value, gradients, strangers = plan.gradient_and_strangers(wrt, arrays)
                if not strangers:
                    return value, gradients
        return super().checked_value_and_gradient(wrt, arrays, targets)

    def gradient_and_strangers(
        self, wrt: tuple[str, ...], arrays: Sequence[Any]
    ) -> tuple[Any, list[Any], float]:
        """The loss, its gradient by each of `wrt`, and the number of labels that are no classes."""
        views = self.views(arrays)
        divisor = self.count_views(views)
        rooms = self.rooms(wrt, arrays, ())
        results = (TOTAL, *map(self.result_of, wrt), TOTAL)
        kernel = self.fused_kernel("value_and_gradient", wrt, results)
        seen = [room.seen for room in rooms]
        total, strangers = self.compute(kernel, views, (self.inverse(divisor),), seen)
        value = self.backend.quotient(total, divisor, self.dtype)
        return value, [room.finish() for room in rooms], strangers
