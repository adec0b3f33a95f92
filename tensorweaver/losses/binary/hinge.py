"""Losses that ask for a margin between the score and the decision boundary."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.signs import signs

__all__ = ["hinge_loss", "modified_huber_loss", "perceptron_loss", "squared_hinge_loss"]


@pointwise(domains={"targets": "sign"})
def hinge_loss(predictions: Any, targets: Any, *, margin: float = 1.0) -> Any:
    """Hinge loss: nothing for a score on the right side by a margin, linear otherwise; the loss of
    support vector machines.

    Formula: `max(0, margin - targets predictions)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all scores. Targets -1 or +1; any other, 0 included, is refused, for whether 0 means
    the negative class is not guessed: `2 * targets - 1` says so. `margin` not negative, else
    `ArgumentError`.

    Gradient: `-targets` within the margin, 0 beyond and at the margin itself. Hessian: 0.

    Same as: optax's `hinge_loss`, scikit-learn's `hinge_loss` and SGD's `Hinge`; Keras's `hinge`,
    which takes labels of 0 and 1 for signs when it sees no other.

    Reference: C. Cortes, V. Vapnik, Support-Vector Networks, 1995.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.hinge_loss([2.0, 0.25, -1.0], [1, 1, 1], reduction="none")
    array([0.  , 0.75, 2.  ])
    >>> tw.hinge_loss.grad([2.0, 0.25, -1.0], [1, 1, 1], reduction="sum")
    array([ 0., -1., -1.])
    """
    check_margin("hinge_loss", margin)
    xp = array_namespace(predictions)
    return xp.maximum(margin - signs(xp, targets) * predictions, 0.0)


@pointwise(domains={"targets": "sign"})
def squared_hinge_loss(predictions: Any, targets: Any, *, margin: float = 1.0) -> Any:
    """Squared hinge loss: the hinge loss without its kink, harder on what is far off.

    Formula: `max(0, margin - targets predictions)**2`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all scores; targets and `margin` as for `hinge_loss`.

    Gradient: `-2 targets max(0, margin - targets predictions)`. Hessian: 2 within the margin, 0
    beyond and at the margin itself.

    Same as: Keras's `squared_hinge`, scikit-learn's `SquaredHinge`; the square of `hinge_loss`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.squared_hinge_loss([2.0, 0.5, -1.0], [1, 1, 1], reduction="none")
    array([0.  , 0.25, 4.  ])
    """
    check_margin("squared_hinge_loss", margin)
    xp = array_namespace(predictions)
    return xp.maximum(margin - signs(xp, targets) * predictions, 0.0) ** 2


@pointwise(domains={"targets": "sign"})
def perceptron_loss(predictions: Any, targets: Any) -> Any:
    """Perceptron loss: the distance of a score on the wrong side from the boundary.

    Formula: `max(0, -targets predictions)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all scores; targets as for `hinge_loss`.

    Gradient: `-targets` on the wrong side, 0 on the right side and on the boundary. Hessian: 0.

    Same as: optax's `perceptron_loss`, scikit-learn's `perceptron`; `hinge_loss(margin=0)`.

    Reference: F. Rosenblatt, The Perceptron, 1958.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.perceptron_loss([2.0, -0.5], [1, 1], reduction="none")
    array([0. , 0.5])
    """
    xp = array_namespace(predictions)
    return xp.maximum(-(signs(xp, targets) * predictions), 0.0)


@pointwise(domains={"targets": "sign"})
def modified_huber_loss(predictions: Any, targets: Any) -> Any:
    """Modified Huber loss: the squared hinge loss, linear where the score is far on the wrong side,
    so that outliers do not rule.

    Formula: with `u = targets predictions`, `max(0, 1 - u)**2` where `u >= -1`, else `-4 u`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all scores; targets as for `hinge_loss`.

    Gradient: `-2 targets max(0, 1 - u)` where `u >= -1`, else `-4 targets`; finite at infinite
    scores. Hessian: 2 between `u = -1`, included, and `u = 1`, else 0.

    Same as: scikit-learn's `modified_huber` of SGD.

    Reference: T. Zhang, Solving Large Scale Linear Prediction Problems Using Stochastic Gradient
    Descent Algorithms, 2004.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.modified_huber_loss([2.0, 0.5, -1.0, -3.0], [1, 1, 1, 1], reduction="none")
    array([ 0.  ,  0.25,  4.  , 12.  ])
    """
    xp = array_namespace(predictions)
    agreement = signs(xp, targets) * predictions
    square = xp.maximum(1 - agreement, 0.0) ** 2
    return xp.where(agreement < -1, -4 * agreement, square)


def check_margin(loss: str, margin: float) -> None:
    """Refuse a margin on the wrong side."""
    if not margin >= 0:
        message = f"{loss}: margin must not be negative, got {margin!r}"
        raise ArgumentError(message)
