"""The rule by which arguments become arrays of one library: arrays decide.

Without `backend=`, the library and the device of the arrays present are kept, and numbers and lists
follow them. With `backend=`, everything is moved there, and that is the only place where data
crosses devices.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from tensorweaver.backends.backend import LIBRARY_OF, Array, Backend
from tensorweaver.backends.registry import (
    backend_of,
    common_backend,
    get_backend,
    is_plain,
    shared_device,
)
from tensorweaver.backends.selection import default_backend
from tensorweaver.backends.values import plain_values
from tensorweaver.errors import BackendError, DTypeError, ShapeError

__all__ = ["arrange", "array_namespace"]


def arrange(
    values: Sequence[Any], names: Sequence[str], backend: str | None = None
) -> tuple[Backend, list[Any]]:
    """The library that will compute, and every value as an array of it; None stays None.

    Python floats take the dtype of the first floating array beside them, or the library's default;
    integers and booleans stay what they are. Errors call the values by `names`.
    """
    if backend is None:
        home = common_backend(values, names) or default_backend()
    else:
        home = get_backend(backend)
    device = shared_device(home, values, names)
    arrays: list[Any] = []
    for value, name in zip(values, names, strict=True):
        if value is None:
            arrays.append(None)
            continue
        try:
            if LIBRARY_OF[type(value)] is home:
                arrays.append(home.place(value, None, device))
            elif is_plain(value, home):
                arrays.append(follow(value, values, home, device))
            else:
                arrays.append(home.asarray(value, None, device))
        except (BackendError, DTypeError, ShapeError) as error:
            raise type(error)(f"{name}: {error}") from error
    return home, arrays


def follow(value: Any, values: Sequence[Any], home: Backend, device: Any) -> Array:
    """A value without a library, as an array like those beside it."""
    kind = type(value)
    if LIBRARY_OF[kind] is None and offers_namespace(kind):
        raise BackendError(
            f"{kind.__module__}.{kind.__qualname__} is an array of a library without a backend; "
            "convert it to NumPy first"
        )
    host = plain_values(value)
    dtype = None
    if host.dtype.kind == "f":
        dtype = floating_dtype_beside(values, home)
    if dtype is None and not hasattr(value, "dtype"):
        dtype = home.default_dtype(host.dtype.kind, device)
    return home.from_host(host, dtype, device)


def floating_dtype_beside(values: Sequence[Any], home: Backend) -> Any:
    """The dtype, in `home`, of the first floating array among `values`; None if there is none."""
    for value in values:
        source = LIBRARY_OF[type(value)]
        if source is None or is_plain(value, home):
            continue
        name = source.dtype_name(value.dtype)
        if name.startswith(("float", "bfloat")):
            return value.dtype if source is home else home.dtype(name)
    return None


def array_namespace(*arrays: Any) -> ModuleType:
    """The array-API functions for these arrays, inside a formula.

    An array that speaks for itself, such as a Tensor or what traces a formula, wins over plain
    arrays beside it.
    """
    for array in arrays:
        cls = type(array)
        if LIBRARY_OF[cls] is None and offers_namespace(cls):
            namespace: ModuleType = array.__array_namespace__()
            return namespace
    return (backend_of(*arrays) or default_backend()).namespace()


def offers_namespace(cls: type) -> bool:
    """Whether arrays of that class follow the array API."""
    return hasattr(cls, "__array_namespace__")
