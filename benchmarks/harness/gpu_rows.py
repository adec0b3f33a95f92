"""What is measured on a GPU: the rows, their bytes, their right numbers, and the time for them.

Nothing here needs a GPU: arrays are of whatever library `xp` is.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from harness import formulas
from harness.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DTYPES", "MODES", "ROWS", "Budget", "Case", "copies", "plan", "right_numbers", "slug"]

DTYPES = ("float32", "bfloat16")
MODES = ("value", "value_and_grad")
ITEM_BYTES = {"float32": 4, "bfloat16": 2}
LABEL_BYTES = 8
MANY = (2**28,)
#: The longest axis of a quick run.
QUICK = 4096
#: A copy repeats in pieces of this size: far beyond any cache, and little memory.
COPIED_BYTES = 1 << 30
#: The elements that are looked at in float64 at a time.
CHUNK = 1 << 24

ROWS = {
    row.name: row
    for row in (
        Row("mse", formulas.MSE, MANY),
        Row("bce_with_logits", formulas.BINARY_CROSS_ENTROPY_WITH_LOGITS, MANY),
        Row("ce_1048576x10", formulas.CROSS_ENTROPY, (2**20, 10)),
        Row("ce_131072x1000", formulas.CROSS_ENTROPY, (2**17, 1_000)),
        Row("ce_8192x32768", formulas.CROSS_ENTROPY, (8_192, 32_768)),
        Row("ce_8192x128256", formulas.CROSS_ENTROPY, (8_192, 128_256)),
        Row("ce_16384x131072", formulas.CROSS_ENTROPY, (16_384, 131_072)),
    )
}


@dataclass(frozen=True)
class Case:
    """A row in one dtype and mode; its numbers are on the device, and elsewhere."""

    row: Row
    dtype: str
    mode: str
    quick: bool = False

    @property
    def name(self) -> str:
        """The case in words."""
        return f"{self.row.name} {self.dtype} {self.mode}"

    @property
    def formulas(self) -> formulas.Formulas:
        """How everybody spells the loss."""
        return self.row.formulas

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the predictions."""
        return tuple(min(n, QUICK) for n in self.row.shape) if self.quick else self.row.shape

    @property
    def labelled(self) -> bool:
        """Whether the targets are labels of classes."""
        return self.formulas is formulas.CROSS_ENTROPY

    @property
    def wants_gradient(self) -> bool:
        """Whether the mode asks for a gradient as well."""
        return self.mode == "value_and_grad"

    @property
    def gradient_bytes(self) -> int:
        """The size of a gradient, where one is asked for."""
        return self.wants_gradient * self.prediction_bytes

    @property
    def prediction_bytes(self) -> int:
        """The size of the predictions."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def input_bytes(self) -> int:
        """The size of the predictions and targets."""
        targets = self.shape[0] * LABEL_BYTES if self.labelled else self.prediction_bytes
        return self.prediction_bytes + targets

    @property
    def bytes_moved(self) -> int:
        """What must be moved at least: every input read once, the gradient written once."""
        return self.input_bytes + self.gradient_bytes

    def left_out(self, free: int) -> str | None:
        """Why the case does not fit into so many free bytes; None where it does.

        There have to be the inputs, a gradient that is given and a new one, and two ends of a copy.
        """
        needed = self.input_bytes + 2 * self.gradient_bytes + 2 * max(copies(self.bytes_moved))
        if needed <= free:
            return None
        return f"needs {needed / 2**30:.1f} GiB of the device's memory, {free / 2**30:.1f} are free"


def copies(bytes_moved: int) -> list[int]:
    """The sizes of copies, one after the other, that move so many bytes: each is read and written.

    >>> copies(6 << 30)
    [1073741824, 1073741824, 1073741824]
    """
    whole, rest = divmod(bytes_moved // 2, COPIED_BYTES)
    return [COPIED_BYTES] * whole + [rest] * bool(rest)


def slug(device: str) -> str:
    """A device's name as a part of a file's.

    >>> slug("NVIDIA H200 (80GB)")
    'nvidia-h200-80gb'
    """
    return re.sub("[^a-z0-9]+", "-", device.lower()).strip("-")


# ---------------------------------------------------------------------------------------- the plan
def plan(rows: list[str], dtypes: list[str], modes: list[str], *, quick: bool) -> list[Case]:
    """The cases in the order in which they are measured: time that runs short hits the last."""
    wanted = itertools.product(dtypes, rows, modes)
    return [Case(ROWS[row], dtype, mode, quick) for dtype, row, mode in wanted]


class Budget:
    """So many seconds for so many cases; what one leaves over goes to those after it."""

    def __init__(
        self, seconds: float, cases: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.clock = clock
        self.end = clock() + seconds
        self.cases = cases

    @property
    def left(self) -> float:
        """The seconds that are left, 0 when they are over."""
        return max(self.end - self.clock(), 0.0)

    def share(self) -> float:
        """The seconds of the next case."""
        found = self.left / max(self.cases, 1)
        self.cases -= 1
        return found


# --------------------------------------------------------------------------------- right numbers
def chunks(shape: tuple[int, ...]) -> Iterator[slice]:
    """The first axis in parts of at most `CHUNK` elements, though at least one row."""
    rows = max(CHUNK // prod(shape[1:]), 1)
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def mse(xp: Any, predictions: Any, targets: Any) -> tuple[Any, Any]:
    error = predictions - targets
    return xp.sum(error**2), 2 * error


def bce(xp: Any, logits: Any, targets: Any) -> tuple[Any, Any]:
    exponential = xp.exp(-xp.abs(logits))
    losses = xp.maximum(logits, 0) - logits * targets + xp.log1p(exponential)
    return xp.sum(losses), xp.where(logits >= 0, 1, exponential) / (1 + exponential) - targets


def cross_entropy(xp: Any, logits: Any, labels: Any) -> tuple[Any, Any]:
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    total = xp.sum(exponentials, axis=1, keepdims=True)
    chosen = xp.arange(logits.shape[1])[None, :] == labels[:, None]
    losses = xp.log(total) - xp.sum(xp.where(chosen, shifted, 0), axis=1, keepdims=True)
    return xp.sum(losses), exponentials / total - chosen


IN_FLOAT64 = {
    formulas.MSE.ours: mse,
    formulas.BINARY_CROSS_ENTROPY_WITH_LOGITS.ours: bce,
    formulas.CROSS_ENTROPY.ours: cross_entropy,
}


def right_numbers(
    xp: Any, case: Case, arrays: tuple[Any, Any], exact: Callable[[Any], Any]
) -> tuple[float, Any]:
    """The mean loss, and the gradient of the first chunk, both in float64.

    `exact` gives a part of the predictions, or of targets that are no labels, in float64.
    """
    compute = IN_FLOAT64[case.formulas.ours]
    count = case.shape[0] if case.labelled else prod(case.shape)  # of losses
    total, first = 0.0, None
    for part in chunks(case.shape):
        predictions, targets = (array[part] for array in arrays)
        loss, gradient = compute(
            xp, exact(predictions), targets if case.labelled else exact(targets)
        )
        total += float(loss)
        first = gradient / count if first is None else first
    return total / count, first
