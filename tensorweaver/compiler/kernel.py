"""What compilation is asked for, and what it produces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.backends import Backend

__all__ = ["Kernel", "Setting"]


class Setting(NamedTuple):
    """Where a kernel runs, and in what.

    Attributes
    ----------
    backend
        The array library.
    dtype
        The dtype of all real numbers inside.
    label_dtype
        The dtype of labels; None where there are none.
    device
        Where constants have to lie; None where the library does not say.
    axis
        The axis of the classes.
    simulated
        Whether the arrays stand for numbers that nobody has (PyTorch's fake and wrapped tensors):
        what is made among them is of no use to others.
    """

    backend: Backend
    dtype: str
    label_dtype: str | None = None
    device: Any = None
    axis: int = -1
    simulated: bool = False


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
