"""Compile kernels for the CPU, and launch them as a GPU would."""

import ctypes
import functools
import math
import operator
import os
import threading

from tests.helpers.cuda_on_cpu.arguments import Parameter, Range, pack, ranges_of
from tests.helpers.cuda_on_cpu.building import (
    CHECKED,
    COVERED,
    EXACT,
    build_kernels,
    build_machine,
    fusing,
    line_of,
)
from tests.helpers.cuda_on_cpu.coverage import coverage_of

__all__ = ["KernelError", "Module", "compile_on_cpu"]

#: What a GPU of compute capability 8.0 or 9.0 allows.
LARGEST_GRID = (2**31 - 1, 65535, 65535)
LARGEST_BLOCK = (1024, 1024, 64)
MOST_THREADS = 1024
MOST_SHARED_BYTES = 227 * 1024

ONE_AT_A_TIME = threading.Lock()


class KernelError(Exception):
    """A kernel does what would hang, crash, race or go unnoticed on a GPU."""


class Index(ctypes.Structure):
    """Three numbers, of blocks or of threads."""

    _fields_ = [(name, ctypes.c_uint) for name in "xyz"]


class Kernel(ctypes.Structure):
    """As stand_in.h describes a kernel."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("bounds", ctypes.c_uint),
        ("count", ctypes.c_uint),
        ("parameters", ctypes.POINTER(Parameter)),
    ]


class Launch(ctypes.Structure):
    """As machine.h describes a launch."""

    _fields_ = [
        ("kernel", ctypes.POINTER(Kernel)),
        ("shared", ctypes.c_void_p),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("grid", Index),
        ("block", Index),
        ("shared_bytes", ctypes.c_uint),
        ("fill", ctypes.c_uint),
        ("shuffled", ctypes.c_uint),
        ("range_count", ctypes.c_uint),
        ("seed", ctypes.c_uint64),
        ("ranges", ctypes.POINTER(Range)),
    ]


@functools.cache
def machine():
    """The library in which kernels run."""
    library = ctypes.CDLL(str(build_machine()))
    library.cuda_on_cpu_message.restype = ctypes.c_char_p
    library.cuda_on_cpu_failed_at.restype = ctypes.c_ssize_t
    return library


@functools.cache
def compile_on_cpu(source, *, checked=False, fused=False, covered=None):
    """The module of a text with kernels; CompileError where it is not of the dialect.

    Parameters
    ----------
    source : str
        The text, with at least one `extern "C" __global__ void NAME(…)`.
    checked : bool
        Watch every access to memory, which takes about twice as long.
    fused : bool
        Round a product and the sum it goes into once, as CUDA's compilers do unless they are told
        not to; where the stand-in does so is its own affair.
    covered : bool
        Count which lines run. Left out, it is so where `TENSORWEAVER_COVER_KERNELS` is set, but for
        fused code, whose lines an optimiser has moved.
    """
    if covered is None:
        covered = bool(os.environ.get("TENSORWEAVER_COVER_KERNELS")) and not fused
    rounding = fusing() if fused else EXACT
    options = (*rounding, *(CHECKED if checked else ()), *(COVERED if covered else ()))
    path, names = build_kernels(source, *options)
    return Module(source, path, names, checked=checked, covered=covered)


class Module:
    """Kernels that are ready to be launched."""

    def __init__(self, source, path, names, *, checked, covered):
        self.source = source
        self.checked = checked
        self.covered = covered
        self.path = path
        self.library = ctypes.CDLL(str(path))
        self.kernels = {name: self.kernel(name) for name in names}
        self.library.cuda_on_cpu_count(False)

    def kernel(self, name):
        get = getattr(self.library, f"cuda_on_cpu_kernel_{name}")
        get.restype = ctypes.POINTER(Kernel)
        return get().contents

    def coverage(self):
        """What lines of the text have run so far; only of a module that is `covered`."""
        if not self.covered:
            message = "no lines were counted: compile with covered=True"
            raise KernelError(message)
        return coverage_of(self.path.parent)

    def launch(
        self, name, grid, block, arguments, shared_bytes=0, order=None, *, fill=0xFF, memory=()
    ):
        """Run a kernel to its end; KernelError where it does what it must not.

        Parameters
        ----------
        name : str
            The kernel.
        grid, block : tuple of int
            The numbers of blocks, and of threads in each, along one to three axes.
        arguments : sequence
            As `cupy.RawKernel` takes them: an array stands for its address, NumPy scalars and
            values of ctypes for themselves, None for a null pointer.
        shared_bytes : int
            The size of the dynamic shared memory.
        order : int or None
            None: blocks and threads take turns in their order. A number is the seed of a shuffled
            order, of blocks and of who runs next wherever threads synchronise.
        fill : int
            The byte of which shared memory is full when a block begins.
        memory : sequence of arrays
            What a checked kernel may touch beside the arrays among its arguments.
        """
        kernel = self.kernels.get(name)
        if kernel is None:
            message = f"no kernel {name!r} in this module, which has {', '.join(self.kernels)}"
            raise KernelError(message)
        check_geometry(name, grid, block, shared_bytes, kernel.bounds)
        values = pack(name, kernel.parameters[: kernel.count], arguments)
        addresses = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        ranges = ranges_of([*arguments, *memory]) if self.checked else (Range * 0)()
        launch = Launch(
            ctypes.pointer(kernel),
            ctypes.cast(self.library.cuda_on_cpu_shared, ctypes.c_void_p),
            addresses,
            Index(*grid, *(1,) * (3 - len(grid))),
            Index(*block, *(1,) * (3 - len(block))),
            shared_bytes,
            fill,
            order is not None,
            len(ranges),
            (order or 0) % 2**64,
            ranges,
        )
        with ONE_AT_A_TIME:
            self.library.cuda_on_cpu_count(True)
            failed = machine().cuda_on_cpu_launch(ctypes.byref(launch))
            self.library.cuda_on_cpu_count(False)
            if failed:
                message = machine().cuda_on_cpu_message().decode()
                place = machine().cuda_on_cpu_failed_at()
                raise KernelError(message + line_of(self.path, place))


def check_geometry(name, grid, block, shared_bytes, bounds):
    """Raise what a GPU answers with an error number."""
    for what, sizes, most in (("grid", grid, LARGEST_GRID), ("block", block, LARGEST_BLOCK)):
        fits = 1 <= len(sizes) <= 3 and all(map(operator.le, sizes, most)) and min(sizes) > 0
        if not fits:
            message = f"kernel {name}: {what} {sizes}, but 1 to 3 sizes of 1 to {most} are possible"
            raise KernelError(message)
    threads, most_threads = math.prod(block), min(bounds or MOST_THREADS, MOST_THREADS)
    if threads > most_threads:
        message = f"kernel {name}: {threads} threads a block, but it is bound to {most_threads}"
        raise KernelError(message)
    if not 0 <= shared_bytes <= MOST_SHARED_BYTES:
        message = (
            f"kernel {name}: {shared_bytes} bytes of shared memory, but there are "
            f"{MOST_SHARED_BYTES} at most"
        )
        raise KernelError(message)
