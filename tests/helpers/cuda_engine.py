"""The CUDA engine on NumPy arrays, which pose as a device's: kernels run on the CPU, or, where the
environment says `TENSORWEAVER_TEST_KERNELS=gpu`, on a GPU that works in NumPy's memory.
"""

import os
from collections import Counter
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from tests.helpers.arrays import numpy_bfloat16
from tests.helpers.cuda_on_cpu import compile_on_cpu
from tests.helpers.cuda_on_gpu import GpuModule

__all__ = ["Launcher", "computed_by_kernels", "computes_numpy"]


class Counted:
    """A module that tells a launcher what is launched, and forgets what it was told."""

    def __init__(self, launcher, module):
        self.launcher = launcher
        self.module = module

    def launch(self, name, grid, block, arguments):
        self.launcher.launches[name] += 1
        self.module.launch(name, grid, block, arguments, order=self.launcher.order)


class Launcher:
    """Compiles, allocates and launches as a GPU's library does.

    New arrays hold NaN, so that what no kernel writes is seen. `launches` counts kernels by name;
    `order` is the seed of a shuffled order of threads, or None; `checked` watches their memory.
    On a GPU these two have no effect.
    """

    def __init__(self, order=None, *, checked=False):
        self.order = order
        self.checked = checked
        self.launches: Counter[str] = Counter()
        self.modules = {}

    def compile(self, source):
        if source not in self.modules:
            self.modules[source] = Counted(self, self.module(source))
        return self.modules[source]

    def module(self, source):
        if os.environ.get("TENSORWEAVER_TEST_KERNELS") == "gpu":
            return GpuModule(source)
        return compile_on_cpu(source, checked=self.checked)

    def empty(self, shape, dtype):
        return np.full(shape, np.nan, numpy_bfloat16() if dtype == "bfloat16" else dtype)

    def address(self, array):
        return array.ctypes.data

    def at(self, device):
        return nullcontext()


def computes_numpy(patch, launcher):
    """From now on losses of NumPy arrays are computed by kernels."""
    from tensorweaver.backends import BACKENDS

    patch.setattr(BACKENDS["numpy"], "engine", "cuda", raising=False)
    patch.setattr(BACKENDS["numpy"], "launcher", lambda: launcher, raising=False)


@contextmanager
def computed_by_kernels(launcher=None):
    """Losses of NumPy arrays are computed by kernels in this block, by plans of its own."""
    from tensorweaver.compiler.engines import process

    launcher = launcher or Launcher()
    with pytest.MonkeyPatch.context() as patch:
        computes_numpy(patch, launcher)
        patch.setattr(process, "chosen", launcher)  # plans are kept by it
        yield launcher
