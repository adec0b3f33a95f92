"""What running a kernel asks of an array library, beyond the functions of the standard."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tensorweaver.backends.validation import validating

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tensorweaver.backends.launching import Launcher

__all__ = ["Derivatives", "Execution"]

NOTHING: AbstractContextManager[None] = nullcontext()


class Derivatives(Protocol):
    """A kernel's derivatives, for a library with differentiation of its own."""

    #: The places of the real-valued inputs among all inputs.
    positions: tuple[int, ...]
    #: For each of these, the axis over which `slope * tangent` is summed to make the output's
    #: tangent; None for none.
    sums: tuple[int | None, ...]

    def slopes(self, wrt: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]:
        """From the inputs to the derivative of the output by each input in `wrt`."""
        ...

    def product(
        self, along: tuple[int, ...], wrt: tuple[int, ...]
    ) -> Callable[..., tuple[Any, ...]]:
        """From the inputs and a vector for each of `along` to the second derivative times these,
        for each of `wrt`.
        """
        ...


class Execution:
    """The defaults suit an eager library that follows the standard; `Backend` inherits them."""

    if TYPE_CHECKING:  # what `Backend` brings

        def asarray(self, value: Any, dtype: Any = None, device: Any = None) -> Any: ...  # noqa: D102
        def astype(self, array: Any, name: str) -> Any: ...  # noqa: D102
        def concrete(self, array: Any) -> bool: ...  # noqa: D102
        def namespace(self) -> ModuleType: ...  # noqa: D102

    #: Do kernels run faster, or sum more exactly, with the class axis last and contiguous?
    wants_classes_last: ClassVar[bool] = False
    #: Has it differentiation of its own, which should learn our derivatives?
    differentiates: ClassVar[bool] = False

    def launcher(self) -> Launcher:
        """Who launches CUDA kernels; for libraries whose `engine` is "cuda"."""
        raise NotImplementedError

    def functions(self, axis: int) -> dict[str, Callable[..., Any]]:
        """What a kernel calls in place of the standard's function of that name, for rows along
        `axis`.
        """
        return {}

    def constant(self, value: float, dtype: str, device: Any) -> Any:
        """A number as an operand of the library's functions, with that dtype."""
        return self.asarray(value, dtype, device)

    def label_dtype(self) -> str:
        """The dtype that indexes arrays."""
        return "int64"

    def visible(self, array: Any) -> bool:
        """May its numbers be checked? Where that would stall a device, only on request."""
        return self.concrete(array) or (validating() and self.has_numbers(array))

    def has_numbers(self, array: Any) -> bool:
        """Would its numbers come, if one waited for them?"""
        return self.concrete(array)

    def scan(
        self, step: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: tuple[Any, ...]
    ) -> tuple[Any, tuple[Any, ...]]:
        """`state, outputs = step(state, rows)` for each row along the first axis of `inputs`: the
        last state, and the outputs of all steps stacked. States and outputs are tuples of arrays.
        """
        outputs = []
        for place in range(inputs[0].shape[0]):
            state, made = step(state, tuple(array[place, ...] for array in inputs))
            outputs.append(made)
        xp = self.namespace()
        return state, tuple(xp.stack(column) for column in zip(*outputs, strict=True))

    def quiet(self) -> AbstractContextManager[Any]:
        """A context in which infinities and NaN arise without warnings: they are results, not
        mishaps.
        """
        return NOTHING

    def total(self, array: Any) -> Any:
        """The sum of all elements."""
        return self.namespace().sum(array)

    def quotient(self, total: Any, divisor: Any, dtype: str) -> Any:
        """`total / divisor`; over nothing it is 0, or NaN where the total is."""
        if isinstance(divisor, float):
            return total if divisor in {0.0, 1.0} else total / divisor
        xp = self.namespace()
        nothing = (divisor == 0) & ~xp.isnan(total)
        safe = xp.where(divisor == 0, xp.ones_like(divisor), divisor)
        return xp.where(nothing, xp.zeros_like(total), total / safe)

    def inverse(self, divisor: Any, dtype: str) -> Any:
        """`1 / divisor`, and 0 for nothing."""
        if isinstance(divisor, float):
            return 0.0 if divisor == 0 else 1.0 / divisor
        xp = self.namespace()
        ones = xp.ones_like(divisor)
        return xp.where(
            divisor == 0, xp.zeros_like(divisor), ones / xp.where(divisor == 0, ones, divisor)
        )

    def seed(self, value: float, dtype: str, device: Any) -> Any:
        """A number that kernels multiply by, and may give out as a result."""
        return self.constant(value, dtype, device)

    def reshape(self, array: Any, shape: tuple[int, ...]) -> Any:
        """The same numbers in another shape."""
        return self.namespace().reshape(array, shape)

    def move_axis(self, array: Any, source: int, destination: int) -> Any:
        """The array with one axis elsewhere, laid out as kernels like it."""
        return self.namespace().moveaxis(array, source, destination)

    def writable(self, array: Any) -> bool:
        """Can it be written to?"""
        return True

    def write(self, target: Any, values: Any) -> None:
        """Put `values` into `target`."""
        target[...] = values

    def writable_copy(self, array: Any) -> Any:
        """A copy with memory of its own for every element."""
        return self.namespace().asarray(array, copy=True)

    def with_derivatives(
        self, value: Callable[..., Any], derivatives: Derivatives
    ) -> Callable[..., Any]:
        """`value`, differentiated by the library with `derivatives` instead of through its
        operations.
        """
        return value
