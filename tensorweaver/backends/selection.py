"""The library for calls without any array: the block's, the process's, the shell's, or NumPy."""

import functools
import inspect
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from tensorweaver.backends.backend import Backend
from tensorweaver.backends.registry import BACKENDS, check_name, get_backend
from tensorweaver.errors import ArgumentError, BackendError

__all__ = ["ENVIRONMENT_VARIABLE", "default_backend", "set_backend", "use_backend"]

ENVIRONMENT_VARIABLE = "TENSORWEAVER_BACKEND"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class ProcessChoice:
    """What holds for every thread.

    The environment is read once, and judged only when it is needed.
    """

    chosen: str | None
    environment: str | None


process = ProcessChoice(chosen=None, environment=os.environ.get(ENVIRONMENT_VARIABLE) or None)

#: The names of the blocks that this thread or task is in, innermost last.
blocks: ContextVar[tuple[str, ...]] = ContextVar("tensorweaver_backend", default=())


def default_backend() -> Backend:
    """The backend for calls without any array."""
    inside = blocks.get()
    if inside:
        return get_backend(inside[-1])
    if process.chosen is not None:
        return get_backend(process.chosen)
    if process.environment is not None:
        return backend_of_environment(process.environment)
    return BACKENDS["numpy"]


def backend_of_environment(name: str) -> Backend:
    """The backend that the environment asks for; an error says so, for the program names none."""
    try:
        return get_backend(name)
    except BackendError as error:
        raise type(error)(f"environment variable {ENVIRONMENT_VARIABLE}={name}: {error}") from None


def set_backend(name: str | None) -> None:
    """Choose the backend of this process for calls without any array; None takes it back."""
    if name is not None:
        get_backend(name)
    process.chosen = name


class use_backend:  # noqa: N801 - reads as a statement: with use_backend("cupy")
    """Choose the backend for a block or a function, for calls without any array.

    Other threads and asyncio tasks do not notice; blocks nest, and one object may serve many blocks
    at once. A misspelt name is an error at once, a missing library when the block is entered.

    >>> with use_backend("numpy"):
    ...     default_backend()
    <Backend numpy>
    """

    def __init__(self, name: str) -> None:
        self.name = check_name(name).name

    def __enter__(self) -> Self:
        get_backend(self.name)
        blocks.set((*blocks.get(), self.name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        blocks.set(blocks.get()[:-1])

    def __call__(self, function: Function) -> Function:
        """The function in such a block. Works for coroutines as well."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ArgumentError(
                f"{function.__name__} is a generator: between two values, its block would be open "
                "in its caller; write `with use_backend(...)` inside, round the steps that need it"
            )

        if inspect.iscoroutinefunction(function):
            return cast("Function", self.around_coroutine(function))

        @functools.wraps(function)
        def inside(*arguments: Any, **options: Any) -> Any:
            with self:
                return function(*arguments, **options)

        return cast("Function", inside)

    def around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A coroutine function whose coroutines are in the block from first step to last."""

        @functools.wraps(function)
        async def inside(*arguments: Any, **options: Any) -> Any:
            with self:
                return await function(*arguments, **options)

        return inside
