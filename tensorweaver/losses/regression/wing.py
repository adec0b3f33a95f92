"""Wing loss."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.regression.options import require_positive

__all__ = ["wing_loss"]


@pointwise
def wing_loss(predictions: Any, targets: Any, *, width: float = 5.0, curvature: float = 0.5) -> Any:
    """Wing loss: small and medium errors pull harder than in the absolute error, for landmarks that
    are to sit to the pixel.

    Formula: with `e = predictions - targets`, `width log(1 + abs(e) / curvature)` where `abs(e) <=
    width`, else `abs(e) - width + width log(1 + width / curvature)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `width` and `curvature` positive and finite, else `ArgumentError`.

    Gradient: `sign(e) width / (curvature + abs(e))` within, `sign(e)` beyond; at the target the
    subgradient of smallest norm, 0. Where the pieces meet the slope jumps, and the smaller one
    holds. Hessian: `-width / (curvature + abs(e))**2` within, 0 beyond and at the target.

    Numerics: beyond, the loss is the excess over `width` plus the loss there, so that nothing
    cancels at the seam.

    Parameters
    ----------
    width
        Up to which error the logarithm holds.
    curvature
        How narrow its bend is.

    Same as: segmentation-models-pytorch's `wing_loss`, with its defaults; the paper writes `w` and
    `epsilon`.

    Reference: Z.-H. Feng et al., Wing Loss for Robust Facial Landmark Localisation with
    Convolutional Neural Networks, 2018.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.wing_loss([0.5, 10.0], [0.0, 0.0], reduction="none").round(4)
    array([ 3.4657, 16.9895])
    >>> tw.wing_loss.grad([0.5, 10.0], [0.0, 0.0], reduction="sum")
    array([5., 1.])
    """
    require_positive("wing_loss", "width", width)
    require_positive("wing_loss", "curvature", curvature)
    xp = array_namespace(predictions)
    distance = xp.abs(predictions - targets)
    near = width * xp.log1p_quotient(distance, curvature)
    far = (distance - width) + width * math.log1p(width / curvature)
    return xp.where(distance <= width, near, far)
