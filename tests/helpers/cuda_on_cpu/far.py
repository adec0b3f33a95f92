"""Arrays of few elements whose strides no integer of 32 bits can hold."""

import ctypes
import functools
import mmap
import os
import weakref

import numpy as np

from tests.helpers.cuda_on_cpu.building import require_linux

__all__ = ["far_apart"]

PROT_NONE = 0
FAILED = ctypes.c_void_p(-1).value


def far_apart(values, strides):
    """A writable copy of the values in which neighbours along each axis lie `strides` bytes apart.

    Only the pages in which elements lie can be touched: whoever computes an address in 32 bits gets
    a fault, which a launch reports, and not another element.
    """
    values = np.asarray(values)
    steps = list(zip(values.shape, strides, strict=True))
    below = -sum((count - 1) * stride for count, stride in steps if stride < 0)
    above = sum((count - 1) * stride for count, stride in steps if stride > 0)
    item = values.dtype.itemsize
    buffer = addresses(below + above + item)
    for index in np.ndindex(values.shape):
        place = sum(i * stride for i, stride in zip(index, strides, strict=True))
        put_memory_behind(buffer, below + place, item)
    array = np.ndarray(values.shape, values.dtype, buffer, below, tuple(strides))
    array[...] = values
    return array


def addresses(size):
    """A buffer of addresses alone, with no memory behind them and none reserved."""
    functions = system()
    size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    address = functions.mmap(None, size, PROT_NONE, flags, -1, 0)
    if address == FAILED:
        raise OSError(ctypes.get_errno(), f"no {size} bytes of addresses")
    buffer = (ctypes.c_char * size).from_address(address)
    weakref.finalize(buffer, functions.munmap, address, size)
    return buffer


def put_memory_behind(buffer, offset, size):
    """Let the pages of these bytes be read and written."""
    first = offset // mmap.PAGESIZE * mmap.PAGESIZE
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    place = ctypes.addressof(buffer) + first
    if system().mprotect(place, offset + size - first, rights):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@functools.cache
def system():
    """The C library, for what the module mmap has no function for."""
    require_linux()
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library
