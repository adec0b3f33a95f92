"""The transducer's loss: labels and steps interleaved, each label with a context of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.sequence import rnnt_lattice as lattice
from tensorweaver.losses.sequence.lengths import (
    Labels,
    check_labels,
    check_lengths,
    padded_labels,
)
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.eager import eager_namespace
from tensorweaver.tensor.tape import gradients, is_grad_enabled

__all__ = ["rnnt_loss"]

AXES = 4
LABELS = ("targets", "logit_lengths", "target_lengths")


def check(given: dict[str, Any], *, blank: Any, clamp: Any, **_options: Any) -> None:
    """Refuse shapes that do not fit, then lengths and labels where they can be looked at."""
    shapes = {name: a if isinstance(a, tuple) else a.shape for name, a in given.items()}
    predictions, targets = shapes["logits"], shapes["targets"]
    if len(predictions) != AXES or not predictions[2]:
        message = f"rnnt_loss: logits must have shape (N, T, U + 1, C), got {predictions}"
        raise ShapeError(message)
    batch, steps, width, classes = predictions
    if not isinstance(blank, int) or not -classes <= blank < classes:
        message = f"rnnt_loss: blank must be a class, {-classes} to {classes - 1}, got {blank!r}"
        raise ArgumentError(message)
    if not isinstance(clamp, int | float) or clamp != clamp:  # noqa: PLR0124 - NaN
        message = f"rnnt_loss: clamp must be a number, not above 0 for none, got {clamp!r}"
        raise ArgumentError(message)
    if targets != (batch, width - 1):
        message = (
            f"rnnt_loss: targets must have shape ({batch}, {width - 1}), one label fewer than "
            f"logits have places, got {targets}"
        )
        raise ShapeError(message)
    name, of = "logit_lengths", "the steps of logits"
    check_lengths("rnnt_loss", name, given[name], batch, steps, of, least=1)
    name = "target_lengths"
    check_lengths("rnnt_loss", name, given[name], batch, width - 1, "the targets")
    labels, lengths = given["targets"], given["target_lengths"]
    if not (isinstance(labels, tuple) or isinstance(lengths, tuple)):
        lengths = np.broadcast_to(np.reshape(lengths, (-1,)), (batch,))
        used = np.arange(width - 1) < lengths[:, None]
        check_labels("rnnt_loss", labels, used, classes, blank % classes)


def emissions(
    logits: Any, arrays: tuple[Any, Any, Any], blank: int, *, fused: bool
) -> tuple[Tensor, Tensor, Labels]:
    """The log-probabilities (N, T, U + 1) of the blank and of each place's label."""
    targets, steps, lengths = arrays
    xp = logits.__array_namespace__()
    batch, longest, width, classes = logits.shape
    known = padded_labels(
        logits, targets, steps, lengths, (batch, longest, classes), blank % classes
    )
    known = known._replace(good=known.good & (known.steps > 0))
    log_probs = xp.log_softmax(logits, axis=-1) if fused else logits
    last = known.xp.zeros_like(known.lengths)[:, None]
    labels = known.xp.concat([known.labels[:, : width - 1], last], axis=1)
    wanted = known.xp.broadcast_to(labels[:, None, :, None], (batch, longest, width, 1))
    of_label = xp.take_along_axis(log_probs, wanted, axis=3)[:, :, :, 0]
    return log_probs[:, :, :, blank % classes], of_label, known


def costs(xp: Any, total: Any, good: Any) -> Any:
    """What each sequence costs, by the logarithm of its probability."""
    return xp.where(good, xp.where(total == -math.inf, math.inf, -total), math.nan)


def by_both_walks(
    logits: Any,
    targets: Any,
    logit_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    clamp: float,
    fused_log_softmax: bool,
) -> Any:
    """The loss from the recursion forwards, and its gradient from that backwards as well."""
    arrays = targets, logit_lengths, target_lengths
    if clamp > 0 and logits.tracked and is_grad_enabled():
        return clamped(logits, arrays, blank, clamp, fused=fused_log_softmax)
    return walked(logits, arrays, blank, fused=fused_log_softmax)


def walked(logits: Any, arrays: tuple[Any, Any, Any], blank: int, *, fused: bool) -> Tensor:
    """The losses, whose way back are the probabilities of each blank and each label."""
    of_blank, of_label, known = emissions(logits, arrays, blank, fused=fused)
    if not of_blank.shape[1]:
        return without_steps(of_blank, known)
    xp, wanted = known.xp, logits.tracked and is_grad_enabled()
    with np.errstate(all="ignore"):
        total, shares = lattice.sums(of_blank.array, of_label.array, known, shares=wanted)
        losses = costs(xp, total, known.good)

    def pullback(cotangent: Any) -> list[Any]:
        weight = xp.where(known.good, -cotangent, math.nan)
        weight = xp.where(cotangent == 0, 0.0, weight)[:, None, None]
        return [xp.where(weight == 0, 0.0, weight * share) for share in shares]

    return Tensor.record(losses, [of_blank, of_label], pullback)


def clamped(
    logits: Any, arrays: tuple[Any, Any, Any], blank: int, clamp: float, *, fused: bool
) -> Tensor:
    """The losses, whose gradients by each logit are limited on the way back."""
    leaf = logits.detach()
    leaf.tracked = True
    losses = walked(leaf, arrays, blank, fused=fused)

    def pullback(cotangent: Any) -> list[Any]:
        xp: Any = eager_namespace(logits.home)
        (found,) = gradients(losses, xp.ones_like(losses.array), [leaf], retain_graph=True)
        limited = xp.minimum(xp.maximum(found, -float(clamp)), float(clamp))
        weight = cotangent[:, None, None, None]
        return [xp.where(weight == 0, 0.0, weight * limited)]

    return Tensor.record(losses.array, [logits], pullback)


def without_steps(of_blank: Tensor, known: Labels) -> Tensor:
    """Nothing can be said in no steps: there are no sequences, or none of them is sound."""
    xp: Any = of_blank.__array_namespace__()
    losses: Tensor = xp.where(xp.asarray(known.good), xp.sum(of_blank, axis=(1, 2)), math.nan)
    return losses


@composed(roles=dict.fromkeys(LABELS, "label"), check=check, first_order=by_both_walks)
def rnnt_loss(
    logits: Any,
    targets: Any,
    logit_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = -1,
    clamp: float = -1.0,
    fused_log_softmax: bool = True,
) -> Any:
    """Transducer loss (RNN-T): labels in their order at unknown steps, each predicted from the
    labels before it as well, as in streaming speech recognition.

    Formula: `-log(sum over alignments of exp(sum of log_softmax(logits) along it))`; an alignment
    goes from step 0 and label 0 to the end, by a blank to the next step or by the next label within
    a step, and says a blank at the very end.

    Shapes: `logits` `(N, T, U + 1, C)`; `targets` `(N, U)`, padded with anything; `logit_lengths`
    and `target_lengths` `(N,)`, or one for all. The losses are `(N,)`, and a mean is theirs.

    Domain: all logits; -inf is a class that is never said. Labels that are impossible cost
    infinity. What comes after the lengths plays no part, even where it is NaN.

    Gradient: that of log_softmax weighed by how probable it is to say the blank, and the label, at
    each place, given the labels; where those cancel in theory nothing is subtracted. 0 where the
    loss is infinite. Hessian: couples a sequence's places; products with a vector by `hvp`.

    Numerics: diagonal by diagonal, in logarithms relative to each diagonal's most probable place.

    Parameters
    ----------
    blank
        The class that says nothing; negative ones count from the end.
    clamp
        Above 0, a limit for each number of a loss's gradient by the logits; value and second
        derivatives do not know it, nor do `torch.autograd` and `jax.grad`, which find their own way
        back from the value.
    fused_log_softmax
        False takes the logits as log-probabilities, and differentiates by these.

    Errors: `LabelError` for a label that is no class or is the blank, `ArgumentError` for a length
    beyond the array; where looking would stall (a GPU, a lazy or traced array), its loss is NaN.

    Same as: torchaudio's `rnnt_loss`.

    Reference: A. Graves, Sequence Transduction with Recurrent Neural Networks, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorweaver as tw
    >>> logits = np.log([[[[0.5, 0.5], [0.25, 0.75]]]])  # one step, one label
    >>> print(tw.rnnt_loss(logits, [[0]], [1], [1]).round(6))  # -log(0.5 * 0.75)
    0.980829
    """
    del clamp
    arrays = targets, logit_lengths, target_lengths
    of_blank, of_label, known = emissions(logits, arrays, blank, fused=fused_log_softmax)
    if not of_blank.shape[1]:
        return without_steps(of_blank, known)
    total = lattice.total_on_tape(of_blank, of_label, known)
    xp = logits.__array_namespace__()
    return costs(xp, total, xp.asarray(known.good))
