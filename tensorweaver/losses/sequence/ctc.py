"""Connectionist temporal classification: labels in order, without knowing when."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.sequence import ctc_lattice as lattice
from tensorweaver.losses.sequence.lengths import (
    Labels,
    check_labels,
    check_lengths,
    padded_labels,
    to_classes,
)
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import is_grad_enabled, no_grad

__all__ = ["check", "ctc_loss", "prepared"]

BATCHED = 3
LABELS = ("targets", "input_lengths", "target_lengths")


def check(given: dict[str, Any], *, blank: Any, loss: str = "ctc_loss", **_options: Any) -> None:
    """Refuse shapes that do not fit, then lengths and labels where they can be looked at."""
    shapes = {name: a if isinstance(a, tuple) else a.shape for name, a in given.items()}
    predictions, targets = shapes["log_probs"], shapes["targets"]
    if len(predictions) not in {BATCHED - 1, BATCHED}:
        message = f"{loss}: log_probs must have shape (T, N, C) or (T, C), got {predictions}"
        raise ShapeError(message)
    steps, classes = predictions[0], predictions[-1]
    batched = len(predictions) == BATCHED
    batch = predictions[1] if batched else 1
    if not isinstance(blank, int) or not 0 <= blank < classes:
        message = f"{loss}: blank must be a class, 0 to {classes - 1}, got {blank!r}"
        raise ArgumentError(message)
    if len(targets) != 1 and not (batched and len(targets) == BATCHED - 1 and targets[0] == batch):
        wanted = f"({batch}, S), or (sum of target_lengths,)" if batched else "(S,)"
        message = f"{loss}: targets must have shape {wanted}, got {targets}"
        raise ShapeError(message)
    concatenated = batched and len(targets) == 1
    check_lengths(
        loss, "input_lengths", given["input_lengths"], batch, steps, "the steps of log_probs"
    )
    check_lengths(
        loss, "target_lengths", given["target_lengths"], batch, targets[-1], "the targets"
    )
    labels, lengths = given["targets"], given["target_lengths"]
    if isinstance(labels, tuple) or isinstance(lengths, tuple):
        return
    lengths = np.broadcast_to(np.reshape(lengths, (-1,)), (batch,))
    if concatenated and (total := int(lengths.sum(dtype=np.int64))) != targets[0]:
        message = f"{loss}: there are {targets[0]} targets, but target_lengths add up to {total}"
        raise ShapeError(message)
    places = np.arange(targets[-1])
    used = (places < lengths[:, None]).reshape(targets) if not concatenated else places >= 0
    check_labels(loss, labels, used, classes, blank)


def prepared(
    log_probs: Tensor, targets: Tensor, steps: Tensor, lengths: Tensor, blank: int
) -> tuple[Tensor, Labels]:
    """The predictions as (T, N, C) with at least one step, and the labels as padded rows."""
    xp = log_probs.__array_namespace__()
    if log_probs.ndim < BATCHED:
        log_probs, targets = log_probs[:, None, :], targets[None, :]
    size, batch, classes = log_probs.shape
    known = padded_labels(log_probs, targets, steps, lengths, (batch, size, classes), blank)
    if not size:
        step = 0.0 * xp.astype(xp.asarray(known.lengths), log_probs.dtype)[None, :, None]
        log_probs = xp.concat([log_probs, xp.broadcast_to(step, (1, batch, classes))], axis=0)
    return log_probs, known


def costs(xp: Any, total: Any, good: Any, *, zero_infinity: bool) -> Any:
    """What each sequence costs, by the logarithm of its probability."""
    cost = xp.where(total == -math.inf, 0.0 if zero_infinity else math.inf, -total)
    return xp.where(good, cost, math.nan)


def finished(losses: Tensor, known: Labels, *, batched: bool) -> tuple[Tensor, float, Tensor]:
    """The losses, and what a mean divides each of them by: how many labels there are."""
    xp = losses.__array_namespace__()
    divisors = xp.astype(xp.asarray(known.lengths), losses.dtype)
    divisors = xp.maximum(divisors, 1.0)
    return (losses, 1.0, divisors) if batched else (losses[0], 1.0, divisors[0])


def by_both_walks(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    zero_infinity: bool,
) -> Any:
    """The loss from the recursion forwards, and its gradient from that backwards as well."""
    with no_grad():
        predictions, known = prepared(log_probs, targets, input_lengths, target_lengths, blank)
    xp, array = known.xp, predictions.array
    wanted = log_probs.tracked and is_grad_enabled()
    with np.errstate(all="ignore"):
        total, shares = lattice.sums(array, known, blank, shares=wanted)
        losses = costs(xp, total, known.good, zero_infinity=zero_infinity)

    def pullback(cotangent: Any) -> list[Any]:
        weight = xp.where(known.good, -cotangent, math.nan)
        weight = xp.where(cotangent == 0, 0.0, weight)[None, :, None]
        by_state = xp.where(weight == 0, 0.0, weight * shares)[: log_probs.shape[0], ...]
        blanks = xp.zeros_like(known.labels[:, :1]) + blank
        classes = xp.concat([known.labels, blanks], axis=1)
        like = xp.reshape(log_probs.array, (log_probs.shape[0], *array.shape[1:]))
        gradient = to_classes(xp, like, classes, by_state)
        return [xp.reshape(gradient, log_probs.shape)]

    recorded = Tensor.record(losses, [log_probs], pullback)
    return finished(recorded, known, batched=log_probs.ndim == BATCHED)


@composed(roles=dict.fromkeys(LABELS, "label"), check=check, first_order=by_both_walks)
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
) -> Any:
    """Connectionist temporal classification: labels in their order where nobody says at which step
    each of them comes, as in speech and handwriting.

    Formula: `-log(sum over alignments of exp(sum of log_probs along it))`; an alignment gives each
    step a class so that the labels are left when repeats are merged and blanks dropped.

    Shapes: `log_probs` `(T, N, C)`, or `(T, C)` for one sequence; `targets` `(N, S)`, padded with
    anything, or all labels one behind the other `(sum(target_lengths),)`; `input_lengths` and
    `target_lengths` `(N,)`, or one for all. The losses are `(N,)`.

    Domain: log-probabilities, of which -inf is one; they need not be normalised. Labels that no
    alignment has room for cost infinity. An empty target is blanks alone. What comes after
    `input_lengths` and `target_lengths` plays no part, even where it is NaN.

    Gradient: minus how probable it is to be at the class at that step, given the labels: the
    derivative by `log_probs` as they come. 0 where the loss is infinite. Hessian: couples all
    steps; products with a vector by `hvp`.

    Numerics: in logarithms relative to each step's most probable state, so that neither underflows
    nor long sequences cost digits; where nearly all is certain, `log1p` keeps a loss of 1e-12.

    Parameters
    ----------
    blank
        The class that stands for no label.
    zero_infinity
        Labels that there is no room for cost 0.

    The mean divides each loss by its number of labels (at least 1) before it averages, as PyTorch.

    Errors: `LabelError` for a label that is no class or is the blank, `ArgumentError` for a length
    beyond the array; where looking would stall (a GPU, a lazy or traced array), its loss is NaN.

    Same as: PyTorch's `ctc_loss`, whose gradient by `log_probs` takes them for a log_softmax;
    optax's with `log_softmax(logits)` as `(T, N, C)` and `(1 - paddings).sum(1)` as lengths.
    `ctc_forward_log_probs` gives what the recursion passes through.

    Reference: A. Graves et al., Connectionist Temporal Classification, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorweaver as tw
    >>> log_probs = np.log([[[0.5, 0.5]], [[0.25, 0.75]]])
    >>> print(tw.ctc_loss(log_probs, [[1]], [2], [1]).round(6))  # -log(1 - 0.125)
    0.133531
    """
    xp = log_probs.__array_namespace__()
    predictions, known = prepared(log_probs, targets, input_lengths, target_lengths, blank)
    total = lattice.total_on_tape(predictions, known, blank)
    losses = costs(xp, total, xp.asarray(known.good), zero_infinity=zero_infinity)
    return finished(losses, known, batched=log_probs.ndim == BATCHED)
