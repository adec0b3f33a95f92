"""Lovász losses: the Jaccard index itself, extended from masks to scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.loss.arguments import check_labels
from tensorweaver.losses.spoil import spoil

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["lovasz_hinge_loss", "lovasz_softmax_loss"]


def check_hinge(given: Mapping[str, Any]) -> None:
    logits, targets = (shape_of(given[name]) for name in ("logits", "targets"))
    if not logits or logits != targets:
        message = (
            f"lovasz_hinge_loss: logits of shape {logits} and targets of shape {targets} must be "
            "alike, the pixels on the last axis"
        )
        raise ShapeError(message)


def shape_of(given: Any) -> tuple[int, ...]:
    return tuple(given if isinstance(given, tuple) else given.shape)


@composed(check=check_hinge, domains={"targets": "probability"})
def lovasz_hinge_loss(logits: Any, targets: Any) -> Any:
    """Lovász hinge: a convex loss that is one less the Jaccard index where all pixels are decided.

    Formula: with the errors `e = 1 - logits (2 targets - 1)` from the largest down, `dot(max(e,
    0), g)`; `g` is by how much the Jaccard loss grows when the pixels are got wrong in that order.

    Shapes: `logits` and `targets` `(..., P)`, all pixels of an image on the last axis; a loss an
    image.

    Domain: all finite logits; targets 0 or 1, refused outside [0, 1]. An image of zeros
    alone costs its largest error.

    Gradient: `-g (2 targets - 1)` where the error is positive, else 0; the order is taken as
    constant, as it is between ties, where pixels come in their own order. Hessian: 0.

    Numerics: `g` is a ratio of counts, not a difference of ratios.

    Same as: the authors' `lovasz_hinge` with `per_image=True`.

    Reference: M. Berman, A. Rannen Triki, M. Blaschko, The Lovász-Softmax Loss, 2018.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.lovasz_hinge_loss([[2.0, -1.0, 0.5]], [[1.0, 0.0, 0.0]])
    np.float64(0.75)
    """
    xp = array_namespace(logits)
    errors = 1.0 - logits * (2.0 * targets - 1.0)
    return along_order(xp, xp.maximum(errors, 0.0), errors, targets)


def check_softmax(given: Mapping[str, Any], *, classes: str) -> None:
    loss = "lovasz_softmax_loss"
    if classes not in {"present", "all"}:
        message = f"{loss}: classes must be 'present' or 'all', got {classes!r}"
        raise ArgumentError(message)
    shape, targets = given["probabilities"], given["targets"]
    if not (len(shape) > 1 and shape[-1] and shape_of(targets) == tuple(shape[:-1])):
        message = (
            f"{loss}: probabilities of shape {shape} must be (..., pixels, classes), and targets "
            f"of shape {shape_of(targets)} one label a pixel"
        )
        raise ShapeError(message)
    if not isinstance(targets, tuple) and targets.size:
        check_labels(loss, "targets", targets, shape[-1], None)


@composed(roles={"targets": "label"}, check=check_softmax, domains={"probabilities": "probability"})
def lovasz_softmax_loss(probabilities: Any, targets: Any, *, classes: str = "present") -> Any:
    """Lovász-softmax: one less the Jaccard index of each class, extended to probabilities.

    Formula: for each class with the errors `e = abs(onehot - probability)` from the largest down,
    `dot(e, g)`, `g` as for `lovasz_hinge_loss`; the mean over the classes.

    Shapes: `probabilities` `(..., P, C)`, the pixels of an image before the classes; `targets`
    `(..., P)`, integer labels; a loss an image.

    Domain: probabilities in [0, 1], others are refused.

    Gradient: `g` with the sign of the error; 0 where it is 0. The order is taken as constant, as
    it is between ties; pixels of equal errors come in their own order. Hessian: 0.

    Numerics: `g` is a ratio of counts, not a difference of ratios.

    Errors: `LabelError` for a label outside the classes (NaN where labels cannot be looked at).

    Parameters
    ----------
    classes
        `"present"` averages over the classes that an image has, `"all"` over all.

    Same as: the authors' `lovasz_softmax` with `per_image=True`.

    Reference: M. Berman, A. Rannen Triki, M. Blaschko, The Lovász-Softmax Loss, 2018.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.lovasz_softmax_loss([[[0.75, 0.25], [0.5, 0.5]]], [[0, 1]]).round(6)
    np.float64(0.4375)
    """
    xp = array_namespace(probabilities)
    numbers = xp.arange(probabilities.shape[-1], device=probabilities.device)
    hot = xp.astype(targets[..., None] == numbers, probabilities.dtype)
    errors, truth = (xp.moveaxis(x, -1, -2) for x in (xp.abs(hot - probabilities), hot))
    by_class = along_order(xp, errors, errors, truth)
    present = xp.ones_like(by_class)
    if classes == "present":
        present = xp.astype(xp.any(truth > 0, axis=-1), probabilities.dtype)
    count = xp.sum(present, axis=-1)
    mean = xp.sum(by_class * present, axis=-1) / xp.where(count == 0, 1.0, count)
    bad = xp.logical_or(targets < 0, targets >= probabilities.shape[-1])
    return spoil(xp, mean, xp.sum(probabilities, axis=(-2, -1)), xp.any(bad, axis=-1))


def along_order(xp: Any, costs: Any, errors: Any, targets: Any) -> Any:
    """The costs, each times what its pixel adds to the Jaccard loss, the worst pixels first."""
    if not costs.shape[-1]:
        return xp.sum(costs, axis=-1)
    order = xp.argsort(errors.detach(), axis=-1, descending=True)
    truth = xp.take_along_axis(targets.detach(), order, axis=-1)
    growth = growth_of(xp, truth)
    return xp.sum(xp.multiply_no_nan(xp.take_along_axis(costs, order, axis=-1), growth), axis=-1)


def growth_of(xp: Any, truth: Any) -> Any:
    """By how much the Jaccard loss grows with each pixel got wrong.

    From `1 - common / union`, with both before and after: no difference of ratios.
    """
    total = xp.sum(truth, axis=-1, keepdims=True)
    common = total - xp.cumulative_sum(truth, axis=-1) + truth
    union = total + xp.cumulative_sum(1.0 - truth, axis=-1)
    before = union - (1.0 - truth)
    nothing = before == 0
    grown = (common * (1.0 - truth) + before * truth) / (xp.where(nothing, 1.0, before) * union)
    return xp.where(nothing, 1.0, grown)
