"""Losses whose probabilities may be exactly 0: sparsemax and 1.5-entmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import LabelError, ShapeError
from tensorweaver.loss import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["check_classes_last", "entmax15_loss", "sparsemax_loss"]


def check_classes_last(loss: str, given: Mapping[str, Any], name: str = "logits") -> None:
    """Refuse targets that are neither labels of the rows nor one number for each class."""
    shape, targets = given[name], given["targets"]
    if not shape or not shape[-1]:
        message = f"{loss}: {name} of shape {shape} must end in an axis of classes"
        raise ShapeError(message)
    found = targets if isinstance(targets, tuple) else targets.shape
    if tuple(found) not in {tuple(shape), tuple(shape[:-1])}:
        message = (
            f"{loss}: targets of shape {tuple(found)} fit neither as labels of shape "
            f"{tuple(shape[:-1])} nor as probabilities of shape {tuple(shape)}"
        )
        raise ShapeError(message)
    if isinstance(targets, tuple) or not targets.size:
        return
    bad = (targets < 0) | (targets >= shape[-1])
    if bad.any():
        label = targets[bad].flat[0]
        message = f"{loss}: targets hold {label}, but the classes are 0 to {shape[-1] - 1}"
        raise LabelError(message)


def distribution(xp: Any, logits: Any, targets: Any) -> Any:
    """Labels as probabilities; probabilities as they are."""
    if len(targets.shape) == len(logits.shape):
        return targets
    classes = xp.arange(logits.shape[-1], device=logits.device)
    hot = xp.astype(targets[..., None] == classes, logits.dtype)
    valid = xp.logical_and(targets >= 0, targets < logits.shape[-1])
    return xp.where(valid[..., None], hot, xp.nan)


def from_largest(xp: Any, logits: Any) -> Any:
    """The logits less their row's largest, which changes no probability."""
    return logits - xp.max(logits, axis=-1, keepdims=True).detach()


def sorted_sums(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    """A row from the largest number down, how many there are so far, and their sums so far."""
    ranked = xp.sort(x, axis=-1, descending=True)
    count = xp.astype(xp.arange(1, x.shape[-1] + 1, device=x.device), x.dtype)
    finite = xp.where(ranked < -LARGE, -LARGE, ranked)
    return finite, count, xp.cumulative_sum(finite, axis=-1)


def last_of(xp: Any, ranked: Any, chosen: Any) -> tuple[Any, Any]:
    """The least of the chosen numbers, and how many there are."""
    limit = xp.min(xp.where(chosen, ranked, 0.0), axis=-1, keepdims=True)
    return limit, xp.sum(xp.astype(chosen, ranked.dtype), axis=-1, keepdims=True)


LARGE = 1e4
"""Farther below the largest no logit takes part, whatever it is."""


def sparsemax_threshold(xp: Any, x: Any) -> Any:
    """The number `t` for which `sum(max(x - t, 0))` is 1, as a function of those above it."""
    ranked, count, sums = sorted_sums(xp, x.detach())
    limit, support = last_of(xp, ranked, 1.0 + count * ranked > sums)
    inside = x >= limit
    return (xp.sum(xp.where(inside, x, 0.0), axis=-1, keepdims=True) - 1.0) / support


def entmax15_threshold(xp: Any, x: Any) -> Any:
    """The number `t` for which `sum(max(x - t, 0)**2)` is 1, as a function of those above it."""
    ranked, count, sums = sorted_sums(xp, x.detach())
    mean = sums / count
    spread = xp.cumulative_sum(ranked**2, axis=-1) - count * mean**2
    threshold = mean - xp.sqrt(xp.maximum((1.0 - spread) / count, 0.0))
    limit, support = last_of(xp, ranked, threshold <= ranked)
    inside = x >= limit
    middle = xp.sum(xp.where(inside, x, 0.0), axis=-1, keepdims=True) / support
    off = xp.where(inside, x - middle, 0.0)
    rest = (1.0 - xp.sum(off**2, axis=-1, keepdims=True)) / support
    return middle - xp.sqrt(xp.where(rest > 0, rest, 0.0))


def check_sparsemax(given: Mapping[str, Any]) -> None:
    check_classes_last("sparsemax_loss", given)


@composed(roles={"targets": "target"}, check=check_sparsemax)
def sparsemax_loss(logits: Any, targets: Any) -> Any:
    """Sparsemax loss: the softmax's place is taken by a projection that gives unlikely classes 0.

    Formula: with `p = sparsemax(logits)`, the point of the probability simplex nearest to the
    logits, and the target distribution `q` (one-hot for a label), `dot(p - q, logits) - (dot(p, p)
    - dot(q, q)) / 2`.

    Shapes: `logits` `(..., K)`, the classes last; `targets` the same without the last axis (integer
    labels) or the same shape (probabilities that add up to one); a loss a row.

    Domain: finite logits and -inf, a masked class. Never negative; 0 where `p` is `q`, which is
    reached: by a label's logit 1 above all others.

    Gradient: `p - q`. Hessian of a row: that of a projection, `diag(s) - s s^T / sum(s)` with `s`
    one where `p > 0`.

    Numerics: computed as `sum((p - q)**2 / 2 + q max(t - logits, 0))` with the threshold `t`, of
    which no term is negative.

    Errors: `LabelError` for a label outside the classes (NaN where labels cannot be looked at).

    Same as: optax's `multiclass_sparsemax_loss`; for two classes `binary_sparsemax_loss`.

    Reference: A. Martins, R. Astudillo, From Softmax to Sparsemax, 2016.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.sparsemax_loss([[1.0, 0.5, -3.0]], [1]).round(6)
    np.float64(0.5625)
    >>> tw.sparsemax_loss.grad([[1.0, 0.5, -3.0]], [1])
    array([[ 0.75, -0.75,  0.  ]])
    """
    return fenchel_young(logits, targets, 1.0, sparsemax_threshold, sparsemax_terms)


def check_entmax15(given: Mapping[str, Any]) -> None:
    check_classes_last("entmax15_loss", given)


@composed(roles={"targets": "target"}, check=check_entmax15)
def entmax15_loss(logits: Any, targets: Any) -> Any:
    """Entmax loss with alpha 1.5: between softmax and sparsemax, with probabilities that reach 0.

    Formula: with `p = max(logits / 2 - t, 0)**2`, `t` such that `p` adds up to one, and the target
    distribution `q`, `dot(p - q, logits) + H(p) - H(q)`, `H(p) = 4 / 3 sum(p - p**1.5)`.

    Shapes, Domain, Errors: as for `sparsemax_loss`; 0 is reached by a label's logit 2 above all
    others.

    Gradient: `p - q`. Hessian of a row: `diag(s) - s s^T / sum(s)` with `s = sqrt(p)`.

    Numerics: computed as `sum(2 / 3 (a - b)**2 (a + 2 b) + q max(2 t - logits, 0))` with `a =
    sqrt(p)` and `b = sqrt(q)`, of which no term is negative.

    Same as: the `entmax` package's `Entmax15Loss`.

    Reference: B. Peters, V. Niculae, A. Martins, Sparse Sequence-to-Sequence Models, 2019.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.entmax15_loss([[2.0, 0.0, -3.0]], [0])
    np.float64(0.0)
    >>> tw.entmax15_loss.grad([[0.0, 0.0, -3.0]], [0])
    array([[-0.5,  0.5,  0. ]])
    """
    return fenchel_young(logits, targets, 0.5, entmax15_threshold, entmax15_terms)


def sparsemax_terms(_xp: Any, above: Any, q: Any) -> Any:
    return 0.5 * (above - q) ** 2


def entmax15_terms(xp: Any, above: Any, q: Any) -> Any:
    root = xp.sqrt(q)
    return 2.0 / 3.0 * (above - root) ** 2 * (above + 2.0 * root)


def fenchel_young(
    logits: Any,
    targets: Any,
    scale: float,
    threshold_of: Callable[[Any, Any], Any],
    terms_of: Callable[[Any, Any, Any], Any],
) -> Any:
    """What the target costs beyond the prediction, from how far logits are above the threshold."""
    xp = array_namespace(logits)
    q = distribution(xp, logits, targets)
    x = scale * from_largest(xp, logits)
    from_threshold = x - threshold_of(xp, x)
    above = xp.maximum(from_threshold, 0.0)
    below = xp.multiply_no_nan(xp.maximum(-from_threshold, 0.0), q / scale)
    return xp.sum(terms_of(xp, above, q) + below, axis=-1)
