"""How each contestant spells further pointwise losses and further losses of rows.

Those that compare all rows of a batch are in `harness.contrast_formulas`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.formulas import Formulas, logits_and_labels, numpy_log_softmax, two_normal

__all__ = [
    "COSINE_SIMILARITY",
    "DICE",
    "GAUSSIAN_NLL",
    "GENERALIZED_JSD",
    "HINGE",
    "LOG_COSH",
    "POISSON_NLL",
    "PSEUDO_HUBER",
    "QUANTILE",
    "SIGMOID_FOCAL",
    "SOFTMAX_FOCAL",
    "TRIPLET_MARGIN",
]

#: The quantile, focal's share of the positives, the weight of the teacher.
QUANTILE_OF, ALPHA, BETA = 0.9, 0.25, 0.5
LOG_2 = float(np.log(2))
EPSILON = 1e-6


# ------------------------------------------------------------------------------------- the numbers
def scores_and_bits(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Logits and targets 0 or 1."""
    kind = np.dtype(dtype).type
    return rng.standard_normal(shape, dtype=kind), rng.integers(0, 2, shape).astype(kind)


def scores_and_signs(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Scores and targets -1 or 1."""
    scores, bits = scores_and_bits(rng, shape, dtype)
    return scores, 2 * bits - 1


def log_rates_and_counts(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Logarithms of rates, and counts."""
    kind = np.dtype(dtype).type
    return rng.standard_normal(shape, dtype=kind), rng.poisson(2.0, shape).astype(kind)


def means_targets_and_variances(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str
) -> Any:
    """Predictions, targets and predicted variances."""
    variances = rng.random(shape, dtype=np.dtype(dtype).type) + np.dtype(dtype).type(0.1)
    return (*two_normal(rng, shape, dtype), variances)


def three_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Anchors, positives and negatives."""
    kind = np.dtype(dtype).type
    return tuple(rng.standard_normal(shape, dtype=kind) for _ in range(3))


def probabilities_and_bits(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Probabilities of pixels and targets 0 or 1."""
    kind = np.dtype(dtype).type
    return rng.random(shape, dtype=kind), rng.integers(0, 2, shape).astype(kind)


# ----------------------------------------------------------------------------- NumPy, elements
def numpy_log_cosh(predictions: Any, targets: Any) -> Any:
    error = predictions - targets
    return np.mean(np.logaddexp(error, -error) - LOG_2)


def numpy_log_cosh_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    error = predictions - targets
    return np.mean(np.logaddexp(error, -error) - LOG_2), np.tanh(error) / error.size


def numpy_quantile(predictions: Any, targets: Any) -> Any:
    error = targets - predictions
    return np.mean(np.maximum(QUANTILE_OF * error, (QUANTILE_OF - 1) * error))


def numpy_quantile_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    gradient = np.where(targets > predictions, -QUANTILE_OF, 1 - QUANTILE_OF)
    gradient = gradient.astype(predictions.dtype)
    return numpy_quantile(predictions, targets), gradient / targets.size


def numpy_pseudo_huber(predictions: Any, targets: Any) -> Any:
    return np.mean(np.sqrt(1 + (predictions - targets) ** 2) - 1)


def numpy_pseudo_huber_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    error = predictions - targets
    root = np.sqrt(1 + error**2)
    return np.mean(root - 1), error / root / error.size


def numpy_sigmoid_focal(logits: Any, targets: Any) -> Any:
    return numpy_sigmoid_focal_and_grad(logits, targets)[0]


def numpy_sigmoid_focal_and_grad(logits: Any, targets: Any) -> tuple[Any, Any]:
    signs = 2 * targets - 1
    turned = signs * logits
    log_right = -np.logaddexp(0, -turned)
    right = np.exp(log_right)
    wrong = 1 - right
    balance = ALPHA * targets + (1 - ALPHA) * (1 - targets)
    loss = np.mean(-balance * wrong**2 * log_right)
    slope = balance * wrong**2 * (2 * right * log_right - wrong)
    return loss, signs * slope / logits.size


def numpy_poisson_nll(predictions: Any, targets: Any) -> Any:
    return np.mean(np.exp(predictions) - targets * predictions)


def numpy_poisson_nll_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    rates = np.exp(predictions)
    return np.mean(rates - targets * predictions), (rates - targets) / targets.size


def numpy_gaussian_nll(predictions: Any, targets: Any, variances: Any) -> Any:
    variances = np.maximum(variances, EPSILON)
    return np.mean(0.5 * (np.log(variances) + (predictions - targets) ** 2 / variances))


def numpy_gaussian_nll_and_grad(predictions: Any, targets: Any, variances: Any) -> tuple[Any, Any]:
    variances = np.maximum(variances, EPSILON)
    error = predictions - targets
    ratio = error / variances
    loss = np.mean(0.5 * (np.log(variances) + error * ratio))
    by_variances = 0.5 * (1 / variances - ratio**2) / error.size
    return loss, (ratio / error.size, by_variances)


def numpy_hinge(predictions: Any, targets: Any) -> Any:
    return np.mean(np.maximum(1 - targets * predictions, 0))


def numpy_hinge_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    shortfall = 1 - targets * predictions
    gradient = np.where(shortfall > 0, -targets, 0) / targets.size
    return np.mean(np.maximum(shortfall, 0)), gradient.astype(predictions.dtype)


# --------------------------------------------------------------------------------- NumPy, rows
def numpy_softmax_focal(logits: Any, labels: Any) -> Any:
    log_right = numpy_log_softmax(logits)[np.arange(labels.size), labels]
    return np.mean(-((1 - np.exp(log_right)) ** 2) * log_right)


def numpy_softmax_focal_and_grad(logits: Any, labels: Any) -> tuple[Any, Any]:
    log_probabilities = numpy_log_softmax(logits)
    rows = np.arange(labels.size)
    log_right = log_probabilities[rows, labels]
    right = np.exp(log_right)
    wrong = 1 - right
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1
    gradient *= (wrong * (wrong - 2 * right * log_right) / labels.size)[:, None]
    return np.mean(-(wrong**2) * log_right), gradient


def numpy_generalized_jsd(logits: Any, teacher_logits: Any) -> Any:
    log_q, log_p = numpy_log_softmax(logits), numpy_log_softmax(teacher_logits)
    p, q = np.exp(log_p), np.exp(log_q)
    log_m = np.log(BETA * p + (1 - BETA) * q)
    total = BETA * np.sum(p * (log_p - log_m)) + (1 - BETA) * np.sum(q * (log_q - log_m))
    return total / len(logits)


def numpy_generalized_jsd_and_grad(logits: Any, teacher_logits: Any) -> tuple[Any, Any]:
    log_q, log_p = numpy_log_softmax(logits), numpy_log_softmax(teacher_logits)
    p, q = np.exp(log_p), np.exp(log_q)
    log_m = np.log(BETA * p + (1 - BETA) * q)
    by_q = (1 - BETA) * (log_q - log_m)
    total = BETA * np.sum(p * (log_p - log_m)) + np.sum(q * by_q)
    gradient = q * (by_q - np.sum(q * by_q, axis=1, keepdims=True)) / len(logits)
    return total / len(logits), gradient


def numpy_cosine_similarity(predictions: Any, targets: Any) -> Any:
    lengths = np.linalg.norm(predictions, axis=1) * np.linalg.norm(targets, axis=1)
    return np.mean(1 - np.sum(predictions * targets, axis=1) / lengths)


def numpy_cosine_similarity_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    length = np.linalg.norm(predictions, axis=1, keepdims=True)
    unit = predictions / length
    other = targets / np.linalg.norm(targets, axis=1, keepdims=True)
    cosine = np.sum(unit * other, axis=1, keepdims=True)
    return np.mean(1 - cosine), (cosine * unit - other) / length / len(predictions)


def numpy_triplet_margin(anchor: Any, positive: Any, negative: Any) -> Any:
    near = np.linalg.norm(anchor - positive + EPSILON, axis=1)
    far = np.linalg.norm(anchor - negative + EPSILON, axis=1)
    return np.mean(np.maximum(near - far + 1, 0))


def numpy_triplet_margin_and_grad(anchor: Any, positive: Any, negative: Any) -> tuple[Any, Any]:
    to_positive, to_negative = anchor - positive + EPSILON, anchor - negative + EPSILON
    near = np.linalg.norm(to_positive, axis=1, keepdims=True)
    far = np.linalg.norm(to_negative, axis=1, keepdims=True)
    losses = np.maximum(near - far + 1, 0)
    counts = (losses > 0) / anchor.dtype.type(len(anchor))
    by_positive, by_negative = -counts / near * to_positive, counts / far * to_negative
    return np.mean(losses), (-by_positive - by_negative, by_positive, by_negative)


def numpy_dice(predictions: Any, targets: Any) -> Any:
    sizes = np.sum(predictions, axis=1) + np.sum(targets, axis=1)
    return np.mean(1 - 2 * np.sum(predictions * targets, axis=1) / sizes)


def numpy_dice_and_grad(predictions: Any, targets: Any) -> tuple[Any, Any]:
    sizes = np.sum(predictions, axis=1, keepdims=True) + np.sum(targets, axis=1, keepdims=True)
    score = 2 * np.sum(predictions * targets, axis=1, keepdims=True) / sizes
    return np.mean(1 - score), (score - 2 * targets) / sizes / len(predictions)


# ------------------------------------------------------------------------------------------ PyTorch
def torch_log_cosh(functional: Any, predictions: Any, targets: Any) -> Any:
    error = predictions - targets
    return (error + functional.softplus(-2 * error) - LOG_2).mean()


def torch_quantile(_functional: Any, predictions: Any, targets: Any) -> Any:
    error = targets - predictions
    return (QUANTILE_OF * error).maximum((QUANTILE_OF - 1) * error).mean()


def torch_sigmoid_focal(functional: Any, logits: Any, targets: Any) -> Any:
    """As torchvision has it."""
    p = logits.sigmoid()
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    right = p * targets + (1 - p) * (1 - targets)
    balance = ALPHA * targets + (1 - ALPHA) * (1 - targets)
    return (balance * loss * (1 - right) ** 2).mean()


def torch_softmax_focal(functional: Any, logits: Any, labels: Any) -> Any:
    log_right = -functional.cross_entropy(logits, labels, reduction="none")
    return (-((1 - log_right.exp()) ** 2) * log_right).mean()


def torch_generalized_jsd(functional: Any, logits: Any, teacher_logits: Any) -> Any:
    """As TRL has it, for distillation."""
    log_q = functional.log_softmax(logits, dim=-1)
    log_p = functional.log_softmax(teacher_logits, dim=-1)
    log_m = (log_q + np.log(1 - BETA)).logaddexp(log_p + np.log(BETA))
    of_teacher = functional.kl_div(log_m, log_p, reduction="batchmean", log_target=True)
    of_student = functional.kl_div(log_m, log_q, reduction="batchmean", log_target=True)
    return BETA * of_teacher + (1 - BETA) * of_student


def torch_dice(_functional: Any, predictions: Any, targets: Any) -> Any:
    sizes = predictions.sum(dim=1) + targets.sum(dim=1)
    return (1 - 2 * (predictions * targets).sum(dim=1) / sizes).mean()


# ---------------------------------------------------------------------------------------------- JAX
def jax_quantile(jnp: Any, _optax: Any, predictions: Any, targets: Any) -> Any:
    error = targets - predictions
    return jnp.mean(jnp.maximum(QUANTILE_OF * error, (QUANTILE_OF - 1) * error))


def jax_gaussian_nll(jnp: Any, _optax: Any, predictions: Any, targets: Any, variances: Any) -> Any:
    variances = jnp.maximum(variances, EPSILON)
    return jnp.mean(0.5 * (jnp.log(variances) + (predictions - targets) ** 2 / variances))


def jax_softmax_focal(jnp: Any, optax: Any, logits: Any, labels: Any) -> Any:
    log_right = -optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return jnp.mean(-((1 - jnp.exp(log_right)) ** 2) * log_right)


def jax_generalized_jsd(jnp: Any, _optax: Any, logits: Any, teacher_logits: Any) -> Any:
    from jax.nn import log_softmax

    log_q, log_p = log_softmax(logits), log_softmax(teacher_logits)
    log_m = jnp.logaddexp(log_q + np.log(1 - BETA), log_p + np.log(BETA))
    shares = BETA * jnp.exp(log_p) * (log_p - log_m) + (1 - BETA) * jnp.exp(log_q) * (log_q - log_m)
    return jnp.sum(shares) / len(logits)


def jax_triplet_margin(jnp: Any, _optax: Any, anchor: Any, positive: Any, negative: Any) -> Any:
    """With the epsilon where it is PyTorch's; optax's is inside the root."""
    near = jnp.linalg.norm(anchor - positive + EPSILON, axis=1)
    far = jnp.linalg.norm(anchor - negative + EPSILON, axis=1)
    return jnp.mean(jnp.maximum(near - far + 1, 0))


def jax_dice(jnp: Any, _optax: Any, predictions: Any, targets: Any) -> Any:
    sizes = jnp.sum(predictions, axis=1) + jnp.sum(targets, axis=1)
    return jnp.mean(1 - 2 * jnp.sum(predictions * targets, axis=1) / sizes)


# --------------------------------------------------------------------------------------- the losses
LOG_COSH = Formulas(
    ours="log_cosh_loss",
    draw=two_normal,
    numpy_value=numpy_log_cosh,
    numpy_value_and_grad=numpy_log_cosh_and_grad,
    torch=torch_log_cosh,
    jax=lambda jnp, optax, p, t: jnp.mean(optax.log_cosh(p, t)),
)

QUANTILE = Formulas(
    ours="quantile_loss",
    options={"quantile": QUANTILE_OF},
    draw=two_normal,
    numpy_value=numpy_quantile,
    numpy_value_and_grad=numpy_quantile_and_grad,
    torch=torch_quantile,
    jax=jax_quantile,
    sklearn=lambda losses, _shape: losses.PinballLoss(quantile=QUANTILE_OF),
)

PSEUDO_HUBER = Formulas(
    ours="pseudo_huber_loss",
    draw=two_normal,
    numpy_value=numpy_pseudo_huber,
    numpy_value_and_grad=numpy_pseudo_huber_and_grad,
    torch=lambda _functional, p, t: ((1 + (p - t) ** 2).sqrt() - 1).mean(),
    jax=lambda jnp, _optax, p, t: jnp.mean(jnp.sqrt(1 + (p - t) ** 2) - 1),
)

SIGMOID_FOCAL = Formulas(
    ours="sigmoid_focal_loss",
    draw=scores_and_bits,
    numpy_value=numpy_sigmoid_focal,
    numpy_value_and_grad=numpy_sigmoid_focal_and_grad,
    torch=torch_sigmoid_focal,
    jax=lambda jnp, optax, x, t: jnp.mean(optax.sigmoid_focal_loss(x, t, alpha=ALPHA)),
)

POISSON_NLL = Formulas(
    ours="poisson_nll_loss",
    draw=log_rates_and_counts,
    numpy_value=numpy_poisson_nll,
    numpy_value_and_grad=numpy_poisson_nll_and_grad,
    torch=lambda functional, p, t: functional.poisson_nll_loss(p, t),
    jax=lambda jnp, _optax, p, t: jnp.mean(jnp.exp(p) - t * p),
    sklearn=lambda losses, _shape: losses.HalfPoissonLoss(),
)

GAUSSIAN_NLL = Formulas(
    ours="gaussian_nll_loss",
    draw=means_targets_and_variances,
    wrt=(0, 2),
    numpy_value=numpy_gaussian_nll,
    numpy_value_and_grad=numpy_gaussian_nll_and_grad,
    torch=lambda functional, p, t, v: functional.gaussian_nll_loss(p, t, v),
    jax=jax_gaussian_nll,
)

HINGE = Formulas(
    ours="hinge_loss",
    draw=scores_and_signs,
    numpy_value=numpy_hinge,
    numpy_value_and_grad=numpy_hinge_and_grad,
    torch=lambda functional, p, t: functional.relu(1 - t * p).mean(),
    jax=lambda jnp, optax, p, t: jnp.mean(optax.hinge_loss(p, t)),
)

SOFTMAX_FOCAL = Formulas(
    ours="softmax_focal_loss",
    draw=logits_and_labels,
    numpy_value=numpy_softmax_focal,
    numpy_value_and_grad=numpy_softmax_focal_and_grad,
    torch=torch_softmax_focal,
    jax=jax_softmax_focal,
)

GENERALIZED_JSD = Formulas(
    ours="generalized_jsd_loss",
    options={"beta": BETA, "from_logits": True},
    draw=two_normal,
    numpy_value=numpy_generalized_jsd,
    numpy_value_and_grad=numpy_generalized_jsd_and_grad,
    torch=torch_generalized_jsd,
    jax=jax_generalized_jsd,
)

COSINE_SIMILARITY = Formulas(
    ours="cosine_similarity_loss",
    draw=two_normal,
    numpy_value=numpy_cosine_similarity,
    numpy_value_and_grad=numpy_cosine_similarity_and_grad,
    torch=lambda functional, p, t: (1 - functional.cosine_similarity(p, t)).mean(),
    jax=lambda jnp, optax, p, t: jnp.mean(optax.cosine_distance(p, t)),
)

TRIPLET_MARGIN = Formulas(
    ours="triplet_margin_loss",
    draw=three_normal,
    wrt=(0, 1, 2),
    numpy_value=numpy_triplet_margin,
    numpy_value_and_grad=numpy_triplet_margin_and_grad,
    torch=lambda functional, a, p, n: functional.triplet_margin_loss(a, p, n),
    jax=jax_triplet_margin,
)

DICE = Formulas(
    ours="dice_loss",
    draw=probabilities_and_bits,
    numpy_value=numpy_dice,
    numpy_value_and_grad=numpy_dice_and_grad,
    torch=torch_dice,
    jax=jax_dice,
)
