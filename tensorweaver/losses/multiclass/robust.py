"""Losses for labels of which some are wrong, and for classes of which some are rare."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise
from tensorweaver.losses.multiclass.cross_entropy import cost_at_label, kept_labels, where_kept
from tensorweaver.losses.multiclass.expectation import expectation

__all__ = [
    "generalized_cross_entropy_loss",
    "logit_adjusted_cross_entropy_loss",
    "symmetric_cross_entropy_loss",
]


@rowwise(roles={"targets": "target"})
def generalized_cross_entropy_loss(
    logits: Any, targets: Any, *, q: float = 0.5, ignore_index: int | None = -100
) -> Any:
    """Generalized cross-entropy: between cross-entropy and the absolute error, for noisy labels.

    Formula: with `p = softmax(logits)`, for a label `c`, `(1 - p[c]**q) / q`; for probabilities
    `t`, `sum(t (1 - p**q)) / q`.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis (integer labels), or the same shape (probabilities).

    Domain: all logits; masked and certain classes as for `cross_entropy_loss`. At most `1 / q`: a
    class of probability 0 costs that, with slope 0. `0 < q <= 1`, else `ArgumentError`.

    Gradient: for a label, `p[c]**q (p - one_hot(c))`: a hopeless row has none. Hessian: from the
    formula; the loss is not convex.

    Numerics: `-expm1(q log(p)) / q`, exact for probabilities near 1 and for tiny `q`, where it
    tends to cross-entropy.

    Parameters
    ----------
    q
        1 is the absolute error `1 - p[c]`; towards 0 it becomes `cross_entropy_loss`.
    ignore_index
        As for `cross_entropy_loss`.

    Errors: labels as for `cross_entropy_loss`.

    Same as: Keras's `categorical_generalized_cross_entropy`, which takes probabilities.

    Reference: Z. Zhang and M. Sabuncu, Generalized Cross Entropy Loss, 2018.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.generalized_cross_entropy_loss([[0.0, 0.0]], [0], q=1.0)
    np.float64(0.5)
    >>> tw.generalized_cross_entropy_loss([[0.0, 0.0]], [0], q=1e-6).round(9)
    np.float64(0.69314694)
    """
    if not 0 < q <= 1:
        message = f"generalized_cross_entropy_loss: q must be in (0, 1], got {q!r}"
        raise ArgumentError(message)
    xp = array_namespace(logits)

    def cost(log_probability: Any, _complement: Any) -> Any:
        return -xp.expm1(q * log_probability) / q

    return expectation(logits, targets, cost, ignore_index=ignore_index)


@rowwise(roles={"targets": "target"})
def symmetric_cross_entropy_loss(
    logits: Any,
    targets: Any,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    ignore_index: int | None = -100,
) -> Any:
    """Symmetric cross-entropy: the cross-entropy of either side under the other, for noisy labels.

    Formula: with `p = softmax(logits)` and the target distribution `q` (one-hot for a label),
    `-alpha sum(q log(p)) - beta sum(p log(q))`, where `log(q)` is at least `log_zero`: for a label
    `c` the second sum is `log_zero (1 - p[c])`.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis (integer labels), or the same shape (probabilities).

    Domain: all logits; masked and certain classes as for `cross_entropy_loss`.

    Gradient: for a label, `(alpha - beta log_zero p[c]) (p - one_hot(c))`. Hessian: from the
    formula.

    Numerics: nothing but the targets' logarithm is limited; `1 - p[c]` is the sum of the other
    probabilities.

    Parameters
    ----------
    alpha, beta
        The factors of the two cross-entropies; finite and not negative, else `ArgumentError`.
    log_zero
        What stands for `log(0)`, the paper's A; negative and finite, else `ArgumentError`. Larger
        logarithms of targets are kept, smaller ones raised to it.
    ignore_index
        As for `cross_entropy_loss`.

    Errors: labels as for `cross_entropy_loss`.

    Same as: the paper's SCE; its published code has `log_zero=log(1e-4)`.

    Reference: Y. Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, 2019.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.symmetric_cross_entropy_loss([[0.0, 0.0]], [0]).round(6)
    np.float64(2.069315)
    >>> tw.symmetric_cross_entropy_loss([[0.0, 0.0]], [[1.0, 0.0]]).round(6)
    np.float64(2.069315)
    """
    check_sides(alpha, beta, log_zero)
    xp = array_namespace(logits)

    def cost(log_probability: Any, complement: Any) -> Any:
        return beta * (-log_zero * complement) - xp.multiply_no_nan(log_probability, alpha)

    def forward_cost(log_probability: Any, _complement: Any) -> Any:
        return -xp.multiply_no_nan(log_probability, alpha)

    if xp.isdtype(targets.dtype, "integral"):
        return expectation(logits, targets, cost, ignore_index=ignore_index)
    log_targets = xp.maximum(xp.log(targets), log_zero)
    reverse = -xp.sum(xp.softmax(logits, axis=-1) * log_targets, axis=-1, keepdims=True)
    return expectation(logits, targets, forward_cost) + beta * reverse


def check_sides(alpha: float, beta: float, log_zero: float) -> None:
    """Refuse factors and a logarithm that are none."""
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 <= value < math.inf:
            message = (
                f"symmetric_cross_entropy_loss: {name} must be finite and not negative, "
                f"got {value!r}"
            )
            raise ArgumentError(message)
    if not -math.inf < log_zero < 0:
        message = (
            f"symmetric_cross_entropy_loss: log_zero must be negative and finite, got {log_zero!r}"
        )
        raise ArgumentError(message)


@rowwise(arrays=("prior",), roles={"targets": "label", "prior": "class"})
def logit_adjusted_cross_entropy_loss(
    logits: Any,
    targets: Any,
    *,
    prior: Any = None,
    tau: float = 1.0,
    ignore_index: int | None = -100,
) -> Any:
    """Logit-adjusted cross-entropy: each class handicapped by its frequency, for long tails.

    Formula: `cross_entropy_loss(logits + tau log(prior), targets)`.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis, integer labels; `prior` `(K,)`.

    Domain: all logits; masked and certain classes as for `cross_entropy_loss`. A class of prior 0
    is masked, a negative one gives NaN.

    Gradient: `softmax(logits + tau log(prior)) - one_hot(targets)`. Hessian of a row: `diag(p) - p
    p^T`.

    Numerics: as for `cross_entropy_loss`.

    Parameters
    ----------
    prior
        How frequent each class is, as shares or as counts: a factor common to all changes nothing.
        None for equally frequent classes, which is `cross_entropy_loss`.
    tau
        The strength; finite, else `ArgumentError`. 1 is consistent for the balanced error, 0 is
        `cross_entropy_loss`.
    ignore_index
        As for `cross_entropy_loss`.

    Errors: labels as for `cross_entropy_loss`.

    Same as: the balanced softmax loss, for `tau=1`.

    Reference: A. K. Menon et al., Long-tail Learning via Logit Adjustment, 2021.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> adjusted = tw.logit_adjusted_cross_entropy_loss([[0.0, 0.0]], [1], prior=[3.0, 1.0])
    >>> adjusted.round(6) # -log(1 / 4)
    np.float64(1.386294)
    """
    if not math.isfinite(tau):
        message = f"logit_adjusted_cross_entropy_loss: tau must be finite, got {tau!r}"
        raise ArgumentError(message)
    xp = array_namespace(logits)
    handicap = 0.0 if prior is None else xp.multiply_no_nan(xp.log(prior), tau)
    log_probabilities = xp.log_softmax(logits + handicap, axis=-1)
    labels, kept = kept_labels(xp, targets, ignore_index)
    loss, count = cost_at_label(xp, log_probabilities, labels, None)
    return where_kept(xp, kept, loss, count)
