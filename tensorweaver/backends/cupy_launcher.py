"""CUDA kernels by CuPy: compiled by NVRTC, kept on disk by CuPy, queued on its current stream."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from tensorweaver.backends.importing import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

__all__ = ["LAUNCHER", "CuPyLauncher", "CuPyModule"]

OPTIONS = ("-std=c++17", "--fmad=false")
"""Products and sums are rounded one by one, so that a GPU gives the numbers that the tests saw on
the CPU; the functions of CUDA's library fuse where they mean to.
"""

NO_DEVICE: AbstractContextManager[Any] = nullcontext()


class CuPyModule:
    """The kernels of one text; CuPy compiles them once for each device that meets them."""

    def __init__(self, source: str) -> None:
        self.raw = load("cupy").RawModule(code=source, options=OPTIONS, backend="nvrtc")
        self.kernels: dict[str, Any] = {}

    def launch(
        self, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any]
    ) -> None:
        """Queue a kernel on the current stream."""
        kernel = self.kernels.get(name)
        if kernel is None:
            kernel = self.kernels[name] = self.raw.get_function(name)
        kernel(grid, block, tuple(arguments))


class CuPyLauncher:
    """What CuPy does for kernels; see `tensorweaver.backends.launching.Launcher`."""

    compile = staticmethod(cache(CuPyModule))

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """A new array from CuPy's memory pool."""
        found = load("cupy").empty
        return found(shape, bfloat16() if dtype == "bfloat16" else dtype)

    def address(self, array: Any) -> int:
        """Where an array's first number lies."""
        return int(array.data.ptr)

    def at(self, device: Any) -> AbstractContextManager[Any]:
        """A context in which that device is the current one."""
        cuda = load("cupy").cuda
        if cuda.runtime.getDevice() == device:
            return NO_DEVICE
        found: AbstractContextManager[Any] = cuda.Device(device)
        return found


def bfloat16() -> Any:
    """The dtype, which NumPy does not know by its name."""
    return load("ml_dtypes").bfloat16


LAUNCHER = CuPyLauncher()
