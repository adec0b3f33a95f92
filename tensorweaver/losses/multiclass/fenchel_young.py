"""The loss that belongs to any convex function of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.functions import logsumexp
from tensorweaver.loss import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["fenchel_young_loss"]

LOSS = "fenchel_young_loss"


def check_fenchel_young(given: Mapping[str, Any], *, max_fun: Any, omega: Any) -> None:
    for name, function in (("max_fun", max_fun), ("omega", omega)):
        if function is not None and not callable(function):
            message = f"{LOSS}: {name} must be a function of one array, got {function!r}"
            raise ArgumentError(message)
    scores, targets = tuple(given["scores"]), tuple(given["targets"])
    if not scores or not scores[-1]:
        message = f"{LOSS}: scores of shape {scores} must end in an axis of classes"
        raise ShapeError(message)
    if targets != scores:
        message = f"{LOSS}: targets of shape {targets} must have the shape {scores} of scores"
        raise ShapeError(message)


@composed(check=check_fenchel_young)
def fenchel_young_loss(
    scores: Any,
    targets: Any,
    *,
    max_fun: Callable[[Any], Any] | None = None,
    omega: Callable[[Any], Any] | None = None,
) -> Any:
    """Fenchel-Young loss: what a target lacks of the best that scores can reach, by any smoothed
    maximum.

    Formula: `max_fun(scores) + omega(targets) - sum(targets scores)` over the last axis.

    Shapes: `scores` and `targets` `(..., K)`, the classes last; a loss for each number that
    `max_fun` gives.

    Domain: that of `max_fun`. Where that is the greatest of `sum(p scores) - omega(p)` over a set,
    the loss of a target in the set is not negative, and 0 where the target is the `p` that reaches
    it. A class of target 0 costs nothing but its part in `max_fun`, even at -inf.

    Gradient: the slope of `max_fun`, the distribution that it smooths to, less the targets.
    Hessian: that of `max_fun`.

    Numerics: a difference, as exact as `max_fun`; `cross_entropy_loss`, `sparsemax_loss` and
    `entmax15_loss` are three of these losses, written so that small ones keep their digits.

    Parameters
    ----------
    max_fun
        A function of a Tensor, of array-API functions, that reduces its last axis and is convex;
        None for `tw.logsumexp`.
    omega
        What it smooths by, likewise; None leaves the term out, so that a target that is not certain
        does not reach 0. For `logsumexp` it is `sum(p log(p))`.

    Errors: `ArgumentError` for what is no function, `ShapeError` for targets of another shape.

    Same as: the loss that optax's `make_fenchel_young_loss(max_fun)` makes, which has no `omega`.

    Reference: M. Blondel, A. Martins, V. Niculae, Learning with Fenchel-Young Losses, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.fenchel_young_loss([[1.0, 0.0]], [[0.5, 0.5]]).round(6)
    np.float64(0.813262)
    >>> def negative_entropy(p):
    ...     xp = tw.array_namespace(p)
    ...     return xp.sum(xp.xlogy(p, p), axis=-1)
    >>> tw.fenchel_young_loss([[1.0, 0.0]], [[0.5, 0.5]], omega=negative_entropy).round(6)
    np.float64(0.120115)
    >>> tw.fenchel_young_loss.grad([[1.0, 0.0]], [[0.5, 0.5]]).round(6)
    array([[ 0.231059, -0.231059]])
    """
    xp = array_namespace(scores)
    best = logsumexp(scores) if max_fun is None else max_fun(scores)
    loss = best - xp.sum(xp.multiply_no_nan(scores, targets), axis=-1)
    return loss if omega is None else loss + omega(targets)
