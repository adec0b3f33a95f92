"""What every array library must be able to do here, and how one recognises its arrays.

The array-API standard leaves out how to tell a library's arrays from others, how to bring numbers
in and out, where they lie, when they are computed, and how to spell a dtype for a person. `Backend`
names these gaps; each library fills in, in a file of its own, only what it does differently. No
method imports a library before somebody asks for one of its arrays.
"""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from tensorweaver.backends.execution import Execution
from tensorweaver.backends.importing import installed, load
from tensorweaver.backends.values import native, plain_values
from tensorweaver.errors import DTypeError

__all__ = ["BACKENDS", "LIBRARY_OF", "Array", "Backend"]

#: An array of any library. There is no common class to name, which is why this package exists.
Array = Any

#: The dtypes that losses may meet. Names are the same in every library.
DTYPE_NAMES = frozenset(
    f"{kind}{bits}"
    for kind, widths in {
        "bool": ("",),
        "int": (8, 16, 32, 64),
        "uint": (8, 16, 32, 64),
        "float": (16, 32, 64),
        "bfloat": (16,),
        "complex": (64, 128),
    }.items()
    for bits in widths
)

#: What libraries raise when they decline an exchange by DLPack: the way over the host stays open.
EXCHANGE_REFUSALS = (
    AttributeError,
    BufferError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Backend(Execution):
    """One array library. The defaults suit an eager library on one device, with NumPy's dtypes."""

    name: ClassVar[str]
    #: How the library calls itself, for messages.
    label: ClassVar[str]
    #: What `import` calls it.
    package: ClassVar[str]
    #: What a user without it has to type.
    extra: ClassVar[str]
    #: The module of its array-API functions.
    namespace_path: ClassVar[str]
    #: Its array classes, as (module, attribute): looked up only in modules already imported.
    array_classes: ClassVar[tuple[tuple[str, str], ...]]
    #: Who runs compiled formulas: "interpret" calls the library's own functions one by one, "cuda"
    #: one kernel for all of them.
    engine: ClassVar[str] = "interpret"
    #: May two arrays lie on different devices? Where not, nobody spends time on asking.
    many_devices: ClassVar[bool] = True
    #: Does it take arrays of other libraries by DLPack, without a copy?
    takes_dlpack: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"

    # -- whose array is it? ------------------------------------------------------------------------

    def owns(self, cls: type) -> bool:
        """Whether `cls` is an array class of this library.

        A library that nobody imported can own nothing.
        """
        for path, attribute in self.array_classes:
            known = getattr(sys.modules.get(path), attribute, None)
            if isinstance(known, type) and issubclass(cls, known):
                return True
        return False

    def unavailable(self) -> str | None:
        """None if the library can be used here, else the reason and the remedy."""
        if installed(self.package):
            return None
        return f"{self.label} is not installed: {self.extra}"

    def namespace(self) -> ModuleType:
        """The library's array-API functions."""
        return load(self.namespace_path)

    # -- numbers in and out ------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None, device: Any = None) -> Array:
        """`value` as an array of this library; itself where nothing has to change.

        Takes arrays of every known library, numbers, nested lists, and whatever offers `__array__`.
        Python numbers take this library's default dtypes. `dtype` is a dtype of this library or a
        name; `device` is one of its devices.
        """
        wanted = self.dtype(dtype) if isinstance(dtype, str) else dtype
        source = LIBRARY_OF[type(value)]
        if source is self:
            return self.place(value, wanted, device)
        if source is None:
            host = plain_values(value)
            if wanted is None and not hasattr(value, "dtype"):
                wanted = self.default_dtype(host.dtype.kind, device)
            return self.from_host(host, wanted, device)
        received = self.shared(value)
        if received is not None:
            return self.place(received, wanted, device)
        return self.from_host(source.to_numpy(value), wanted, device)

    def shared(self, value: Array) -> Array | None:
        """Another library's array in this one, in the same memory; None where that cannot be."""
        source = LIBRARY_OF[type(value)]
        if source is None or not (self.takes_dlpack and source.takes_dlpack):
            return None
        return self.taken(source.released(value))

    def as_target(self, value: Any) -> Any:
        """What is to be written to, in this library if another's array shares its memory and its
        place in the order of work; else itself.
        """
        return value

    def taken(self, value: Array) -> Array | None:
        """What comes by DLPack; None where one of the libraries declines."""
        try:
            return self.namespace().from_dlpack(value)
        except EXCHANGE_REFUSALS:
            return None

    def from_host(self, host: np.ndarray[Any, Any], dtype: Any = None, device: Any = None) -> Array:
        """A NumPy array brought into this library."""
        try:
            array = self.import_host(native(host))
        except TypeError as error:
            raise DTypeError(f"{self.label} has no dtype {host.dtype}: {error}") from error
        return self.place(array, dtype, device)

    def import_host(self, host: np.ndarray[Any, Any]) -> Array:
        """The library's own door for NumPy arrays."""
        return self.namespace().asarray(host)

    def place(self, array: Array, dtype: Any = None, device: Any = None) -> Array:
        """An array of this library with the dtype, then on the device, asked for."""
        if dtype is not None and array.dtype != dtype:
            array = self.namespace().astype(array, dtype)
        if device is not None and self.many_devices and self.device(array) != device:
            array = self.move(array, device)
        return array

    def move(self, array: Array, device: Any) -> Array:
        """The array on another device of this library."""
        return array.to_device(device)

    def released(self, array: Array) -> Array:
        """The array as other libraries may take it: evaluated, and recorded by nobody."""
        return array

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """The array in host memory.

        It may share that memory with `array` where the library's arrays lie there.
        """
        return np.asarray(array)

    def bits(self, array: Array) -> Array | None:
        """The memory of bfloat16 as int16, for libraries that know no bfloat16; None if it cannot
        be seen so.
        """
        return None

    def stream(self, array: Array) -> tuple[int, int] | None:
        """The CUDA stream on which the library goes on with an array, and the number of its device;
        None where the array is on no CUDA device.
        """
        return None

    def beside(self, values: Sequence[Any]) -> AbstractContextManager[Any]:
        """A context for a call on arrays of other libraries, ordered with their work on a device.

        Most libraries see to that themselves as arrays change hands.
        """
        return nullcontext()

    # -- where and when ----------------------------------------------------------------------------

    def device(self, array: Array) -> Any:
        """Where the array lies, as something that compares; None where the library does not say."""
        return array.device

    def pinned_device(self, array: Array) -> Any:
        """The device that the array insists on; None where the library moves it as needed."""
        return self.device(array)

    def device_key(self, array: Array) -> Any:
        """The device as something that hashes, and that is taken for the device everywhere here."""
        return self.device(array)

    def wait(self, array: Array) -> None:
        """Return when the array's numbers have been computed."""

    def concrete(self, array: Array) -> bool:
        """Whether its numbers may be looked at without transfer, waiting or broken tracing."""
        return True

    # -- dtypes and derivatives --------------------------------------------------------------------

    def dtype_name(self, dtype: Any) -> str:
        """`"float32"` and the like, whatever class the library makes its dtypes of."""
        return numpy_dtype_name(dtype)

    def dtype(self, name: str) -> Any:
        """The library's own dtype of that name."""
        if name not in DTYPE_NAMES:
            raise DTypeError(f"unknown dtype {name!r}; known are {', '.join(sorted(DTYPE_NAMES))}")
        return self.own_dtype(name)

    def own_dtype(self, name: str) -> Any:
        """The dtype behind a name that is known to be one.

        NumPy's bfloat16 lives in the package ml_dtypes.
        """
        if name != "bfloat16":
            return np.dtype(name)
        if not installed("ml_dtypes"):
            raise DTypeError(
                f"{self.label} has no bfloat16 without the package ml_dtypes: pip install ml_dtypes"
            )
        return np.dtype(load("ml_dtypes").bfloat16)

    def default_dtype(self, kind: str, device: Any = None) -> Any:
        """The library's dtype for Python floats (kind `"f"`) and integers (`"i"`), else None."""
        chapter = {"f": "real floating", "i": "integral"}.get(kind)
        if chapter is None:
            return None
        return self.namespace().__array_namespace_info__().default_dtypes(device=device)[chapter]

    def astype(self, array: Array, name: str) -> Array:
        """The array with the dtype of that name; itself where it has it."""
        return self.place(array, self.dtype(name))

    def stop_gradient(self, array: Array) -> Array:
        """The same numbers, constant for whoever differentiates."""
        return array


#: Every known library by name, in the order of asking; `registry` fills it.
BACKENDS: dict[str, Backend] = {}


class Libraries(dict[type, Backend | None]):
    """Which library an array class belongs to, remembered by class, for a class never changes it.

    `LIBRARY_OF[type(value)]` is the test that every call makes of every argument: a subscript is
    the cheapest question that Python knows. Programs that make classes all day start afresh.
    """

    limit = 512

    def __missing__(self, cls: type) -> Backend | None:
        if len(self) >= self.limit:
            self.clear()
        library = next((backend for backend in BACKENDS.values() if backend.owns(cls)), None)
        self[cls] = library
        return library


#: Answers `LIBRARY_OF[type(value)]`, with None for what is no array of a known library.
LIBRARY_OF = Libraries()


@lru_cache(maxsize=512)
def numpy_dtype_name(dtype: Any) -> str:
    """`np.dtype.name`, remembered, because NumPy composes the text anew each time."""
    name: str = np.dtype(dtype).name
    return name
