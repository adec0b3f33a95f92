"""A graph bound to NumPy's functions, for blocks that fit the processor's caches."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.backends import get_backend
from tensorweaver.compiler.emit_blocks import emit_blocks
from tensorweaver.compiler.fused import DTYPES
from tensorweaver.compiler.graph import Graph, Level, topological
from tensorweaver.compiler.interpret import compiled, functions_of
from tensorweaver.compiler.tiles import borrow
from tensorweaver.primitives import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorweaver.compiler.emit_blocks import BlocksText
    from tensorweaver.compiler.schedule import Output

__all__ = [
    "LARGEST",
    "BlockFunction",
    "bound",
    "copy_where",
    "lines",
    "log1p_unit",
    "sign",
    "total",
]

Array = np.ndarray[Any, Any]

SMALLEST, LARGEST, WANTED = 1 << 17, 1 << 20, 16
"""How many bytes of real numbers a block has at least and at most, and how many blocks there should
be.
"""

MOST_MEMORY = 7 << 17
"""How many bytes of all buffers together a thread may use for a block: a processor's second cache.
"""

MANY = 64
"""Where fewer than one in so many elements is chosen, those are written one by one."""

SAMPLE = 1 << 12
"""How many of a block's first elements are looked at for that."""

BUFFERS = "block"
"""What a thread keeps its memory for a block under; a mask stands first in it."""

WHOLE: dict[int, np.dtype[Any]] = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}
"""The whole numbers of the same size as a real number, by its bytes; smaller kinds have none."""

LINE = 64
"""How many bytes lie in a line of the cache."""

ITEM = 8
"""How many bytes a number has at most."""


ODD_POWERS = tuple(1.0 / power for power in range(15, 1, -2))
"""The coefficients of `atanh(s) - s`, that of the highest power first: an eighth would be lost in
rounding to float32."""


# ------------------------------------------------------------------------- what the texts call
def total(x: Any, step: int | None = None, axis: int | None = None) -> Any:
    """A value's sum; with `step` the sums of so many rows or elements each, as they would be summed
    in a block of their own. `axis` is that of the classes.
    """
    if step is None or np.ndim(x) == 0:
        return np.add.reduce(x, axis=None, dtype=np.float64)
    if axis == 0:  # each row by itself, so that a sum does not depend on the rows beside it
        x = across(SUM, x)[0]
    if x.ndim == 0 or len(x) <= step:
        return np.add.reduce(x, axis=None, dtype=np.float64)
    parts = [x[start : start + step] for start in range(0, len(x), step)]
    return np.asarray([np.add.reduce(part, axis=None, dtype=np.float64) for part in parts])


SUM = partial(np.add.reduce, dtype=np.float64)


def across(reduce: Callable[..., Array], x: Array) -> Array:
    """A reduction of turned rows; a single one is taken in the same order as several."""
    if x.size == len(x):
        return reduce(np.concatenate((x, x), axis=-1), axis=0, keepdims=True)[..., :1]
    return reduce(x, axis=0, keepdims=True)


def copy_where(memory: Array, value: Any, condition: Any) -> None:
    """Write `value` where the condition holds.

    `np.copyto` takes its time over a condition that changes from element to element. Such a one is
    turned into bits, all ones or all zeros, that choose between the two numbers' own.
    """
    whole = WHOLE.get(memory.itemsize)
    if whole is None or getattr(condition, "shape", None) != memory.shape:
        np.copyto(memory, value, where=condition)
    elif np.logical_or.reduce(condition, axis=None):
        # Counting all of it would keep other threads waiting.
        sample = condition.reshape(-1)[:SAMPLE] if condition.flags.c_contiguous else condition
        if sample.size <= MANY * np.count_nonzero(sample):
            choose_bits(memory, value, condition, whole)
        else:
            np.copyto(memory, value, where=condition)


def choose_bits(memory: Array, value: Any, condition: Array, whole: np.dtype[Any]) -> None:
    """The same, bit by bit, seen as whole numbers."""
    mask = borrow(BUFFERS, memory.shape, whole)
    np.equal(condition.view(np.int8), 0, out=mask, casting="unsafe")  # any byte but 0 is true
    np.negative(mask, out=mask)
    bits = memory.view(whole)
    other = np.asarray(value, memory.dtype).view(whole)
    if not other.ndim and not other:
        np.bitwise_and(bits, mask, out=bits)
        return
    np.bitwise_xor(bits, other, out=bits)
    np.bitwise_and(bits, mask, out=bits)
    np.bitwise_xor(bits, other, out=bits)


def sign(x: Any, out: Array | None = None) -> Any:
    """`np.sign`, which asks element by element, without asking: the smallest number is raised to
    more than 1, and all are cut off there.
    """
    if out is None or out.dtype.kind != "f":
        return np.sign(x, out=out)
    raised = 2.0 ** (np.finfo(out.dtype).maxexp - 1)
    np.multiply(x, raised, out=out)
    np.multiply(out, raised, out=out)
    np.minimum(out, 1.0, out=out)
    return np.maximum(out, -1.0, out=out)


def log1p_unit(x: Any, square: Array, terms: Array, out: Array) -> None:
    """`log1p` of numbers between 0 and 1, into `out`; the others are room to compute in.

    NumPy computes float32 one by one: `log(1 + x)` is `2 atanh(s)` with `s = x / (2 + x)`, which
    is at most a third, and of which few odd powers count.
    """
    if out.dtype != np.float32:
        np.log1p(x, out=out)
        return
    np.add(x, 2.0, out=square)
    np.divide(x, square, out=out)
    np.multiply(out, out, out=square)
    np.multiply(square, ODD_POWERS[0], out=terms)
    for coefficient in ODD_POWERS[1:]:
        np.add(terms, coefficient, out=terms)
        np.multiply(terms, square, out=terms)
    np.add(out, out, out=out)
    np.multiply(terms, out, out=terms)
    np.add(out, terms, out=out)


def put_in_place(memory: Array, where: Array, value: Any) -> None:
    """Write `value` at each row's place."""
    memory.reshape(-1)[where] = value


def places_across(labels: Array, _classes: int) -> Array:
    """Where each row's label lies in flattened rows that are turned."""
    found: Array = labels * labels.size + columns(labels.size).reshape(labels.shape)
    return found


@lru_cache(maxsize=16)
def columns(count: int) -> Array:
    """The numbers from 0 on, not to be written to."""
    numbers = np.arange(count)
    numbers.flags.writeable = False
    return numbers


def take_whole(x: Array, where: Array) -> Array:
    """One element a row of a contiguous array."""
    return x.take(where)


BLOCK_FUNCTIONS: dict[str, Callable[..., Any]] = {
    # NumPy's own, for they write where they are told to.
    **{
        name: getattr(np, name)
        for name, primitive in VOCABULARY.items()
        if primitive.kind in {"elementwise", "predicate"} and hasattr(np, name)
    },
    "copyto": partial(np.copyto, casting="unsafe"),
    "copy_where": copy_where,
    "log1p_unit": log1p_unit,
    "sign": sign,
    "put_in_place": put_in_place,
    "total": total,
}
ACROSS_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": partial(across, np.add.reduce),
    "max": partial(across, np.maximum.reduce),
    "min": partial(across, np.minimum.reduce),
    "prod": partial(across, np.multiply.reduce),
    "places": places_across,
    "take_along_axis": take_whole,
}


def bound(
    source: str,
    constants: Mapping[str, tuple[float, str]],
    real: np.dtype[Any],
    more: Mapping[str, Callable[..., Any]],
) -> Callable[..., Any]:
    """The function that a text defines."""
    functions: dict[str, Any] = {**functions_of(get_backend("numpy"), real.name, -1), **more}
    for name, (value, kind) in constants.items():
        functions[name] = np.dtype(DTYPES.get(kind, real)).type(value)
    exec(compiled(source), functions)  # noqa: S102 - our own text, written by the emitters
    kernel: Callable[..., Any] = functions["kernel"]
    return kernel


# ------------------------------------------------------------------------- one text, many blocks
class Room:
    """The running thread's memory for a block, to be taken piece by piece.

    Parameters
    ----------
    used
        How many of its bytes are spoken for.
    size
        How many bytes it has.
    """

    def __init__(self, used: int, size: int) -> None:
        self.memory = borrow(BUFFERS, (size,), np.dtype(np.uint8))
        self.used = used

    def take(self, _place: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The next piece."""
        start, size = self.used, math.prod(shape) * dtype.itemsize
        self.used += lines(size)
        return self.memory[start : start + size].view(dtype).reshape(shape)


def lines(size: int) -> int:
    """So many bytes, rounded up to whole lines of the cache."""
    return -(-size // LINE) * LINE


class BlockFunction:
    """A graph's text for one block, and the memory that it works in.

    Parameters
    ----------
    graph
        A prepared graph.
    outputs
        What becomes of each of its outputs.
    real
        The dtype of all real numbers inside.
    """

    def __init__(self, graph: Graph, outputs: tuple[Output, ...], real: np.dtype[Any]) -> None:
        self.text: BlocksText = emit_blocks(graph, outputs)
        self.graph = graph
        self.real = real
        self.buffers = [
            (name, np.dtype(DTYPES.get(kind, real))) for name, kind in self.text.buffers.items()
        ]
        self.along = bound(self.text.source, self.text.constants, real, BLOCK_FUNCTIONS)
        self.across = bound(
            self.text.source, self.text.constants, real, BLOCK_FUNCTIONS | ACROSS_FUNCTIONS
        )
        self.bytes = sum(dtype.itemsize for _, dtype in self.buffers)
        self.chooses = "copy_where" in self.text.source
        self.bytes += real.itemsize * self.chooses
        nodes = topological(graph.outputs)
        self.row_bytes = sum(ITEM for n in nodes if n.level is Level.ROW and n.arguments)
        read = sum(node.level is Level.ELEMENT for node in graph.inputs)
        written = sum(o.level is Level.ELEMENT and not o.total for o in outputs)
        self.bytes_at_most = self.bytes + read * ITEM + written * real.itemsize

    @property
    def longest(self) -> int:
        """How many elements a row may have to be a block, wherever the arrays lie."""
        return MOST_MEMORY // self.bytes_at_most

    def size(self, elements: int, copied: int | None = None) -> int:
        """How many elements a block may have, of so many in all; `copied` is how many bytes each
        takes in copies of what cannot be used where it lies and in its share of row values, by
        default all of it.
        """
        needed = self.bytes_at_most if copied is None else self.bytes + copied
        item = self.real.itemsize
        wanted = min(max(elements // WANTED, SMALLEST // item), LARGEST // item)
        return max(1, min(wanted, MOST_MEMORY // max(1, needed)))

    def memory(self, shape: tuple[int, ...]) -> list[Array]:
        """The buffers of the running thread."""
        return self.memory_in(self.room(math.prod(shape)), shape)

    def room(self, elements: int, more: int = 0) -> Room:
        """The running thread's memory for a block of so many elements and `more` bytes."""
        sizes = [dtype.itemsize for _, dtype in self.buffers]
        mask = lines(elements * self.real.itemsize) if self.chooses else 0
        return Room(mask, mask + more + sum(lines(elements * size) for size in sizes))

    def memory_in(self, room: Room, shape: tuple[int, ...]) -> list[Array]:
        """The buffers, in some room."""
        return [room.take(name, shape, dtype) for name, dtype in self.buffers]
