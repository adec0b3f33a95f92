"""Losses of classes that are ordinary array code: projections, cut points, several classes."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import DISTRIBUTION, LABEL, LOGIT, REAL, Draw
from tests.battery.peers import published, torch_loss
from tests.battery.specimen import Peer, register
from tests.battery.specimens.binary import positive_part
from tests.battery.specimens.multiclass import distribution_of

NAN, INF = np.nan, np.inf
HALF, THIRD = mpf(1) / 2, mpf(1) / 3


# ------------------------------------------------------------------------------- projections
def projected(row, power):
    """The threshold for each number of classes; the right one leaves out none above it."""
    ranked = sorted(row, reverse=True)
    for count in range(len(ranked), 0, -1):
        inside = ranked[:count]
        middle = sum(inside) / count
        if not mpmath.isfinite(middle):
            continue
        if power == 1:
            t = middle - mpf(1) / count
        else:
            rest = 1 - sum((x - middle) ** 2 for x in inside)
            if rest < 0:
                continue
            t = middle - mpmath.sqrt(rest / count)
        if t <= inside[-1]:
            return [max(x - t, 0) ** power for x in row]
    return [x * NAN for x in row]


def product(a, b):
    """The sum of products, in which nothing is 0 of anything."""
    return sum(x * y for x, y in zip(a, b, strict=True) if x)


def sparsemax(logits, target):
    q = distribution_of(target, logits)
    p = projected(logits, 1)
    return product(p, logits) - product(q, logits) - (product(p, p) - product(q, q)) / 2


def entropy15(p):
    return 4 * THIRD * sum(x - x ** (3 * HALF) for x in p)


def entmax15(logits, target):
    q = distribution_of(target, logits)
    p = projected([x / 2 for x in logits], 2)
    return product(p, logits) - product(q, logits) + entropy15(p) - entropy15(q)


def numpy_projection(logits, power):
    """By bisection, as the entmax package does it where it does not sort."""
    x = logits if power == 1 else logits / 2
    low, high = x.max(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        more = np.sum(np.maximum(x - middle, 0) ** power, -1, keepdims=True) > 1
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.maximum(x - low, 0) ** power


def numpy_entmax15(logits, targets):
    q = targets if targets.ndim == logits.ndim else np.eye(logits.shape[-1])[targets]
    p = numpy_projection(logits, 2)
    omega = [4 / 3 * np.sum(d - d**1.5, -1) for d in (p, q)]
    return np.sum((p - q) * logits, -1) + omega[0] - omega[1]


def by_row(reference):
    return lambda rows, targets: [reference(r, t) for r, t in zip(rows, targets, strict=True)]


LABELLED = (
    ([[1.5, 0.25, 0.0, 0.5]], [0]),
    ([[1.0, 1.0, 1.0, -2.0]], [3]),
    ([[0.0, 1e-3, 0.0, -1e-3]], [1]),
    ([[300.0, 299.75, 0.0, -300.0]], [0]),
    ([[1.0, 1e-3, 0.0, 0.0]], [0]),
    ([[2.0, 1e-3, 0.0, 0.0]], [0]),
    ([[1.0, -2.0, 0.5, -INF]], [0]),
    ([[NAN, 0.0, 0.5, 1.0]], [1]),
)
SOFT = (
    ([[1.0, 1.25, 1.0, -2.0]], [[0.25, 0.5, 0.25, 0.0]]),
    ([[0.5, 0.25, 0.0, 0.25]], [[0.5, 0.25, 0.0, 0.25]]),
    ([[30.0, 1.0, -20.0, 4.0]], [[0.5, 0.0, 0.0, 0.5]]),
)


def optax_projected(logits, labels):
    """Optax's, which differentiates labels as indices."""
    import jax
    import optax

    with jax.enable_x64(True):
        return np.asarray(optax.losses.multiclass_sparsemax_loss(jax.numpy.asarray(logits), labels))


for loss, reference, peer in (
    (tw.sparsemax_loss, sparsemax, Peer("optax", optax_projected)),
    (tw.entmax15_loss, entmax15, published(numpy_entmax15)),
):
    register(
        loss, LOGIT, LABEL,
        reference=by_row(reference),
        whole=True,
        shape=(5, 4),
        tiny=(2, 4),
        hostile=LABELLED,
        laws={"nonnegative", "convex", "shift_invariant"},
        peers=(peer,),
    )  # fmt: skip
    register(
        loss, LOGIT, DISTRIBUTION,
        variant="probabilities",
        reference=by_row(reference),
        whole=True,
        shape=(5, 4),
        tiny=(2, 4),
        hostile=SOFT,
        laws={"nonnegative", "convex", "shift_invariant"},
        peers=(published(numpy_entmax15),) if loss is tw.entmax15_loss else (),
    )  # fmt: skip


# -------------------------------------------------------------------------------- cut points
CUTS = Draw(lambda random, shape: np.cumsum(0.3 + random.random(shape[-1])) - 2, level="class")
GRADE = Draw(lambda random, shape: random.integers(0, shape[-1] + 1, shape), real=False)


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def cumulative_link(predictions, targets, thresholds):
    """Each prediction by itself, the rows one after the other."""
    cuts = [-mpmath.inf, *thresholds, mpmath.inf]
    found = []
    for row, labels in zip(predictions, targets, strict=True):
        for x, label in zip(row, map(int, labels), strict=True):
            low, high = cuts[label] - x, cuts[label + 1] - x
            # Of two numbers near 1 the difference is that of what they lack.
            near = sigmoid(high) - sigmoid(low) if low < 0 else sigmoid(-low) - sigmoid(-high)
            found.append(-mpmath.log(near))
    return found


def statsmodels_logit(predictions, targets, thresholds):
    cuts = np.concatenate([[-np.inf], thresholds, [np.inf]])
    with np.errstate(over="ignore"):
        upper, lower = (1 / (1 + np.exp(predictions - cuts[targets + i])) for i in (1, 0))
    return -np.log(upper - lower)


register(
    tw.cumulative_link_loss, REAL, GRADE, CUTS,
    reference=cumulative_link,
    whole=True,
    rows_are_independent=False,
    shape=(5, 4),
    tiny=(1, 3),
    hostile=(
        ([[40.0, -40.0, 90.0]], [[3, 0, 2]], [-1.0, 0.5, 2.0]),
        ([[40.0, -40.0, 90.0]], [[0, 3, 1]], [-1.0, 0.5, 2.0]),
        ([[0.25, 0.5, -0.5]], [[1, 1, 1]], [-17.0, 16.0]),
        ([[0.25, 0.5, 3.0]], [[1, 1, 2]], [0.25, 0.25 + 2.0**-20]),
        ([[NAN]], [[1]], [0.25, 0.75]),
    ),
    laws={"nonnegative", "convex"},
    peers=(published(statsmodels_logit),),
)  # fmt: skip


# --------------------------------------------------------------------------- several classes
def several_labels(random, shape):
    """Some different classes a row, then -1, then anything."""
    count = shape[-1]
    rows = []
    for _ in range(int(np.prod(shape[:-1]))):
        row = random.permutation(count)
        row[random.integers(0, count)] = -1
        rows.append(row)
    return np.reshape(rows, shape)


def multilabel(row, targets):
    right = targets[: targets.index(-1)] if -1 in targets else targets
    wrong = [i for i in range(len(row)) if i not in right]
    costs = [positive_part(1 - (row[j] - row[i])) for j in right for i in wrong]
    return sum(costs, mpf(0)) / len(row)


register(
    tw.multilabel_margin_loss, REAL, Draw(several_labels, real=False),
    reference=by_row(lambda row, targets: multilabel(row, [int(t) for t in targets])),
    whole=True,
    tiny=(2, 4),
    hostile=(
        ([[0.5, 1.5, 0.5, -0.5]], [[1, 0, -1, 2]]),
        ([[0.5, 1.25, 0.5, 3.0]], [[1, 1, -1, 0]]),
        ([[0.5, 1.25, 0.5, 3.0]], [[0, 1, 2, 3]]),
        ([[0.5, 1.25, 0.5, 3.0]], [[-1, 1, 2, 3]]),
    ),
    laws={"nonnegative", "convex"},
    second=False,
    peers=(torch_loss("multilabel_margin_loss"),),
)  # fmt: skip
