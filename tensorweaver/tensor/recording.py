"""A row of the table done to tensors: computed on their arrays, the way back on the tape."""

from collections.abc import Callable, Sequence
from functools import cache
from inspect import Parameter, signature
from typing import Any, Generic, TypeVar
from weakref import ref

import numpy as np

from tensorweaver.backends import Array, Backend, arrange
from tensorweaver.errors import ArgumentError, BackendError
from tensorweaver.primitives import VOCABULARY, Primitive
from tensorweaver.tensor.eager import EagerNamespace, eager_namespace
from tensorweaver.tensor.tape import Variable, is_grad_enabled

__all__ = ["Recorder"]

Kind = TypeVar("Kind", bound=Variable)

#: Rows that hand a cotangent on without multiplying it: no zero of theirs can meet an infinity.
HANDS_ON = frozenset(
    {"negative", "positive", "add", "subtract", "where", "sum", "mean"}
    | {"take_along_axis", "put_along_axis"}
)


class Recorder(Generic[Kind]):
    """Applies operations to variables of class `kind` on one backend."""

    def __init__(self, kind: type[Kind], home: Backend) -> None:
        self.kind = kind
        self.home = home
        self.eager: EagerNamespace = eager_namespace(home)

    # -- in and out --------------------------------------------------------------------------------

    def raw(self, name: str, values: Sequence[Any]) -> list[Any]:
        """The arrays inside. Python numbers stay, lists become arrays beside them."""
        arrays: list[Any] = []
        strangers = False
        for value in values:
            if isinstance(value, Variable):
                if value.home is not self.home:
                    raise mixed(name, self.home, value.home)
                arrays.append(value.array)
            else:
                strangers = strangers or type(value) not in {int, float, bool}
                arrays.append(value)
        return self.settled(name, arrays) if strangers else arrays

    def settled(self, name: str, values: list[Any]) -> list[Any]:
        """What is no Python number, as arrays of one library and device."""
        spots = [spot for spot, value in enumerate(values) if type(value) not in {int, float, bool}]
        names = [f"argument {spot + 1} of {name}" for spot in spots]
        home, arrays = arrange([values[spot] for spot in spots], names)
        if home is not self.home:
            if any(home.owns(type(value)) for value in values):
                raise mixed(name, self.home, home)
            arrays = [self.home.asarray(values[spot]) for spot in spots]
        for spot, array in zip(spots, arrays, strict=True):
            values[spot] = array
        return values

    def variable(self, value: Any) -> Kind:
        """A tensor as it is; anything else as a constant."""
        if isinstance(value, self.kind):
            return value
        return self.kind.wrap(self.home.asarray(value), self.home)

    def beside(self, value: Any, array: Array) -> Array:
        """Labels or a mask as an array of this library; lists go to the device of `array`."""
        if self.home.owns(type(value)):
            return self.home.asarray(value)
        return self.home.asarray(value, None, self.home.device(array))

    # -- operations --------------------------------------------------------------------------------

    def apply(self, primitive: Primitive, *values: Any, **options: Any) -> Kind:
        """One row of the table, computed and, where a gradient is wanted, recorded."""
        arrays = self.raw(primitive.name, values)
        with np.errstate(all="ignore"):
            value = getattr(self.eager, primitive.name)(*arrays, **options)
        result = self.kind.wrap(value, self.home)
        if primitive.kind == "predicate" or not is_grad_enabled():
            return result
        tracked = [
            (variable, rule)
            for variable, rule in zip(values, primitive.rules, strict=True)
            if isinstance(variable, Variable) and variable.tracked
        ]
        if not tracked:
            return result
        rules = [rule for _, rule in tracked]
        out = result.array

        def pullback(g: Any) -> list[Any]:
            xp: Any = self.eager
            at: Sequence[Any] = arrays
            made: Any = out
            if isinstance(g, Variable):  # the walk back is recorded: the same rules, on variables
                xp, at, made = self, values, final()
            shares: list[Any] = []
            for rule in rules:
                share = None if rule is None else rule(xp, g, made, *at, **options)
                shares.append(
                    share if share is None else quenched(xp, primitive, g, share, options)
                )
            return shares

        parents = [variable for variable, _ in tracked]
        recorded = self.kind.recorded(out, self.home, parents, pullback)
        final = ref(recorded)
        return recorded

    def select(self, x: Kind, pick: Callable[[Array], Array]) -> Kind:
        """`pick(x)`, for a `pick` that only chooses elements, each any number of times.

        Picking from the flat positions in the same way tells where each cotangent returns to.
        """
        array, xp = x.array, self.eager

        def scattered(g: Array) -> Array:
            flat = xp.places(int(np.prod(array.shape, dtype=np.int64)), array)
            return xp.scatter_add(array, pick(xp.reshape(flat, array.shape)), g)

        return self.linear(x, pick, scattered)

    def linear(
        self, x: Kind, forth: Callable[[Array], Array], back: Callable[[Array], Array]
    ) -> Kind:
        """A linear function of one array, and its transpose: the way back of each is the other."""

        def pullback(g: Any) -> list[Any]:
            return [self.linear(g, back, forth) if isinstance(g, self.kind) else back(g)]

        return self.kind.recorded(forth(x.array), self.home, [x], pullback)

    def plain(self, name: str, *values: Any, **options: Any) -> Any:
        """The library's function of that name on the arrays inside, as a constant."""
        function = getattr(self.eager, name)
        with np.errstate(all="ignore"):
            return self.wrapped(function(*stripped(values), **stripped(options)))

    def wrapped(self, value: Any) -> Any:
        """Arrays in `value`, which may be a tuple or a list, as tensors."""
        if isinstance(value, tuple | list):
            parts = [self.wrapped(part) for part in value]
            named = isinstance(value, tuple) and hasattr(value, "_fields")
            return type(value)(*parts) if named else type(value)(parts)
        return self.kind.wrap(value, self.home) if self.home.owns(type(value)) else value

    def function(self, primitive: Primitive) -> Callable[..., Kind]:
        """A row as a function: arrays first, then options by position or by name."""
        arity, names = primitive.arity, option_names(primitive.name)

        def operation(*values: Any, **options: Any) -> Kind:
            if len(values) < arity:
                message = f"{primitive.name} takes {arity} arrays, got {len(values)}"
                raise ArgumentError(message)
            options.update(zip(names, values[arity:], strict=False))
            if len(values) > arity + len(names) or not options.keys() <= set(names):
                unknown = ", ".join(sorted(options.keys() - set(names))) or "too many arguments"
                known = ", ".join(names) or "none"
                message = f"{primitive.name} does not take {unknown}; its options: {known}"
                raise ArgumentError(message)
            return self.apply(primitive, *values[:arity], **options)

        operation.__name__ = operation.__qualname__ = primitive.name
        operation.__doc__ = f"`{primitive.name}` of the array API, recorded on the tape."
        return operation


@cache
def option_names(name: str) -> tuple[str, ...]:
    """What a row takes besides arrays, read off its first rule."""
    rule = next((rule for rule in VOCABULARY[name].rules if rule is not None), None)
    if rule is None:
        return ()
    parameters = signature(rule).parameters.values()
    return tuple(each.name for each in parameters if each.kind is Parameter.KEYWORD_ONLY)


def quenched(xp: Any, primitive: Primitive, g: Array, share: Any, options: dict[str, Any]) -> Any:
    """A zero cotangent stays zero, even against an infinite slope.

    So a branch that was not taken sends nothing back.
    """
    if primitive.name in HANDS_ON or primitive.kind == "shape" or isinstance(share, int | float):
        return share
    nothing = g == 0
    if primitive.kind == "rowwise":
        nothing = xp.all(nothing, axis=options.get("axis", -1), keepdims=True)
    elif primitive.kind == "reduction":
        kept = options.get("keepdims", primitive.formula is not None)
        nothing = xp.spread(nothing, share, options.get("axis"), kept) if not kept else nothing
    return xp.where(nothing, 0.0, share)


def stripped(value: Any) -> Any:
    """Tensors in `value`, which may be a tuple, a list or a dictionary, as their arrays."""
    if isinstance(value, Variable):
        return value.array
    if isinstance(value, tuple | list):
        return type(value)(stripped(part) for part in value)
    if isinstance(value, dict):
        return {key: stripped(part) for key, part in value.items()}
    return value


def mixed(name: str, home: Backend, other: Backend) -> BackendError:
    """Two libraries met."""
    return BackendError(
        f"{name}: mixed arrays: one is on backend {home.name!r}, another on {other.name!r}; "
        f'move one of them with .to("{home.name}") or .to("{other.name}")'
    )
