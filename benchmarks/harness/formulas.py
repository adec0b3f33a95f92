"""How each contestant spells each loss, and the numbers that it is measured on.

A further loss is one more `Formulas`, here or in `harness.more_formulas`, and one more line in
`harness.rows`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "BINARY_CROSS_ENTROPY_WITH_LOGITS",
    "CROSS_ENTROPY",
    "HUBER",
    "KL_DIV",
    "MSE",
    "Formulas",
]


@dataclass(frozen=True)
class Formulas:
    """One loss, averaged, as each contestant spells it; None where a peer has no such loss.

    Attributes
    ----------
    ours
        The loss's name in TensorWeaver.
    options
        Those that it is called with.
    wrt
        Which of the arrays the gradients are by; the loss's own choice.
    draw
        `(rng, shape, dtype)` to the arrays of a call, predictions first.
    numpy_value, numpy_value_and_grad
        Plain NumPy as people write it, to the loss, and to it and the gradient, a tuple where there
        are several. In float64, the second is the reference for everybody.
    torch
        `(torch.nn.functional, *arrays)` to the loss.
    jax
        `(jax.numpy, optax, *arrays)` to the loss.
    sklearn
        `(sklearn._loss.loss, shape)` to a loss of scikit-learn, which averages nothing.
    sklearn_factor
        What a loss of scikit-learn is multiplied by to be this one.
    peer_gradient
        `(gradient, *arrays)` to the derivative, where PyTorch and JAX give another function's; for
        the comparison, outside of what is timed.
    peer_tolerance
        How far other libraries may be off in float32, of the largest gradient; None for the usual.
    """

    ours: str
    draw: Callable[..., tuple[np.ndarray, ...]]
    numpy_value: Callable[..., Any]
    numpy_value_and_grad: Callable[..., tuple[Any, Any]]
    torch: Callable[..., Any] | None = None
    jax: Callable[..., Any] | None = None
    sklearn: Callable[..., Any] | None = None
    sklearn_factor: float = 1.0
    peer_gradient: Callable[..., Any] | None = None
    peer_tolerance: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    wrt: tuple[int, ...] = (0,)


# ------------------------------------------------------------------------------------- the numbers
def two_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Predictions and targets of a regression."""
    kind = np.dtype(dtype).type
    return tuple(rng.standard_normal(shape, dtype=kind) for _ in range(2))


def logits_and_probabilities(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Logits and the probabilities they should have."""
    kind = np.dtype(dtype).type
    return rng.standard_normal(shape, dtype=kind), rng.random(shape, dtype=kind)


def log_probabilities_and_probabilities(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str
) -> Any:
    """Logarithms of probabilities, and soft targets; none is 0."""
    kind = np.dtype(dtype).type
    predicted, targets = (1 - rng.random(shape, dtype=kind) for _ in range(2))
    return np.log(predicted), targets


def logits_and_labels(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Logits of classes and integer labels."""
    kind = np.dtype(dtype).type
    return rng.standard_normal(shape, dtype=kind), rng.integers(0, shape[-1], shape[0])


# -------------------------------------------------------------------------------------- plain NumPy
def numpy_mse(predictions: Any, targets: Any) -> Any:
    return np.mean((predictions - targets) ** 2)


def numpy_mse_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    error = predictions - targets
    return np.mean(error**2), 2 * error / error.size


def numpy_huber(predictions: Any, targets: Any) -> Any:
    error = np.abs(predictions - targets)
    return np.mean(np.where(error <= 1, 0.5 * error**2, error - 0.5))


def numpy_huber_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    error = predictions - targets
    size = np.abs(error)
    loss = np.mean(np.where(size <= 1, 0.5 * error**2, size - 0.5))
    return loss, np.clip(error, -1, 1) / error.size


def numpy_bce(logits: Any, targets: Any) -> Any:
    return np.mean(np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits))))


def numpy_bce_and_grad(logits: Any, targets: Any) -> tuple[Any, Any]:
    return numpy_bce(logits, targets), (1 / (1 + np.exp(-logits)) - targets) / logits.size


def numpy_kl_div(log_predictions: Any, targets: Any) -> Any:
    return np.mean(targets * (np.log(targets) - log_predictions))


def numpy_kl_div_and_grad(log_predictions: Any, targets: Any) -> tuple[Any, Any]:
    return numpy_kl_div(log_predictions, targets), -targets / targets.size


def numpy_log_softmax(logits: Any) -> Any:
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def numpy_cross_entropy(logits: Any, labels: Any) -> Any:
    return -np.mean(numpy_log_softmax(logits)[np.arange(labels.size), labels])


def numpy_cross_entropy_and_grad(logits: Any, labels: Any) -> tuple[Any, Any]:
    log_probabilities = numpy_log_softmax(logits)
    rows = np.arange(labels.size)
    loss = -np.mean(log_probabilities[rows, labels])
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1
    gradient /= labels.size
    return loss, gradient


# --------------------------------------------------------------------------------------- the losses
MSE = Formulas(
    ours="mse_loss",
    draw=two_normal,
    numpy_value=numpy_mse,
    numpy_value_and_grad=numpy_mse_and_grad,
    torch=lambda functional, p, t: functional.mse_loss(p, t),
    jax=lambda jnp, optax, p, t: jnp.mean(optax.squared_error(p, t)),
    sklearn=lambda losses, _shape: losses.HalfSquaredError(),
    sklearn_factor=2.0,
)

HUBER = Formulas(
    ours="huber_loss",
    draw=two_normal,
    numpy_value=numpy_huber,
    numpy_value_and_grad=numpy_huber_and_grad,
    torch=lambda functional, p, t: functional.huber_loss(p, t),
    jax=lambda jnp, optax, p, t: jnp.mean(optax.huber_loss(p, t)),
    sklearn=lambda losses, _shape: losses.HuberLoss(delta=1.0),
)

BINARY_CROSS_ENTROPY_WITH_LOGITS = Formulas(
    ours="binary_cross_entropy_with_logits_loss",
    draw=logits_and_probabilities,
    numpy_value=numpy_bce,
    numpy_value_and_grad=numpy_bce_and_grad,
    torch=lambda functional, x, t: functional.binary_cross_entropy_with_logits(x, t),
    jax=lambda jnp, optax, x, t: jnp.mean(optax.sigmoid_binary_cross_entropy(x, t)),
    sklearn=lambda losses, _shape: losses.HalfBinomialLoss(),
)

KL_DIV = Formulas(
    ours="kl_div_loss",
    draw=log_probabilities_and_probabilities,
    numpy_value=numpy_kl_div,
    numpy_value_and_grad=numpy_kl_div_and_grad,
    torch=lambda functional, x, t: functional.kl_div(x, t, reduction="mean"),
    # optax sums over the last axis, which is here the only one.
    jax=lambda _jnp, optax, x, t: optax.kl_divergence(x, t) / x.size,
)

CROSS_ENTROPY = Formulas(
    ours="cross_entropy_loss",
    draw=logits_and_labels,
    numpy_value=numpy_cross_entropy,
    numpy_value_and_grad=numpy_cross_entropy_and_grad,
    torch=lambda functional, x, labels: functional.cross_entropy(x, labels),
    jax=lambda jnp, optax, x, labels: jnp.mean(
        optax.softmax_cross_entropy_with_integer_labels(x, labels)
    ),
    sklearn=lambda losses, shape: losses.HalfMultinomialLoss(n_classes=shape[-1]),
)
