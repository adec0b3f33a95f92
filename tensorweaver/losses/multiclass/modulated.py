"""Cross-entropy that is bent where the model is already right: focal and poly-1."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise
from tensorweaver.losses.multiclass.cross_entropy import check_smoothing
from tensorweaver.losses.multiclass.expectation import expectation

__all__ = ["poly1_cross_entropy_loss", "softmax_focal_loss"]


@rowwise(arrays=("alpha",), roles={"targets": "target", "alpha": "class"})
def softmax_focal_loss(
    logits: Any,
    targets: Any,
    *,
    alpha: Any = None,
    gamma: float = 2.0,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
) -> Any:
    """Focal loss over classes: cross-entropy that leaves alone what is classified well already.

    Formula: with `p = softmax(logits)`, for a label `c`, `-alpha[c] (1 - p[c])**gamma log(p[c])`;
    for probabilities `q`, `-sum(alpha q (1 - p)**gamma log(p))`. Smoothing by `s` replaces the
    target distribution `q` by `(1 - s) q + s / K` over the K classes.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis (integer labels), or the same shape (probabilities); `alpha` `(K,)`.

    Domain: all logits. A class with logit -inf is masked, as for `cross_entropy_loss`; one of +inf
    is certain.

    Gradient: for a label, `alpha[c] (1 - p[c])**(gamma - 1) (1 - p[c] - gamma p[c] log(p[c]))`
    times `p - one_hot(c)`; finite for every `gamma`, 0 where the class is certain. Hessian: from
    the formula; it may be negative, the loss is not convex.

    Numerics: `1 - p` is the sum of the other probabilities, so that a confident row keeps its
    relative accuracy. For a `gamma` below 1.5, but 1, its power is found from its logarithm, so
    that no slope of a confident row overflows.

    Parameters
    ----------
    alpha
        One factor a class; the mean divides by the number of rows all the same. None for 1.
    gamma
        How much is left alone; not negative, else `ArgumentError`. 0 is `cross_entropy_loss`.
    ignore_index, label_smoothing
        As for `cross_entropy_loss`.

    Errors: labels as for `cross_entropy_loss`.

    Same as: Keras's `categorical_focal_crossentropy`, whose `alpha` is 0.25 for every class by
    default; MONAI's and Kornia's softmax focal loss.

    Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.softmax_focal_loss([[0.0, 0.0], [4.0, 0.0]], [0, 0], reduction="none").round(7)
    array([1.732868e-01, 5.900000e-06])
    >>> tw.softmax_focal_loss.grad([[0.0, 0.0]], [0]).round(6)
    array([[-0.298287,  0.298287]])
    """
    check_smoothing("softmax_focal_loss", label_smoothing)
    if not 0 <= gamma < math.inf:
        message = f"softmax_focal_loss: gamma must be finite and not negative, got {gamma!r}"
        raise ArgumentError(message)
    xp = array_namespace(logits)
    low = gamma < LOWEST_POWER and gamma != 1

    def cost(log_probability: Any, complement: Any) -> Any:
        if gamma == 0:
            return -log_probability
        factor = xp.exp(gamma * complement) if low else power_of(xp, complement, gamma)
        return focal_cost(xp, log_probability, factor)

    return expectation(
        logits,
        targets,
        cost,
        weight=alpha,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        log_complement=low,
    )


LOWEST_POWER = 1.5
"""Powers of the complement from here up, and the first, have slopes that no confident row makes
overflow. Those of lower ones are `complement**(gamma - 2)` times two numbers as small as the
complement: they are written as exponentials of its logarithm, whose slopes are bounded.
"""


def power_of(xp: Any, complement: Any, gamma: float) -> Any:
    """`complement**gamma`, 0 with slope 0 at a certain class."""
    certain = complement == 0
    return xp.where(certain, 0.0, xp.where(certain, 1.0, complement) ** gamma)


def focal_cost(xp: Any, log_probability: Any, factor: Any) -> Any:
    """`-factor log_probability`; at an impossible class as steep as cross-entropy."""
    return xp.where(log_probability == -math.inf, -log_probability, -factor * log_probability)


@rowwise(roles={"targets": "target"})
def poly1_cross_entropy_loss(
    logits: Any, targets: Any, *, epsilon: float = 2.0, ignore_index: int | None = -100
) -> Any:
    """Poly-1 loss: cross-entropy with the first term of its series in `1 - p` weighted anew.

    Formula: with `p = softmax(logits)`, for a label `c`, `-log(p[c]) + epsilon (1 - p[c])`; for
    probabilities `q`, `sum(q (-log(p) + epsilon (1 - p)))`.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis (integer labels), or the same shape (probabilities).

    Domain: all logits; masked and certain classes as for `cross_entropy_loss`. Any finite
    `epsilon`, else `ArgumentError`.

    Gradient: for a label, `(1 + epsilon p[c]) (p - one_hot(c))`. Hessian: from the formula.

    Numerics: `1 - p` is the sum of the other probabilities. For an `epsilon` near -1 the two terms
    of a confident row cancel, in the value and in the gradient.

    Parameters
    ----------
    epsilon
        What the series' first coefficient, 1, is increased by. 0 is `cross_entropy_loss`.
    ignore_index
        As for `cross_entropy_loss`.

    Errors: labels as for `cross_entropy_loss`.

    Same as: optax's `poly_loss_cross_entropy`; rax's `poly1_softmax_loss` has `epsilon=1`.

    Reference: Z. Leng et al., PolyLoss, 2022.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.poly1_cross_entropy_loss([[0.0, 0.0]], [0]).round(6)
    np.float64(1.693147)
    >>> tw.poly1_cross_entropy_loss.grad([[0.0, 0.0]], [0])
    array([[-1.,  1.]])
    """
    if not math.isfinite(epsilon):
        message = f"poly1_cross_entropy_loss: epsilon must be finite, got {epsilon!r}"
        raise ArgumentError(message)

    def cost(log_probability: Any, complement: Any) -> Any:
        return epsilon * complement - log_probability

    return expectation(logits, targets, cost, ignore_index=ignore_index)
