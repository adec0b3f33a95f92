"""Vectors of a class together, those of others apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss import composed
from tensorweaver.losses.contrastive.similarity import (
    check_vectors,
    cost_among_others,
    positive,
    unit_rows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["circle_loss", "supervised_contrastive_loss"]


def check_labelled(loss: str, given: Mapping[str, Any]) -> None:
    check_vectors(loss, given, ("embeddings",))
    labels = given["labels"]
    shape = labels if isinstance(labels, tuple) else labels.shape
    rows = given["embeddings"][:1]
    if tuple(shape) != rows:
        message = f"{loss}: labels of shape {tuple(shape)} must be one a row, {rows}"
        raise ShapeError(message)


def check_supervised(given: Mapping[str, Any], *, temperature: float) -> None:
    check_labelled("supervised_contrastive_loss", given)
    positive("supervised_contrastive_loss", "temperature", temperature)


def pairs_of(xp: Any, labels: Any) -> tuple[Any, Any]:
    """Which pairs are of one class, and which are a vector with itself."""
    places = xp.arange(labels.shape[0], device=labels.device)
    itself = places[:, None] == places[None, :]
    same = xp.logical_and(labels[:, None] == labels[None, :], xp.logical_not(itself))
    return same, itself


@composed(roles={"labels": "label"}, check=check_supervised)
def supervised_contrastive_loss(embeddings: Any, labels: Any, *, temperature: float = 0.1) -> Any:
    """Supervised contrastive loss: each vector is to find all others of its class, evenly.

    Formula: with `s[i, j] = cos(e[i], e[j]) / temperature` and the `P(i)` others of the class of
    `i`, `-mean(log(exp(s[i, p]) / sum(exp(s[i, j]) for j != i)) for p in P(i))`.

    Shapes: `embeddings` `(N, D)`; `labels` `(N,)`, any whole numbers; a loss a vector.

    Domain: all finite vectors. A vector that is alone in its class costs nothing and does not
    count. `temperature > 0`.

    Same as: pytorch-metric-learning's `SupConLoss`, averaged over the vectors that count.

    Reference: P. Khosla et al., Supervised Contrastive Learning, 2020 (the sum outside the
    logarithm).

    Examples
    --------
    >>> import tensorweaver as tw
    >>> embeddings = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> tw.supervised_contrastive_loss(embeddings, [0, 0, 1], temperature=1.0).round(6)
    np.float64(0.313262)
    """
    xp = array_namespace(embeddings)
    if not embeddings.shape[0]:
        return xp.sum(embeddings, axis=-1)
    same, _ = pairs_of(xp, labels)
    unit = unit_rows(embeddings) / math.sqrt(temperature)
    chosen = xp.astype(same, embeddings.dtype)
    partners = xp.sum(chosen, axis=-1)
    shares = chosen / xp.where(partners == 0, 1.0, partners)[:, None]
    counts = xp.where(partners == 0, 0.0, xp.ones_like(partners))
    places = xp.arange(labels.shape[0], device=labels.device)
    return cost_among_others(unit @ unit.T, shares, places, reduction="none"), counts


def check_circle(given: Mapping[str, Any], *, gamma: float, margin: float, **_: Any) -> None:
    check_labelled("circle_loss", given)
    positive("circle_loss", "gamma", gamma)
    if not math.isfinite(margin):
        message = f"circle_loss: margin must be finite, got {margin!r}"
        raise ArgumentError(message)


@composed(roles={"labels": "label"}, check=check_circle)
def circle_loss(
    embeddings: Any,
    labels: Any,
    *,
    gamma: float = 80.0,
    margin: float = 0.4,
    weight_gradient: bool = True,
) -> Any:
    """Circle loss: similarities are pulled the harder, the farther they are from their goal.

    Formula: with the cosines `s`, `softplus(logsumexp(gamma a_n (s_n - margin)) + logsumexp(-gamma
    a_p (s_p - 1 + margin)))` over the others `p` of a vector's class and the vectors `n` of other
    classes, `a_p = max(1 + margin - s_p, 0)`, `a_n = max(s_n + margin, 0)`.

    Shapes: `embeddings` `(N, D)`; `labels` `(N,)`, any whole numbers; a loss a vector.

    Domain: all finite vectors. A vector without others of its class, or without vectors of other
    classes, costs nothing and does not count.

    Parameters
    ----------
    gamma
        The scale, positive.
    margin
        How far from 1 and 0 similarities may stay.
    weight_gradient
        Whether the weights `a` take part in the gradient; False holds them constant, as the paper
        does, and the gradient is not that of the value then.

    Same as: Keras's `circle`; with `weight_gradient=False` pytorch-metric-learning's `CircleLoss`.

    Reference: Y. Sun et al., Circle Loss, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> embeddings = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> tw.circle_loss(embeddings, [0, 1, 0, 1], gamma=1.0).round(6)
    np.float64(2.120995)
    """
    xp = array_namespace(embeddings)
    if not embeddings.shape[0]:
        return xp.sum(embeddings, axis=-1)
    same, itself = pairs_of(xp, labels)
    other = xp.logical_not(xp.logical_or(same, itself))
    unit = unit_rows(embeddings)
    cosines = unit @ unit.T
    held = cosines if weight_gradient else xp.stop_gradient(cosines)
    pull = xp.maximum(1.0 + margin - held, 0.0) * (1.0 - margin - cosines)
    push = xp.maximum(held + margin, 0.0) * (cosines - margin)
    found = xp.zeros_like(cosines[:, 0])
    counts = xp.ones_like(found)
    for chosen, exponent in ((same, pull), (other, push)):
        some = xp.any(chosen, axis=-1)
        masked = xp.where(chosen, gamma * exponent, -math.inf)
        safe = xp.where(some[:, None], masked, 0.0)
        found = found + xp.logsumexp(safe, axis=-1)[:, 0]
        counts = xp.where(some, counts, 0.0)
    return xp.where(counts == 0, 0.0, xp.softplus(found)), counts
