"""Tensor: an array of any library that remembers how it was computed.

The eager reader of the table. A tensor computes at once with its library's functions, and records
what happens to it on a tape of its own; the library's own automatic differentiation is not
involved.
"""

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.backends import Array, Backend, arrange, backend_of, default_backend, get_backend
from tensorweaver.errors import ArgumentError, BackendError, DTypeError, ShapeError
from tensorweaver.tensor.eager import eager_namespace, solid
from tensorweaver.tensor.indexing import read_items
from tensorweaver.tensor.methods import binary, install_methods, unary
from tensorweaver.tensor.namespace import TensorNamespace, tensor_namespace
from tensorweaver.tensor.tape import Variable, backward
from tensorweaver.tensor.text import nested_text, signature_text

__all__ = ["Tensor"]


class Tensor(Variable):
    """An array of the chosen library with a gradient.

    Parameters
    ----------
    data
        An array of any library, which is wrapped without a copy; a number; nested lists; or a
        tensor, whose array is shared. Arrays decide the backend; without one, it is the default
        backend. A tensor made of a tensor is a new leaf, as from `detach`: gradients do not travel
        from one to the other. To convert and stay on the tape, use `to` and `astype`.
    requires_grad
        Whether operations on this tensor are recorded, so that `backward` can fill `grad`.
    backend
        The library to move `data` to.
    dtype
        A dtype of that library, or its name.
    device
        A device of that library.

    Attributes
    ----------
    grad
        The gradient, an array of the same library, or None. It grows with every backward pass until
        `zero_grad`.

    Examples
    --------
    >>> celsius = Tensor([[0.0], [20.0], [37.0], [100.0]])
    >>> w = Tensor([[0.5]], requires_grad=True)
    >>> fahrenheit = celsius @ w.T + Tensor([10.0])
    >>> print(fahrenheit)
    [[10.0], [20.0], [28.5], [60.0]]
    >>> fahrenheit.sum().backward()
    >>> w.grad
    array([[157.]])
    """

    __slots__ = ()

    #: NumPy arrays on the left of an operator leave it to the tensor.
    __array_ufunc__ = None
    __array_priority__ = 1000.0

    def __init__(
        self,
        data: Any,
        *,
        requires_grad: bool = False,
        backend: str | None = None,
        dtype: Any = None,
        device: Any = None,
    ) -> None:
        values = data.array if isinstance(data, Variable) else data
        home = (
            get_backend(backend) if backend is not None else backend_of(values) or default_backend()
        )
        array = home.asarray(values, dtype, device)
        self.home = home
        self.array = home.stop_gradient(array) if getattr(array, "requires_grad", False) else array
        self.grad = None
        self.step = None
        self.tracked = False
        self.requires_grad = requires_grad

    # -- what it is --------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The array; one of the same library and shape may be assigned, and is cast to its dtype.

        Assigning is not recorded: `w.data -= rate * w.grad` is how parameters are updated.
        """
        return self.array

    @data.setter
    def data(self, value: Any) -> None:
        value = value.array if isinstance(value, Variable) else solid(value)
        if not self.home.owns(type(value)):
            message = f"data must be an array of {self.home.label}, got {type(value).__name__}"
            raise BackendError(message)
        if tuple(value.shape) != self.shape:
            message = f"data must have shape {self.shape}, got {tuple(value.shape)}"
            raise ShapeError(message)
        self.array = self.home.place(value, self.array.dtype)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded; may be set on a tensor that is no result."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and not self.tracked:
            name = self.home.dtype_name(self.dtype)
            if not name.startswith(("float", "bfloat")):
                message = (
                    f'requires_grad needs floating-point numbers, got {name}: dtype="float32"?'
                )
                raise DTypeError(message)
        if not wanted and self.step is not None:
            message = "this tensor is a result and stays on the tape; use .detach()"
            raise ArgumentError(message)
        self.tracked = bool(wanted)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.array.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.array.shape)

    @property
    def dtype(self) -> Any:
        """The array's dtype, one of its library's."""
        return self.array.dtype

    @property
    def device(self) -> Any:
        """Where the array lies; None where the library does not say."""
        return self.home.device(self.array)

    @property
    def backend(self) -> str:
        """The name of the library."""
        return self.home.name

    def __array_namespace__(self, *, api_version: str | None = None) -> "TensorNamespace[Tensor]":
        """The array API for tensors of this backend."""
        return tensor_namespace(Tensor, self.home)

    # -- numbers out -------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values in host memory, which may be shared with the tensor."""
        return self.home.to_numpy(self.array)

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,  # noqa: FBT001 - NumPy's
    ) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def tolist(self) -> Any:
        """The values as nested Python lists, or one Python number."""
        return self.numpy().tolist()

    def item(self) -> Any:
        """The only element as a Python number."""
        if self.size != 1:
            message = f"only a tensor with one element is a number, this has shape {self.shape}"
            raise ShapeError(message)
        return self.numpy().reshape(()).tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        value = self.item()
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        message = f"only an integer tensor is an index, this is {self.home.dtype_name(self.dtype)}"
        raise DTypeError(message)

    def __bool__(self) -> bool:
        if self.size != 1:
            message = (
                f"a tensor of shape {self.shape} is neither true nor false; use .any() or .all()"
            )
            raise ShapeError(message)
        return bool(self.item())

    def __len__(self) -> int:
        if not self.ndim:
            message = "a tensor without axes has no length"
            raise ShapeError(message)
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[place] for place in range(len(self)))

    def __str__(self) -> str:
        return nested_text(self.array, self.home)

    def __repr__(self) -> str:
        show = signature_text if self.backend == "dask" else nested_text
        text = show(self.array, self.home)
        return f"Tensor({text}{', requires_grad=True' if self.tracked else ''})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # -- the tape ----------------------------------------------------------------------------------

    def backward(self, gradient: Any = None, *, retain_graph: bool = False) -> None:
        """Add the derivatives of this tensor to the `grad` of every leaf that it was computed from.

        `gradient` is the derivative of some number by this tensor, 1 for a single number. The graph
        is freed on the way unless `retain_graph`.
        """
        if not self.tracked:
            message = (
                "nothing to differentiate: no tensor in this computation has requires_grad=True"
            )
            raise ArgumentError(message)
        if gradient is None:
            if self.size != 1:
                message = (
                    f"backward from shape {self.shape} needs a gradient of that shape; "
                    "or reduce to one number first, with .sum() or .mean()"
                )
                raise ShapeError(message)
            seed = eager_namespace(self.home).ones_like(self.array)
        else:
            given = gradient.array if isinstance(gradient, Variable) else gradient
            _, (_, seed) = arrange([self.array, given], ["the tensor", "gradient"])
            seed = self.home.place(seed, self.dtype)
            if tuple(seed.shape) != self.shape:
                message = f"gradient has shape {tuple(seed.shape)}, the tensor {self.shape}"
                raise ShapeError(message)
        backward(self, seed, retain_graph=retain_graph)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def detach(self) -> "Tensor":
        """The same array, as a constant, for a library that differentiates by itself too."""
        return self.wrap(self.home.stop_gradient(self.array), self.home)

    def off_tape(self) -> "Tensor":
        """The same array, for what brings a way back of its own. Unlike `detach` it does not stop a
        library that differentiates by itself, which walks back through the array.
        """
        return self.wrap(self.array, self.home)

    def to(self, backend: str, *, device: Any = None) -> "Tensor":
        """The values in another library, or on another device; gradients travel back."""
        target, source, array = get_backend(backend), self.home, self.array
        if target is source and device is None:
            return self
        here = source.device(array)

        def pullback(g: Any) -> list[Any]:
            if isinstance(g, Tensor):
                return [g.to(source.name, device=here)]
            return [source.asarray(g, None, here)]

        return self.recorded(target.asarray(array, None, device), target, [self], pullback)

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self.array, self.backend, self.tracked, self.grad)

    # -- shapes ------------------------------------------------------------------------------------

    @property
    def T(self) -> "Tensor":  # noqa: N802 - the array API's name
        """The transposed matrix; fewer than two axes stay as they are."""
        if self.ndim > 2:  # noqa: PLR2004 - a matrix has two axes
            message = (
                f".T of {self.ndim} axes is ambiguous: use .mT for the last two, or .permute_dims"
            )
            raise ShapeError(message)
        return self.mT if self.ndim == 2 else self  # noqa: PLR2004 - as above

    @property
    def mT(self) -> "Tensor":  # noqa: N802 - the array API's name
        """Each matrix of the last two axes transposed."""
        return self.__array_namespace__().matrix_transpose(self)  # type: ignore[no-any-return]

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements in another shape, as numbers or a tuple; one length may be -1."""
        return self.__array_namespace__().reshape(self, several(shape))

    def flatten(self) -> "Tensor":
        """All elements along one axis."""
        return self.reshape(-1)

    def permute_dims(self, *axes: Any) -> "Tensor":
        """The axes in another order, given as numbers or as a tuple; reversed without any."""
        order = several(axes) or tuple(reversed(range(self.ndim)))
        return self.__array_namespace__().permute_dims(self, order)

    transpose = permute_dims

    def squeeze(self, axis: int | tuple[int, ...] | None = None) -> "Tensor":
        """Without axes of length one: all of them, or those named."""
        if axis is None:
            axis = tuple(place for place, size in enumerate(self.shape) if size == 1)
        return self.__array_namespace__().squeeze(self, axis)  # type: ignore[no-any-return]

    def astype(self, dtype: Any) -> "Tensor":
        """The values in another dtype of the library, or by name; the gradient is cast back."""
        return self.__array_namespace__().astype(self, dtype)

    def __getitem__(self, key: Any) -> "Tensor":
        return read_items(self.__array_namespace__(), self, key)

    # -- operators ---------------------------------------------------------------------------------

    __add__, __radd__ = binary("add")
    __sub__, __rsub__ = binary("subtract")
    __mul__, __rmul__ = binary("multiply")
    __truediv__, __rtruediv__ = binary("divide")
    __floordiv__, __rfloordiv__ = binary("floor_divide")
    __mod__, __rmod__ = binary("remainder")
    __pow__, __rpow__ = binary("pow")
    __matmul__, __rmatmul__ = binary("matmul")
    __and__, __rand__ = binary("bitwise_and")
    __or__, __ror__ = binary("bitwise_or")
    __xor__, __rxor__ = binary("bitwise_xor")
    __lt__, __gt__ = binary("less")[0], binary("greater")[0]
    __le__, __ge__ = binary("less_equal")[0], binary("greater_equal")[0]
    __eq__, __ne__ = binary("equal")[0], binary("not_equal")[0]  # type: ignore[assignment]
    __neg__, __pos__, __abs__ = unary("negative"), unary("positive"), unary("abs")
    __invert__ = unary("bitwise_invert")
    __hash__ = object.__hash__

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The methods that are made from the table."""


install_methods(Tensor)


def several(values: tuple[Any, ...]) -> tuple[int, ...]:
    """Numbers, given one by one or as one sequence."""
    if len(values) == 1 and isinstance(values[0], tuple | list):
        return tuple(values[0])
    return values


def restored(
    kind: type[Tensor],
    array: Array,
    backend: str,
    tracked: bool,  # noqa: FBT001 - called by pickle
    grad: Array | None,
) -> Tensor:
    """A tensor from a pickle: a result comes back as a leaf."""
    home: Backend = get_backend(backend)
    tensor = kind.wrap(array, home)
    tensor.tracked = tracked
    tensor.grad = grad
    return tensor
