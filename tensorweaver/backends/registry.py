"""All libraries, and the question whose arrays these are.

Recognition looks at an array's class and only at libraries already imported, so asking never loads
one. Python numbers, lists and whatever merely converts to an array (`__array__`, as pandas has it)
belong to nobody: they follow the arrays beside them. So do NumPy's scalars and 0-d arrays beside
another library, for `array.mean()` of NumPy is a number to people.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from tensorweaver.backends import backend as base
from tensorweaver.backends.backend import LIBRARY_OF, Backend
from tensorweaver.backends.cupy import CuPyBackend
from tensorweaver.backends.dask import DaskBackend
from tensorweaver.backends.jax import JaxBackend
from tensorweaver.backends.numpy import NumPyBackend
from tensorweaver.backends.strict import StrictBackend
from tensorweaver.backends.torch import TorchBackend
from tensorweaver.errors import BackendError, BackendUnavailableError

__all__ = [
    "BACKENDS",
    "available_backends",
    "backend_of",
    "check_name",
    "common_backend",
    "get_backend",
    "is_plain",
    "shared_device",
]

NUMPY = NumPyBackend()

base.BACKENDS.update(
    (backend.name, backend)
    for backend in (
        NUMPY,
        CuPyBackend(),
        TorchBackend(),
        JaxBackend(),
        DaskBackend(),
        StrictBackend(),
    )
)

#: Every library that TensorWeaver knows, by the name that `backend=` takes, installed or not.
BACKENDS: Mapping[str, Backend] = MappingProxyType(base.BACKENDS)


def check_name(name: object) -> Backend:
    """The backend of that name, usable here or not."""
    backend = BACKENDS.get(name) if isinstance(name, str) else None
    if backend is None:
        close = get_close_matches(str(name).lower(), BACKENDS, n=1, cutoff=0.5)
        suggestion = f'; did you mean "{close[0]}"?' if close else ""
        raise BackendError(f"unknown backend {name!r}: known are {', '.join(BACKENDS)}{suggestion}")
    return backend


def get_backend(name: str) -> Backend:
    """The backend of that name, or an error that says what is missing on this machine.

    >>> get_backend("numpy")
    <Backend numpy>
    """
    backend = check_name(name)
    reason = backend.unavailable()
    if reason is not None:
        raise BackendUnavailableError(f'backend "{name}" cannot be used here: {reason}')
    return backend


def available_backends() -> tuple[str, ...]:
    """The names that `backend=` takes on this machine.

    Asked anew each time, because a notebook may install a library or lose its GPU between two
    calls. It looks for packages without importing them, except CuPy, which alone can tell whether
    there is a GPU.
    """
    return tuple(name for name, backend in BACKENDS.items() if backend.unavailable() is None)


def backend_of(*values: Any, names: Sequence[str] | None = None) -> Backend | None:
    """The backend of the arrays among `values`; None if there is no array.

    Arrays of two libraries, or on two devices of one, are an error that calls them by `names`.
    """
    backend = common_backend(values, names)
    if backend is not None and backend.many_devices:
        shared_device(backend, values, names)
    return backend


def common_backend(values: Sequence[Any], names: Sequence[str] | None = None) -> Backend | None:
    """Like `backend_of`, without a look at the devices."""
    found: Backend | None = None
    for value in values:
        backend = LIBRARY_OF[type(value)]
        if backend is None or backend is found:
            continue
        if found is not None:
            return guest_backend(values, names)
        found = backend
    return found


def guest_backend(values: Sequence[Any], names: Sequence[str] | None) -> Backend:
    """The slow way, where two libraries meet: single numbers of NumPy count for nothing."""
    first: tuple[int, Backend] | None = None
    for position, value in enumerate(values):
        backend = LIBRARY_OF[type(value)]
        if backend is None or (backend is NUMPY and value.ndim == 0):
            continue
        if first is None:
            first = (position, backend)
        elif backend is not first[1]:
            one, other = first[1], backend
            raise BackendError(
                f"mixed arrays: {called(first[0], names)} is {a_kind(one)} array, "
                f"{called(position, names)} is {a_kind(other)} array; "
                f'pass backend="{one.name}" or backend="{other.name}" to move both'
            )
    return NUMPY if first is None else first[1]


def shared_device(
    backend: Backend, values: Sequence[Any], names: Sequence[str] | None = None
) -> Any:
    """The one device of that library's arrays; None where they leave the choice to the library."""
    if not backend.many_devices:
        return None
    device: Any = None
    holder = 0
    for position, value in enumerate(values):
        if LIBRARY_OF[type(value)] is not backend:
            continue
        pinned = backend.pinned_device(value)
        if device is None:
            device, holder = pinned, position
        elif pinned is not None and pinned != device:
            raise BackendError(
                f"mixed devices: {called(holder, names)} is on {device}, "
                f"{called(position, names)} is on {pinned} (both are {backend.label} arrays); "
                "move one of them to the device of the other"
            )
    return device


def is_plain(value: Any, home: Backend) -> bool:
    """Whether `value` follows the arrays of `home` in dtype and device, or has a say itself."""
    backend = LIBRARY_OF[type(value)]
    return backend is None or (backend is NUMPY and home is not NUMPY and value.ndim == 0)


def called(position: int, names: Sequence[str] | None) -> str:
    """What the caller's user calls the value at `position`."""
    return f"argument {position + 1}" if names is None else names[position]


def a_kind(backend: Backend) -> str:
    """The library with its article."""
    return f"{'an' if backend.label[0] in 'aeiou' else 'a'} {backend.label}"
