"""How one argument enters a kernel, and how its gradient comes back out.

Inside a kernel every array has the dtype of the computation and lines up with the elements: labels
and row values keep a class axis of length one, what was smaller has been broadcast (a view, not a
copy).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.backends import Backend
    from tensorweaver.loss.arguments import Described
    from tensorweaver.loss.formula import Role

__all__ = ["Frame", "Port"]


class Frame:
    """The shapes that all arguments of one call share.

    Attributes
    ----------
    full, losses
        The shape of the elements, and of the losses (without the class axis where the formula
        reduces it).
    axis
        The class axis of the arguments, counted from the front.
    moved
        Whether the class axis is moved last on the way in, for a library whose kernels want it
        there.
    """

    def __init__(
        self,
        backend: Backend,
        full: tuple[int, ...],
        losses: tuple[int, ...],
        axis: int,
        *,
        rowwise: bool,
    ) -> None:
        self.backend = backend
        self.full = full
        self.losses = losses
        self.axis = axis
        self.rowwise = rowwise
        self.moved = rowwise and backend.wants_classes_last and axis != len(full) - 1
        self.kernel_axis = len(full) - 1 if rowwise and backend.wants_classes_last else axis

    @property
    def classes(self) -> int:
        """How many classes there are; 1 for a pointwise loss."""
        return self.full[self.axis] if self.rowwise else 1

    def kept(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a row value with its class axis of length one."""
        lacking = len(rows) < len(self.full)
        return (*rows[: self.axis], 1, *rows[self.axis :]) if lacking else rows

    def enter(self, array: Any) -> Any:
        """Move the class axis where the kernels want it."""
        return self.backend.move_axis(array, self.axis, -1) if self.moved else array

    def leave(self, array: Any) -> Any:
        """Move the class axis back."""
        return self.backend.namespace().moveaxis(array, -1, self.axis) if self.moved else array


class Port:
    """One argument of one call: `enter` on the way into the kernel, `leave` for its gradient."""

    def __init__(self, frame: Frame, described: Described, role: Role | str, dtype: str) -> None:
        self.frame = frame
        self.described = described
        self.dtype = dtype
        self.native = frame.backend.dtype(described.dtype)
        self.small, self.large = self.shapes(role)
        self.steps = self.make_steps()
        self.of_rows = frame.rowwise and (
            role in {"label", "row"}
            or (role in {"weights", "mask"} and len(frame.losses) < len(frame.full))
        )
        self.view_steps = self.make_view_steps(role)
        #: Has the argument a number of its own for every place that a kernel sees?
        self.whole = self.large == self.small and (
            math.prod(self.small) == math.prod(described.shape)
        )

    def shapes(self, role: Role | str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The argument's own shape lined up with the elements, and the shape it is broadcast to."""
        frame, shape = self.frame, self.described.shape
        if role in {"label", "row"}:
            return frame.kept(shape), frame.kept(shape)
        if role == "class":
            rank = len(frame.full)
            return tuple(shape[0] if i == frame.axis else 1 for i in range(rank)), frame.full
        if role in {"weights", "mask"}:
            padded = shape + (1,) * (len(frame.losses) - len(shape))
            return frame.kept(padded), frame.kept(frame.losses)
        return (1,) * (len(frame.full) - len(shape)) + shape, frame.full

    def make_steps(self) -> list[Callable[[Any], Any]]:
        """What has to be done on the way in; nothing for most arguments."""
        backend = self.frame.backend
        steps: list[Callable[[Any], Any]] = []
        if self.described.dtype != self.dtype:
            steps.append(lambda array: backend.astype(array, self.dtype))
        if self.small != self.described.shape:
            steps.append(partial(backend.reshape, shape=self.small))
        if self.large != self.small:
            steps.append(lambda array: backend.namespace().broadcast_to(array, self.large))
        if self.frame.moved:
            steps.append(self.frame.enter)
        return steps

    def make_view_steps(self, role: Role | str) -> list[Callable[[Any], Any]]:
        """How a kernel that works on blocks sees the argument: nothing is copied or converted."""
        xp, frame, shape = self.frame.backend.namespace(), self.frame, self.described.shape
        steps: list[Callable[[Any], Any]] = []
        if self.of_rows and role in {"label", "row"}:
            return steps
        if self.of_rows:
            padded = shape + (1,) * (len(frame.losses) - len(shape))
            if padded != shape:
                steps.append(partial(xp.reshape, shape=padded))
            if padded != frame.losses:
                steps.append(partial(xp.broadcast_to, shape=frame.losses))
            return steps
        if self.small != shape:
            steps.append(partial(xp.reshape, shape=self.small))
        if self.large != self.small:
            steps.append(partial(xp.broadcast_to, shape=self.large))
        if frame.rowwise and frame.axis != len(frame.full) - 1:
            steps.append(partial(xp.moveaxis, source=frame.axis, destination=-1))
        return steps

    def view(self, array: Any) -> Any:
        """The argument as a kernel that works on blocks sees it."""
        for step in self.view_steps:
            array = step(array)
        return array

    @property
    def inside(self) -> tuple[int, ...]:
        """The shape that its gradient has inside: the class axis last."""
        if not (self.frame.rowwise and self.frame.backend.wants_classes_last):
            return self.large
        axis = self.frame.axis
        return (*self.large[:axis], *self.large[axis + 1 :], self.large[axis])

    def enter(self, array: Any) -> Any:
        """The argument as the kernel takes it."""
        for step in self.steps:
            array = step(array)
        return array

    def leave(self, gradient: Any, device: Any) -> Any:
        """The kernel's gradient in the argument's own shape and dtype."""
        backend = self.frame.backend
        xp = backend.namespace()
        inside = self.inside
        if tuple(getattr(gradient, "shape", ())) != inside or not backend.owns(type(gradient)):
            gradient = backend.asarray(gradient, self.dtype, device)
            gradient = backend.writable_copy(xp.broadcast_to(gradient, inside))
        gradient = self.frame.leave(gradient)
        axes = tuple(
            i for i, (a, b) in enumerate(zip(self.small, self.large, strict=True)) if a != b
        )
        if axes:
            gradient = xp.sum(gradient, axis=axes, keepdims=True)
        if self.small != self.described.shape:
            gradient = xp.reshape(gradient, self.described.shape)
        return backend.astype(gradient, self.described.dtype)
