"""Smooth losses that are a square near zero and a straight line far out."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.regression.options import require_positive

__all__ = ["charbonnier_loss", "fair_loss", "log_cosh_loss", "pseudo_huber_loss"]

TINY = 1e-9
"""Below it, `sqrt(1 + x**2) - 1` is `x**2 / 2` to the last digit."""
TINIER = 1e-17
"""Below it, `x - log(1 + x)` is `x**2 / 2` to the last digit."""


@pointwise
def log_cosh_loss(predictions: Any, targets: Any) -> Any:
    """Logarithm of the hyperbolic cosine of the error: half a square near zero, the absolute error
    less log 2 far out, and smooth throughout.

    Formula: with `e = predictions - targets`, `log(cosh(e))`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers.

    Gradient: `tanh(e)`; 1 or -1 at infinite errors. Hessian: `1 / cosh(e)**2`.

    Numerics: nothing overflows, and errors of 1e-9 keep all digits: no two numbers near log 2 are
    subtracted. The loss of `-e` is that of `e` to the last bit.

    Same as: optax's and Keras's `log_cosh`.

    Reference: R. Neuneier and H. G. Zimmermann, How to Train Neural Networks, 1998.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.log_cosh_loss([1e-9, 2.0], [0.0, 0.0], reduction="none")
    array([5.00000000e-19, 1.32500275e+00])
    >>> tw.log_cosh_loss.grad([0.0, 2.0], [0.0, 0.0], reduction="sum").round(4)
    array([0.   , 0.964])
    """
    xp = array_namespace(predictions)
    difference = predictions - targets
    return xp.log_cosh(difference)


@pointwise
def pseudo_huber_loss(predictions: Any, targets: Any, *, delta: float = 1.0) -> Any:
    """Pseudo-Huber loss: the Huber loss without its seam, for methods that want second derivatives.

    Formula: with `e = predictions - targets`, `delta**2 (sqrt(1 + (e / delta)**2) - 1)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `delta` positive and finite, else `ArgumentError`.

    Gradient: `e / sqrt(1 + (e / delta)**2)`; `delta` or `-delta` at infinite errors. Hessian: `(1 +
    (e / delta)**2)**(-3/2)`.

    Numerics: small errors keep their digits, large ones do not overflow.

    Same as: XGBoost's `reg:pseudohubererror`, whose `huber_slope` is `delta` here, as in
    `huber_loss`; `delta charbonnier_loss(eps=delta)`.

    Reference: P. Charbonnier et al., Deterministic Edge-Preserving Regularization in Computed
    Imaging, 1997.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.pseudo_huber_loss([1e-9, 3.0], [0.0, 0.0], reduction="none")
    array([5.00000000e-19, 2.16227766e+00])
    >>> tw.pseudo_huber_loss.grad([0.0, 3.0], [0.0, 0.0], reduction="sum").round(4)
    array([0.    , 0.9487])
    """
    require_positive("pseudo_huber_loss", "delta", delta)
    xp = array_namespace(predictions)
    difference = predictions - targets
    half_square = (0.5 * difference) * difference
    # A square to the last digit; the quotient by a large delta might underflow.
    is_square = xp.abs(difference) < TINY * delta
    return xp.where(is_square, half_square, delta * xp.hypot_excess(difference, delta))


@pointwise
def charbonnier_loss(predictions: Any, targets: Any, *, eps: float = 1.0) -> Any:
    """Charbonnier loss: the absolute error with its kink rounded off over `eps`, common in image
    restoration.

    Formula: with `e = predictions - targets`, `sqrt(e**2 + eps**2) - eps`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `eps` positive and finite, else `ArgumentError`.

    Gradient: `e / sqrt(e**2 + eps**2)`; 1 or -1 at infinite errors. Hessian: `eps**2 / (e**2 +
    eps**2)**(3/2)`.

    Numerics: small errors keep their digits, large ones do not overflow.

    Same as: kornia's `charbonnier_loss` where `eps` is 1; `pseudo_huber_loss(delta=eps) / eps`.
    Where `eps` is left in the loss of a perfect prediction elsewhere, that constant is not in it
    here: the best loss is 0.

    Reference: P. Charbonnier et al., Two Deterministic Half-Quadratic Regularization Algorithms for
    Computed Imaging, 1994.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.charbonnier_loss([1e-4, 3.0], [0.0, 0.0], eps=4.0, reduction="none")
    array([1.25e-09, 1.00e+00])
    >>> tw.charbonnier_loss.grad([0.0, 3.0], [0.0, 0.0], eps=4.0, reduction="sum")
    array([0. , 0.6])
    """
    require_positive("charbonnier_loss", "eps", eps)
    xp = array_namespace(predictions)
    difference = predictions - targets
    return xp.hypot_excess(difference, eps)


@pointwise
def fair_loss(predictions: Any, targets: Any, *, c: float = 1.0) -> Any:
    """Fair's loss: a smooth loss that grows in proportion far out, and slows down sooner than the
    pseudo-Huber loss.

    Formula: with `e = predictions - targets`, `c abs(e) - c**2 log(1 + abs(e) / c)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `c` positive and finite, else `ArgumentError`.

    Gradient: `e / (1 + abs(e) / c)`; `c` or `-c` at infinite errors. Hessian: `1 / (1 + abs(e) /
    c)**2`.

    Numerics: small errors keep their digits: `x - log(1 + x)` is computed by its series there.

    Same as: LightGBM's `fair`, whose `fair_c` is `c` here.

    Reference: R. C. Fair, On the Robust Estimation of Econometric Models, 1974.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.fair_loss([1e-9, 1.0], [0.0, 0.0], reduction="none")
    array([5.00000000e-19, 3.06852819e-01])
    >>> tw.fair_loss.grad([1.0, -3.0], [0.0, 0.0], reduction="sum")
    array([ 0.5 , -0.75])
    """
    require_positive("fair_loss", "c", c)
    xp = array_namespace(predictions)
    difference = predictions - targets
    # Not the absolute value: its slope is 0 at zero, and the Hessian would be so too.
    distance = xp.where(difference < 0, -difference, difference)
    half_square = (0.5 * difference) * difference
    is_square = distance < TINIER * c
    return xp.where(is_square, half_square, c * xp.log1p_excess(distance, c))
