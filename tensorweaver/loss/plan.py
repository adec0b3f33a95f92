"""Everything about a call that does not depend on the numbers, worked out once and kept.

A `Plan` is made for one combination of dtypes, shapes and options; running it reads like the
formula: let the arguments in, run the kernel, reduce.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.compiler.differentiate import NoDiagonalError
from tensorweaver.compiler.graph import Level
from tensorweaver.errors import ArgumentError
from tensorweaver.loss.arguments import (
    Described,
    check_labels,
    check_reduction,
    check_weights,
    compute_dtype,
    layout,
    resolve_roles,
)
from tensorweaver.loss.formula import VariantKey
from tensorweaver.loss.port import Frame, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.backends import Backend
    from tensorweaver.loss.formula import Formula

__all__ = ["Plan", "Question"]


class Question(NamedTuple):
    """What a plan answers: everything but the numbers."""

    backend: Backend
    device: Any
    arrays: tuple[
        Described | None, ...
    ]  # the formula's array arguments, then sample_weight and where
    reduction: str
    axis: int
    options: tuple[tuple[str, Any], ...]
    labels_visible: bool


class PlanDerivatives:
    """A plan's derivatives, for a library with differentiation of its own: see
    `backends.execution.Derivatives`.
    """

    def __init__(self, plan: Plan) -> None:
        not_real = plan.not_real
        self.plan = plan
        self.names = tuple(plan.variant.nodes)
        self.positions = tuple(i for i, name in enumerate(self.names) if name not in not_real)
        axis = plan.frame.kernel_axis if plan.formula.rowwise else None
        self.sums = tuple(
            axis if plan.variant.nodes[self.names[i]].level is Level.ELEMENT else None
            for i in self.positions
        )

    def slopes(self, wrt: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]:
        """From the inputs to the derivative of the output by each input in `wrt`."""
        run = self.plan.kernel("gradient", tuple(self.names[i] for i in wrt))
        return lambda *inputs: as_tuple(run(*inputs, self.plan.frame.classes, self.plan.seed(1.0)))

    def product(
        self, along: tuple[int, ...], wrt: tuple[int, ...]
    ) -> Callable[..., tuple[Any, ...]]:
        """From the inputs and a vector for each of `along` to the second derivative times these."""
        names = tuple(self.names[i] for i in wrt)
        run = self.plan.kernel("hessian_product", names, tuple(self.names[i] for i in along))
        count = len(self.names)
        return lambda *values: as_tuple(
            run(*values[:count], self.plan.frame.classes, self.plan.seed(1.0), *values[count:])
        )


def as_tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


class Plan:
    """How one kind of call is carried out."""

    def __init__(self, formula: Formula, question: Question) -> None:
        check_reduction(formula, question.reduction)
        *arguments, weights, mask = question.arrays
        self.formula = formula
        self.question = question
        self.backend = question.backend
        self.roles = resolve_roles(formula, arguments, question.axis)
        full, losses, axis = layout(formula, arguments, self.roles, question.axis)
        self.dtype, self.result_dtype = compute_dtype(formula, arguments)
        self.frame = Frame(self.backend, full, losses, axis, rowwise=formula.rowwise)
        self.has_labels = "label" in self.roles
        self.label_dtype = self.backend.label_dtype() if self.has_labels else None
        self.ports = self.make_ports(arguments, weights, mask)
        self.passes = not any(port.steps for port in self.ports.values())
        self.variant = formula.variant(
            VariantKey(
                self.roles,
                weights is not None,
                mask is not None,
                self.has_labels and not question.labels_visible,
                question.options,
            )
        )
        self.label_places = (
            [i for i, role in enumerate(self.roles) if role == "label"]
            if question.labels_visible
            else []
        )
        self.ignored = dict(question.options).get("ignore_index")
        self.without_ignored: Plan | None = None
        labels = {
            n for n, role in zip(formula.array_names, self.roles, strict=True) if role == "label"
        }
        self.not_real = labels | {"where"}
        self.divisor = self.fixed_divisor()
        self.kernels: dict[Any, Callable[..., Any]] = {}
        self.run_value = self.value_kernel()

    # ------------------------------------------------------------------------------------------- preparation
    def make_ports(
        self,
        arguments: Sequence[Described | None],
        weights: Described | None,
        mask: Described | None,
    ) -> dict[str, Port]:
        ports = {}
        for described, role in zip(arguments, self.roles, strict=True):
            if described is not None and role is not None:
                dtype = (
                    self.dtype if role != "label" or self.label_dtype is None else self.label_dtype
                )
                ports[described.name] = Port(self.frame, described, role, dtype)
        if weights is not None:
            check_weights(self.formula.name, weights, self.frame.losses)
            ports["sample_weight"] = Port(self.frame, weights, "weights", self.dtype)
        if mask is not None:
            check_weights(self.formula.name, mask, self.frame.losses)
            ports["where"] = Port(self.frame, mask, "mask", "bool")
        return ports

    def fixed_divisor(self) -> float | None:
        """What the sum is divided by, where that is known beforehand; None where it must be
        counted.
        """
        reduction = self.question.reduction
        if reduction == "batchmean":
            return float(self.frame.full[0]) if self.frame.full else 1.0
        if reduction != "mean":
            return 1.0
        count = self.variant.value.outputs[1]
        return float(count.value) * math.prod(self.frame.losses) if count.is_constant else None

    def kernel(
        self, kind: str, wrt: tuple[str, ...] = (), along: tuple[str, ...] | None = None
    ) -> Callable[..., Any]:
        """The function that computes one kind of thing; takes the inputs, `row_size`, and what the
        kind adds.
        """
        key = (kind, wrt, along)
        found = self.kernels.get(key)
        if found is None:
            made = self.variant.kernel(
                kind,
                wrt,
                self.backend,
                self.dtype,
                self.label_dtype,
                self.question.device,
                self.frame.kernel_axis,
                along,
            )
            found = self.kernels[key] = made.run
        return found

    def value_kernel(self) -> Callable[..., Any]:
        """The kernel of the losses; a library that differentiates is told our derivatives with it."""
        run = self.kernel("value")
        rows_alone = not self.formula.rowwise or self.variant.value.outputs[0].level <= Level.ROW
        if not (self.backend.differentiates and rows_alone):
            return run
        woven = self.backend.with_derivatives(
            lambda *inputs: run(*inputs, self.frame.classes), PlanDerivatives(self)
        )
        return lambda *inputs_and_size: woven(*inputs_and_size[:-1])

    def let_in(self, arrays: Sequence[Any]) -> list[Any]:
        """The arguments as the kernels take them."""
        given = [array for array in arrays if array is not None]
        if self.passes:
            return given
        return [port.enter(array) for port, array in zip(self.ports.values(), given, strict=True)]

    def checked(self, arrays: Sequence[Any]) -> Plan:
        """The plan to run once labels have been looked at: a cheaper one where none is ignored."""
        if not self.label_places:
            return self
        ignored = self.ignored
        all_classes = True
        for place in self.label_places:
            host = self.backend.to_numpy(arrays[place])
            name = self.formula.array_names[place]
            all_classes &= check_labels(self.formula.name, name, host, self.frame.classes, ignored)
        if ignored is None or not all_classes or 0 <= ignored < self.frame.classes:
            return self
        if self.without_ignored is None:
            options = {**dict(self.question.options), "ignore_index": None}
            question = self.question._replace(options=tuple(options.items()))
            self.without_ignored = Plan(self.formula, question)
        return self.without_ignored

    # ------------------------------------------------------------------------------------------------ running
    def value(self, arrays: Sequence[Any]) -> Any:
        """The loss."""
        inputs = self.let_in(arrays)
        with self.backend.quiet():
            losses = self.run_value(*inputs, self.frame.classes)
            return self.reduce(losses, self.count(inputs))

    def count(self, inputs: Sequence[Any]) -> Any:
        """The divisor of the sum."""
        if self.divisor is not None:
            return self.divisor
        counts = self.kernel("count")(*inputs, self.frame.classes)
        return self.backend.total(counts)

    def seed(self, divisor: Any) -> Any:
        """What the derivative of the losses' sum is multiplied by: one over the divisor."""
        inverse = self.backend.inverse(divisor, self.dtype)
        if isinstance(inverse, float):
            return self.backend.seed(inverse, self.dtype, self.question.device)
        return inverse

    def reduce(self, losses: Any, divisor: Any) -> Any:
        if self.question.reduction == "none":
            return self.unreduced(losses)
        total = self.backend.total(losses)
        return self.backend.quotient(total, divisor, self.dtype)

    def unreduced(self, losses: Any) -> Any:
        xp = self.backend.namespace()
        if self.formula.rowwise:
            axis = self.frame.kernel_axis
            losses = (
                xp.squeeze(losses, axis=axis)
                if losses.shape[axis] == 1
                else self.frame.leave(losses)
            )
        if tuple(losses.shape) != self.frame.losses and losses.shape != self.frame.full:
            losses = self.backend.writable_copy(xp.broadcast_to(losses, self.frame.losses))
        return (
            losses
            if self.result_dtype == self.dtype
            else self.backend.astype(losses, self.result_dtype)
        )

    def derivative(
        self, kind: str, wrt: tuple[str, ...], arrays: Sequence[Any], *more: Any
    ) -> list[Any]:
        """The outputs of a derivative's kernel: the losses first where the kind says so, then one
        for each of `wrt`.
        """
        inputs = self.let_in(arrays)
        run = self.kernel(kind, wrt)
        with self.backend.quiet():
            seed = self.seed(self.count(inputs))
            results = run(*inputs, self.frame.classes, seed, *more)
        return list(results) if isinstance(results, tuple) else [results]

    def value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any]
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient by each of `wrt`, in one run."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)
        inputs = self.let_in(arrays)
        run = self.kernel("value_and_gradient", wrt)
        with self.backend.quiet():
            divisor = self.count(inputs)
            losses, *gradients = run(*inputs, self.frame.classes, self.seed(divisor))
            value = self.reduce(losses, divisor)
        return value, [self.leave(name, g) for name, g in zip(wrt, gradients, strict=True)]

    def gradient(self, wrt: tuple[str, ...], arrays: Sequence[Any]) -> list[Any]:
        """The gradient of the reduced loss by each of `wrt`."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)[1]
        gradients = self.derivative("gradient", wrt, arrays)
        return [self.leave(name, g) for name, g in zip(wrt, gradients, strict=True)]

    def divisor_moves(self, wrt: tuple[str, ...]) -> bool:
        """Whether the mean divides by something that depends on an argument in `wrt`, such as the
        weights.
        """
        return self.divisor is None and any(map(self.variant.counts, wrt))

    def mean_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any
    ) -> tuple[Any, list[Any]]:
        """The same for a divisor that moves too: `d(S/C) = (dS - S/C dC) / C`."""
        inputs = self.let_in(arrays)
        run = self.kernel("mean_gradient", wrt)
        with self.backend.quiet():
            divisor = self.count(inputs)
            value = self.reduce(self.run_value(*inputs, self.frame.classes), divisor)
            seed = self.seed(divisor) * cotangent
            results = run(*inputs, self.frame.classes, seed, -value * seed)
        return value, [self.leave(n, g) for n, g in zip(wrt, as_tuple(results), strict=True)]

    def check_second(self, name: str) -> None:
        """Second derivatives are those of a sum with a fixed divisor."""
        if self.divisor_moves((name,)):
            message = (
                f"{self.formula.name}: the mean divides by something that depends on {name}; "
                'for its second derivatives take reduction="sum"'
            )
            raise ArgumentError(message)

    def pullback(self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any) -> list[Any]:
        """The gradient for a cotangent of the result: a number, or an array for `reduction="none"`."""
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, cotangent)[1]
        inputs = self.let_in(arrays)
        xp = self.backend.namespace()
        if self.question.reduction == "none":
            seed = xp.reshape(
                self.backend.astype(cotangent, self.dtype), self.frame.kept(self.frame.losses)
            )
            seed = self.frame.enter(seed)
            kind = "pullback"
        else:
            seed = self.seed(self.count(inputs)) * cotangent
            kind = "gradient"
        with self.backend.quiet():
            results = self.kernel(kind, wrt)(*inputs, self.frame.classes, seed)
        gradients = results if isinstance(results, tuple) else (results,)
        return [self.leave(name, g) for name, g in zip(wrt, gradients, strict=True)]

    def hessian_diagonal(self, name: str, arrays: Sequence[Any]) -> Any:
        """The second derivative of the reduced loss by each element."""
        self.check_second(name)
        try:
            (diagonal,) = self.derivative("hessian_diagonal", (name,), arrays)
        except NoDiagonalError:
            return self.diagonal_from_products(name, arrays)
        return self.leave(name, diagonal)

    def diagonal_from_products(self, name: str, arrays: Sequence[Any]) -> Any:
        """One Hessian-vector product a class, where there is no closed form."""
        xp = self.backend.namespace()
        total: Any = 0.0
        for k in range(self.frame.classes):
            basis = self.basis(name, k)
            total = total + xp.where(basis != 0, self.product(name, arrays, basis), basis)
        return total

    def basis(self, name: str, k: int) -> Any:
        """One at class `k` of every row, zero elsewhere."""
        xp = self.backend.namespace()
        described = self.ports[name].described
        device = {} if self.question.device is None else {"device": self.question.device}
        index = xp.arange(self.frame.classes, **device)
        shape = [1] * len(described.shape)
        shape[self.frame.axis] = self.frame.classes
        one_hot = self.backend.astype(xp.reshape(index, tuple(shape)) == k, described.dtype)
        return xp.broadcast_to(one_hot, described.shape)

    def product(self, name: str, arrays: Sequence[Any], vector: Any) -> Any:
        """The Hessian of the reduced loss times `vector`."""
        self.check_second(name)
        entered = self.ports[name].enter(vector)
        (product,) = self.derivative("hessian_product", (name,), arrays, entered)
        return self.leave(name, product)

    def leave(self, name: str, gradient: Any) -> Any:
        """A gradient as its argument looks."""
        port = self.ports[name]
        # A number may stand for a whole gradient, and has the shape of a single one.
        array = port.large or self.backend.owns(type(gradient))
        if array and not port.steps and getattr(gradient, "shape", None) == port.large:
            return self.backend.place(gradient, port.native)
        return port.leave(gradient, self.question.device)
