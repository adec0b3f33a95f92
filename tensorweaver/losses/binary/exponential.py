"""Losses that grow with the exponential of the wrong score, or with its logarithm."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise, rowwise
from tensorweaver.losses.signs import signs

__all__ = ["exponential_loss", "multilabel_soft_margin_loss", "soft_margin_loss"]


@pointwise(domains={"targets": "probability"})
def exponential_loss(predictions: Any, targets: Any) -> Any:
    """Exponential loss: the loss of AdaBoost, which outliers rule.

    Formula: `targets exp(-predictions) + (1 - targets) exp(predictions)`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all scores, infinite ones included: the loss is then its limit, 0 or infinity. Targets
    in [0, 1], as in scikit-learn, not signs; booleans and integers are welcome.

    Gradient: `(1 - targets) exp(predictions) - targets exp(-predictions)`. Hessian: the loss.

    Numerics: a term with factor 0 is 0 even where its exponential overflows, and one with a small
    factor is infinite only where the product is.

    Same as: scikit-learn's `ExponentialLoss`, which is NaN where an exponential overflows.

    Reference: Y. Freund, R. E. Schapire, A Decision-Theoretic Generalization of On-Line Learning
    and an Application to Boosting, 1997.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.exponential_loss([0.0, 2.0, 750.0], [1, 1, 1], reduction="none").round(4)
    array([1.    , 0.1353, 0.    ])
    """
    xp = array_namespace(predictions)
    loss_if_positive = xp.times_exp(targets, -predictions)
    loss_if_negative = xp.times_exp(1 - targets, predictions)
    return loss_if_positive + loss_if_negative


@pointwise(domains={"targets": "sign"})
def soft_margin_loss(predictions: Any, targets: Any) -> Any:
    """Soft margin loss: the logistic loss of a score and a sign, a smooth hinge.

    Formula: `log(1 + exp(-targets predictions))`.

    Shapes: `predictions` of any shape; `targets` the same, or broadcasting to it.

    Domain: all scores, infinite ones included: the loss is then its limit, 0 or infinity. Targets
    -1 or +1; any other target, 0 included, is refused: see `hinge_loss`.

    Gradient: `-targets sigmoid(-targets predictions)`. Hessian: `sigmoid(predictions)
    sigmoid(-predictions)`.

    Numerics: never overflows, and a loss of 1e-12 is 1e-12.

    Same as: PyTorch's `soft_margin_loss`, which overflows; `binary_cross_entropy_with_logits_loss`
    with targets of 0 and 1.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.soft_margin_loss([0.0, -1e4], [1, 1], reduction="none")
    array([6.93147181e-01, 1.00000000e+04])
    >>> tw.soft_margin_loss.grad([0.0, -1e4], [1, 1], reduction="sum")
    array([-0.5, -1. ])
    """
    xp = array_namespace(predictions)
    return xp.softplus(-(signs(xp, targets) * predictions))


@rowwise(arrays=("weight",), roles={"weight": "class"}, domains={"targets": "probability"})
def multilabel_soft_margin_loss(logits: Any, targets: Any, *, weight: Any = None) -> Any:
    """Multi-label soft margin loss: the mean over the classes of binary cross-entropies of logits,
    for rows that may belong to several classes.

    Formula: `mean(weight (targets softplus(-logits) + (1 - targets) softplus(logits)))` over the
    classes.

    Shapes: `logits` and `targets` `(..., K)` with the classes on `axis`; `weight` `(K,)`.

    Domain: all logits, infinite ones included: the loss is then its limit. Targets in [0, 1];
    booleans and integers are welcome.

    Gradient: `weight ((1 - targets) sigmoid(logits) - targets sigmoid(-logits)) / K`. Hessian:
    diagonal, `weight sigmoid(logits) sigmoid(-logits) / K`.

    Parameters
    ----------
    weight
        One factor a class; the mean over the classes divides by their number K all the same.

    Same as: PyTorch's `multilabel_soft_margin_loss`; LightGBM's `multiclassova` is K times as much.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.multilabel_soft_margin_loss([[0.0, 2.0]], [[1.0, 0.0]]).round(6)
    np.float64(1.410038)
    """
    xp = array_namespace(logits)
    loss = xp.outcome_cost(logits, 1 - targets, targets)
    if weight is not None:
        loss = xp.multiply_no_nan(loss, weight)
    return xp.mean(loss, axis=-1)
