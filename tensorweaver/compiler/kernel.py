"""What compilation produces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Kernel"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A woven function.

    Attributes
    ----------
    run
        Takes the graph's inputs in order; gives its one output, or a tuple of them.
    source
        The text that runs.
    engine
        Who runs it.
    """

    run: Callable[..., Any]
    source: str
    engine: str

    def __call__(self, *inputs: Any) -> Any:
        """Run it."""
        return self.run(*inputs)
