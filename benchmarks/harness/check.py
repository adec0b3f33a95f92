"""Whether a contestant computes what it is timed for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness.measure import Contestant
    from harness.rows import Case

__all__ = ["complaint"]

#: The relative error of a loss, and of a gradient (of its largest element, too), by dtype.
LOSS_TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
GRADIENT_TOLERANCE = {"float32": (1e-4, 1e-6), "float64": (1e-9, 1e-13)}


def complaint(contestant: Contestant, case: Case) -> str | None:
    """What is wrong with the numbers of a contestant, next to NumPy in float64; None if nothing."""
    contestant.prepare()
    loss, gradients = contestant.read(contestant.call())
    error = abs(float(loss) - case.loss) / abs(case.loss)
    if not error <= LOSS_TOLERANCE[case.dtype]:
        return f"the loss is {float(loss)!r} instead of {case.loss!r}"
    if not case.gradients:
        return None
    if len(gradients) != len(case.gradients):
        return f"there are {len(gradients)} gradients instead of {len(case.gradients)}"
    relative, of_largest = GRADIENT_TOLERANCE[case.dtype]
    loose = case.formulas.peer_tolerance
    if contestant.role == "peer" and case.dtype == "float32" and loose is not None:
        of_largest = loose
    pairs = zip(gradients, case.gradients, strict=True)
    told = (gradient_complaint(*pair, case.dtype, relative, of_largest) for pair in pairs)
    return next(filter(None, told), None)


def gradient_complaint(
    gradient: np.ndarray, expected: np.ndarray, dtype: str, relative: float, of_largest: float
) -> str | None:
    """What is wrong with a gradient."""
    if (gradient.shape, gradient.dtype.name) != (expected.shape, dtype):
        return f"the gradient is {gradient.dtype}{list(gradient.shape)}"
    absolute = of_largest * float(np.max(np.abs(expected)))
    close = np.isclose(gradient, expected, rtol=relative, atol=absolute)
    if not np.all(close):
        place = int(np.argmin(close))
        found, wanted = gradient.reshape(-1)[place], expected.reshape(-1)[place]
        return f"{np.sum(~close)} gradients are wrong, the first {found!r} instead of {wanted!r}"
    return None
