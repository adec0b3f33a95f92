"""Losses of one yes-or-no question an element."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import (
    BINARY,
    DISTRIBUTION,
    LABEL,
    LOGIT,
    POSITIVE,
    PROBABILITY,
    REAL,
    SIGN,
    UNIT,
)
from tests.battery.peers import keras_loss, torch_loss
from tests.battery.specimen import Peer, register


def without(*names):
    """For peers that lack these options."""
    return lambda options: not set(names) & set(options)


def optax_loss(name):
    """Optax's loss of that name, computed in float64."""

    def call(*arrays, **options):
        import jax
        import optax

        with jax.enable_x64(True):
            given = [jax.numpy.asarray(a, dtype="float64") for a in arrays]
            return np.asarray(getattr(optax.losses, name)(*given, **options))

    return call


# ------------------------------------------------------------------------------- cross-entropy
def smoothed(target, smoothing):
    return target * (1 - mpf(smoothing)) + mpf(smoothing) / 2


def from_probabilities(p, y, label_smoothing=0, weight=1):
    return truth.binary_cross_entropy(p, smoothed(y, label_smoothing), weight)


def from_logits(x, y, label_smoothing=0, weight=1, pos_weight=1):
    y = smoothed(y, label_smoothing)
    return [truth.times(weight, part)
            for part in truth.binary_cross_entropy_with_logits(x, y, pos_weight)]  # fmt: skip


def sklearn_log_loss(p, y, **options):
    from sklearn.metrics import log_loss

    columns = np.stack([1 - p, p], -1).reshape(-1, 2)
    losses = [log_loss([t], [c], labels=[0, 1])
              for t, c in zip(y.reshape(-1), columns, strict=True)]  # fmt: skip
    return np.reshape(losses, p.shape)


SMOOTH = {"label_smoothing": 0.1}
# Of any size, a factor takes a product of three out of the dtype's range on the way.
FACTOR = POSITIVE._replace(hostile=lambda _dtype: [0.0, 1.0, 3.0])

register(
    tw.binary_cross_entropy_loss, PROBABILITY, BINARY,
    reference=lambda *a, **o: from_probabilities(*a, **o)[0],
    exact_slopes=lambda p, y, *given, **o: from_probabilities(p, y, **o, **factors(given))[1],
    options=({}, SMOOTH),
    arrays={"weight": FACTOR},
    laws={"nonnegative", "convex"},
    peers=(
        torch_loss("binary_cross_entropy")._replace(only=without("label_smoothing")),
        Peer("sklearn", sklearn_log_loss, only=without("label_smoothing")),
        keras_loss("binary_crossentropy", rtol=2e-5),
    ),
)  # fmt: skip


def factors(given):
    """Arrays that came by place, by name."""
    return dict(zip(("weight", "pos_weight"), given, strict=False))


def sklearn_half_binomial(x, y):
    from sklearn._loss.loss import HalfBinomialLoss

    found = HalfBinomialLoss().loss(y_true=y.reshape(-1), raw_prediction=x.reshape(-1))
    return np.reshape(found, x.shape)


register(
    tw.binary_cross_entropy_with_logits_loss, LOGIT, UNIT,
    reference=lambda *a, **o: from_logits(*a, **o)[0],
    exact_slopes=lambda x, y, *given, **o: from_logits(x, y, **o, **factors(given))[1],
    options=({}, SMOOTH),
    arrays={"weight": FACTOR, "pos_weight": FACTOR},
    laws={"nonnegative", "convex"},
    peers=(
        torch_loss("binary_cross_entropy_with_logits")._replace(only=without("label_smoothing")),
        Peer("optax", optax_loss("sigmoid_binary_cross_entropy"), only=without("label_smoothing")),
        Peer("sklearn", sklearn_half_binomial, only=without("label_smoothing")),
        keras_loss("binary_crossentropy", fixed={"from_logits": True}),
    ),
)  # fmt: skip


# --------------------------------------------------------------------------------------- focal
def focal(x, y, alpha=0.25, gamma=2):
    wrongness = (1 - y) * truth.sigmoid(x)[0] + y * truth.sigmoid(-x)[0]
    cost = truth.times(y, truth.softplus(-x)[0]) + truth.times(1 - y, truth.softplus(x)[0])
    return balance(y, alpha) * wrongness ** mpf(gamma) * cost


def balance(y, alpha):
    return 1 if alpha is None else mpf(alpha) * y + (1 - mpf(alpha)) * (1 - y)


def focal_slope(x, y, alpha=0.25, gamma=2):
    """At infinity the loss is linear."""
    if not mpmath.isinf(x):
        return None
    share = 1 - y if x > 0 else y
    return mpmath.sign(x) * balance(y, alpha) * share ** (mpf(gamma) + 1)


def optax_focal(x, y, alpha=0.25, gamma=2):
    return optax_loss("sigmoid_focal_loss")(x, y, alpha=alpha, gamma=gamma)


def torchvision_focal(x, y, alpha=0.25, gamma=2):
    p = 1 / (1 + np.exp(-x))
    p_t = p * y + (1 - p) * (1 - y)
    loss = -(y * np.log(p) + (1 - y) * np.log(1 - p)) * (1 - p_t) ** gamma
    return loss if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * loss


register(
    tw.sigmoid_focal_loss, LOGIT, UNIT,
    reference=focal,
    exact_slopes=focal_slope,
    avoid=lambda x, y: mpmath.isinf(x) and 0 < y < 1e-30,  # 0 times infinity: the power underflows
    limit=8,  # a product of seven factors, one of them a power
    options=({}, {"alpha": None, "gamma": 0.5}, {"alpha": 0.75, "gamma": 1.5}, {"gamma": 1}),
    laws={"nonnegative"},
    peers=(
        Peer("optax", optax_focal),
        Peer("numpy", torchvision_focal),
        keras_loss(
            "binary_focal_crossentropy",
            fixed={"from_logits": True, "apply_class_balancing": True},
            only=lambda options: options.get("alpha", 0.25) is not None,
        ),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------- margins and signs
def sgd_loss(name, **fixed):
    """What scikit-learn's stochastic gradient descent calls a loss."""

    def call(x, y, **options):
        from sklearn.linear_model import _sgd_fast

        loss = getattr(_sgd_fast, name)(*fixed.values(), *options.values())
        found = [loss.py_loss(*pair) for pair in zip(x.reshape(-1), y.reshape(-1), strict=True)]
        return np.reshape(found, x.shape)

    return Peer("sklearn", call)


def positive_part(x):
    return x if mpmath.isnan(x) else max(x, mpf(0))


def hinge(x, y, margin=1):
    return positive_part(mpf(margin) - x * y)


def perceptron(x, y):
    return positive_part(-x * y)


def modified_huber(x, y):
    agreement = x * y
    return -4 * agreement if agreement < -1 else positive_part(1 - agreement) ** 2


def at_infinity(slope):
    """The slope where differences find none."""
    return lambda x, y: (
        None if mpmath.isfinite(x) else mpf("nan") if mpmath.isnan(x) else slope(x, y)
    )


OF_SIGNS = {"nonnegative", "convex"}

register(
    tw.hinge_loss, REAL, SIGN,
    reference=hinge,
    options=({}, {"margin": 0.25}),
    exact_slopes=lambda x, y, **_: at_infinity(lambda x, y: -y if x * y < 0 else mpf(0))(x, y),
    laws=OF_SIGNS,
    second=False,
    peers=(
        Peer("optax", optax_loss("hinge_loss"), only=without("margin")),
        sgd_loss("Hinge"),
        keras_loss("hinge", only=without("margin")),
    ),
)  # fmt: skip
register(
    tw.squared_hinge_loss, REAL, SIGN,
    reference=lambda x, y, margin=1: hinge(x, y, margin) ** 2,
    options=({}, {"margin": 2.5}),
    laws=OF_SIGNS,
    peers=(sgd_loss("SquaredHinge"), keras_loss("squared_hinge", only=without("margin"))),
)  # fmt: skip
register(
    tw.perceptron_loss, REAL, SIGN,
    reference=perceptron,
    exact_slopes=at_infinity(lambda x, y: -y if x * y < 0 else mpf(0)),
    laws=OF_SIGNS,
    second=False,
    peers=(Peer("optax", optax_loss("perceptron_loss")), sgd_loss("Hinge", threshold=0.0)),
)  # fmt: skip
register(
    tw.modified_huber_loss, REAL, SIGN,
    reference=modified_huber,
    exact_slopes=at_infinity(lambda x, y: -4 * y if x * y < 0 else mpf(0)),
    laws=OF_SIGNS,
    peers=(sgd_loss("ModifiedHuber"),),
)  # fmt: skip
register(
    tw.soft_margin_loss, LOGIT, SIGN,
    reference=lambda x, y: truth.softplus(-x * y)[0],
    exact_slopes=at_infinity(lambda x, y: -y if x * y < 0 else mpf(0)),
    laws=OF_SIGNS,
    peers=(torch_loss("soft_margin_loss"),),
)  # fmt: skip


# ------------------------------------------------------------------------- targets between 0 and 1
def exponential(x, y):
    return truth.times(y, mpmath.exp(-x)) + truth.times(1 - y, mpmath.exp(x))


def sklearn_exponential(x, y):
    from sklearn._loss.loss import ExponentialLoss

    found = ExponentialLoss().loss(y_true=y.reshape(-1), raw_prediction=x.reshape(-1))
    return np.reshape(found, x.shape)


def sparse_plus(x):
    return x if x >= 1 else positive_part(x + 1) ** 2 / 4


def binary_sparsemax(x, y):
    return truth.times(y, sparse_plus(-x)) + truth.times(1 - y, sparse_plus(x))


register(
    tw.exponential_loss, LOGIT, UNIT,
    reference=exponential,
    hostile=((-90.0, 1e-10), (-740.0, 1e-300), (90.0, 1.0)),
    laws={"nonnegative", "convex"},
    peers=(Peer("sklearn", sklearn_exponential),),
)  # fmt: skip
register(
    tw.binary_sparsemax_loss, LOGIT, BINARY,
    reference=binary_sparsemax,
    exact_slopes=at_infinity(lambda x, y: mpf(x > 0) - y),
    laws={"nonnegative", "convex"},
    peers=(Peer("optax", optax_loss("sparsemax_loss")),),
)  # fmt: skip
register(
    tw.brier_loss, PROBABILITY, UNIT,
    reference=lambda p, y: (p - y) ** 2,
    laws={"nonnegative", "zero_at_target", "symmetric", "convex"},
    bounds=(0, 1),
    peers=(Peer("numpy", lambda p, y: ((p - y) ** 2 + ((1 - p) - (1 - y)) ** 2) / 2),),
)  # fmt: skip


# ------------------------------------------------------------------------- other cross-entropies
def asymmetric(x, y, gamma_pos=1, gamma_neg=4, clip=0.05):
    p, q = truth.sigmoid(x)[0], truth.sigmoid(-x)[0]
    positive = q ** mpf(gamma_pos) * truth.softplus(-x)[0]
    if clip == 0:
        negative = p ** mpf(gamma_neg) * truth.softplus(x)[0]
    else:
        lowered = positive_part(p - mpf(clip))
        negative = lowered ** mpf(gamma_neg) * -mpmath.log(1 - lowered)
    return truth.times(y, positive) + truth.times(1 - y, negative)


def authors_asymmetric(x, y, gamma_pos=1, gamma_neg=4, clip=0.05):
    p = 1 / (1 + np.exp(-x))
    q = np.minimum(1 - p + clip, 1)
    cost = -(y * np.log(p) + (1 - y) * np.log(q))
    return cost * (1 - p * y - q * (1 - y)) ** (gamma_pos * y + gamma_neg * (1 - y))


def cross_entropy_lambda(x, y, weight=1):
    rate = weight * (x if x == mpmath.inf else mpmath.log1p(mpmath.exp(x)))
    p = -mpmath.expm1(-rate)
    return truth.times(y, -mpmath.log(p)) + truth.times(1 - y, rate)


def lambda_slope(x, y, weight=None):
    return (
        None
        if not mpmath.isinf(x)
        else -y
        if x < 0
        else (1 - y) * (1 if weight is None else weight)
    )


register(
    tw.asymmetric_loss, LOGIT, BINARY,
    reference=asymmetric,
    exact_slopes=lambda x, y, gamma_pos=1, gamma_neg=4, clip=0.05: None
    if mpmath.isfinite(x)
    else at_infinity(lambda x, y: -y if x < 0 else (1 - y) * mpf(clip == 0))(x, y),
    limit=8,  # a product of a power and a logarithm, of a difference
    avoid=lambda x, y: x == 104,  # the sigmoid underflows before it is divided by the clip
    options=(
        {},
        {"clip": 0.0},
        {"gamma_pos": 0.0, "gamma_neg": 0.5},
        {"gamma_pos": 0.5, "gamma_neg": 1.5, "clip": 0.0},
    ),
    laws={"nonnegative"},
    peers=(Peer("numpy", authors_asymmetric),),
)  # fmt: skip
register(
    tw.cross_entropy_lambda_loss, LOGIT, UNIT,
    reference=cross_entropy_lambda,
    exact_slopes=lambda_slope,
    arrays={"weight": FACTOR._replace(hostile=lambda _dtype: [0.25, 1.0, 3.0])},
    laws={"nonnegative"},
    peers=(Peer("numpy", lambda x, y: np.log1p(np.exp(x)) - y * x),),
)  # fmt: skip


# ---------------------------------------------------------------------------------------- rows
def multilabel_soft_margin(row, targets, weight=None):
    weight = [mpf(1)] * len(row) if weight is None else weight
    costs = [truth.times(w, truth.binary_cross_entropy_with_logits(x, y)[0])
             for x, y, w in zip(row, targets, weight, strict=True)]  # fmt: skip
    return sum(costs) / len(row)


def multilabel_slopes(row, targets, weight=None):
    weight = [mpf(1)] * len(row) if weight is None else weight
    return [w * truth.binary_cross_entropy_with_logits(x, y)[1] / len(row)
            for x, y, w in zip(row, targets, weight, strict=True)]  # fmt: skip


def multiclass_brier(row, label):
    return sum((p - mpf(k == label)) ** 2 for k, p in enumerate(row))


def sklearn_brier(rows, labels):
    from sklearn.metrics import brier_score_loss

    classes = list(range(rows.shape[-1]))
    return [brier_score_loss([label], [row], labels=classes, scale_by_half=False)
            for row, label in zip(rows, labels, strict=True)]  # fmt: skip


register(
    tw.multilabel_soft_margin_loss, LOGIT, BINARY,
    reference=multilabel_soft_margin,
    exact_slopes=multilabel_slopes,
    arrays={"weight": FACTOR._replace(level="class")},
    hostile=(
        ([np.inf, -np.inf, 40.0, -40.0], [1.0, 0.0, 1.0, 0.0]),
        ([np.inf, 1e4, -1e4, 0.0], [0.0, 0.0, 1.0, 1.0]),
    ),
    laws={"nonnegative", "convex"},
    peers=(torch_loss("multilabel_soft_margin_loss"),),
)  # fmt: skip
register(
    tw.multiclass_brier_loss, DISTRIBUTION, LABEL,
    reference=multiclass_brier,
    hostile=(([1.0, 0.0, 0.0, 0.0], 0), ([0.0, 1.0, 0.0, 0.0], 2), ([1e-30, 1.0, 0.0, 0.0], 1)),
    laws={"nonnegative", "convex"},
    bounds=(0, 2),
    peers=(Peer("sklearn", sklearn_brier),),
)  # fmt: skip
