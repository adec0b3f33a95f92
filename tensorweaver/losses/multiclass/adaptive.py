"""Softmax in two levels, for vocabularies whose rare words are grouped."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, LabelError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.multiclass.cross_entropy import cross_entropy_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["adaptive_log_softmax_loss"]

LOSS = "adaptive_log_softmax_loss"
NOWHERE = -100


def check_adaptive(given: Mapping[str, Any], *, cutoffs: Any) -> None:
    """Refuse cutoffs that do not rise from 1 to less than the classes, and other labels."""
    shape, targets = given["logits"], given["targets"]
    if not shape:
        message = f"{LOSS}: logits must end in an axis of head and tails, got a single number"
        raise ShapeError(message)
    is_tuple = isinstance(cutoffs, tuple) and all(type(c) is int for c in cutoffs)
    if not (is_tuple and cutoffs and all(a < b for a, b in pairwise((0, *cutoffs)))):
        message = f"{LOSS}: cutoffs must be a tuple of rising positive integers, got {cutoffs!r}"
        raise ArgumentError(message)
    classes = shape[-1] - len(cutoffs)
    if cutoffs[-1] >= classes:
        message = (
            f"{LOSS}: logits of shape {tuple(shape)} are of {classes} classes and {len(cutoffs)} "
            f"clusters, but cutoffs={cutoffs!r} leave none for the last cluster"
        )
        raise ShapeError(message)
    found = targets if isinstance(targets, tuple) else targets.shape
    if tuple(found) != tuple(shape[:-1]):
        message = (
            f"{LOSS}: targets of shape {tuple(found)} must have the shape {tuple(shape[:-1])} of "
            "the rows of logits"
        )
        raise ShapeError(message)
    if isinstance(targets, tuple) or not targets.size:
        return
    bad = (targets < 0) | (targets >= classes)
    if bad.any():
        label = targets[bad].flat[0]
        message = f"{LOSS}: targets hold {label}, but the classes are 0 to {classes - 1}"
        raise LabelError(message)


@composed(roles={"targets": "label"}, check=check_adaptive)
def adaptive_log_softmax_loss(logits: Any, targets: Any, *, cutoffs: Any) -> Any:
    """Adaptive softmax: a softmax over the frequent classes and the clusters of rare ones, and one
    within the cluster that the class is in.

    Formula: a class before the first cutoff costs `-log_softmax(head)[c]`; one of cluster `i`, from
    `cutoffs[i]` on, `-log_softmax(head)[cutoffs[0] + i] - log_softmax(tail[i])[c - cutoffs[i]]`.

    Shapes: `logits` `(..., K + n)` for K classes and n clusters, one behind the other on the last
    axis: the head, `cutoffs[0]` classes and then the n clusters, and each cluster's classes.
    `targets` the same without that axis, integer labels in the order of the classes' frequency; a
    loss a row.

    Domain: all logits; -inf and inf as for `cross_entropy_loss`. What a row has in other clusters
    than its label's plays no part, even NaN.

    Gradient: `softmax(head) - one_hot` in the head, `softmax(tail[i]) - one_hot` in the label's own
    cluster, 0 in the others. Hessian, Numerics: those of the two cross-entropies.

    Parameters
    ----------
    cutoffs
        Where each cluster begins, a tuple of rising positive integers, as PyTorch's.

    Errors: `ArgumentError` and `ShapeError` for cutoffs that do not fit; `LabelError` for a label
    outside the classes (NaN where labels cannot be looked at).

    Same as: PyTorch's `AdaptiveLogSoftmaxWithLoss` from the outputs of its `head` and its `tail`,
    concatenated. Its projections, as many as there are clusters and each of another width, remain
    the model's own: a loss takes a fixed number of arrays, and the gradient by the logits is what a
    projection needs for its way back.

    Reference: E. Grave et al., Efficient Softmax Approximation for GPUs, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorweaver as tw
    >>> head = [[2.0, 1.0, 0.0]]  # classes 0 and 1, and the cluster of 2, 3 and 4
    >>> tail = [[0.0, 1.0, 0.0]]
    >>> logits = np.concatenate([head, tail], axis=-1)
    >>> tw.adaptive_log_softmax_loss(logits, [3], cutoffs=(2,)).round(6)
    np.float64(2.959051)
    >>> tw.adaptive_log_softmax_loss.grad(logits, [3], cutoffs=(2,)).round(3)
    array([[ 0.665,  0.245, -0.91 ,  0.212, -0.424,  0.212]])
    """
    xp = array_namespace(logits)
    first, clusters = cutoffs[0], len(cutoffs)
    bounds = (*cutoffs, logits.shape[-1] - clusters)
    in_head, places = targets, []
    for cluster, start in enumerate(cutoffs):
        in_head = xp.where(targets >= start, first + cluster, in_head)
        is_last = start == cutoffs[-1]
        # A label behind all classes falls out of the last cluster, and so is noticed.
        inside = targets >= start
        inside = inside if is_last else xp.logical_and(inside, targets < bounds[cluster + 1])
        places.append(xp.where(inside, targets - start, NOWHERE))
    losses = cross_entropy_loss(
        logits[..., : first + clusters], in_head, ignore_index=None, reduction="none"
    )
    for (start, end), place in zip(pairwise(bounds), places, strict=True):
        tail = logits[..., clusters + start : clusters + end]
        losses = losses + cross_entropy_loss(tail, place, ignore_index=NOWHERE, reduction="none")
    return losses
