"""Running a graph with the functions of an array library, one call a step."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from tensorweaver.primitives import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.backends import Backend
    from tensorweaver.compiler.emit_python import PythonText
    from tensorweaver.compiler.kernel import Setting

__all__ = ["bind"]


def bind(text: PythonText, setting: Setting) -> Callable[..., Any]:
    """The function that `text` defines, with the backend's operations and constants."""
    backend = setting.backend
    functions = dict(functions_of(backend, setting.dtype, setting.axis))
    dtypes = {"real": setting.dtype, "integral": setting.label_dtype or "int64", "boolean": "bool"}
    for name, (value, kind) in text.constants.items():
        functions[name] = backend.constant(value, dtypes[kind], setting.device)
    exec(compiled(text.source), functions)  # noqa: S102 - our own text, written by emit_python
    kernel: Callable[..., Any] = functions["kernel"]
    return kernel


@lru_cache(maxsize=1024)
def compiled(source: str) -> Any:
    return compile(source, "<tensorweaver kernel>", "exec")


@lru_cache(maxsize=256)
def functions_of(backend: Backend, dtype: str, axis: int) -> dict[str, Callable[..., Any]]:
    """What each name of a text means: the standard's function, or what the library has in its
    place.
    """
    xp = backend.namespace()
    table: dict[str, Callable[..., Any]] = {
        name: getattr(xp, name)
        for name, primitive in VOCABULARY.items()
        if primitive.kind in {"elementwise", "predicate"} and hasattr(xp, name)
    }
    for name in ("sum", "max", "min", "prod"):
        table[name] = partial(getattr(xp, name), axis=axis, keepdims=True)
    table["reciprocal"] = lambda x: 1.0 / x
    table["as_real"] = lambda x: backend.astype(x, dtype)
    table["spread"] = lambda x: x
    table["places"] = lambda labels, _row_size: labels
    table["take_along_axis"] = partial(take_by_index, xp, axis)
    table["put_along_axis"] = partial(put_by_comparison, xp, axis)
    table.update(backend.functions(axis))
    table.setdefault("put_in_place", table["put_along_axis"])
    return table


def take_by_index(xp: Any, axis: int, x: Any, labels: Any) -> Any:
    return xp.take_along_axis(x, labels, axis=axis)


def put_by_comparison(xp: Any, axis: int, x: Any, labels: Any, value: Any, row_size: int) -> Any:
    """`x` with `value` in the label's place, without writing into an array: for libraries that are
    lazy or traced.
    """
    device = getattr(labels, "device", None)
    classes = xp.arange(
        row_size, dtype=labels.dtype, **({} if device is None else {"device": device})
    )
    shape = [1] * labels.ndim
    shape[axis] = row_size
    return xp.where(xp.reshape(classes, tuple(shape)) == labels, value, x)
