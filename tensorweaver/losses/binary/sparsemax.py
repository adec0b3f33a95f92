"""The loss of the sparse sigmoid."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise

__all__ = ["binary_sparsemax_loss"]


@pointwise(domains={"targets": "probability"})
def binary_sparsemax_loss(logits: Any, targets: Any) -> Any:
    """Binary sparsemax loss: a smooth hinge whose prediction, `(1 + logits) / 2` limited to [0, 1],
    reaches 0 and 1.

    Formula: `targets s(-logits) + (1 - targets) s(logits)` with `s(t)` 0 where `t <= -1`, `(t +
    1)**2 / 4` between, `t` where `t >= 1`.

    Shapes: `logits` of any shape; `targets` the same, or broadcasting to it.

    Domain: all logits, infinite ones included: the loss is then its limit, 0 or infinity. Targets
    in [0, 1]; booleans and integers are welcome.

    Gradient: the prediction minus the target. Hessian: 1/2 where `abs(logits) < 1`, else 0.

    Same as: optax's `sparsemax_loss`, which has no targets but 0 and 1.

    Reference: M. Blondel, A. F. T. Martins, V. Niculae, Learning with Fenchel-Young Losses, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.binary_sparsemax_loss([-1.0, 0.0, 1.0, 3.0], [0, 0, 0, 0], reduction="none")
    array([0.  , 0.25, 1.  , 3.  ])
    """
    xp = array_namespace(logits)
    loss_if_positive = xp.multiply_no_nan(sparse_plus(xp, -logits), targets)
    loss_if_negative = xp.multiply_no_nan(sparse_plus(xp, logits), 1 - targets)
    return loss_if_positive + loss_if_negative


def sparse_plus(xp: Any, x: Any) -> Any:
    """The integral of `(1 + x) / 2` limited to [0, 1]."""
    return xp.where(x >= 1, x, 0.25 * xp.maximum(x + 1, 0.0) ** 2)
