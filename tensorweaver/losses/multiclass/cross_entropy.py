"""Cross-entropy over classes, from logits and from log-probabilities."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import rowwise

__all__ = ["cross_entropy_loss", "nll_loss"]


@rowwise(arrays=("weight",), roles={"targets": "target", "weight": "class"})
def cross_entropy_loss(
    logits: Any,
    targets: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
) -> Any:
    """Cross-entropy of logits over classes: softmax and its negative log-likelihood in one.

    Formula: for a label `c`, `-weight[c] log_softmax(logits)[c]`; for probabilities `q`,
    `-sum(weight q log_softmax(logits))`. Smoothing by `s` replaces the target distribution `q` by
    `(1 - s) q + s / K` over the K classes.

    Shapes: `logits` `(..., K)` with the classes on `axis`; `targets` the same without the class
    axis (integer labels), or the same shape (probabilities); `weight` `(K,)`.

    Domain: all logits. A class with logit -inf is masked: it has probability 0, costs nothing
    unless the target asks for it, and gets no share of the smoothing. A logit of +inf is certain;
    several share evenly. A row of -inf alone is NaN.

    Gradient: `softmax(logits) - one_hot(targets)` (times the weight), whose entry at the label is
    computed as minus the sum of the other probabilities. Hessian of a row: `diag(p) - p p^T`.

    Numerics: a confident row keeps its relative accuracy, a loss of 1e-12 is 1e-12: the largest
    exponential is left out of the sum and the rest goes through `log1p`.

    Parameters
    ----------
    weight
        One factor a class. With labels, the mean divides by the total weight of the true classes;
        with probabilities, by the number of rows, as PyTorch does.
    ignore_index
        Rows with this label contribute nothing, to the divisor of the mean either; None ignores no
        label.
    label_smoothing
        In [0, 1], else `ArgumentError`.
    temperature
        Divides the logits; positive. Above 1 it makes the probabilities more even.
    softcap
        Replaces each logit by `softcap tanh(logit / softcap)` before anything else; positive, None
        for no cap. A class with logit -inf stays masked.
    z_loss
        Adds `z_loss logsumexp(logits)**2`, of the logits that the loss is computed from, which
        keeps them from drifting; not negative. Class weights do not multiply it.

    Errors: a label that is neither a class nor `ignore_index` raises `LabelError`; where looking at
    labels would stall (a GPU, a lazy or traced array), its row is NaN instead.

    Same as: PyTorch's `cross_entropy` with the class axis last; optax's `softmax_cross_entropy` and
    `softmax_cross_entropy_with_integer_labels`, averaged. Liger's `lse_square_scale` is `z_loss`;
    the Megatron form of its vocabulary-parallel smoothing by `a` is one by `a K / (K - 1)` here.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.cross_entropy_loss([[2.0, 1.0, 0.1]], [0]).round(6)
    np.float64(0.41703)
    >>> tw.cross_entropy_loss.grad([[2.0, 1.0, 0.1]], [0]).round(3)
    array([[-0.341,  0.242,  0.099]])
    """
    check_options("cross_entropy_loss", label_smoothing, temperature, softcap, z_loss)
    xp = array_namespace(logits)
    logits = adjusted(xp, logits, temperature, softcap)
    log_probabilities = xp.log_softmax(logits, axis=-1)
    if not xp.isdtype(targets.dtype, "integral"):
        target_probabilities = smoothed(xp, logits, targets, label_smoothing)
        expected = expected_cost(xp, log_probabilities, target_probabilities, weight)
        return with_z_loss(xp, expected, logits, z_loss)
    labels, kept = kept_labels(xp, targets, ignore_index)
    loss, count = cost_at_label(xp, log_probabilities, labels, weight)
    if label_smoothing > 0:
        spread_loss = expected_cost(xp, log_probabilities, uniform(xp, logits), weight)
        loss = (1 - label_smoothing) * loss + label_smoothing * spread_loss
    return where_kept(xp, kept, with_z_loss(xp, loss, logits, z_loss), count)


def check_options(
    loss: str, label_smoothing: float, temperature: float, softcap: float | None, z_loss: float
) -> None:
    """Refuse what is out of range."""
    check_smoothing(loss, label_smoothing)
    if not 0 < temperature < math.inf:
        message = f"{loss}: temperature must be positive and finite, got {temperature!r}"
        raise ArgumentError(message)
    if softcap is not None and not (isinstance(softcap, Real) and 0 < softcap < math.inf):
        message = f"{loss}: softcap must be None or a positive finite number, got {softcap!r}"
        raise ArgumentError(message)
    if not 0 <= z_loss < math.inf:
        message = f"{loss}: z_loss must be finite and not negative, got {z_loss!r}"
        raise ArgumentError(message)


def check_smoothing(loss: str, label_smoothing: float) -> None:
    """Refuse a share that is none."""
    if not 0 <= label_smoothing <= 1:
        message = f"{loss}: label_smoothing must be in [0, 1], got {label_smoothing!r}"
        raise ArgumentError(message)


def adjusted(xp: Any, logits: Any, temperature: float, softcap: float | None) -> Any:
    """The logits capped, then divided by the temperature; masked classes stay masked."""
    if softcap is not None:
        capped = softcap * xp.tanh(logits / softcap)
        logits = xp.where(logits == -math.inf, logits, capped)
    return logits if temperature == 1 else logits / temperature


def with_z_loss(xp: Any, loss: Any, logits: Any, z_loss: float) -> Any:
    if z_loss == 0:
        return loss
    return loss + z_loss * xp.logsumexp(logits, axis=-1, keepdims=True) ** 2


def uniform(xp: Any, logits: Any) -> Any:
    """The same probability for every class that is not masked."""
    open_class = xp.where(logits == -math.inf, 0.0, 1.0)
    return open_class / xp.sum(open_class, axis=-1, keepdims=True)


def smoothed(xp: Any, logits: Any, probabilities: Any, label_smoothing: float) -> Any:
    if label_smoothing == 0:
        return probabilities
    return (1 - label_smoothing) * probabilities + label_smoothing * uniform(xp, logits)


def expected_cost(xp: Any, log_probabilities: Any, probabilities: Any, weight: Any) -> Any:
    """`-sum(weight p log_probabilities)`; what has probability 0 costs nothing, even if it is
    impossible.
    """
    factor = probabilities if weight is None else weight * probabilities
    return xp.sum(xp.multiply_no_nan(-log_probabilities, factor), axis=-1, keepdims=True)


@rowwise(arrays=("weight",), roles={"targets": "label", "weight": "class"})
def nll_loss(
    log_probabilities: Any, targets: Any, *, weight: Any = None, ignore_index: int | None = -100
) -> Any:
    """Negative log-likelihood of labels under log-probabilities.

    Formula: `-weight[c] log_probabilities[c]` for the label `c`.

    Shapes: `log_probabilities` `(..., K)` with the classes on `axis`; `targets` the same without
    the class axis, integer labels; `weight` `(K,)`.

    Domain: any numbers; they are not checked to be log-probabilities. A class of weight 0 costs
    nothing, even at -inf.

    Gradient: `-weight[c]` at the label, 0 elsewhere. Hessian: 0.

    Parameters
    ----------
    weight, ignore_index
        As for `cross_entropy_loss`; the mean divides by the total weight of the true classes.

    Same as: PyTorch's `nll_loss` with the class axis last; `nll_loss(log_softmax(x), c) =
    cross_entropy_loss(x, c)`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.nll_loss([[-0.5, -1.0], [-0.25, -1.5]], [0, 1])
    np.float64(1.0)
    """
    xp = array_namespace(log_probabilities)
    labels, kept = kept_labels(xp, targets, ignore_index)
    loss, count = cost_at_label(xp, log_probabilities, labels, weight)
    return where_kept(xp, kept, loss, count)


def kept_labels(xp: Any, targets: Any, ignore_index: int | None) -> tuple[Any, Any]:
    """Labels that can all be looked up, and which of them count; None for all."""
    if ignore_index is None:
        return targets, None
    kept = targets != ignore_index
    return xp.where(kept, targets, 0), kept


def cost_at_label(xp: Any, log_probabilities: Any, labels: Any, weight: Any) -> tuple[Any, Any]:
    """What the label costs, and how much it counts."""
    loss = -xp.take_along_axis(log_probabilities, labels, axis=-1)
    if weight is None:
        return loss, 1.0
    count = xp.take_along_axis(weight, labels, axis=-1)
    return xp.multiply_no_nan(loss, count), count


def where_kept(xp: Any, kept: Any, loss: Any, count: Any) -> tuple[Any, Any]:
    """Ignored rows cost nothing and count for nothing, whatever they hold."""
    if kept is None:
        return loss, count
    return xp.where(kept, loss, 0.0), xp.where(kept, count, 0.0)


def softmax_cross_entropy_backward(probs: Any, targets: Any, *, backend: str | None = None) -> Any:
    """The gradient of softmax cross-entropy by the logits, from the probabilities: `(probs -
    one_hot(targets)) / rows`.

    The form in which the gradient is taught. `cross_entropy_loss.grad(logits, targets)` gives the
    same from the logits, without the cancellation of `p - 1` where the model is confident.

    Shapes: `probs` `(..., K)`; `targets` the same without the last axis (integer labels), or the
    same shape (one-hot or other probabilities). The result has the shape of `probs`, which is not
    modified.

    Errors: `LabelError` for a label outside the classes (NaN in its row where labels cannot be
    looked at), `ShapeError` for shapes that do not fit.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> probs = tw.softmax([[2.0, 1.0, 0.1]])
    >>> tw.softmax_cross_entropy_backward(probs, [0]).round(3)
    array([[-0.341,  0.242,  0.099]])
    """
    return taught_gradient.grad(probs, targets, backend=backend)


def potential(probs: Any, targets: Any) -> Any:
    """The function of the probabilities that has `probs - one_hot(targets)` as its gradient."""
    xp = array_namespace(probs)
    half_square = 0.5 * xp.sum(probs**2, axis=-1, keepdims=True)
    if xp.isdtype(targets.dtype, "integral"):
        return half_square - xp.take_along_axis(probs, targets, axis=-1)
    return half_square - xp.sum(probs * targets, axis=-1, keepdims=True)


potential.__name__ = "softmax_cross_entropy_backward"  # what errors are to call it
taught_gradient = rowwise(roles={"targets": "target"})(potential)
