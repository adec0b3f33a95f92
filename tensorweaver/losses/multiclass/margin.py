"""Losses that want the right class ahead of the others by a margin."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise

__all__ = [
    "categorical_hinge_loss",
    "multi_margin_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
]

POWERS = (1, 2)


def check_margin(loss: str, margin: float) -> None:
    """Refuse a margin that is infinite or NaN."""
    if not math.isfinite(margin):
        message = f"{loss}: margin must be finite, got {margin!r}"
        raise ArgumentError(message)


def best_of_others(xp: Any, logits: Any, labels: Any) -> Any:
    """The largest logit but the label's; -inf where there is no other class."""
    others = xp.put_along_axis(logits, labels, -math.inf, axis=-1)
    return xp.max(others, axis=-1, keepdims=True)


@rowwise(arrays=("weight",), roles={"targets": "label", "weight": "class"})
def multi_margin_loss(
    logits: Any, targets: Any, *, p: float = 1, margin: float = 1.0, weight: Any = None
) -> Any:
    """Multi-class margin loss: every wrong class that comes too close to the right one costs.

    Formula: for the label `c` of K classes, `weight[c] / K` times the sum over all other classes
    `j` of `max(0, margin - logits[c] + logits[j])**p`.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis, integer labels; `weight` `(K,)`.

    Domain: all logits; a class with logit -inf comes close to none. `p` 1 or 2, `margin` finite,
    else `ArgumentError`.

    Gradient: for `p=1`, `weight[c] / K` at each class within the margin, minus their sum at the
    label; where the margin is just met, 0. Hessian: 0 for `p=1`.

    Parameters
    ----------
    p
        1 for straight lines, 2 for squares.
    margin
        How far ahead the right class has to be.
    weight
        One factor a class; the mean divides by the number of rows all the same, as PyTorch does.

    Errors: a label that is no class raises `LabelError`; where looking at labels would stall (a
    GPU, a lazy or traced array), its row is NaN instead.

    Same as: PyTorch's `multi_margin_loss`, which divides by K, not K - 1, as well; there a row with
    NaN costs 0, here NaN.

    Reference: K. Crammer and Y. Singer, On the Algorithmic Implementation of Multiclass
    Kernel-based Vector Machines, 2001.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.multi_margin_loss([[1.0, 0.5, -1.0, 2.0]], [0]) # (0.5 + 0 + 2) / 4
    np.float64(0.625)
    >>> tw.multi_margin_loss.grad([[1.0, 0.5, -1.0, 2.0]], [0])
    array([[-0.5 ,  0.25,  0.  ,  0.25]])
    """
    if p not in POWERS:
        message = f"multi_margin_loss: p must be 1 or 2, got {p!r}"
        raise ArgumentError(message)
    check_margin("multi_margin_loss", margin)
    xp = array_namespace(logits)
    lead = xp.take_along_axis(logits, targets, axis=-1) - logits
    # The label is ahead of itself by any margin: its own difference may be infinity less infinity.
    lead = xp.put_along_axis(lead, targets, math.inf, axis=-1)
    violation = xp.maximum(margin - lead, 0.0)
    loss = xp.mean(violation if p == 1 else violation**2, axis=-1, keepdims=True)
    if weight is None:
        return loss
    return xp.multiply_no_nan(loss, xp.take_along_axis(weight, targets, axis=-1))


@rowwise(roles={"targets": "label"})
def multiclass_hinge_loss(logits: Any, targets: Any, *, margin: float = 1.0) -> Any:
    """Crammer-Singer hinge loss: how far the right class is from leading all others by a margin.

    Formula: for the label `c`, `max(0, margin + m - logits[c])` with `m` the largest of the other
    logits.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis, integer labels.

    Domain: all logits; a class with logit -inf is never the best. `margin` finite, else
    `ArgumentError`.

    Gradient: -1 at the label and 1 at the best of the others, shared evenly by those that tie; 0
    where the margin is met, also where it is just met. Hessian: 0.

    Errors: as for `multi_margin_loss`.

    Same as: optax's `multiclass_hinge_loss`; scikit-learn's `hinge_loss` of several classes. In
    Keras's `categorical_hinge` the best of the others is at least 0; see `categorical_hinge_loss`.

    Reference: K. Crammer and Y. Singer, On the Algorithmic Implementation of Multiclass
    Kernel-based Vector Machines, 2001.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.multiclass_hinge_loss([[1.0, 0.5, 2.0], [3.0, 0.0, 0.0]], [0, 0], reduction="none")
    array([2., 0.])
    >>> tw.multiclass_hinge_loss.grad([[1.0, 0.5, 2.0]], [0])
    array([[-1.,  0.,  1.]])
    """
    check_margin("multiclass_hinge_loss", margin)
    xp = array_namespace(logits)
    lead = xp.take_along_axis(logits, targets, axis=-1) - best_of_others(xp, logits, targets)
    return xp.maximum(margin - lead, 0.0)


@rowwise(roles={"targets": "label"})
def multiclass_perceptron_loss(logits: Any, targets: Any) -> Any:
    """Multi-class perceptron loss: how far the right class is behind the best one.

    Formula: for the label `c`, `max(logits) - logits[c]`.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis, integer labels.

    Domain: all logits; a class with logit -inf is never the best.

    Gradient: -1 at the label and 1 at the best of the others, shared evenly by those that tie; 0
    where the label is the best, also where it ties with others. Hessian: 0.

    Errors: as for `multi_margin_loss`.

    Same as: optax's `multiclass_perceptron_loss`; `multiclass_hinge_loss(margin=0)`.

    Reference: M. Collins, Discriminative Training Methods for Hidden Markov Models, 2002.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.multiclass_perceptron_loss([[1.0, 0.5, 2.0], [3.0, 0.0, 0.0]], [0, 0], reduction="none")
    array([1., 0.])
    """
    xp = array_namespace(logits)
    lead = xp.take_along_axis(logits, targets, axis=-1) - best_of_others(xp, logits, targets)
    return xp.maximum(-lead, 0.0)


@rowwise(roles={"targets": "target"})
def categorical_hinge_loss(predictions: Any, targets: Any, *, margin: float = 1.0) -> Any:
    """Categorical hinge loss: the Crammer-Singer hinge for labels or for distributions of targets.

    Formula: for a label as `multiclass_hinge_loss`; for targets `q`, `max(0, margin + m -
    sum(q predictions))`, with `m` the largest of `(1 - q) predictions` over the classes with
    `q < 1`.

    Shapes: `predictions` `(..., K)` with the classes on `axis`; `targets` the same without the
    class axis (integer labels), or the same shape (one-hot or other numbers in [0, 1]).

    Domain: all predictions. `margin` finite, else `ArgumentError`.

    Gradient: `-q`, and `1 - q` more at the largest, shared evenly by those that tie; 0 where the
    margin is met, also where it is just met. Hessian: 0.

    Errors: labels as for `multi_margin_loss`.

    Same as: Keras's `categorical_hinge` but for the class that is meant: there it takes part in the
    maximum as 0, so that two wrong scores far below 0 still cost; here it does not.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.categorical_hinge_loss([[-3.0, -5.0]], [[1.0, 0.0]]) # -3 leads -5 by more than 1
    np.float64(0.0)
    >>> tw.categorical_hinge_loss([[1.0, 0.5, 2.0]], [[1.0, 0.0, 0.0]])
    np.float64(2.0)
    """
    check_margin("categorical_hinge_loss", margin)
    xp = array_namespace(predictions)
    if xp.isdtype(targets.dtype, "integral"):
        right = xp.take_along_axis(predictions, targets, axis=-1)
        wrong = best_of_others(xp, predictions, targets)
    else:
        right = xp.sum(xp.multiply_no_nan(predictions, targets), axis=-1, keepdims=True)
        others = xp.where(targets == 1, -math.inf, (1 - targets) * predictions)
        wrong = xp.max(others, axis=-1, keepdims=True)
    return xp.maximum(margin - (right - wrong), 0.0)
