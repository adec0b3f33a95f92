"""The table of what is measured: a loss on arrays of one shape a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import contrast_formulas as contrast
from harness import formulas, sequences
from harness import more_formulas as more

if TYPE_CHECKING:
    from harness.formulas import Formulas

__all__ = ["DTYPES", "MODES", "ROWS", "Case", "Row", "make_case"]

DTYPES = ("float32", "float64")
MODES = ("value", "value_and_grad")
MANY = (2**24,)
#: The longest axis of a quick run.
QUICK = 500


@dataclass(frozen=True)
class Row:
    """A loss, and the shape of its predictions."""

    name: str
    formulas: Formulas
    shape: tuple[int, ...]

    def shape_for(self, *, quick: bool) -> tuple[int, ...]:
        """The shape, or a small one like it."""
        return tuple(min(size, QUICK) for size in self.shape) if quick else self.shape


ROWS = {
    row.name: row
    for row in (
        Row("mse", formulas.MSE, MANY),
        Row("huber", formulas.HUBER, MANY),
        Row("bce_with_logits", formulas.BINARY_CROSS_ENTROPY_WITH_LOGITS, MANY),
        Row("kl_div", formulas.KL_DIV, MANY),
        Row("ce_65536x10", formulas.CROSS_ENTROPY, (65_536, 10)),
        Row("ce_100000x100", formulas.CROSS_ENTROPY, (100_000, 100)),
        Row("ce_8192x1000", formulas.CROSS_ENTROPY, (8_192, 1_000)),
        Row("ce_512x32768", formulas.CROSS_ENTROPY, (512, 32_768)),
        Row("ctc_500x32x1000", sequences.CTC, (500, 32, 1_000)),
        Row("log_cosh", more.LOG_COSH, MANY),
        Row("quantile", more.QUANTILE, MANY),
        Row("pseudo_huber", more.PSEUDO_HUBER, MANY),
        Row("sigmoid_focal", more.SIGMOID_FOCAL, MANY),
        Row("poisson_nll", more.POISSON_NLL, MANY),
        Row("gaussian_nll", more.GAUSSIAN_NLL, MANY),
        Row("hinge", more.HINGE, MANY),
        Row("softmax_focal", more.SOFTMAX_FOCAL, (8_192, 1_000)),
        Row("generalized_jsd", more.GENERALIZED_JSD, (8_192, 1_000)),
        Row("cosine_similarity", more.COSINE_SIMILARITY, (32_768, 512)),
        Row("triplet_margin", more.TRIPLET_MARGIN, (32_768, 512)),
        Row("dice", more.DICE, (64, 2**18)),
        Row("info_nce", contrast.INFO_NCE, (4_096, 512)),
        Row("nt_xent", contrast.NT_XENT, (4_096, 512)),
    )
}


@dataclass(frozen=True)
class Case:
    """A row in one dtype and mode, with its numbers and what is true of them."""

    row: Row
    dtype: str
    mode: str
    arrays: tuple[np.ndarray, ...]
    loss: float = 0.0
    gradients: tuple[np.ndarray, ...] = field(default=(), repr=False)

    @property
    def formulas(self) -> Formulas:
        """How everybody spells the loss."""
        return self.row.formulas

    @property
    def wants_gradient(self) -> bool:
        """Whether the mode asks for a gradient as well."""
        return self.mode == "value_and_grad"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the predictions."""
        return self.arrays[0].shape

    @property
    def by(self) -> tuple[np.ndarray, ...]:
        """The arrays that the gradients are by."""
        return tuple(self.arrays[place] for place in self.formulas.wrt)

    @property
    def copies(self) -> tuple[np.ndarray, ...]:
        """The numbers, in memory of their own."""
        return tuple(array.copy() for array in self.arrays)

    @property
    def bytes_moved(self) -> int:
        """What must be moved at least: every input read once, each gradient written once."""
        read = sum(array.nbytes for array in self.arrays)
        return read + self.wants_gradient * sum(array.nbytes for array in self.by)


def make_case(row: Row, dtype: str, mode: str, *, quick: bool) -> Case:
    """The case with its numbers, and the loss and gradient of plain NumPy in float64."""
    arrays = row.formulas.draw(np.random.default_rng(0), row.shape_for(quick=quick), dtype)
    exact: list[Any] = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    if mode == "value":
        return Case(row, dtype, mode, arrays, float(row.formulas.numpy_value(*exact)))
    loss, gradients = row.formulas.numpy_value_and_grad(*exact)
    several = gradients if isinstance(gradients, tuple) else (gradients,)
    return Case(row, dtype, mode, arrays, float(loss), several)
