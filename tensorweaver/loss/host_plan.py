"""Calls on NumPy arrays that an engine carries out: numbers looked at by the way, and the short way
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
    """A plan that takes labels for classes and numbers for what they should be, lets machine code
    watch out for strangers, and looks at them only where there are any: labels are counted, other
    numbers make a NaN of the loss. For NumPy's functions looking is quicker.

    Where labels to ignore were met, all are looked at first from then on: nothing is to be computed
    twice at every call.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        watches = self.question.engine == "llvm" and self.question.reduction != "none"
        self.watching = bool(self.label_places or self.watched)
        self.trusts = watches and self.watching
        self.strangers = (TOTAL,) if self.label_places else ()
        self.watching_value: Any = None

    def checked(self, arrays: Sequence[Any]) -> Plan:
        """The plan for numbers that were looked at."""
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
                sums = plan.watched_sums(views)
                if not self.warn(sums):
                    return self.backend.quotient(sums[0], plan.count_views(views), self.dtype)
        return super().checked_value(arrays)

    def watched_sums(self, views: list[Any]) -> list[float]:
        """The sum of the losses and the number of strange labels."""
        if self.watching_value is None:
            results = (TOTAL, *self.strangers)
            self.watching_value = self.fused_kernel("value", (), results, watching=True)
        return self.compute(self.watching_value, views)

    def warn(self, sums: Sequence[float]) -> bool:
        """Whether there may be strangers, by the sum of the losses and the number of labels."""
        return bool(sums[1:] and sums[1]) or (bool(self.watched) and sums[0] != sums[0])

    def shortcut(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        """The loss in as few steps as possible, for small arrays that need no preparation."""
        general = super().shortcut(arrays)
        plan = self.for_classes()
        if not plan.plain or plan.divisor is None or self.question.reduction == "none":
            return general
        results = (TOTAL, *self.strangers)
        kernel = plan.fused_kernel("value", (), results, watching=self.watching)
        direct = kernel.direct(plan.shape, plan.frame.classes, arrays[:2])
        if direct is None:
            return general
        quotient, divisor, dtype = self.backend.quotient, plan.divisor, self.dtype
        watching, warn = self.watching, self.warn

        def value(a: Any, b: Any) -> Any:
            found = direct(a, b)
            if found is None or (watching and (warn(found) or not self.trusts)):
                return general(a, b)
            return quotient(found[0], divisor, dtype)

        return value

    # ------------------------------------------------------------------------------ the gradient
    def checked_value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient; what could be spoilt is looked at first."""
        plan = self.for_classes() if self.trusts and not targets else None
        if plan is not None and not plan.divisor_moves(wrt):
            with suppress(IndexError):
                value, gradients, sums = plan.watched_gradient(wrt, arrays)
                if not self.warn(sums):
                    return value, gradients
        return super().checked_value_and_gradient(wrt, arrays, targets)

    def watched_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any]
    ) -> tuple[Any, list[Any], list[float]]:
        """The loss, its gradient by each of `wrt`, and what `watched_sums` gives."""
        views = self.views(arrays)
        divisor = self.count_views(views)
        rooms = self.rooms(wrt, arrays, ())
        results = (TOTAL, *map(self.result_of, wrt), *self.strangers)
        kernel = self.fused_kernel("value_and_gradient", wrt, results, watching=True)
        seen = [room.seen for room in rooms]
        sums = self.compute(kernel, views, (self.inverse(divisor),), seen)
        value = self.backend.quotient(sums[0], divisor, self.dtype)
        return value, [room.finish() for room in rooms], sums
