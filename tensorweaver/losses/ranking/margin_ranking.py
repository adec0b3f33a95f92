"""Losses of which of two scores is to be the higher one."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.signs import signs

__all__ = ["margin_ranking_loss"]


@pointwise(wrt=("x1", "x2"), domains={"targets": "sign"})
def margin_ranking_loss(x1: Any, x2: Any, targets: Any, *, margin: float = 0.0) -> Any:
    """Margin ranking loss: of two scores one is to be higher than the other by a margin.

    Formula: `max(0, margin - targets (x1 - x2))`: with a target of 1 `x1` is to be the higher one,
    with -1 `x2`.

    Shapes: `x1` of any shape; `x2` and `targets` the same, or broadcasting to it.

    Domain: all real numbers. Targets -1 or +1; any other, 0 included, is refused. `margin` any
    number but NaN, else `ArgumentError`.

    Gradient: a pair, by `x1` and `x2`: `-targets` and `targets` where the order is wrong or the
    margin not met, 0 beyond and at the margin itself. Hessian: 0.

    Same as: PyTorch's `margin_ranking_loss`, which has the full slope at the margin.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.margin_ranking_loss([1.0, 1.0], [0.5, 3.0], [1, 1], margin=1.0, reduction="none")
    array([0.5, 3. ])
    """
    if margin != margin:  # noqa: PLR0124 - NaN alone is not itself
        message = f"margin_ranking_loss: margin must be a number, got {margin!r}"
        raise ArgumentError(message)
    xp = array_namespace(x1)
    return xp.maximum(margin - signs(xp, targets) * (x1 - x2), 0.0)
