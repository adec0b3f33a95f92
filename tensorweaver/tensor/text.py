"""How a tensor is shown: as nested Python lists, in the fewest digits that round-trip."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tensorweaver.backends import Array, Backend
from tensorweaver.errors import BackendError

__all__ = ["nested_text", "signature_text"]

#: From how many elements on the middle is left out, and how many are shown at either end of an
#: axis.
LARGE = 1000
AT_EACH_END = 3


def nested_text(array: Array, home: Backend) -> str:
    """`[[10.0], [28.5]]`; large arrays with `...` in the middle; what is traced, by its shape."""
    try:
        host = home.to_numpy(array)
    except BackendError:
        return signature_text(array, home)
    return text_of(host, shorten=host.size > LARGE)


def text_of(host: np.ndarray[Any, Any], *, shorten: bool) -> str:
    """One element, or a list of what is one axis deeper."""
    if host.ndim == 0:
        return number_text(host[()])
    parts = [
        text_of(host[place], shorten=shorten) if place >= 0 else "..."
        for place in shown(host.shape[0], shorten=shorten)
    ]
    return f"[{', '.join(parts)}]"


def number_text(value: Any) -> str:
    """One number. What NumPy knows it writes well; bfloat16 is no dtype of its own."""
    if value.dtype.kind != "V":
        return str(value)
    for digits in range(1, 9):
        shorter = float(f"{float(value):.{digits}g}")
        if type(value)(shorter) == value:
            return str(shorter)
    return str(float(value))


def shown(size: int, *, shorten: bool) -> Iterator[int]:
    """The places along one axis; -1 stands for those left out."""
    if not shorten or size <= 2 * AT_EACH_END:
        yield from range(size)
        return
    yield from range(AT_EACH_END)
    yield -1
    yield from range(size - AT_EACH_END, size)


def signature_text(array: Array, home: Backend) -> str:
    """What can be said without looking at the numbers."""
    return f"shape={tuple(array.shape)}, dtype={home.dtype_name(array.dtype)}, backend={home.name}"
