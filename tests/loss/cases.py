"""Ordinary calls of losses, away from kinks and edges, as NumPy arrays: one of each structure.

What all losses share, engines, backends and derivatives of all kinds, is tested on these. A loss
that is built as one of them is needs no case here: each takes seconds of every session. Its own
battery is in `tests/losses/`.
"""

from typing import Any, NamedTuple

import numpy as np

import tensorweaver as tw

__all__ = ["CASES", "Case", "convert"]


class Case(NamedTuple):
    """A loss, its array arguments, and its options, arrays among them."""

    loss: tw.Loss
    arrays: tuple[np.ndarray, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to a case

    @property
    def real(self):
        """The places of the array arguments that hold real numbers."""
        return [i for i, array in enumerate(self.arrays) if array.dtype.kind == "f"]


generator = np.random.default_rng(20)
ROWS, CLASSES = 5, 4
predictions = generator.normal(size=(ROWS, CLASSES))
targets = predictions + generator.choice([-1, 1], (ROWS, CLASSES)) * (
    0.2 + 2 * generator.random((ROWS, CLASSES))
)
logits = 2 * generator.normal(size=(ROWS, CLASSES))
labels = np.asarray([0, 3, 1, 2, 3])
some_ignored = np.asarray([0, -100, 1, -100, 3])
unit = 0.05 + 0.9 * generator.random((ROWS, CLASSES))
distribution = generator.dirichlet(np.ones(CLASSES), ROWS)
class_weight = np.asarray([0.5, 1.0, 2.0, 3.0])
factor = 0.5 + generator.random((ROWS, CLASSES))

CASES = {
    "mse": Case(tw.mse_loss, (predictions, targets)),
    "l1": Case(tw.l1_loss, (predictions, targets)),
    "huber": Case(tw.huber_loss, (predictions, targets)),
    "huber, delta": Case(tw.huber_loss, (predictions, targets), {"delta": 0.5}),
    "smooth l1": Case(tw.smooth_l1_loss, (predictions, targets)),
    "smooth l1, beta": Case(tw.smooth_l1_loss, (predictions, targets), {"beta": 0.5}),
    "bce": Case(tw.binary_cross_entropy_loss, (unit, distribution)),
    "bce, weight": Case(tw.binary_cross_entropy_loss, (unit, distribution), {"weight": factor}),
    "bce of logits": Case(tw.binary_cross_entropy_with_logits_loss, (logits, distribution)),
    "bce of logits, weights": Case(
        tw.binary_cross_entropy_with_logits_loss,
        (logits, distribution),
        {"weight": factor, "pos_weight": class_weight},
    ),
    "kl": Case(tw.kl_div_loss, (np.log(unit), distribution)),
    "kl, log target": Case(
        tw.kl_div_loss, (np.log(unit), np.log(distribution)), {"log_target": True}
    ),
    "ce": Case(tw.cross_entropy_loss, (logits, labels)),
    "ce, weight": Case(tw.cross_entropy_loss, (logits, labels), {"weight": class_weight}),
    "ce, smoothing": Case(tw.cross_entropy_loss, (logits, labels), {"label_smoothing": 0.1}),
    "ce, ignored": Case(tw.cross_entropy_loss, (logits, some_ignored)),
    "ce, all": Case(
        tw.cross_entropy_loss,
        (logits, some_ignored),
        {"weight": class_weight, "label_smoothing": 0.2},
    ),
    "ce, probabilities": Case(tw.cross_entropy_loss, (logits, distribution)),
    "ce, probabilities, all": Case(
        tw.cross_entropy_loss,
        (logits, distribution),
        {"weight": class_weight, "label_smoothing": 0.2},
    ),
    "nll": Case(tw.nll_loss, (np.log(unit), labels)),
    "nll, all": Case(tw.nll_loss, (np.log(unit), some_ignored), {"weight": class_weight}),
}


def convert(case, to_array):
    """The case's arrays and options, each array made by `to_array`."""
    options = {
        name: to_array(value) if isinstance(value, np.ndarray) else value
        for name, value in case.options.items()
    }
    return [to_array(array) for array in case.arrays], options
