"""Linear-chain conditional random fields: a tag for each step, each next to another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorweaver.errors import ShapeError
from tensorweaver.loss import composed
from tensorweaver.loss.arguments import refuse_labels
from tensorweaver.losses.sequence.lengths import (
    check_lengths,
    each,
    limited,
)
from tensorweaver.tensor.eager import EagerNamespace, eager_namespace

__all__ = ["crf_nll_loss"]

AXES = 3


def check(given: dict[str, Any], **_options: Any) -> None:
    """Refuse shapes that do not fit, then lengths and tags where they can be looked at."""
    shapes = {name: a if isinstance(a, tuple) else a.shape for name, a in given.items()}
    emissions = shapes["emissions"]
    if len(emissions) != AXES or not emissions[2]:
        message = f"crf_nll_loss: emissions must have shape (N, T, K), got {emissions}"
        raise ShapeError(message)
    batch, steps, classes = emissions
    wanted = {
        "tags": (batch, steps),
        "transitions": (classes, classes),
        "start_transitions": (classes,),
        "end_transitions": (classes,),
    }
    for name, shape in wanted.items():
        if name in shapes and shapes[name] != shape:
            message = f"crf_nll_loss: {name} must have shape {shape}, got {shapes[name]}"
            raise ShapeError(message)
    tags, lengths = given["tags"], given.get("lengths")
    if lengths is not None:
        check_lengths("crf_nll_loss", "lengths", lengths, batch, steps, "the steps of emissions")
    if isinstance(tags, tuple) or isinstance(lengths, tuple):
        return
    ends = np.full(batch, steps) if lengths is None else np.reshape(lengths, (-1,))
    used = np.arange(steps) < np.broadcast_to(ends, (batch,))[:, None]
    bad = used & ((tags < 0) | (tags >= classes))
    refuse_labels("crf_nll_loss", "tags", tags, bad, classes)


@composed(
    arrays=("start_transitions", "end_transitions", "lengths"),
    roles={"tags": "label", "lengths": "label"},
    wrt=("emissions", "transitions"),
    check=check,
)
def crf_nll_loss(
    emissions: Any,
    tags: Any,
    transitions: Any,
    *,
    start_transitions: Any = None,
    end_transitions: Any = None,
    lengths: Any = None,
) -> Any:
    """Negative log-likelihood of a linear-chain CRF: a tag for each step where neighbouring tags
    depend on each other, as in named-entity recognition.

    Formula: `log(sum over all taggings of exp(score)) - score(tags)`; a tagging's score sums
    `emissions[t, tag[t]]`, `transitions[tag[t - 1], tag[t]]`, and those of its start and end.

    Shapes: `emissions` `(N, T, K)`; `tags` `(N, T)`, padded with anything; `transitions` `(K, K)`,
    from rows to columns. The losses are `(N,)`.

    Domain: all scores; -inf forbids a tag or a transition. Forbidden `tags` cost infinity. What
    comes after `lengths` plays no part, even where it is NaN.

    Gradient: how probable each tag is, less 1 at those given; by `emissions` and `transitions`, and
    by the other scores with `wrt=`. 0 where the loss is infinite. Hessian: couples a sequence's
    steps; products with a vector by `hvp`.

    Numerics: all scores are taken relative to those of `tags`, so that a loss of 1e-12 is 1e-12,
    and no gradient at a tag is a difference of numbers near 1.

    Parameters
    ----------
    start_transitions, end_transitions
        `(K,)`: scores of the first and of the last tag.
    lengths
        `(N,)`, or one for all: how many steps count; all without it. A sequence of none costs 0.

    Errors: `LabelError` for a tag that is no class, `ArgumentError` for a length beyond the array;
    where looking would stall (a GPU, a lazy or traced array), the sequence's loss is NaN.

    Same as: pytorch-crf's `CRF(..., batch_first=True)` negated, with `reduction="mean"`.

    Reference: J. Lafferty et al., Conditional Random Fields, 2001.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> emissions, transitions = [[[1.0, 0.0], [0.0, 2.0]]], [[0.0, 0.0], [0.0, 0.0]]
    >>> print(tw.crf_nll_loss(emissions, [[0, 1]], transitions).round(6))
    0.44019
    """
    xp = emissions.__array_namespace__()
    if not emissions.shape[1]:
        return xp.sum(emissions, axis=(1, 2))
    chain = Chain(emissions, tags, lengths)
    ways = chain.walked(emissions, transitions, start_transitions)
    if end_transitions is not None:
        ways = ways + chain.relative(end_transitions, chain.last, chain.some)
    losses = xp.where(xp.asarray(chain.some[:, 0]), xp.logsumexp(ways, axis=1)[:, 0], 0.0)
    losses = xp.where(xp.asarray(chain.forbidden), math.inf, losses)
    return xp.where(xp.asarray(chain.good), losses, math.nan)


class Chain:
    """The tags of a batch, and scores relative to theirs.

    Attributes
    ----------
    tags
        (N, T), which can all be looked up.
    within
        (N, T), which of the steps count.
    some, last
        (N, 1), whether any does, and the tag of the last one.
    good
        (N,), whether the sequence's tags and length are what they must be.
    forbidden
        (N,), whether a score of the tags was -inf so far.
    """

    def __init__(self, emissions: Any, tags: Any, lengths: Any) -> None:
        self.home = emissions.__array_namespace__()
        self.xp = xp = eager_namespace(emissions.home)
        counts, self.tags, self.good = known_tags(xp, emissions, tags, lengths)
        self.within = xp.places_along(self.tags, 1) < counts[:, None]
        self.some = counts[:, None] > 0
        final = xp.where(self.some, counts[:, None] - 1, counts[:, None])
        self.last = xp.take_along_axis(self.tags, final, axis=1)
        self.forbidden = counts < 0

    def relative(self, scores: Any, chosen: Any, counted: Any) -> Any:
        """Scores (N, choices), or (choices,) for all, less the chosen one's; that is exactly 0."""
        xp = self.home
        size = scores.shape[-1]
        scores = xp.broadcast_to(xp.reshape(scores, (-1, size)), (chosen.shape[0], size))
        own = xp.take_along_axis(scores, chosen, axis=1)
        never = own == -math.inf
        self.forbidden = self.forbidden | (never.array[:, 0] & counted[:, 0])
        is_own = xp.asarray(self.xp.places_along(scores.array, 1) == chosen)
        less = xp.where(is_own, 0.0, scores - xp.where(never, 0.0, own))
        return xp.where(xp.asarray(counted), less, 0.0)

    def walked(self, emissions: Any, transitions: Any, start: Any) -> Any:
        """(N, K): the logarithm of all ways to each tag of the last step."""
        xp = self.home
        batch, steps, classes = emissions.shape
        pairs = xp.reshape(transitions, (classes**2,))
        ways = self.relative(emissions[:, 0, :], self.tags[:, :1], self.within[:, :1])
        if start is not None:
            ways = ways + self.relative(start, self.tags[:, :1], self.within[:, :1])
        for t in range(1, steps):
            on, before, now = self.within[:, t : t + 1], self.tags[:, t - 1 : t], self.tags[:, t:]
            here = self.relative(emissions[:, t, :], now[:, :1], on)
            moves = self.relative(pairs, before * classes + now[:, :1], on)
            moves = xp.reshape(moves, (batch, classes, classes))
            after = xp.logsumexp(ways[:, :, None] + moves, axis=1)[:, 0, :] + here
            ways = xp.where(xp.asarray(on), after, ways)
        return ways


def known_tags(xp: EagerNamespace, emissions: Any, tags: Any, lengths: Any) -> tuple[Any, Any, Any]:
    """How many steps of each sequence count, tags that can all be looked up, and which sequences
    are as they must be.
    """
    batch, steps, classes = emissions.shape
    labels = xp.as_index(tags.array)
    if lengths is None:
        counts = xp.zeros_like(labels[:, 0]) + steps
    else:
        counts = each(xp, lengths.array, batch)
    good = (counts >= 0) & (counts <= steps)
    counts = limited(xp, counts, steps)
    sound = (labels >= 0) & (labels < classes)
    used = xp.places_along(labels, 1) < counts[:, None]
    good = good & xp.all(sound | ~used, axis=1)
    return counts, xp.where(sound, labels, xp.zeros_like(labels)), good
