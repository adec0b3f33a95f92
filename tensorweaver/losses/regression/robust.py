"""Robust losses: what is far out counts less and less, or nothing more."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.regression.options import require_positive

__all__ = [
    "cauchy_loss",
    "geman_mcclure_loss",
    "general_robust_loss",
    "tukey_biweight_loss",
    "welsch_loss",
]

SQUARE = 2
FLAT = 1e3
"""Beyond it, `exp(-x**2 / 2)` is 0 in every precision."""
NEAR = 0.125


@pointwise
def cauchy_loss(predictions: Any, targets: Any, *, scale: float = 1.0) -> Any:
    """Cauchy (Lorentzian) loss: errors far out count by their logarithm, so outliers lose their
    pull.

    Formula: with `u = (predictions - targets) / scale`, `log(1 + u**2 / 2)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `scale` positive and finite, else `ArgumentError`. Not convex.

    Gradient: `u / (1 + u**2 / 2) / scale`, which falls to 0 at infinite errors. Hessian: `(1 - u**2
    / 2) / (1 + u**2 / 2)**2 / scale**2`.

    Numerics: small errors keep their digits, and large ones do not overflow in the square; infinite
    where `u` itself is.

    Same as: kornia's `cauchy_loss`; `general_robust_loss(alpha=0)`; up to a constant
    `student_t_nll_loss` with `df=1` and a scale of `sqrt(2)` times this one.

    Reference: M. J. Black and P. Anandan, The Robust Estimation of Multiple Motions, 1996.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.cauchy_loss([1e-9, 2.0], [0.0, 0.0], reduction="none")
    array([5.00000000e-19, 1.09861229e+00])
    >>> tw.cauchy_loss.grad([1.0, 2e200], [0.0, 0.0], reduction="sum").round(4)
    array([0.6667, 0.    ])
    """
    require_positive("cauchy_loss", "scale", scale)
    xp = array_namespace(predictions)
    scaled = (predictions - targets) / scale
    return xp.log1p_square(scaled, 0.5)


@pointwise
def geman_mcclure_loss(predictions: Any, targets: Any, *, scale: float = 1.0) -> Any:
    """Geman-McClure loss: errors far out cost 2 and have no pull left.

    Formula: with `u = (predictions - targets) / scale`, `2 u**2 / (u**2 + 4)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `scale` positive and finite, else `ArgumentError`. Not convex.

    Gradient: `16 u / (u**2 + 4)**2 / scale`, which falls to 0 at infinite errors.

    Numerics: from `abs(u) = 1/8` on as `2 / (1 + (2 / u)**2)`: nothing overflows, and the gradient
    has no difference in it.

    Same as: kornia's `geman_mcclure_loss`; `general_robust_loss(alpha=-2)`.

    Reference: S. Geman and D. McClure, Bayesian Image Analysis, 1985.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.geman_mcclure_loss([2.0, 1e200], [0.0, 0.0], reduction="none")
    array([1., 2.])
    >>> tw.geman_mcclure_loss.grad([2.0, 1e200], [0.0, 0.0], reduction="sum")
    array([0.5, 0. ])
    """
    require_positive("geman_mcclure_loss", "scale", scale)
    xp = array_namespace(predictions)
    half = 0.5 * ((predictions - targets) / scale)
    square = half * half
    near = 2.0 * (square / (1.0 + square))
    inverse = 1.0 / half
    far = 2.0 / (1.0 + inverse * inverse)
    return xp.where(xp.abs(half) < NEAR, near, far)


def welsch(xp: Any, scaled: Any) -> Any:
    decay = xp.expm1(-0.5 * (scaled * scaled))
    return xp.where(xp.abs(scaled) > FLAT, 1.0, -decay)


@pointwise
def welsch_loss(predictions: Any, targets: Any, *, scale: float = 1.0) -> Any:
    """Welsch (Leclerc) loss: a bell turned upside down; an outlier costs 1 and pulls not at all.

    Formula: with `u = (predictions - targets) / scale`, `1 - exp(-u**2 / 2)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `scale` positive and finite, else `ArgumentError`. Not convex.

    Gradient: `u exp(-u**2 / 2) / scale`, 0 at infinite errors. Hessian: `(1 - u**2) exp(-u**2 / 2)
    / scale**2`.

    Numerics: small errors keep their digits (`expm1`).

    Same as: kornia's `welsch_loss`; `general_robust_loss(alpha=-inf)`.

    Reference: J. E. Dennis and R. E. Welsch, Techniques for Nonlinear Least Squares and Robust
    Regression, 1978.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.welsch_loss([1e-9, 1.0], [0.0, 0.0], reduction="none")
    array([5.0000000e-19, 3.9346934e-01])
    >>> tw.welsch_loss.grad([1.0, float("inf")], [0.0, 0.0], reduction="sum").round(4)
    array([0.6065, 0.    ])
    """
    require_positive("welsch_loss", "scale", scale)
    xp = array_namespace(predictions)
    scaled = (predictions - targets) / scale
    return welsch(xp, scaled)


@pointwise
def general_robust_loss(
    predictions: Any, targets: Any, *, alpha: float = 1.0, scale: float = 1.0
) -> Any:
    """Barron's general and adaptive robust loss: one `alpha` leads from the square (2) over
    Charbonnier (1), Cauchy (0) and Geman-McClure (-2) to Welsch (-inf).

    Formula: with `u = (predictions - targets) / scale` and `b = abs(alpha - 2)`, `b / alpha ((u**2
    / b + 1)**(alpha / 2) - 1)`; its limits are `u**2 / 2` at `alpha=2`, `log(1 + u**2 / 2)` at 0,
    `1 - exp(-u**2 / 2)` at -inf and `exp(u**2 / 2) - 1` at inf.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; every `alpha` but NaN, and `scale` positive and finite, else
    `ArgumentError`. Convex for `alpha >= 1`.

    Gradient: `u (u**2 / b + 1)**(alpha / 2 - 1) / scale`; at infinite errors 0 for `alpha < 1`, `1
    / scale` for 1, infinite beyond.

    Hessian: `h**(alpha - 2) ((alpha - 1) (1 - 1 / h**2) + 1 / h**2) / scale**2` with `h**2 = u**2 /
    b + 1`.

    Numerics: the limits are exact, and so is what is near them: as `b boxcox1p(sqrt(u**2 / b + 1) -
    1, alpha)` nothing cancels or overflows on the way; far out value, gradient and Hessian are
    powers of the error, infinite where they themselves are. An error divided by `scale` may be.

    Parameters
    ----------
    alpha
        The shape: the smaller, the less an outlier counts.
    scale
        The error from which on the shape matters.

    Same as: `half_mse_loss`, `charbonnier_loss`, `cauchy_loss`, `geman_mcclure_loss` and
    `welsch_loss` of the scaled error, at their `alpha`.

    Reference: J. T. Barron, A General and Adaptive Robust Loss Function, 2019.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> alphas = (2.0, 1.0, 0.0, -2.0, -float("inf"))
    >>> [tw.general_robust_loss([2.0], [0.0], alpha=alpha).round(4).item() for alpha in alphas]
    [2.0, 1.2361, 1.0986, 1.0, 0.8647]
    """
    if math.isnan(alpha):
        message = f"general_robust_loss: alpha must be a number, got {alpha!r}"
        raise ArgumentError(message)
    require_positive("general_robust_loss", "scale", scale)
    xp = array_namespace(predictions)
    scaled = (predictions - targets) / scale
    if alpha == 0:
        return xp.log1p_square(scaled, 0.5)
    if math.isfinite(alpha) and alpha != SQUARE:
        return xp.robust_cost(scaled, alpha)
    half_square = (0.5 * scaled) * scaled
    if alpha == SQUARE:
        return half_square
    return welsch(xp, scaled) if alpha < 0 else xp.expm1(half_square)


@pointwise
def tukey_biweight_loss(predictions: Any, targets: Any, *, c: float = 4.685) -> Any:
    """Tukey's biweight (bisquare) loss: an error beyond `c` costs the same whatever its size, and
    pulls not at all.

    Formula: with `e = predictions - targets`, `c**2 / 6 (1 - (1 - (e / c)**2)**3)` where `abs(e) <=
    c`, else `c**2 / 6`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all real numbers; `c` positive and finite, else `ArgumentError`. Not convex.

    Gradient: `e (1 - (e / c)**2)**2` within, 0 beyond. Hessian: `(1 - (e / c)**2) (1 - 5 (e /
    c)**2)` within, 0 beyond.

    Numerics: small errors keep their digits; near `c` the gradient does, as `(1 - e / c) (1 + e /
    c)` is not a difference of squares.

    Parameters
    ----------
    c
        Where errors stop to count; 4.685 standard deviations keep 95 % of the efficiency of least
        squares for normal errors.

    Same as: statsmodels' `TukeyBiweight`.

    Reference: A. E. Beaton and J. W. Tukey, The Fitting of Power Series, 1974.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.tukey_biweight_loss([1.0, 9.0], [0.0, 0.0], c=2.0, reduction="none").round(4)
    array([0.3854, 0.6667])
    >>> tw.tukey_biweight_loss.grad([1.0, 9.0], [0.0, 0.0], c=2.0, reduction="sum")
    array([0.5625, 0.    ])
    """
    require_positive("tukey_biweight_loss", "c", c)
    xp = array_namespace(predictions)
    return xp.biweight(predictions - targets, c)
