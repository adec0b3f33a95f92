"""Who computes a loss of NumPy arrays: the choice, and how to overrule it."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.errors import ArgumentError, BackendUnavailableError

if TYPE_CHECKING:
    from tensorweaver.backends import Backend
    from tensorweaver.compiler.fused import FusedKernel

__all__ = [
    "ENGINES",
    "ENVIRONMENT_VARIABLE",
    "Engine",
    "engine_for",
    "engine_named",
    "fused_kernels",
    "process",
    "set_engine",
]

ENVIRONMENT_VARIABLE = "TENSORWEAVER_ENGINE"
ENGINES = ("interpret", "blocks", "llvm")
OTHER_NAMES = {"numba": "llvm"}
"""Numba is how most people meet llvmlite, the compiler library that it is built on."""

OLDEST_LLVM = (20,)
NOT_INSTALLED = "llvmlite is not installed"

LLVM_FROM = {"pointwise": 1 << 12, "rowwise": 1 << 8}
"""From so many elements on machine code is quicker than NumPy's functions one by one."""

BLOCKS_FROM = 1 << 16
"""From so many elements on blocks are quicker than whole arrays."""


class Engine(NamedTuple):
    """Who computes, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass
class ProcessChoice:
    """What holds for every thread.

    The environment is read once, and judged only when it is needed.
    """

    chosen: str | None
    environment: str | None


process = ProcessChoice(chosen=None, environment=os.environ.get(ENVIRONMENT_VARIABLE) or None)


def set_engine(name: str | None) -> None:
    """Choose who computes losses of NumPy arrays in this process; None lets each call choose.

    Parameters
    ----------
    name
        `"interpret"`: NumPy's functions on whole arrays, one after the other. `"blocks"`: the same
        on blocks that fit the caches, on all threads. `"llvm"` (or `"numba"`): machine code that
        goes over the arrays once, on all threads; it needs the package llvmlite, which
        `pip install tensorweaver[jit]` brings, as does Numba. The environment variable
        `TENSORWEAVER_ENGINE` sets the same from outside.

    Left alone, small arrays are interpreted, larger ones compiled where llvmlite is installed and
    else computed in blocks; `loss.engine(...)` tells what a call uses and why. Every engine gives
    the same numbers to within rounding, and each the same bits every time. Other libraries' arrays
    are not concerned.

    Raises
    ------
    ArgumentError
        For another name.
    BackendUnavailableError
        For `"llvm"` without llvmlite.

    Examples
    --------
    >>> import numpy as np, tensorweaver as tw
    >>> tw.set_engine("blocks")
    >>> tw.mse_loss.engine(np.zeros(3), np.ones(3)).name
    'blocks'
    >>> tw.set_engine(None)
    """
    process.chosen = None if name is None else usable(name)


def engine_named(name: str) -> str | None:
    """The engine of that name, which may be another name of it; None for no engine's."""
    found = OTHER_NAMES.get(name, name)
    return found if found in {*ENGINES, "cuda"} else None


def usable(name: Any) -> str:
    """The engine of that name, if it can be used here."""
    if not isinstance(name, str):
        message = f"an engine is chosen by its name, got {type(name).__name__}"
        raise ArgumentError(message)
    found = engine_named(name)
    if found is None:
        known = ", ".join(map(repr, ENGINES))
        message = f"unknown engine {name!r}: choose one of {known}, or None to let each call choose"
        raise ArgumentError(message)
    if found == "cuda":
        message = (
            "the engine 'cuda' is that of CuPy arrays, always: for NumPy arrays choose another"
        )
        raise ArgumentError(message)
    if found == "llvm" and not has_llvmlite():
        fault = fault_of_llvmlite() or NOT_INSTALLED
        message = f"the engine {name!r} needs llvmlite: {fault}; pip install 'tensorweaver[jit]'"
        raise BackendUnavailableError(message)
    return found


def has_llvmlite() -> bool:
    """Whether the compiler library can be used."""
    return not fault_of_llvmlite()


@cache
def fault_of_llvmlite() -> str:
    """Why the compiler library cannot be used; nothing where it can."""
    if importlib.util.find_spec("llvmlite") is None:
        return NOT_INSTALLED
    try:
        from llvmlite import binding
    except Exception as error:  # noqa: BLE001 - a broken installation fails in any way
        return f"llvmlite cannot be loaded ({error})"
    if binding.llvm_version_info < OLDEST_LLVM:
        found = ".".join(map(str, binding.llvm_version_info))
        return f"llvmlite brings LLVM {found}, older than {OLDEST_LLVM[0]}"
    return ""


def overruled() -> Engine | None:
    """What the process or its environment insists on."""
    if process.chosen is not None:
        return Engine(process.chosen, "chosen by set_engine")
    if process.environment is None:
        return None
    try:
        name = usable(process.environment)
    except (ArgumentError, BackendUnavailableError) as error:
        message = f"environment variable {ENVIRONMENT_VARIABLE}={process.environment}: {error}"
        raise type(error)(message) from None
    return Engine(name, f"chosen by {ENVIRONMENT_VARIABLE}")


def engine_for(backend: Backend, elements: int, *, rowwise: bool) -> Engine:
    """Who computes a loss of so many elements of that library."""
    if backend.engine == "cuda":
        return Engine("cuda", f"{backend.name} runs one kernel for the whole formula")
    if backend.name != "numpy":
        return Engine("interpret", f"{backend.name} runs its own functions")
    insisted = overruled()
    if insisted is not None:
        return insisted
    size = f"{elements:,} elements"
    start = LLVM_FROM["rowwise" if rowwise else "pointwise"]
    lacking = ""
    if elements >= start and not has_llvmlite():
        start, lacking = BLOCKS_FROM, f", and {fault_of_llvmlite() or NOT_INSTALLED}"
    if elements < start:
        return Engine("interpret", f"{size}, fewer than {start:,}{lacking}")
    name = "blocks" if lacking else "llvm"
    return Engine(name, f"{size}, {start:,} or more{lacking}")


def fused_kernels(engine: str) -> type[FusedKernel]:
    """The kernels of an engine that works on blocks."""
    if engine == "llvm":
        from tensorweaver.compiler.llvm.engine import LLVMKernel

        return LLVMKernel
    from tensorweaver.compiler.blocks import BlockKernel

    return BlockKernel
