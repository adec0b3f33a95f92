"""The arguments of a launch, held to what the kernel declares."""

import ctypes

import numpy as np

__all__ = ["ArgumentError", "Parameter", "Range", "pack", "ranges_of"]


class Type(ctypes.Structure):
    """As stand_in.h describes a type."""

    _fields_ = [("kind", ctypes.c_char), ("size", ctypes.c_uint)]

    def __str__(self):
        return f"{KINDS[self.kind]} of {self.size} bytes"


KINDS = {
    b"i": "signed integer",
    b"u": "unsigned integer",
    b"f": "floating-point number",
    b"b": "bool",
    b"p": "pointer",
    b"s": "structure",
}
#: What of NumPy's kinds may stand for a kind of number; half types are unsigned integers.
NUMBERS = {b"i": "i", b"u": "u", b"f": "f", b"b": "b", b"p": "u", b"s": "V"}
#: What ctypes passes by value.
VALUES = (ctypes._SimpleCData, ctypes.Structure, ctypes.Array)


class Parameter(ctypes.Structure):
    """A parameter's type, and that of what it points to."""

    _fields_ = [("itself", Type), ("pointee", Type)]


class Range(ctypes.Structure):
    """Bytes that a kernel may read, and perhaps write, as machine.h has them."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("begin", "end", "writable")]


class ArgumentError(TypeError):
    """An argument is not what the kernel declares; a GPU would misread its bytes."""


def pack(name, parameters, arguments):
    """The arguments' bytes, each as an object of ctypes."""
    if len(parameters) != len(arguments):
        message = f"kernel {name}: {len(arguments)} arguments for {len(parameters)} parameters"
        raise ArgumentError(message)
    return [
        pack_one(f"kernel {name}, argument {place}", parameter, argument)
        for place, (parameter, argument) in enumerate(zip(parameters, arguments, strict=True))
    ]


def pack_one(where, parameter, argument):
    itself = parameter.itself
    if argument is None or isinstance(argument, np.ndarray):
        if itself.kind != b"p":
            message = f"{where}: got an array or None, expected a {itself}"
            raise ArgumentError(message)
        if argument is None:
            return ctypes.c_void_p(0)
        check_array(where, parameter.pointee, argument)
        return ctypes.c_void_p(address_of(argument))
    if isinstance(argument, np.generic):
        if argument.dtype.itemsize != itself.size or argument.dtype.kind != NUMBERS[itself.kind]:
            message = f"{where}: got {argument.dtype} {argument!r}, expected a {itself}"
            raise ArgumentError(message)
        return (ctypes.c_char * itself.size).from_buffer_copy(argument.tobytes())
    size = ctypes.sizeof(argument) if isinstance(argument, VALUES) else None
    if size != itself.size:
        message = (
            f"{where}: got {type(argument).__name__} {argument!r}, expected an array, a NumPy "
            f"scalar or a value of ctypes that is a {itself}"
        )
        raise ArgumentError(message)
    return argument


def check_array(where, pointee, array):
    """An array of floats is asked for by its type, one of integers and half types by its size."""
    item = array.dtype.itemsize
    if pointee.kind == b"s" or (pointee.kind == b"u" and pointee.size == 1):
        return
    floats = array.dtype.kind == "f"
    if item != pointee.size or (pointee.kind == b"f") != (floats and item > 2):
        message = f"{where}: got an array of {array.dtype}, expected one of {pointee}"
        raise ArgumentError(message)


def address_of(array):
    return array.__array_interface__["data"][0]


def ranges_of(arguments):
    """The bytes that the arrays among the arguments lie in."""
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    bounds = [np.lib.array_utils.byte_bounds(array) for array in arrays]
    ranges = [
        Range(begin, end if array.size else begin, array.flags.writeable)
        for array, (begin, end) in zip(arrays, bounds, strict=True)
    ]
    return (Range * len(ranges))(*ranges)
