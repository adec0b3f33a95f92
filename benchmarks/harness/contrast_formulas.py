"""How each contestant spells the losses that compare all rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.formulas import Formulas, numpy_cross_entropy_and_grad, two_normal

__all__ = ["INFO_NCE", "NT_XENT"]

INFO_NCE_TEMPERATURE, NT_XENT_TEMPERATURE = 0.05, 0.5


# -------------------------------------------------------------------------------------- plain NumPy
def numpy_units(vectors: Any) -> tuple[Any, Any]:
    """The rows divided by their lengths, and these."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths, lengths


def numpy_back(by_units: Any, units: Any, lengths: Any) -> Any:
    """The gradient by vectors, from that by their directions."""
    along = np.sum(by_units * units, axis=1, keepdims=True)
    return (by_units - along * units) / lengths


def numpy_info_nce_and_grad(queries: Any, keys: Any) -> tuple[Any, Any]:
    (a, length_a), (b, length_b) = numpy_units(queries), numpy_units(keys)
    scores = a @ b.T / INFO_NCE_TEMPERATURE
    loss, by_scores = numpy_cross_entropy_and_grad(scores, np.arange(len(queries)))
    by_scores /= INFO_NCE_TEMPERATURE
    return loss, (
        numpy_back(by_scores @ b, a, length_a),
        numpy_back(by_scores.T @ a, b, length_b),
    )


def numpy_nt_xent_and_grad(first: Any, second: Any) -> tuple[Any, Any]:
    count = len(first)
    units, lengths = numpy_units(np.concatenate([first, second]))
    scores = units @ units.T / NT_XENT_TEMPERATURE
    np.fill_diagonal(scores, -np.inf)
    partners = np.roll(np.arange(2 * count), count)
    loss, by_scores = numpy_cross_entropy_and_grad(scores, partners)
    by_scores /= NT_XENT_TEMPERATURE
    gradient = numpy_back(by_scores @ units + by_scores.T @ units, units, lengths)
    return loss, (gradient[:count], gradient[count:])


# ------------------------------------------------------------------------------------------ PyTorch
def torch_info_nce(functional: Any, queries: Any, keys: Any) -> Any:
    import torch

    scores = functional.normalize(queries) @ functional.normalize(keys).T / INFO_NCE_TEMPERATURE
    return functional.cross_entropy(scores, torch.arange(len(queries)))


def torch_nt_xent(functional: Any, first: Any, second: Any) -> Any:
    import torch

    count = len(first)
    units = functional.normalize(torch.cat([first, second]))
    itself = torch.eye(2 * count, dtype=torch.bool)
    scores = (units @ units.T / NT_XENT_TEMPERATURE).masked_fill(itself, -torch.inf)
    return functional.cross_entropy(scores, torch.arange(2 * count).roll(count))


# ---------------------------------------------------------------------------------------------- JAX
def jax_units(jnp: Any, vectors: Any) -> Any:
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def jax_info_nce(jnp: Any, optax: Any, queries: Any, keys: Any) -> Any:
    scores = jax_units(jnp, queries) @ jax_units(jnp, keys).T / INFO_NCE_TEMPERATURE
    labels = jnp.arange(len(queries))
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


def jax_nt_xent(jnp: Any, optax: Any, first: Any, second: Any) -> Any:
    count = len(first)
    units = jax_units(jnp, jnp.concatenate([first, second]))
    itself = jnp.eye(2 * count, dtype=bool)
    scores = jnp.where(itself, -jnp.inf, units @ units.T / NT_XENT_TEMPERATURE)
    labels = jnp.roll(jnp.arange(2 * count), count)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


# --------------------------------------------------------------------------------------- the losses
INFO_NCE = Formulas(
    ours="info_nce_loss",
    options={"temperature": INFO_NCE_TEMPERATURE},
    draw=two_normal,
    wrt=(0, 1),
    numpy_value=lambda queries, keys: numpy_info_nce_and_grad(queries, keys)[0],
    numpy_value_and_grad=numpy_info_nce_and_grad,
    torch=torch_info_nce,
    jax=jax_info_nce,
)

NT_XENT = Formulas(
    ours="nt_xent_loss",
    options={"temperature": NT_XENT_TEMPERATURE},
    draw=two_normal,
    wrt=(0, 1),
    numpy_value=lambda first, second: numpy_nt_xent_and_grad(first, second)[0],
    numpy_value_and_grad=numpy_nt_xent_and_grad,
    torch=torch_nt_xent,
    jax=jax_nt_xent,
)
