"""Everything about a call that does not depend on the numbers, worked out once and kept.

A `Plan` is made for one combination of dtypes, shapes and options; running it reads like the
formula: let the arguments in, run the kernel, reduce.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.kernel import Setting
from tensorweaver.loss.arguments import (
    Described,
    check_labels,
    check_weights,
    compute_dtype,
    layout,
    resolve_roles,
)
from tensorweaver.loss.derivatives import KernelDerivatives, as_tuple
from tensorweaver.loss.domains import check_domain
from tensorweaver.loss.options import Option, check_held, frozen, thawed
from tensorweaver.loss.port import Frame, Port
from tensorweaver.loss.variant import VariantKey, variant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.backends import Backend
    from tensorweaver.loss.formula import Formula

__all__ = ["Plan", "Question"]


class Question(NamedTuple):
    """What a plan answers: everything but the numbers.

    `arrays` are the formula's array arguments, then sample_weight and where.
    """

    backend: Backend
    device: Any
    arrays: tuple[Described | None, ...]
    reduction: str
    axis: int
    options: tuple[Option, ...]
    labels_visible: bool
    simulated: bool
    engine: str = "interpret"


class Plan:
    """How one kind of call is carried out."""

    def __init__(self, formula: Formula, question: Question) -> None:
        *arguments, weights, mask = question.arrays
        self.formula = formula
        self.question = question
        self.backend = question.backend
        self.roles = resolve_roles(formula, arguments)
        full, losses, axis = layout(formula, arguments, self.roles, question.axis)
        self.has_labels = "label" in self.roles
        self.dtype, self.result_dtype = compute_dtype(formula, arguments)
        self.variant = variant_of(
            formula,
            VariantKey(
                self.roles,
                weights is not None,
                mask is not None,
                self.has_labels and not question.labels_visible,
                question.options,
            ),
        )
        check_held(formula, question.options, self.dtype)
        if self.variant.value.outputs[0].level is Level.ELEMENT:
            losses = full
        self.frame = Frame(self.backend, full, losses, axis, rowwise=formula.rowwise)
        self.label_dtype = self.backend.label_dtype() if self.has_labels else None
        self.ports = self.make_ports(arguments, weights, mask)
        self.passes = not any(port.steps for port in self.ports.values())
        self.setting = Setting(
            self.backend,
            self.dtype,
            self.label_dtype,
            question.device,
            self.frame.kernel_axis,
            question.simulated,
        )
        self.label_places = (
            [i for i, role in enumerate(self.roles) if role == "label"]
            if question.labels_visible
            else []
        )
        self.watched = [
            (place, name, formula.domains[name])
            for place, (name, role) in enumerate(zip(formula.array_names, self.roles, strict=True))
            if name in formula.domains and role not in {None, "label"}
        ]
        self.ignored = thawed(question.options).get("ignore_index")
        self.without_ignored: Self | None = None
        labels = {
            n for n, role in zip(formula.array_names, self.roles, strict=True) if role == "label"
        }
        self.not_real = labels | {"where"}
        self.divisor = self.fixed_divisor()
        self.kernels: dict[Any, Callable[..., Any]] = {}
        self.value_run: Callable[..., Any] | None = None

    # ---------------------------------------------------------------------------------- preparation
    def make_ports(
        self,
        arguments: Sequence[Described | None],
        weights: Described | None,
        mask: Described | None,
    ) -> dict[str, Port]:
        """The way in for each argument that was given, in the order of the kernels' inputs."""
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
        """The sum's divisor, where that is known beforehand; None where it must be counted."""
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
        """What computes one kind of thing from the inputs, `row_size`, and what the kind adds."""
        key = (kind, wrt, along)
        found = self.kernels.get(key)
        if found is None:
            made = self.variant.kernel(self.setting, kind, wrt, along)
            found = self.kernels[key] = made.run
        return found

    def run_value(self, *inputs_and_size: Any) -> Any:
        """The losses."""
        if self.value_run is None:
            self.value_run = self.value_kernel()
        return self.value_run(*inputs_and_size)

    def value_kernel(self) -> Callable[..., Any]:
        """The kernel of the losses; a library that differentiates is told our derivatives."""
        run = self.kernel("value")
        rows_alone = not self.formula.rowwise or self.variant.value.outputs[0].level <= Level.ROW
        if not (self.backend.differentiates and rows_alone):
            return run
        derivatives = KernelDerivatives(
            self.kernel,
            self.variant.nodes,
            self.not_real,
            self.frame.kernel_axis if self.formula.rowwise else None,
            (self.frame.classes, self.seed(1.0)),
        )
        woven = self.backend.with_derivatives(
            lambda *inputs: self.own(run(*inputs, self.frame.classes)), derivatives
        )
        return lambda *inputs_and_size: woven(*inputs_and_size[:-1])

    def own(self, losses: Any) -> Any:
        """The losses, copied where they are an argument as it came."""
        return self.backend.writable_copy(losses) if self.variant.gives_input else losses

    def let_in(self, arrays: Sequence[Any]) -> list[Any]:
        """The arguments as the kernels take them."""
        given = [array for array in arrays if array is not None]
        if self.passes:
            return given
        return [port.enter(array) for port, array in zip(self.ports.values(), given, strict=True)]

    def checked(self, arrays: Sequence[Any]) -> Plan:
        """The plan to run once numbers have been looked at: a cheaper one where no label is
        ignored.
        """
        if self.watched:
            self.check_domains(arrays)
        if not self.label_places:
            return self
        ignored = self.ignored
        all_classes = True
        for place in self.label_places:
            host = self.backend.to_numpy(arrays[place])
            name = self.formula.array_names[place]
            all_classes &= check_labels(self.formula.name, name, host, self.frame.classes, ignored)
        return self.for_classes() if all_classes else self

    def check_domains(self, arrays: Sequence[Any]) -> None:
        """Refuse numbers that an argument may not hold, where they are at hand and count."""
        counted = None
        for name, array in zip(("sample_weight", "where"), arrays[-2:], strict=True):
            if array is not None:
                if not self.backend.visible(array):
                    return
                kept = self.backend.to_numpy(array).reshape(self.ports[name].small) != 0
                counted = kept if counted is None else counted & kept
        for place, name, domain in self.watched:
            array = arrays[place]
            if self.backend.visible(array):
                numbers = self.backend.to_numpy(array)
                if counted is not None:
                    numbers = numbers.reshape(self.ports[name].small)
                check_domain(self.formula.name, name, numbers, domain, counted)

    def for_classes(self) -> Self:
        """The plan for labels that are classes: a cheaper one where others would be ignored."""
        if self.ignored is None or 0 <= self.ignored < self.frame.classes:
            return self
        if self.without_ignored is None:
            self.without_ignored = self.plan_without_ignored()
        return self.without_ignored

    def plan_without_ignored(self) -> Self:
        """The plan for `ignore_index=None`; this one where the formula does not take None."""
        options = {**thawed(self.question.options), "ignore_index": None}
        try:
            return type(self)(self.formula, self.question._replace(options=frozen(options)))
        except Exception:  # noqa: BLE001 - a formula may fail in any way
            return self

    # -------------------------------------------------------------------------------------- running
    def checked_value(self, arrays: Sequence[Any]) -> Any:
        """The loss, of labels not yet looked at."""
        return self.checked(arrays).value(arrays)

    def checked_value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient, of labels not yet looked at."""
        return self.checked(arrays).value_and_gradient(wrt, arrays, targets)

    def shortcut(self, arrays: Sequence[Any]) -> Callable[..., Any]:
        """What computes the loss of two arrays like these, which are all that was given."""
        rest = tuple(arrays[2:])
        return lambda a, b: self.checked_value((a, b, *rest))

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
        if self.variant.value.outputs[1].level is Level.SCALAR:
            return float(counts) * math.prod(self.frame.losses)
        return self.backend.total(counts)

    def seed(self, divisor: Any) -> Any:
        """What the derivative of the losses' sum is multiplied by: one over the divisor."""
        inverse = self.backend.inverse(divisor, self.dtype)
        if isinstance(inverse, float):
            return self.backend.seed(inverse, self.dtype, self.question.device)
        return inverse

    def reduce(self, losses: Any, divisor: Any) -> Any:
        """The losses as the reduction wants them."""
        if self.question.reduction == "none":
            return self.unreduced(losses)
        total = self.backend.total(losses)
        if self.variant.repeats:
            total = total * self.frame.classes
        return self.backend.quotient(total, divisor, self.dtype)

    def unreduced(self, losses: Any) -> Any:
        """The losses in their own shape and dtype."""
        xp = self.backend.namespace()
        losses = self.own(losses)
        if self.formula.rowwise:
            axis = self.frame.kernel_axis
            losses = (
                xp.squeeze(losses, axis=axis)
                if len(self.frame.losses) < len(self.frame.full)
                else self.frame.leave(losses)
            )
        if tuple(losses.shape) != self.frame.losses and losses.shape != self.frame.full:
            losses = self.backend.writable_copy(xp.broadcast_to(losses, self.frame.losses))
        return (
            losses
            if self.result_dtype == self.dtype
            else self.backend.astype(losses, self.result_dtype)
        )

    def second_derivative(
        self, kind: str, name: str, arrays: Sequence[Any], vector: Any = None
    ) -> Any:
        """The Hessian's diagonal, or its product with a vector, by one argument."""
        inputs = self.let_in(arrays)
        run = self.kernel(kind, (name,))
        more = () if vector is None else (self.ports[name].enter(vector),)
        with self.backend.quiet():
            seed = self.seed(self.count(inputs))
            found = run(*inputs, self.frame.classes, seed, *more)
        return self.leave(name, found)

    def value_and_gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """The loss and its gradient by each of `wrt`, in one run; `targets` are the arrays that the
        gradients go to in the end, which a plan may use.
        """
        del targets
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)
        inputs = self.let_in(arrays)
        run = self.kernel("value_and_gradient", wrt)
        with self.backend.quiet():
            divisor = self.count(inputs)
            losses, *gradients = run(*inputs, self.frame.classes, self.seed(divisor))
            value = self.reduce(losses, divisor)
        return value, [self.leave(name, g) for name, g in zip(wrt, gradients, strict=True)]

    def gradient(
        self, wrt: tuple[str, ...], arrays: Sequence[Any], targets: Sequence[Any] = ()
    ) -> list[Any]:
        """The gradient of the reduced loss by each of `wrt`; `targets` as for the value with it."""
        del targets
        if self.divisor_moves(wrt):
            return self.mean_and_gradient(wrt, arrays, 1.0)[1]
        inputs = self.let_in(arrays)
        run = self.kernel("gradient", wrt)
        with self.backend.quiet():
            seed = self.seed(self.count(inputs))
            gradients = as_tuple(run(*inputs, self.frame.classes, seed))
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

    def pullback(self, wrt: tuple[str, ...], arrays: Sequence[Any], cotangent: Any) -> list[Any]:
        """The gradient for a cotangent of the result, an array where that is not reduced."""
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
        return [self.leave(name, g) for name, g in zip(wrt, as_tuple(results), strict=True)]

    def leave(self, name: str, gradient: Any) -> Any:
        """A gradient as its argument looks."""
        port = self.ports[name]
        # A number may stand for a whole gradient, and has the shape of a single one.
        array = port.large or self.backend.owns(type(gradient))
        if array and not port.steps and getattr(gradient, "shape", None) == port.large:
            return self.backend.place(gradient, port.native)
        with self.backend.quiet():
            return port.leave(gradient, self.question.device)
