"""Kernels on a real GPU that work in NumPy's memory: what `cuda_on_cpu` does, on the device.

The pages in which the arrays of a launch lie are registered with CUDA while it runs, so that their
addresses hold on the device as well. Each launch is waited for.
"""

import mmap

import numpy as np
import pytest

from tensorweaver.backends.cupy_launcher import CuPyModule
from tensorweaver.backends.importing import load

__all__ = ["GpuModule", "pages"]

#: CUDA's cudaHostRegisterMapped, which CuPy does not name.
MAPPED = 2
#: Arrays that reach farther are views whose numbers lie where no memory is.
FARTHEST = 1 << 30


class GpuModule:
    """Compiled kernels of one text, on CuPy's device."""

    def __init__(self, source):
        self.module = CuPyModule(source)

    def launch(self, name, grid, block, arguments, order=None):
        """Run a kernel; the device chooses the order of threads."""
        runtime = load("cupy").cuda.runtime
        registered = []
        try:
            for start, size in pages(a for a in arguments if isinstance(a, np.ndarray)):
                runtime.hostRegister(start, size, MAPPED)
                registered.append(start)
            self.module.launch(name, grid, block, [word(each) for each in arguments])
            runtime.deviceSynchronize()
        finally:
            for start in registered:
                runtime.hostUnregister(start)


def word(argument):
    """An argument as a kernel takes it: an array by its address."""
    return np.uint64(argument.ctypes.data) if isinstance(argument, np.ndarray) else argument


def pages(arrays):
    """The pages, as starts and sizes that do not overlap, in which arrays lie."""
    spans = []
    for array in arrays:
        low, high = np.lib.array_utils.byte_bounds(array)
        if high - low > FARTHEST:
            pytest.skip(f"a GPU is given no array that reaches over {high - low:,} bytes")
        if array.size:
            spans.append((low - low % mmap.PAGESIZE, high + -high % mmap.PAGESIZE))
    merged: list[list[int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(high, merged[-1][1])
        else:
            merged.append([low, high])
    return [(low, high - low) for low, high in merged]
