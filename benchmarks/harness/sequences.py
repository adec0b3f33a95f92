"""How each contestant spells connectionist temporal classification, and its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.formulas import Formulas

__all__ = ["CTC"]

STEPS_A_LABEL = 5


def log_probabilities_and_sequences(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str
) -> Any:
    """Log-probabilities `(T, N, C)`, a label for every five steps, and full lengths."""
    steps, batch, classes = shape
    logits = rng.standard_normal(shape, dtype=np.dtype(dtype).type)
    log_probs = logits - np.log(np.sum(np.exp(logits), axis=2, keepdims=True))
    labels = steps // STEPS_A_LABEL
    targets = rng.integers(1, classes, (batch, labels))
    return log_probs, targets, np.full(batch, steps), np.full(batch, labels)


# -------------------------------------------------------------------------------------- plain NumPy
def walked(emitted: Any, skip: Any) -> Any:
    """The logarithms of the ways to each state at each step, from the first two states."""
    ways = np.full_like(emitted, -np.inf)
    ways[0, :, :2] = emitted[0, :, :2]
    for step in range(1, len(emitted)):
        before = ways[step - 1]
        arriving = before.copy()
        arriving[:, 1:] = np.logaddexp(arriving[:, 1:], before[:, :-1])
        passing = np.where(skip[:, 2:], before[:, :-2], -np.inf)
        arriving[:, 2:] = np.logaddexp(arriving[:, 2:], passing)
        ways[step] = arriving + emitted[step]
    return ways


def states_of(targets: Any) -> tuple[Any, Any]:
    """Blanks and labels in turn, and where a blank may be passed over."""
    states = np.zeros((len(targets), 2 * targets.shape[1] + 1), np.int64)
    states[:, 1::2] = targets
    skip = np.zeros(states.shape, bool)
    skip[:, 2:] = (states[:, 2:] != 0) & (states[:, 2:] != states[:, :-2])
    return states, skip


def numpy_ctc(log_probs: Any, targets: Any, _steps: Any, lengths: Any) -> Any:
    states, skip = states_of(targets)
    ways = walked(np.take_along_axis(log_probs, states[None], axis=2), skip)
    return -np.mean(np.logaddexp(ways[-1, :, -1], ways[-1, :, -2]) / lengths)


def numpy_ctc_and_grad(log_probs: Any, targets: Any, _steps: Any, lengths: Any) -> tuple[Any, Any]:
    states, skip = states_of(targets)
    emitted = np.take_along_axis(log_probs, states[None], axis=2)
    ways = walked(emitted, skip)
    total = np.logaddexp(ways[-1, :, -1], ways[-1, :, -2])
    _, skip_back = states_of(targets[:, ::-1])
    back = walked(emitted[::-1, :, ::-1], skip_back)[::-1, :, ::-1]
    shares = np.exp(ways + back - emitted - total[:, None]) / (len(targets) * lengths[:, None])
    gradient = np.zeros_like(log_probs)
    for sequence, of_states in enumerate(states):
        for state, label in enumerate(of_states):
            gradient[:, sequence, label] -= shares[:, sequence, state]
    return -np.mean(total / lengths), gradient


# ---------------------------------------------------------------------------------- other libraries
def optax_ctc(jnp: Any, optax: Any, log_probs: Any, targets: Any, _steps: Any, lengths: Any) -> Any:
    """What optax has takes logits, of which these are some; nothing here is padded."""
    steps, batch, _ = log_probs.shape
    nothing = (jnp.zeros(shape) for shape in ((batch, steps), targets.shape))
    of_steps, of_labels = nothing
    losses = optax.ctc_loss(jnp.transpose(log_probs, (1, 0, 2)), of_steps, targets, of_labels)
    return jnp.mean(losses / lengths)


def derivative(gradient: Any, log_probs: Any, targets: Any, _steps: Any, lengths: Any) -> Any:
    """PyTorch and optax differentiate by logits: here what they add is taken away again."""
    added = np.exp(log_probs) / (len(targets) * lengths[:, None])
    return (gradient - added).astype(gradient.dtype)


CTC = Formulas(
    ours="ctc_loss",
    draw=log_probabilities_and_sequences,
    numpy_value=numpy_ctc,
    numpy_value_and_grad=numpy_ctc_and_grad,
    torch=lambda functional, *arrays: functional.ctc_loss(*arrays),
    jax=optax_ctc,
    peer_gradient=derivative,
    peer_tolerance=1e-2,  # of logarithms of alignments of thousands, in float32
)
