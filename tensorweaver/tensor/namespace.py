"""The array API for tensors: the table, what is composed of it, and what has no slope."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache, partial
from itertools import accumulate
from math import e, inf, nan, pi, prod
from typing import Any, TypeVar

from tensorweaver.backends import Array, Backend
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.primitives import VOCABULARY
from tensorweaver.tensor.eager import axes_of
from tensorweaver.tensor.indexing import read_items
from tensorweaver.tensor.recording import Recorder, stripped
from tensorweaver.tensor.tape import Variable

__all__ = ["TensorNamespace", "tensor_namespace"]

Kind = TypeVar("Kind", bound=Variable)

#: Functions whose result depends on no value, or only in steps: constants, seen from a tape.
CONSTANT = frozenset(
    {
        "__array_namespace_info__",
        "all",
        "any",
        "arange",
        "argmax",
        "argmin",
        "argsort",
        "bitwise_and",
        "bitwise_invert",
        "bitwise_left_shift",
        "bitwise_or",
        "bitwise_right_shift",
        "bitwise_xor",
        "can_cast",
        "count_nonzero",
        "empty",
        "empty_like",
        "eye",
        "finfo",
        "from_dlpack",
        "full",
        "full_like",
        "iinfo",
        "isdtype",
        "isin",
        "linspace",
        "nonzero",
        "ones",
        "ones_like",
        "result_type",
        "searchsorted",
        "unique_all",
        "unique_counts",
        "unique_inverse",
        "unique_values",
        "zeros",
        "zeros_like",
    }
)

#: Functions that could be differentiated, but have no rule here.
RULELESS = frozenset({"conj", "cumulative_prod", "imag", "nextafter", "real"})

DTYPES = frozenset(
    {
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bfloat16",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    }
)


class TensorNamespace(Recorder[Kind]):
    """What `xp` is inside a formula that is given tensors.

    Elementwise functions, reductions and shape functions are generated from the vocabulary; so are
    the names that the vocabulary has beyond the standard, such as `softplus` and `log_softmax`. As
    in the vocabulary, `logsumexp` keeps the axis that it reduces. A name that is unknown raises
    `AttributeError` and suggests another.
    """

    e, inf, nan, pi, newaxis = e, inf, nan, pi, None

    def __repr__(self) -> str:
        return f"<TensorNamespace {self.home.name}>"

    def __getattr__(self, name: str) -> Any:
        """A name of the standard or of the table, made on first use."""
        found: Any
        if name in VOCABULARY:
            found = self.function(VOCABULARY[name])
        elif name in CONSTANT:
            found = partial(self.plain, name)
        elif name in RULELESS:
            found = partial(self.without_rule, name)
        elif name in DTYPES:
            found = getattr(self.eager.library, name)
        else:
            close = get_close_matches(name, dir(self), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            message = f"there is no xp.{name} for tensors{hint}"
            raise AttributeError(message)
        self.__dict__[name] = found
        return found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *VOCABULARY, *CONSTANT, *RULELESS, *DTYPES})

    def without_rule(self, name: str, *values: Any, **options: Any) -> Any:
        """The library's function, where no gradient is asked for."""
        if any(isinstance(value, Variable) and value.tracked for value in values):
            message = f"{name} has no derivative rule here; call it on .detach()"
            raise ArgumentError(message)
        return self.plain(name, *values, **options)

    # -- what derivative rules need ----------------------------------------------------------------

    def spread(self, g: Kind, x: Kind, axis: Any, keepdims: bool) -> Kind:  # noqa: FBT001
        """A reduced value laid out over the axes that were reduced, with the shape of `x`."""
        shape = tuple(x.array.shape)
        if not keepdims:
            reduced = axes_of(axis, len(shape))
            g = self.reshape(g, tuple(1 if i in reduced else n for i, n in enumerate(shape)))
        return self.broadcast_to(g, shape)  # type: ignore[no-any-return]

    def count(self, x: Kind, axis: Any) -> int:
        """How many elements of `x` a reduction over `axis` makes one of."""
        return self.eager.count(x.array, axis)

    # -- making and casting ------------------------------------------------------------------------

    def asarray(
        self, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None
    ) -> Kind:
        """A tensor of these values; a tensor itself where nothing changes."""
        if isinstance(obj, self.kind):
            result = obj if dtype is None else self.astype(obj, dtype)
            return self.apply(VOCABULARY["positive"], result) if copy else result
        array = self.home.asarray(stripped(obj), dtype, device)
        return self.kind.wrap(self.eager.asarray(array, copy=True) if copy else array, self.home)

    def astype(self, x: Kind, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Kind:
        """The values in another dtype of the library, or by name; the gradient is cast back."""
        wanted = self.home.dtype(dtype) if isinstance(dtype, str) else dtype
        if x.array.dtype == wanted and not copy:
            return x
        array = self.home.place(self.eager.astype(x.array, wanted), None, device)
        if not self.home.dtype_name(wanted).startswith(("float", "bfloat")):
            return self.kind.wrap(array, self.home)
        return self.kind.recorded(array, self.home, [x], lambda g: [g])

    def broadcast_arrays(self, *arrays: Kind) -> list[Kind]:
        """All with the shape that they have in common."""
        shape = self.eager.broadcast_arrays(*(x.array for x in arrays))[0].shape
        return [self.broadcast_to(x, tuple(shape)) for x in arrays]

    def reshape(
        self,
        x: Kind,
        /,
        shape: int | tuple[int, ...],
        *,
        copy: bool | None = None,  # noqa: ARG002 - the standard's
    ) -> Kind:
        """The same elements in another shape; `copy` is left to the library."""
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        return self.apply(VOCABULARY["reshape"], x, shape=sizes)

    def permute_dims(self, x: Kind, /, axes: tuple[int, ...]) -> Kind:
        """The axes in another order."""
        order = tuple(axis % x.array.ndim for axis in axes)
        return self.apply(VOCABULARY["permute_dims"], x, axes=order)

    def moveaxis(self, x: Kind, source: Any, destination: Any, /) -> Kind:
        """Some axes moved to other places, the others in the order they had."""
        rank = x.array.ndim
        pairs = zip(axes_of(source, rank), axes_of(destination, rank), strict=True)
        places = dict(sorted((to, origin) for origin, to in pairs))
        order = [axis for axis in range(rank) if axis not in places.values()]
        for place, axis in places.items():
            order.insert(place, axis)
        return self.permute_dims(x, tuple(order))

    # -- reductions composed of others -------------------------------------------------------------

    def sum(
        self, x: Kind, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False
    ) -> Kind:
        """The sum; with `dtype`, of the values in that dtype."""
        x = x if dtype is None else self.astype(x, dtype)
        return self.apply(VOCABULARY["sum"], x, axis=axis, keepdims=keepdims)

    def prod(
        self, x: Kind, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False
    ) -> Kind:
        """The product; with `dtype`, of the values in that dtype."""
        x = x if dtype is None else self.astype(x, dtype)
        return self.apply(VOCABULARY["prod"], x, axis=axis, keepdims=keepdims)

    def cumulative_sum(
        self,
        x: Kind,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        include_initial: bool = False,
    ) -> Kind:
        """The running sum; with `dtype`, of the values in that dtype."""
        x = x if dtype is None else self.astype(x, dtype)
        row = VOCABULARY["cumulative_sum"]
        return self.apply(row, x, axis=axis, include_initial=include_initial)

    def var(
        self, x: Kind, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False
    ) -> Kind:
        """The variance."""
        mean = self.mean(x, axis=axis, keepdims=True)
        squares = self.square(self.subtract(x, mean))
        total = self.sum(squares, axis=axis, keepdims=keepdims)
        count = float(self.eager.count(x.array, axis))
        return self.apply(VOCABULARY["divide"], total, count - correction)

    def std(
        self, x: Kind, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False
    ) -> Kind:
        """The standard deviation; its slope is 0 where all values are equal."""
        variance = self.var(x, axis=axis, correction=correction, keepdims=keepdims)
        is_zero = self.equal(variance, 0.0)
        root = self.sqrt(self.where(is_zero, 1.0, variance))
        return self.apply(VOCABULARY["where"], is_zero, 0.0, root)

    def clip(self, x: Kind, /, min: Any = None, max: Any = None) -> Kind:  # noqa: A002
        """Limit to an interval; the slope at either end is 0."""
        lifted = x if min is None else self.maximum(x, min)
        return lifted if max is None else self.minimum(lifted, max)

    def diff(self, x: Kind, /, *, axis: int = -1, n: int = 1) -> Kind:
        """Differences of neighbours, `n` times."""
        for _ in range(n):
            later = self.moved_slice(x, axis, slice(1, None))
            x = self.subtract(later, self.moved_slice(x, axis, slice(None, -1)))
        return x

    # -- products ----------------------------------------------------------------------------------

    def vecdot(self, x1: Any, x2: Any, /, *, axis: int = -1) -> Kind:
        """The sum of products along an axis of both."""
        return self.sum(self.multiply(x1, x2), axis=axis)

    def tensordot(self, x1: Any, x2: Any, /, *, axes: Any = 2) -> Kind:
        """The sum of products over `axes`: so many at the touching ends, or a pair of lists."""
        left, right = self.variable(x1), self.variable(x2)
        shapes = left.array.shape, right.array.shape
        if isinstance(axes, int):
            axes = (range(len(shapes[0]) - axes, len(shapes[0])), range(axes))
        pairs = zip(axes, shapes, strict=True)
        summed = [[axis % len(shape) for axis in several] for several, shape in pairs]
        free = [
            [axis for axis in range(len(shape)) if axis not in chosen]
            for chosen, shape in zip(summed, shapes, strict=True)
        ]
        sizes = [
            [shape[axis] for axis in several] for several, shape in zip(free, shapes, strict=True)
        ]
        inner = [shapes[0][axis] for axis in summed[0]]
        if inner != [shapes[1][axis] for axis in summed[1]]:
            message = f"tensordot: {shapes[0]} and {shapes[1]} differ along axes {summed}"
            raise ShapeError(message)
        length, rows, columns = (prod(part) for part in (inner, *sizes))
        left = self.reshape(self.permute_dims(left, tuple(free[0] + summed[0])), (rows, length))
        right = self.reshape(
            self.permute_dims(right, tuple(summed[1] + free[1])), (length, columns)
        )
        return self.reshape(self.matmul(left, right), tuple(sizes[0] + sizes[1]))

    # -- joining and picking -----------------------------------------------------------------------

    def concat(self, arrays: Sequence[Any], /, *, axis: int | None = 0) -> Kind:
        """One after the other along an axis; flattened first where `axis` is None."""
        parts = [self.variable(part) for part in arrays]
        if axis is None:
            return self.concat([self.reshape(part, (-1,)) for part in parts], axis=0)
        place = axis % parts[0].array.ndim
        lengths = [part.array.shape[place] for part in parts]

        def pullback(g: Array) -> list[Array]:
            ends = list(accumulate(lengths))
            before = (slice(None),) * place
            return [
                g[(*before, slice(end - length, end), ...)]
                for end, length in zip(ends, lengths, strict=True)
            ]

        joined = self.eager.concat([part.array for part in parts], axis=place)
        return self.kind.recorded(joined, self.home, parts, pullback)

    def stack(self, arrays: Sequence[Any], /, *, axis: int = 0) -> Kind:
        """One beside the other along a new axis."""
        return self.concat(
            [self.expand_dims(self.variable(part), axis=axis) for part in arrays],
            axis=axis,
        )

    def unstack(self, x: Kind, /, *, axis: int = 0) -> tuple[Kind, ...]:
        """The slices along an axis."""
        return tuple(self.moved_slice(x, axis, place) for place in range(x.array.shape[axis]))

    def moved_slice(self, x: Kind, axis: int, part: int | slice) -> Kind:
        """`x[..., part, ...]` with `part` at that axis."""
        return read_items(self, x, (*[slice(None)] * (axis % x.array.ndim), part))

    def take(self, x: Kind, indices: Any, /, *, axis: int | None = None) -> Kind:
        """The slices at `indices`, which may repeat."""
        if axis is None and x.array.ndim != 1:
            message = f"take from {x.array.ndim} axes: say which axis"
            raise ArgumentError(message)
        index = self.eager.as_index(self.beside(stripped(indices), x.array))
        return self.select(x, lambda source: self.eager.take(source, index, axis=axis or 0))

    def take_along_axis(self, x: Kind, indices: Any, /, *, axis: int = -1) -> Kind:
        """The elements at `indices`, any number of them a row."""
        index = self.eager.as_index(self.beside(stripped(indices), x.array))
        if index.shape[axis] == 1:
            return self.apply(VOCABULARY["take_along_axis"], x, index, axis=axis)
        return self.select(x, lambda source: self.eager.take_along_axis(source, index, axis=axis))

    def sort(
        self, x: Kind, /, *, axis: int = -1, descending: bool = False, stable: bool = True
    ) -> Kind:
        """In order; each cotangent returns to where its element came from."""
        if not x.tracked:  # nothing returns: the values alone are sorted several times as fast
            library = self.eager.library
            ranked = library.sort(x.array, axis=axis)
            return self.kind.wrap(
                library.flip(ranked, axis=axis) if descending else ranked, self.home
            )
        order = self.eager.argsort(x.array, axis=axis, descending=descending, stable=stable)
        return self.select(x, lambda source: self.eager.take_along_axis(source, order, axis=axis))

    def repeat(self, x: Kind, repeats: Any, /, *, axis: int | None = None) -> Kind:
        """Each element so many times."""
        times = stripped(repeats)
        return self.select(x, lambda source: self.eager.repeat(source, times, axis=axis))

    def tile(self, x: Kind, repetitions: tuple[int, ...], /) -> Kind:
        """The whole so many times along each axis."""
        return self.select(x, lambda source: self.eager.tile(source, repetitions))


@cache
def tensor_namespace(kind: type[Kind], home: Backend) -> TensorNamespace[Kind]:
    """The one namespace for tensors of class `kind` on that backend."""
    return TensorNamespace(kind, home)
