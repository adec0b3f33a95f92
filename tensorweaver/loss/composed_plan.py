"""Calls of losses that are ordinary array code: run on Tensors, differentiated on the tape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.errors import DTypeError, TraceError
from tensorweaver.loss.arguments import (
    LABEL_DTYPES,
    Described,
    check_weights,
    compute_dtype,
    is_floating,
)
from tensorweaver.loss.domains import check_domain
from tensorweaver.loss.options import check_held, thawed
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import gradients, no_grad

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.loss.formula import Formula
    from tensorweaver.loss.plan import Question

__all__ = ["ComposedPlan", "mean_of"]

WEIGHTS = ("sample_weight", "where")


class Argument(NamedTuple):
    """An argument without its numbers, and whether it is real."""

    described: Described
    real: bool


class ComposedPlan:
    """How one kind of call of a composed formula is carried out; it answers as a `Plan` does."""

    def __init__(self, formula: Formula, question: Question) -> None:
        self.formula = formula
        self.question = question
        self.backend = question.backend
        *arguments, _, _ = question.arrays
        labels = {d.name for d in arguments if d is not None and holds_labels(formula, d)}
        real = [None if d is not None and d.name in labels else d for d in arguments]
        self.dtype, self.result_dtype = compute_dtype(formula, real)
        check_held(formula, question.options, self.dtype)
        self.not_real = labels | {"where"}
        self.ports = {
            described.name: Argument(described, described.name not in self.not_real)
            for described in question.arrays
            if described is not None
        }
        for name in labels:
            check_whole(formula.name, self.ports[name].described)
        self.options = thawed(question.options)

    # ---------------------------------------------------------------------------------- the formula
    def checked(self, arrays: Sequence[Any]) -> ComposedPlan:
        """The same plan, once the formula's own check has passed. Beside weights and masks numbers
        are not looked at: only the formula knows which of them count.
        """
        if self.formula.domains and not any(array is not None for array in arrays[-2:]):
            for name, array in zip(self.ports, self.present(arrays), strict=True):
                domain = self.formula.domains.get(name)
                if domain is not None and self.backend.visible(array):
                    check_domain(self.formula.name, name, self.backend.to_numpy(array), domain)
        if self.formula.check is not None:
            given: dict[str, Any] = {}
            for name, array in zip(self.ports, self.present(arrays), strict=True):
                look = name in self.not_real and name not in WEIGHTS
                visible = look and self.question.labels_visible
                given[name] = self.backend.to_numpy(array) if visible else tuple(array.shape)
            self.formula.check(given, **self.options)
        return self

    def present(self, arrays: Sequence[Any]) -> list[Any]:
        """The arrays that were given."""
        return [array for array in arrays if array is not None]

    def tensors(self, arrays: Sequence[Any], tracked: Sequence[str] = ()) -> dict[str, Tensor]:
        """The arguments as the formula sees them; gradients are wanted by those in `tracked`."""
        found = {}
        for name, array in zip(self.ports, self.present(arrays), strict=True):
            real = self.ports[name].real
            inside = self.backend.astype(array, self.dtype) if real else array
            tensor = found[name] = Tensor.wrap(inside, self.backend)
            tensor.tracked = name in tracked
        return found

    def losses(self, given: dict[str, Tensor], *, twice: bool = False) -> tuple[Tensor, Any]:
        """The losses, and how much of them a mean counts."""
        function = self.formula.function
        if self.formula.first_order is not None and not twice:
            function = self.formula.first_order
        positional = [given[name] for name in self.formula.arguments]
        options = {name: given.get(name) for name in self.formula.array_options} | self.options
        result = function(*positional, **options)
        losses, counts, *divisors = result if isinstance(result, tuple) else (result, 1.0)
        if not isinstance(losses, Tensor):
            message = f"{self.formula.name}: the formula gave {losses!r}, not an array of losses"
            raise TraceError(message)
        if divisors and self.question.reduction == "mean":
            losses = losses / divisors[0]
        return self.weighted(given, losses, counts)

    def weighted(self, given: dict[str, Tensor], losses: Tensor, counts: Any) -> tuple[Tensor, Any]:
        """The losses and counts with `sample_weight` and `where` taken into account."""
        xp = losses.__array_namespace__()
        for name in WEIGHTS:
            if name not in given:
                continue
            shape = check_weights(self.formula.name, self.ports[name].described, losses.shape)
            factor = xp.reshape(given[name], shape)
            if name == "where":
                losses = xp.where(factor, losses, 0.0)
                counts = xp.where(factor, counts, xp.zeros_like(losses))
            else:
                losses = xp.multiply_no_nan(losses, factor)
                counts = counts * factor
        return losses, counts

    def reduced(self, given: dict[str, Tensor], *, twice: bool = False) -> Tensor:
        """The loss as the reduction wants it."""
        losses, counts = self.losses(given, twice=twice)
        xp = losses.__array_namespace__()
        if self.question.reduction == "none":
            return losses
        total = xp.sum(losses)
        if self.question.reduction == "sum":
            return total
        if isinstance(counts, int | float):
            count = float(counts) * losses.size
            return total / count if count else total * 0.0
        return mean_of(total, xp.sum(xp.broadcast_to(counts, losses.shape)))

    # -------------------------------------------------------------------------------------- running
    def value(self, arrays: Sequence[Any]) -> Any:
        """The loss."""
        with no_grad():
            return self.finished(self.reduced(self.tensors(arrays)))

    def checked_value(self, arrays: Sequence[Any]) -> Any:
        """The loss, of labels not yet looked at."""
        return self.checked(arrays).value(arrays)

    def finished(self, result: Tensor) -> Any:
        """A result as other losses have it."""
        if self.question.reduction == "none":
            return self.backend.astype(result.array, self.result_dtype)
        return self.backend.quotient(self.backend.total(result.array), 1.0, self.dtype)

    def shortcut(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        """What computes the loss of two arrays like these, which are all that was given."""
        rest = tuple(arrays[2:])
        return lambda a, b: self.checked_value((a, b, *rest))

    def value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient by each of `wrt`."""
        del targets
        given = self.tensors(arrays, wrt)
        result = self.reduced(given)
        value = self.finished(result)
        return value, self.gradients_of(result, given, wrt)

    def checked_value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The same, of labels not yet looked at."""
        return self.checked(arrays).value_and_gradient(wrt, arrays, targets)

    def gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> list[Any]:
        """The gradient of the reduced loss by each of `wrt`."""
        return self.value_and_gradient(wrt, arrays, targets)[1]

    def pullback(self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any) -> list[Any]:
        """The gradient for a cotangent of the result, an array where that is not reduced."""
        given = self.tensors(arrays, wrt)
        return self.gradients_of(self.reduced(given), given, wrt, cotangent)

    def gradients_of(
        self,
        result: Tensor,
        given: dict[str, Tensor],
        wrt: Sequence[str],
        cotangent: Any = None,
    ) -> list[Any]:
        """The way back to the arguments, in their own dtypes."""
        ones = self.ones(result)
        seed = ones if cotangent is None else self.backend.astype(cotangent, self.dtype)
        if cotangent is not None and tuple(getattr(seed, "shape", ())) != result.shape:
            seed = ones * seed
        found = gradients(result, seed, [given[name] for name in wrt])
        return [self.leave(name, given, g) for name, g in zip(wrt, found, strict=True)]

    def ones(self, like: Tensor) -> Any:
        """One for each element."""
        return like.__array_namespace__().ones_like(like).array

    def leave(self, name: str, given: dict[str, Tensor], gradient: Any) -> Any:
        """A gradient in its argument's dtype; zeros where nothing depends on it."""
        if gradient is None:
            tensor = given[name]
            gradient = tensor.__array_namespace__().zeros_like(tensor).array
        return self.backend.astype(gradient, self.ports[name].described.dtype)

    # --------------------------------------------------------------------------- second derivatives
    def slope(self, name: str, arrays: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
        """An argument, and the gradient by it, on the tape."""
        given = self.tensors(arrays, (name,))
        result = self.reduced(given, twice=True)
        seed = Tensor.wrap(self.ones(result), self.backend)
        (found,) = gradients(result, seed, [given[name]])
        return given[name], found

    def hessian_product(self, name: str, arrays: Sequence[Any], vector: Any) -> Any:
        """The Hessian of the reduced loss by the argument `name`, times `vector`."""
        leaf, slope = self.slope(name, arrays)
        return self.product(name, leaf, slope, self.backend.astype(vector, self.dtype))

    def product(self, name: str, leaf: Tensor, slope: Tensor | None, vector: Any) -> Any:
        """The derivative of the gradient's component along a vector."""
        found = None
        if slope is not None:
            (found,) = gradients(slope, vector, [leaf], retain_graph=True)
        return self.leave(name, {name: leaf}, found)

    def hessian_diagonal(self, name: str, arrays: Sequence[Any]) -> Any:
        """The second derivative by each element: one product an element."""
        leaf, slope = self.slope(name, arrays)
        xp = self.backend.namespace()
        shape = leaf.shape
        places = xp.reshape(xp.arange(math.prod(shape), **self.device), shape)
        total = self.leave(name, {name: leaf}, None)
        for place in range(math.prod(shape)):
            chosen = places == place
            unit = self.backend.astype(chosen, self.dtype)
            found = self.product(name, leaf, slope, unit)
            total = xp.where(chosen, found, total)
        return total

    @property
    def device(self) -> dict[str, Any]:
        """Where new arrays have to be made."""
        return {} if self.question.device is None else {"device": self.question.device}

    # ------------------------------------------------------------------------------- looking inside
    def divisor_moves(self, wrt: tuple[str, ...]) -> bool:
        """Never: the divisor is on the tape, and its derivatives with it."""
        del wrt
        return False

    def steps(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """The arguments, the losses and the reduced loss."""
        found = dict(zip(self.ports, map(self.backend.writable_copy, self.present(arrays)),
                         strict=True))  # fmt: skip
        with no_grad():
            losses, _ = self.losses(self.tensors(arrays))
        found["losses"] = losses.array
        if self.question.reduction != "none":
            found[self.question.reduction] = self.value(arrays)
        return found


def mean_of(total: Tensor, divisor: Tensor) -> Tensor:
    """A total over what it counts; over nothing it is 0."""
    xp = total.__array_namespace__()
    nothing = divisor == 0
    mean: Tensor = xp.where(nothing, 0.0, total / xp.where(nothing, 1.0, divisor))
    return mean


def holds_labels(formula: Formula, described: Described) -> bool:
    """Whether an argument is whole numbers by its role, or by its dtype where it may be both."""
    role = formula.roles.get(described.name)
    return role == "label" or (role == "target" and described.dtype in LABEL_DTYPES)


def check_whole(loss: str, described: Described) -> None:
    """A label is a whole number."""
    if is_floating(described.dtype) or described.dtype.startswith("complex"):
        message = f"{loss}: {described.name} must hold whole numbers, got {described.dtype}"
        raise DTypeError(message)
