"""The tape: what was computed from what, and the walk back along it.

A `Variable` is an array with a place on the tape. An operation leaves a `Step` on its result: the
variables that it came from, and a pullback that turns the result's cotangent into theirs. The walk
back is a loop, not a recursion, so a chain of any length works.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from tensorweaver.backends import Array, Backend, backend_of
from tensorweaver.errors import ArgumentError, DTypeError
from tensorweaver.tensor.eager import eager_namespace, solid

__all__ = ["Pullback", "Step", "Variable", "backward", "gradients", "is_grad_enabled", "no_grad"]

Pullback = Callable[[Array], Sequence[Array | None]]

grad_enabled: ContextVar[bool] = ContextVar("tensorweaver_grad_enabled", default=True)


def is_grad_enabled() -> bool:
    """Whether operations are recorded here, in this thread or task.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    return grad_enabled.get()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing in a block, or in a function decorated with `@no_grad()`.

    Other threads and asyncio tasks go on recording.
    """
    token = grad_enabled.set(False)
    try:
        yield
    finally:
        grad_enabled.reset(token)


class Step(NamedTuple):
    """How a variable came about: from `parents`, whose cotangents `pullback` finds in order."""

    parents: "tuple[Variable, ...]"
    pullback: Pullback | None


#: The step of a variable whose graph a backward pass has consumed.
CONSUMED = Step((), None)


class Variable:
    """An array, the library that computes it, and its place on the tape.

    `tracked` says that gradients are wanted; a tracked variable without a step is a leaf, and
    collects its gradient in `grad`, an array of the same library.
    """

    __slots__ = ("__weakref__", "array", "grad", "home", "step", "tracked")

    array: Array
    home: Backend
    grad: Array
    tracked: bool
    step: Step | None

    if TYPE_CHECKING:

        def __array_namespace__(self) -> Any:
            """The array API for variables of this kind."""

    @classmethod
    def wrap(cls, array: Any, home: Backend) -> Self:
        """An array of `home` as a constant, unchecked."""
        variable = cls.__new__(cls)
        variable.array = solid(array)
        variable.home = home
        variable.grad = None
        variable.tracked = False
        variable.step = None
        return variable

    @classmethod
    def record(
        cls,
        value: Array,
        parents: "Sequence[Variable]",
        pullback: Pullback,
    ) -> Self:
        """A computed array as the result of a step of your own.

        `pullback(cotangent)` receives an array like `value` and gives one array a parent, or None
        for a zero cotangent. Cotangents are summed to the parent's shape where it was broadcast,
        and cast to its dtype. Nothing is recorded inside `no_grad`, or where no parent requires a
        gradient.
        """
        home = backend_of(value)
        if home is None:
            message = f"value must be an array of a known library, got {type(value).__name__}"
            raise DTypeError(message)
        return cls.recorded(value, home, parents, once(pullback))

    @classmethod
    def recorded(
        cls, value: Any, home: Backend, parents: "Sequence[Variable]", pullback: Pullback
    ) -> Self:
        """As `record`, where the backend of `value` is known."""
        result = cls.wrap(value, home)
        if grad_enabled.get() and any(parent.tracked for parent in parents):
            result.tracked = True
            result.step = Step(tuple(parents), pullback)
        return result


def once(pullback: Pullback) -> Pullback:
    """A pullback on arrays alone, which says so where it is to be recorded itself."""

    def on_arrays(cotangent: Any) -> Sequence[Array | None]:
        if isinstance(cotangent, Variable):
            message = "a step recorded by hand has no second derivative"
            raise ArgumentError(message)
        return pullback(cotangent)

    return on_arrays


def backward(root: Variable, seed: Array, *, retain_graph: bool = False) -> None:
    """Walk back from `root`, whose cotangent is `seed`, adding to the gradient of every leaf."""
    for leaf, cotangent in walk(root, seed, retain_graph=retain_graph):
        accumulate(leaf, cotangent)


def gradients(
    root: Variable, seed: Any, wrt: "Sequence[Variable]", *, retain_graph: bool = False
) -> list[Any]:
    """The cotangents of some variables, where the walk ends, each taken as independent of the
    others; None where `root` does not depend on one.

    With a variable as the seed the walk itself is recorded: the cotangents are variables that can
    be walked back from in their turn, and the graph is kept.
    """
    recorded = isinstance(seed, Variable)
    found: dict[int, Any] = dict.fromkeys(map(id, wrt))
    if root.tracked:
        retain = retain_graph or recorded
        for leaf, cotangent in walk(root, seed, retain_graph=retain, ends=frozenset(found)):
            if id(leaf) in found:
                found[id(leaf)] = cotangent
    return [found[id(leaf)] for leaf in wrt]


def walk(
    root: Variable, seed: Any, *, retain_graph: bool, ends: frozenset[int] = frozenset()
) -> "Iterator[tuple[Variable, Any]]":
    """Every leaf on the way back from `root`, with its cotangent; so are those with an identity
    among `ends`.

    A variable is visited when all that was computed from it has been, in an order that depends on
    the graph alone.
    """
    waiting = count_uses(root, ends)
    cotangents: dict[int, Any] = {id(root): seed}
    ready = [root]
    with np.errstate(all="ignore"):
        while ready:
            variable = ready.pop()
            cotangent = cotangents.pop(id(variable), None)
            step = None if id(variable) in ends else variable.step
            if step is None:
                yield variable, cotangent
                continue
            shares: Sequence[Any] = [None] * len(step.parents)
            if cotangent is not None and step.pullback is not None:
                shares = step.pullback(cotangent)
            if not retain_graph:
                variable.step = CONSUMED
            for parent, share in zip(step.parents, shares, strict=True):
                if not parent.tracked:
                    continue
                if share is not None:
                    share = fit(share, parent)  # noqa: PLW2901 - the same cotangent, in shape
                    before = cotangents.get(id(parent))
                    cotangents[id(parent)] = share if before is None else before + share
                waiting[id(parent)] -= 1
                if not waiting[id(parent)]:
                    ready.append(parent)


def count_uses(root: Variable, ends: frozenset[int]) -> dict[int, int]:
    """How often each variable was used on the way to `root`, by identity.

    Refuses a graph that is gone.
    """
    uses: dict[int, int] = {id(root): 0}
    unseen = [root]
    while unseen:
        variable = unseen.pop()
        step = None if id(variable) in ends else variable.step
        if step is CONSUMED:
            message = (
                "this graph was already walked back and freed: "
                "call the first backward(retain_graph=True), or compute the value anew"
            )
            raise ArgumentError(message)
        for parent in step.parents if step is not None else ():
            if not parent.tracked:
                continue
            if id(parent) not in uses:
                uses[id(parent)] = 0
                unseen.append(parent)
            uses[id(parent)] += 1
    return uses


def accumulate(leaf: Variable, cotangent: Array | None) -> None:
    """Add to a leaf's gradient, without writing into an array that somebody may hold."""
    xp = eager_namespace(leaf.home)
    if cotangent is None:
        cotangent = xp.zeros_like(leaf.array)
    if leaf.grad is None:
        leaf.grad = solid(xp.asarray(cotangent, copy=True))
    else:
        leaf.grad = solid(leaf.grad + cotangent)


def fit(cotangent: Any, parent: Variable) -> Array:
    """A cotangent with its parent's shape and dtype: summed over what had been broadcast."""
    array, xp = parent.array, eager_namespace(parent.home)
    if isinstance(cotangent, int | float):
        return xp.full_like(array, cotangent)
    if isinstance(cotangent, Variable):
        xp = cotangent.__array_namespace__()
    if tuple(cotangent.shape) != tuple(array.shape):
        cotangent = sum_to_shape(xp, cotangent, tuple(array.shape))
    if cotangent.dtype != array.dtype:
        cotangent = xp.astype(cotangent, array.dtype)
    return cotangent


def sum_to_shape(xp: Any, cotangent: Array, shape: tuple[int, ...]) -> Array:
    """Undo a broadcast from `shape`: sum over the axes that it added or stretched."""
    added = cotangent.ndim - len(shape)
    if added > 0:
        cotangent = xp.sum(cotangent, axis=tuple(range(added)))
    pairs = enumerate(zip(cotangent.shape[::-1], shape[::-1], strict=False), start=1)
    stretched = tuple(-place for place, (size, wanted) in pairs if wanted == 1 and size != 1)
    if stretched:
        cotangent = xp.sum(cotangent, axis=stretched, keepdims=True)
    if tuple(cotangent.shape) != shape:
        cotangent = xp.broadcast_to(cotangent, shape)
    return cotangent
