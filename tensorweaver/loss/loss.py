"""`Loss`: the value, gradient and Hessian of one formula."""

from __future__ import annotations

import functools
import math
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.backends import arrange
from tensorweaver.backends.backend import LIBRARY_OF
from tensorweaver.backends.validation import validating
from tensorweaver.compiler import engines
from tensorweaver.compiler.engines import Engine, engine_for
from tensorweaver.compiler.trace import Tracer
from tensorweaver.errors import (
    ArgumentError,
    DTypeError,
    ShapeError,
    TensorWeaverError,
    TraceError,
)
from tensorweaver.loss import curvature, explain
from tensorweaver.loss.arguments import (
    LABEL_DTYPES,
    Described,
    axis_number,
    check_reduction,
    is_floating,
)
from tensorweaver.loss.binding import bind, check_given, refuse_twice
from tensorweaver.loss.composed_plan import ComposedPlan
from tensorweaver.loss.delivery import as_given, deliver, targets_of
from tensorweaver.loss.device_plan import DevicePlan
from tensorweaver.loss.host_plan import HostPlan
from tensorweaver.loss.on_tape import recorded_pullback
from tensorweaver.loss.options import chosen_options, frozen
from tensorweaver.loss.ordering import beside, ordered
from tensorweaver.loss.plan import Plan, Question
from tensorweaver.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.backends import Backend
    from tensorweaver.loss.formula import Formula

__all__ = ["Loss"]

PAIR = 2
PLANS: dict[str, type[Plan]] = {"interpret": Plan, "cuda": DevicePlan}
"""Who carries out the calls of an engine, if not a `HostPlan`."""

PLANS_KEPT = 1024
NDARRAY = np.ndarray
COMPOSED = Engine("interpret", "it is array code, of which no kernel is woven")


class Loss:
    """A loss function: its value, gradient and Hessian, all woven from one formula.

    Made by `pointwise` and `rowwise`; the losses of this package are instances. The arguments below
    are common to all losses and all methods.

    Parameters
    ----------
    *arrays
        The formula's positional arguments. Any array library; the result is of the same library,
        device and dtype.
    reduction
        `"mean"` (the default), `"sum"` or `"none"`.
    sample_weight
        How much each loss counts, for the losses' shape or its first axes. The mean divides by the
        total weight, so that whole numbers equal repeated rows and zero equals removal.
    where
        Boolean, for the losses' shape or its first axes: what is left out contributes nothing to
        value or gradient, even where it holds NaN or infinity.
    axis
        The class axis, for losses over classes; the last one by default.
    backend
        Compute there, and move the arguments there first: `"numpy"`, `"cupy"`, `"torch"`, `"jax"`,
        `"dask"`.

    A mean over nothing (no elements, all masked, all ignored, all weights zero) is 0 with a zero
    gradient, so that one masked batch does not poison a training run; PyTorch gives NaN there.

    The total weight and its inverse have to be numbers of the dtype that sums: weights near 1e308,
    or all near 1e-310, overflow there. Only their ratios matter to a mean, so divide them by the
    largest.

    Half precision (float16, bfloat16) is computed in float32; a reduced value is float32, elements
    and gradients keep the input's dtype.
    """

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.plans: dict[Any, Plan] = {}
        self.shortcuts: dict[Any, Callable[..., Any]] = {}
        functools.update_wrapper(self, formula.function)
        self.__signature__ = formula.public_signature()

    def __repr__(self) -> str:
        return f"<Loss {self.formula.name}{self.__signature__}>"

    def __reduce__(self) -> tuple[Any, ...]:
        place = self.formula.function.__module__, self.formula.function.__qualname__
        try:
            found = load_loss(*place)
        except (ImportError, AttributeError):
            found = None
        if found is not self:
            message = (
                f"cannot pickle the loss {self.formula.name}: {'.'.join(place)} is not it; give it "
                "the name of its formula, at the top of a module"
            )
            raise pickle.PicklingError(message)
        return load_loss, place

    def __copy__(self) -> Loss:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Loss:
        return self

    # ---------------------------------------------------------------------------------- the numbers
    def __call__(self, *arrays: Any, **options: Any) -> Any:
        """The loss."""
        key = None
        if len(arrays) == PAIR and not options:  # the commonest call: seen before, a few steps
            a, b = arrays
            try:
                key = engines.process.chosen, type(a), a.dtype, a.shape, type(b), b.dtype, b.shape
                shortcut = self.shortcuts.get(key)
            except (AttributeError, TypeError):
                key = shortcut = None  # lists, numbers
            if shortcut is not None:
                return shortcut(a, b)
        if options.get("backend") is not None:
            with beside(arrays, options):
                return self.compute(arrays, options)
        return self.compute(arrays, options, key)

    def compute(self, arrays: tuple[Any, ...], options: dict[str, Any], key: Any = None) -> Any:
        """The loss; `key` is that of a call which may take a short way next time."""
        plan, values, tensors = self.open(arrays, options)
        if tensors is not None:
            return self.recorded(plan.checked(values), values, tensors)
        if key is not None and type(arrays[0]) is type(arrays[1]) is NDARRAY:
            self.remember(key, plan, values)
        return plan.checked_value(values)

    def forget(self) -> None:
        """Work out anew how calls are carried out."""
        self.shortcuts.clear()
        self.plans.clear()

    def remember(self, key: Any, plan: Plan, values: Sequence[Any]) -> None:
        """Keep the way to compute the loss of NumPy arrays like these without options."""
        # Another thread may have chosen another engine since the key was made.
        if len(values) >= PAIR and key[0] == engines.process.chosen:
            self.shortcuts[key] = plan.shortcut(values)

    @ordered
    def grad(
        self, *arrays: Any, wrt: str | Sequence[str] | None = None, out: Any = None, **options: Any
    ) -> Any:
        """The gradient of the reduced loss (for `reduction="none"`, of the losses' sum).

        Parameters
        ----------
        wrt
            The argument, or arguments, to differentiate by; by default the loss's differentiable
            inputs. A name gives one array, a tuple of names a tuple of arrays.
        out
            The array to write the gradient into, which may be the predictions themselves; a tuple
            for several. With `backend="cupy"` also a tensor that PyTorch has on the GPU.
        """
        plan, values, tensors = self.opened(arrays, options)
        names = self.wrt_names(wrt, plan)
        targets = targets_of(self.formula.name, out, wrt, names, plan, values)
        gradients = plan.gradient(names, values, targets)
        return deliver(gradients, wrt, out, targets, plan, tensors)

    @ordered
    def value_and_grad(
        self, *arrays: Any, wrt: str | Sequence[str] | None = None, out: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """The loss and its gradient, in one pass; the arguments are those of `grad`."""
        plan, values, tensors = self.open(arrays, options)
        names = self.wrt_names(wrt, plan)
        targets = targets_of(self.formula.name, out, wrt, names, plan, values)
        value, gradients = plan.checked_value_and_gradient(names, values, targets)
        gradient = deliver(gradients, wrt, out, targets, plan, tensors)
        return (value if tensors is None else Tensor(value)), gradient

    @ordered
    def hessian_diag(self, *arrays: Any, wrt: str | None = None, **options: Any) -> Any:
        """The second derivative of the reduced loss by each element: the Hessian's diagonal."""
        plan, values, tensors = self.opened(arrays, options)
        (name,) = self.wrt_names(self.one(wrt), plan)
        return as_given(curvature.hessian_diagonal(plan, name, values), tensors)

    @ordered
    def hvp(self, *arrays: Any, vector: Any = None, wrt: str | None = None, **options: Any) -> Any:
        """The Hessian of the reduced loss times a vector: `loss.hvp(predictions, targets, vector)`.

        The vector has the shape of the argument differentiated by; it may be given by name.
        """
        if vector is None:
            wanted = [name for name in self.formula.arguments if name not in options]
            if len(arrays) <= len(wanted):
                names = ", ".join((*self.formula.arguments, "vector"))
                message = f"{self.formula.name}.hvp() takes {names}: vector is missing"
                raise TypeError(message)
            *arguments, vector = arrays
            arrays = tuple(arguments)
        plan, values, tensors = self.opened(arrays, options)
        (name,) = self.wrt_names(self.one(wrt), plan)
        raw = vector.data if isinstance(vector, Tensor) else vector
        index = list(plan.ports).index(name)
        given = [value for value in values if value is not None][index]
        _, (_, array) = self.arranged([given, raw], [name, "vector"], plan.backend.name)
        if tuple(array.shape) != tuple(given.shape):
            shapes = f"vector has shape {tuple(array.shape)}, {name} {tuple(given.shape)}"
            message = f"{self.formula.name}: {shapes}; they must be the same"
            raise ShapeError(message)
        described = plan.ports[name].described
        return as_given(
            curvature.hessian_product(
                plan, name, values, plan.backend.astype(array, described.dtype)
            ),
            tensors,
        )

    @ordered
    def hessian(self, *arrays: Any, wrt: str | None = None, **options: Any) -> Any:
        """The whole Hessian of each row, `(..., K, K)` for K classes; for losses over classes.

        The class axis moves last. For a pointwise loss every block is one number: see
        `hessian_diag`.
        """
        if not self.formula.rowwise:
            message = (
                f"{self.formula.name} couples no two elements: its Hessian is hessian_diag(...)"
            )
            raise ArgumentError(message)
        plan, values, tensors = self.opened(arrays, options)
        (name,) = self.wrt_names(self.one(wrt), plan)
        return as_given(curvature.hessian(plan, name, values), tensors)

    # ------------------------------------------------------------------------------- looking inside
    def steps(self, *arrays: Any, **options: Any) -> dict[str, Any]:
        """Every intermediate step of the computation, by the name it has in the formula, with its
        numbers.
        """
        plan, values, _ = self.opened(arrays, options)
        return explain.steps(plan, values)

    def explain(self, *arrays: Any, **options: Any) -> None:
        """Print every intermediate step of the computation, named, with its numbers."""
        plan, values, _ = self.opened(arrays, options)
        print(explain.text(plan, values))  # noqa: T201 - printing is what it is for

    def engine(self, *arrays: Any, **options: Any) -> Engine:
        """Who would compute this call, and why: `.name` and `.reason`.

        See `tensorweaver.set_engine`.
        """
        plan, values, _ = self.open(arrays, options)
        return self.engine_of(plan.backend, tuple(values[0].shape))

    def planner(self, engine: str) -> Any:
        """The class of plans for an engine."""
        return ComposedPlan if self.formula.composed else PLANS.get(engine, HostPlan)

    def engine_of(self, backend: Backend, shape: tuple[int, ...]) -> Engine:
        """Who computes the loss of arguments of that shape."""
        if self.formula.composed:
            return COMPOSED
        return engine_for(backend, math.prod(shape), rowwise=self.formula.rowwise)

    def source(self, backend: str = "numpy", **options: Any) -> str:
        """The text of the kernel that computes value and gradient in float32.

        Parameters
        ----------
        backend
            A library, such as `"numpy"`, or an engine: `"blocks"` for the text of one block of a
            large NumPy array, `"llvm"` (or `"numba"`) for LLVM's language, `"cuda"` for CUDA C;
            these two as they are for rows of many classes. No GPU is needed.
        **options
            The formula's own options, such as `delta=2.0`.
        """
        return explain.source(self.formula, backend, options)

    # ------------------------------------------------------------------------------------- the door
    def opened(
        self, arrays: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Plan, Sequence[Any], Sequence[Any] | None]:
        """`open`, with the numbers looked at."""
        plan, values, tensors = self.open(arrays, options)
        return plan.checked(values), values, tensors

    def open(
        self, arrays: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Plan, Sequence[Any], Sequence[Any] | None]:
        """The plan for a call, its arrays in the plan's order, and the Tensors among them if there
        are any; no number is looked at.
        """
        formula = self.formula
        if len(arrays) != len(formula.arguments):
            arrays = bind(formula, arrays, options)
        values = (
            *arrays,
            *[options.pop(name, None) for name in formula.array_options],
            options.pop("sample_weight", None),
            options.pop("where", None),
        )
        # The common case first: arrays of NumPy or of a GPU, seen before.
        signature: list[Any] = [engines.process.chosen]
        for value in values:
            if type(value) is NDARRAY:
                signature += (value.dtype, value.shape)
            elif value is None:
                signature.append(None)
            else:
                library = LIBRARY_OF[type(value)]
                if library is None or library.engine != "cuda":
                    return self.open_any(values, options)
                place = library.device_key(value)
                signature += (library, value.dtype, value.shape, place, validating())
        if options.get("backend") is not None:
            return self.open_any(values, options)
        key = (*signature, *frozen(options)) if options else tuple(signature)
        try:
            plan = self.plans.get(key)
        except TypeError:
            return self.open_any(values, options)
        if plan is not None:
            return plan, values, None
        return self.open_any(values, options, key)

    def open_any(
        self, values: tuple[Any, ...], options: dict[str, Any], key: Any = None
    ) -> tuple[Plan, Sequence[Any], Sequence[Any] | None]:
        """The same for arrays of any library, lists, numbers and Tensors."""
        if any(isinstance(value, Tracer) for value in values):
            message = (
                f"{self.formula.name}: a loss takes arrays, and this is inside a formula: "
                "write out what it computes"
            )
            raise TraceError(message)
        names = (*self.formula.array_names, "sample_weight", "where")
        tensors = None
        if any(isinstance(value, Tensor) for value in values):
            tensors = values
            values = tuple(value.data if isinstance(value, Tensor) else value for value in values)
        check_given(self.formula, values)
        backend, arrays = self.arranged(values, names, options.pop("backend", None))
        if tensors is not None:  # gradients travel back to where a Tensor was
            tensors = tuple(
                value.to(backend.name) if isinstance(value, Tensor) else value for value in tensors
            )
        question = self.question(backend, arrays, names, options)
        if key is None:
            key = question
        try:
            plan = self.plans.get(key)
        except TypeError as error:
            given = {**options, "axis": question.axis}
            message = f"{self.formula.name}: options must be numbers or strings, got {given!r}"
            raise ArgumentError(message) from error
        if plan is None:
            plan = self.planner(question.engine)(self.formula, question)
            if len(self.plans) >= PLANS_KEPT:
                self.forget()
            # Another thread may have chosen another engine since the key was made.
            if key is question or key[0] == engines.process.chosen:
                self.plans[key] = plan
        return plan, arrays, tensors

    def arranged(
        self, values: Sequence[Any], names: Sequence[str], backend: str | None
    ) -> tuple[Backend, list[Any]]:
        """`arrange`, whose errors then begin with the loss's name."""
        try:
            return arrange(values, names, backend)
        except TensorWeaverError as error:
            message = f"{self.formula.name}: {error}"
            raise type(error)(message) from error

    def question(
        self, backend: Backend, arrays: Sequence[Any], names: Sequence[str], options: dict[str, Any]
    ) -> Question:
        """The call without its numbers."""
        given = [array for array in arrays if array is not None]
        reduction = options.pop("reduction", "mean")
        check_reduction(self.formula, reduction)
        axis = axis_number(options.pop("axis", -1)) if self.formula.rowwise else -1
        unknown = sorted(set(options) - set(self.formula.options))
        if unknown:
            refuse_twice(self.formula, unknown)
            known = ", ".join(self.__signature__.parameters)
            message = f"{self.formula.name}() has no argument {unknown[0]!r}; it takes {known}"
            raise TypeError(message)
        described = tuple(
            None if a is None else Described(name, backend.dtype_name(a.dtype), tuple(a.shape))
            for name, a in zip(names, arrays, strict=True)
        )
        return Question(
            backend,
            backend.device_key(given[0]) if backend.many_devices else None,
            described,
            reduction,
            axis,
            chosen_options(self.formula, options),
            all(
                backend.visible(array)
                for array, what in zip(arrays, described, strict=True)
                if what is not None and what.dtype in LABEL_DTYPES
            ),
            not all(backend.has_numbers(array) for array in given),
            self.engine_of(backend, given[0].shape).name,
        )

    def wrt_names(self, wrt: str | Sequence[str] | None, plan: Plan) -> tuple[str, ...]:
        """The arguments to differentiate by."""
        if wrt is None:
            return self.formula.differentiable
        names = (wrt,) if isinstance(wrt, str) else tuple(wrt) if hasattr(wrt, "__iter__") else ()
        if not names or len(set(names)) < len(names):
            message = f"{self.formula.name}: wrt must be one name, or different names, got {wrt!r}"
            raise ArgumentError(message)
        not_real = plan.not_real
        for name in names:
            if name not in plan.ports or name in not_real:
                known = ", ".join(n for n in plan.ports if n not in not_real)
                message = f"{self.formula.name}: wrt must be among {known}, got {name!r}"
                raise ArgumentError(message)
            dtype = plan.ports[name].described.dtype
            if not is_floating(dtype):
                message = (
                    f"{self.formula.name}: a gradient by {name} cannot be stored in its dtype "
                    f"{dtype}; convert {name} to a floating dtype"
                )
                raise DTypeError(message)
        return names

    def one(self, wrt: str | None) -> str:
        """The argument of a second derivative."""
        if wrt is not None and not isinstance(wrt, str):
            message = (
                f"{self.formula.name}: second derivatives are by one argument: wrt must be a name"
            )
            raise ArgumentError(message)
        return wrt or self.formula.differentiable[0]

    def recorded(self, plan: Plan, values: Sequence[Any], tensors: Sequence[Any]) -> Tensor:
        """The loss as a Tensor that remembers its real-valued arguments."""
        names = list(plan.ports)
        not_real = plan.not_real
        present = [t for t in tensors if t is not None]
        parents = {
            name: tensor
            for name, tensor in zip(names, present, strict=True)
            if isinstance(tensor, Tensor) and tensor.requires_grad and name not in not_real
        }

        def pullback(cotangent: Any) -> list[Any]:
            if isinstance(cotangent, Tensor):
                return recorded_pullback(plan, parents, values, cotangent)
            return plan.pullback(tuple(parents), values, cotangent)

        return Tensor.recorded(plan.value(values), plan.backend, list(parents.values()), pullback)


def load_loss(module: str, name: str) -> Any:
    """A loss by where it was defined, for pickle."""
    found: Any = __import__(module, fromlist=[name])
    for part in name.split("."):
        found = getattr(found, part)
    return found
