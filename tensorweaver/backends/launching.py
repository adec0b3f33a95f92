"""What running CUDA kernels asks of an array library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Launcher", "Module"]


class Module(Protocol):
    """Compiled kernels."""

    def launch(
        self, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any]
    ) -> None:
        """Queue a kernel. Arrays stand for their addresses, NumPy's scalars for themselves."""
        ...


class Launcher(Protocol):
    """Compiles, allocates and launches, on the current device and stream."""

    def compile(self, source: str) -> Module:
        """The kernels of a text, compiled once a device."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """A new array, its numbers not yet set."""
        ...

    def address(self, array: Any) -> int:
        """Where an array's first number lies."""
        ...

    def at(self, device: Hashable) -> AbstractContextManager[Any]:
        """A context in which that device is the current one."""
        ...
