"""A kernel's derivatives, as a library with differentiation of its own wants to be told them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.graph import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tensorweaver.compiler.graph import Node

__all__ = ["KernelDerivatives", "as_tuple"]


class KernelDerivatives:
    """See `tensorweaver.backends.execution.Derivatives`.

    Parameters
    ----------
    kernel
        `kernel(kind, wrt, along)` gives the function that computes one kind of derivative.
    inputs
        The nodes of the kernel's inputs by name, in order.
    not_real
        The names of inputs that have no derivative.
    axis
        The class axis; None for a pointwise loss.
    last
        What follows the inputs in every call: the number of classes, and one as the seed.
    """

    def __init__(
        self,
        kernel: Callable[..., Callable[..., Any]],
        inputs: Mapping[str, Node],
        not_real: Collection[str],
        axis: int | None,
        last: tuple[Any, ...],
    ) -> None:
        self.kernel = kernel
        self.names = tuple(inputs)
        self.last = last
        self.positions = tuple(i for i, name in enumerate(self.names) if name not in not_real)
        levels = [inputs[self.names[i]].level for i in self.positions]
        self.sums = tuple(axis if level is Level.ELEMENT else None for level in levels)

    def named(self, places: tuple[int, ...]) -> tuple[str, ...]:
        """The inputs at these places."""
        return tuple(self.names[i] for i in places)

    def slopes(self, wrt: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]:
        """From the inputs to the derivative of the output by each input in `wrt`."""
        run = self.kernel("gradient", self.named(wrt))
        return lambda *inputs: as_tuple(run(*inputs, *self.last))

    def product(
        self, along: tuple[int, ...], wrt: tuple[int, ...]
    ) -> Callable[..., tuple[Any, ...]]:
        """From the inputs and a vector for each of `along` to the second derivative times these."""
        run = self.kernel("hessian_product", self.named(wrt), self.named(along))
        count = len(self.names)
        return lambda *values: as_tuple(run(*values[:count], *self.last, *values[count:]))


def as_tuple(result: Any) -> tuple[Any, ...]:
    """A kernel's outputs, of which one comes alone."""
    return result if isinstance(result, tuple) else (result,)
