"""Losses whose probabilities may be exactly 0: sparsemax and 1.5-entmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ShapeError
from tensorweaver.loss import composed
from tensorweaver.loss.arguments import check_labels
from tensorweaver.losses.closed import closed

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    if not isinstance(targets, tuple):
        check_labels(loss, "targets", targets, shape[-1], None)


def distribution(xp: Any, logits: Any, targets: Any) -> Any:
    """Labels as probabilities; probabilities as they are."""
    if len(targets.shape) == len(logits.shape):
        return targets
    classes = xp.arange(logits.shape[-1], device=logits.device)
    hot = xp.astype(targets[..., None] == classes, logits.dtype)
    valid = xp.logical_and(targets >= 0, targets < logits.shape[-1])
    return xp.where(valid[..., None], hot, xp.nan)


def from_largest(xp: Any, logits: Any) -> Any:
    """The logits less their row's largest, which changes no probability; one of inf is far above
    all others.
    """
    largest = xp.max(logits, axis=-1, keepdims=True).detach()
    is_largest = logits.detach() == largest
    alone = xp.sum(xp.astype(is_largest, logits.dtype), axis=-1, keepdims=True) == 1
    infinite = xp.logical_and(alone, largest == math.inf)
    return xp.where(xp.logical_and(is_largest, infinite), 0.0, logits - largest)


class Projection(NamedTuple):
    """Where logits are projected to: `p = max(scale logits - t, 0)**power`, which adds up to 1."""

    scale: float
    power: int


SPARSEMAX = Projection(1.0, 1)
ENTMAX15 = Projection(0.5, 2)
HALF = 0.5
FAR = -2.0
"""No logit takes part that is one, in units of the projection, below the largest."""


def inside_of(xp: Any, x: Any, power: int) -> Any:
    """Which classes have a probability: those for which `sum(max(x - x[k], 0)**power) < 1`.

    The sum for each place of the ranking grows from the one before by terms of which none is
    negative, so that classes of equal logits are in it together.
    """
    ranked = xp.sort(xp.maximum(x.detach(), FAR), axis=-1, descending=True)
    gaps = ranked[..., :-1] - ranked[..., 1:]
    before = xp.astype(xp.arange(1, x.shape[-1], device=x.device), x.dtype)
    distance = xp.cumulative_sum(before * gaps, axis=-1, include_initial=True)
    if power == ENTMAX15.power:
        grown = gaps * (2.0 * distance[..., :-1] + before * gaps)
        distance = xp.cumulative_sum(grown, axis=-1, include_initial=True)
    least = xp.min(xp.where(distance < 1.0, ranked, 0.0), axis=-1, keepdims=True)
    return x.detach() >= least


def threshold_of(xp: Any, x: Any, power: int) -> Any:
    """The number `t` for which `sum(max(x - t, 0)**power)` is 1, as a function of those above."""
    inside = inside_of(xp, x, power)
    count = xp.sum(xp.astype(inside, x.dtype), axis=-1, keepdims=True)
    total = xp.sum(xp.where(inside, x, 0.0), axis=-1, keepdims=True)
    if power == SPARSEMAX.power:
        return (total - 1.0) / count
    middle = total / count
    off = xp.where(inside, x - middle, 0.0)
    rest = (1.0 - xp.sum(off**2, axis=-1, keepdims=True)) / count
    return middle - xp.sqrt(xp.maximum(rest, 0.0))


def terms(power: int, above: Any, root: Any, missed: Any) -> Any:
    """What each class costs: `missed` is `root - above`."""
    if power == SPARSEMAX.power:
        return 0.5 * missed**2
    return 2.0 / 3.0 * missed**2 * (above + 2.0 * root)


def below_threshold(xp: Any, from_threshold: Any, q: Any, scale: float) -> Any:
    """What the target costs where it is given no probability."""
    return xp.multiply_no_nan(xp.maximum(-from_threshold, 0.0), q / scale)


def fenchel_young(logits: Any, targets: Any, projection: Projection) -> Any:
    """What the target costs beyond the prediction, from how far logits are above the threshold."""
    xp = array_namespace(logits)
    scale, power = projection
    q = distribution(xp, logits, targets)
    x = scale * from_largest(xp, logits)
    from_threshold = x - threshold_of(xp, x, power)
    above = xp.maximum(from_threshold, 0.0)
    root = q if power == SPARSEMAX.power else xp.sqrt(q)
    costs = terms(power, above, root, root - above)
    return xp.sum(costs + below_threshold(xp, from_threshold, q, scale), axis=-1)


def with_known_slopes(logits: Any, targets: Any, projection: Projection) -> Any:
    """The same, with the slopes `p - q` by the logits.

    What a likely label's class lacks is summed from the other classes, so that little is exact.
    """
    xp = array_namespace(logits)
    scale, power = projection
    q = distribution(xp, logits, targets.off_tape())
    x = scale * from_largest(xp, logits.off_tape())
    from_threshold = x - threshold_of(xp, x, power)
    above = xp.maximum(from_threshold, 0.0)
    p, root = (above, q) if power == SPARSEMAX.power else (above**2, xp.sqrt(q))
    slope, missed = p - q, root - above
    is_label = len(targets.shape) < len(logits.shape)
    if is_label:
        others = xp.sum(xp.where(q == 1, 0.0, p), axis=-1, keepdims=True)
        near = xp.logical_and(q == 1, p > HALF)
        slope = xp.where(near, -others, slope)
        lacks = others if power == SPARSEMAX.power else others / (1.0 + above)
        missed = xp.where(near, lacks, missed)
    costs = terms(power, above, root, missed)
    value = xp.sum(costs + below_threshold(xp, from_threshold, q, scale), axis=-1)
    slopes = [(logits, slope)]
    if not is_label:
        slopes.append((targets, (root - from_threshold) / scale))
    return closed(value, slopes)


def check_sparsemax(given: Mapping[str, Any]) -> None:
    check_classes_last("sparsemax_loss", given)


def sparsemax_known(logits: Any, targets: Any) -> Any:
    return with_known_slopes(logits, targets, SPARSEMAX)


@composed(roles={"targets": "target"}, check=check_sparsemax, first_order=sparsemax_known)
def sparsemax_loss(logits: Any, targets: Any) -> Any:
    """Sparsemax loss: the softmax's place is taken by a projection that gives unlikely classes 0.

    Formula: with `p = sparsemax(logits)`, the point of the probability simplex nearest to the
    logits, and the target distribution `q` (one-hot for a label), `dot(p - q, logits) - (dot(p, p)
    - dot(q, q)) / 2`.

    Shapes: `logits` `(..., K)`, the classes last; `targets` the same without the last axis (integer
    labels) or the same shape (probabilities that add up to one); a loss a row.

    Domain: finite logits, -inf for a masked class, one inf in a row. Never negative; 0 where `p` is
    `q`, which is reached: by a label's logit 1 above all others.

    Gradient: `p - q`. Hessian of a row: that of a projection, `diag(s) - s s^T / sum(s)` with `s`
    one where `p > 0`.

    Numerics: computed as `sum((p - q)**2 / 2 + q max(t - logits, 0))` with the threshold `t`, of
    which no term is negative. What a label's class lacks is the sum of the other classes, so that a
    loss of 1e-12 is 1e-12.

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
    return fenchel_young(logits, targets, SPARSEMAX)


def check_entmax15(given: Mapping[str, Any]) -> None:
    check_classes_last("entmax15_loss", given)


def entmax15_known(logits: Any, targets: Any) -> Any:
    return with_known_slopes(logits, targets, ENTMAX15)


@composed(roles={"targets": "target"}, check=check_entmax15, first_order=entmax15_known)
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
    return fenchel_young(logits, targets, ENTMAX15)
