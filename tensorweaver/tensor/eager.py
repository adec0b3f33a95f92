"""The table's operations, done at once: a library's own functions and the table's formulas.

This is the namespace that derivative rules are handed when they run on numbers, and what public
functions such as `tw.softmax` compute with. It knows nothing of tensors and tapes.
"""

from difflib import get_close_matches
from functools import cache, cached_property, partial
from math import prod
from typing import Any

import numpy as np

from tensorweaver.backends import Array, Backend
from tensorweaver.errors import DTypeError
from tensorweaver.primitives import VOCABULARY
from tensorweaver.tensor.scatter import scatter_add

__all__ = ["EagerNamespace", "axes_of", "eager_namespace", "solid"]

#: Rows whose formula is there for the tracer; the libraries' own function is as good and faster.
LIBRARY_KNOWS = frozenset({"mean"})


class EagerNamespace:
    """The array API of a library, plus what the table adds to it.

    Obtain it from `eager_namespace`, which keeps one a library. Labels are taken to lie within the
    classes: checking them is the caller's affair.

    >>> from tensorweaver.backends import get_backend
    >>> xp = eager_namespace(get_backend("numpy"))
    >>> xp.sigmoid(xp.asarray([0.0, -1e4]))
    array([0.5, 0. ])
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.library: Any = backend.namespace()

    def __repr__(self) -> str:
        return f"<EagerNamespace {self.backend.name}>"

    def __getattr__(self, name: str) -> Any:
        """The table's formula where it has one, else the library's function; then remembered."""
        primitive = VOCABULARY.get(name)
        if primitive is not None and primitive.formula is not None and name not in LIBRARY_KNOWS:
            function = quiet(partial(primitive.formula, self))
        elif hasattr(self.library, name):
            function = getattr(self.library, name)
        else:
            close = get_close_matches(name, [*VOCABULARY, *dir(self.library)], n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            message = f"{self.backend.label} and the vocabulary have no function {name}{hint}"
            raise AttributeError(message)
        self.__dict__[name] = function
        return function

    # -- shapes ------------------------------------------------------------------------------------

    def spread(self, g: Array, x: Array, axis: Any, keepdims: bool) -> Array:  # noqa: FBT001
        """A reduced value laid out over the axes that were reduced, with the shape of `x`."""
        if not keepdims:
            reduced = axes_of(axis, x.ndim)
            kept = (1 if place in reduced else size for place, size in enumerate(x.shape))
            g = self.library.reshape(g, tuple(kept))
        return self.library.broadcast_to(g, x.shape)

    def sum(self, x: Array, *, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        """The library's own, along rows that lie together where only these are summed pairwise."""
        inner = isinstance(axis, int) and axis % x.ndim != x.ndim - 1
        if not (inner and self.backend.wants_classes_last):
            return self.library.sum(x, axis=axis, keepdims=keepdims, **options)
        sums = self.library.sum(self.backend.move_axis(x, axis, -1), axis=-1, **options)
        return self.library.expand_dims(sums, axis=axis % x.ndim) if keepdims else sums

    def count(self, x: Array, axis: Any) -> int:
        """How many elements of `x` a reduction over `axis` makes one of."""
        return prod(x.shape[place] for place in axes_of(axis, x.ndim))

    def count_nonzero(self, x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
        """The standard's count; NumPy before 2.2 makes a Python number of it."""
        ones = self.library.astype(x != 0, self.index_dtype)
        return self.library.sum(ones, axis=axis, keepdims=keepdims)

    def cumulative_sum(
        self, x: Array, *, axis: int | None = None, include_initial: bool = False
    ) -> Array:
        """The standard's running sum; NumPy before 2.1 knows it by its old name."""
        if axis is None:
            axis = 0
        if hasattr(self.library, "cumulative_sum"):
            return self.library.cumulative_sum(x, axis=axis, include_initial=include_initial)
        sums = self.library.cumsum(x, axis=axis, dtype=x.dtype)
        if not include_initial:
            return sums
        first = sums[(*[slice(None)] * (axis % x.ndim), slice(0, 1))]
        return self.library.concat([self.library.zeros_like(first), sums], axis=axis)

    def argsort(
        self, x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True
    ) -> Array:
        """The standard's order; NumPy's own only ascends. Equal elements keep their order."""
        if not descending:
            return self.library.argsort(x, axis=axis, stable=stable)
        backwards = self.library.argsort(self.library.flip(x, axis=axis), axis=axis, stable=stable)
        return x.shape[axis] - 1 - self.library.flip(backwards, axis=axis)

    # -- places ------------------------------------------------------------------------------------

    @cached_property
    def index_dtype(self) -> Any:
        """What the library counts in."""
        return self.backend.default_dtype("i")

    def places(self, size: int, like: Array) -> Array:
        """`0, 1, … size - 1`, on the device of `like`."""
        device = self.backend.device(like) if self.backend.many_devices else None
        if device is None:
            return self.library.arange(size, dtype=self.index_dtype)
        return self.library.arange(size, dtype=self.index_dtype, device=device)

    def as_index(self, labels: Array) -> Array:
        """Labels of any integer dtype, as the library indexes with."""
        if labels.dtype == self.index_dtype:
            return labels
        if not self.library.isdtype(labels.dtype, "integral"):
            dtype = self.backend.dtype_name(labels.dtype)
            message = f"places along an axis must be integers, got {dtype}"
            raise DTypeError(message)
        return self.library.astype(labels, self.index_dtype)

    def places_along(self, x: Array, axis: int) -> Array:
        """`0, 1, …` along one axis of `x`, of length one along the others."""
        shape = [1] * x.ndim
        shape[axis] = x.shape[axis]
        return self.library.reshape(self.places(x.shape[axis], x), tuple(shape))

    def stop_gradient(self, x: Array) -> Array:
        """`x` itself, constant for a library that differentiates by itself, too."""
        return self.backend.stop_gradient(x)

    def take_along_axis(self, x: Array, labels: Array, *, axis: int = -1) -> Array:
        """The elements at `labels`; where the library cannot index so, by comparing all places."""
        labels = self.as_index(labels)
        if hasattr(self.library, "take_along_axis"):
            return self.library.take_along_axis(x, labels, axis=axis)
        axis %= x.ndim
        choices = self.library.expand_dims(x, axis=axis)
        places = self.places_along(choices, axis + 1)
        chosen = self.library.expand_dims(labels, axis=axis + 1) == places
        only = self.library.where(chosen, choices, self.library.zeros_like(choices))
        return self.library.sum(only, axis=axis + 1, dtype=x.dtype)

    def put_along_axis(self, x: Array, labels: Array, value: Any, *, axis: int = -1) -> Array:
        """`x` with `value` at `labels`, one label a row; a new array on every library."""
        at_label = self.places_along(x, axis) == self.as_index(labels)
        return self.library.where(at_label, value, x)

    def scatter_add(self, like: Array, positions: Array, values: Array) -> Array:
        """Zeros shaped as `like`, plus `values` added at the flat `positions`, which may repeat."""
        empty = self.library.zeros_like(like, dtype=values.dtype)
        flat = self.library.reshape(empty, (-1,))
        positions = self.library.reshape(positions, (-1,))
        values = self.library.reshape(values, (-1,))
        return self.library.reshape(scatter_add(self, flat, positions, values), like.shape)


@cache
def eager_namespace(backend: Backend) -> EagerNamespace:
    """The one namespace of that backend."""
    return EagerNamespace(backend)


def quiet(function: Any) -> Any:
    """The function without NumPy's warnings: formulas compute branches that they do not take."""

    def quiet_function(*arguments: Any, **options: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments, **options)

    return quiet_function


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes meant by `None`, a number or several, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    several = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(place % ndim for place in several)


def solid(value: Any) -> Array:
    """An array: NumPy makes scalars of what has no axes left."""
    return np.asarray(value) if isinstance(value, np.generic) else value
