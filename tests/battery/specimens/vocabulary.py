"""Losses of large vocabularies, and of any smoothed maximum."""

import mpmath
import numpy as np

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import DISTRIBUTION, LABEL, LOGIT, Draw
from tests.battery.specimen import Peer, register
from tests.battery.specimens.multiclass import CLASS, CONFIDENT, adjusted

INF = np.inf


# ----------------------------------------------------------------------------- token scaling
def dft_and_slopes(logits, label, *, weight=None, temperature=1, softcap=None):
    row, chain = adjusted(logits, temperature, softcap)
    label = int(label)
    value, *slopes = truth.cross_entropy(row, truth.one_hot(label, len(row)), None)
    factor = truth.exp(-value)
    factor *= 1 if weight is None else weight[label]
    found = [truth.times(factor, s * c) for s, c in zip(slopes, chain, strict=True)]
    return truth.times(factor, value), found


def torch_dft(logits, labels, weight=None, temperature=1.0, softcap=None):
    """As TRL and Liger write it."""
    import torch

    x = torch.tensor(logits)
    x = (x if softcap is None else softcap * torch.tanh(x / softcap)) / temperature
    factors = None if weight is None else torch.tensor(weight)
    losses = torch.nn.functional.cross_entropy(x, torch.tensor(labels), factors, reduction="none")
    chosen = torch.softmax(x, -1).gather(-1, torch.tensor(labels)[..., None])[..., 0]
    return (losses * chosen).numpy()


register(
    tw.dft_loss, LOGIT, LABEL,
    reference=lambda *a, **o: dft_and_slopes(*a, **o)[0],
    exact_slopes=lambda *a, **o: dft_and_slopes(*a, **o)[1],
    options=({}, {"temperature": 2.0}),
    arrays={"weight": CLASS},
    hostile=CONFIDENT,
    laws={"nonnegative", "shift_invariant"},
    stopped=("logits",),
    peers=(Peer("torch", torch_dft),),
)  # fmt: skip
register(
    tw.dft_loss, LOGIT, LABEL,
    variant="capped",
    reference=lambda *a, **o: dft_and_slopes(*a, **o)[0],
    exact_slopes=lambda *a, **o: dft_and_slopes(*a, **o)[1],
    options=({"softcap": 30.0},),
    laws={"nonnegative"},
    limit=60,  # the capped logits are rounded before slopes that cancel
    stopped=("logits",),
    peers=(Peer("torch", torch_dft),),
)  # fmt: skip


# ------------------------------------------------------------------------- a softmax in two levels
CUTOFFS = (2, 4)
WORD = Draw(
    lambda random, shape: random.integers(0, shape[-1] - len(CUTOFFS), shape[:-1]),
    level="row", real=False,
)  # fmt: skip


def negative_log(row, place):
    return mpmath.log(mpmath.fsum(truth.exp(x) for x in row)) - row[place]


def two_levels(rows, labels, *, cutoffs):
    found, clusters = [], len(cutoffs)
    for row, label in zip(rows, map(int, labels), strict=True):
        bounds = [*cutoffs, len(row) - clusters]
        head = row[: cutoffs[0] + clusters]
        own = [i for i, start in enumerate(cutoffs) if label >= start]
        if not own:
            found.append(negative_log(head, label))
            continue
        start, end = bounds[own[-1]], bounds[own[-1] + 1]
        tail = row[clusters + start : clusters + end]
        found.append(negative_log(head, cutoffs[0] + own[-1]) + negative_log(tail, label - start))
    return found


def torch_adaptive(logits, labels, *, cutoffs):
    """PyTorch's module, whose projections select columns of what it is given."""
    import torch

    clusters, width = len(cutoffs), logits.shape[-1]
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(width, width - clusters, list(cutoffs), 1.0)
    module = module.double()
    eye = torch.eye(width, dtype=torch.float64)
    bounds = [*cutoffs, width - clusters]
    with torch.no_grad():
        module.head.weight.copy_(eye[: cutoffs[0] + clusters])
        for i, tail in enumerate(module.tail):
            tail[0].weight.copy_(eye)
            tail[1].weight.copy_(eye[clusters + bounds[i] : clusters + bounds[i + 1]])
        return -module(torch.tensor(logits), torch.tensor(labels)).output.numpy()


register(
    tw.adaptive_log_softmax_loss, LOGIT, WORD,
    reference=two_levels,
    whole=True,
    options=({"cutoffs": CUTOFFS}, {"cutoffs": (1, 3)}),
    shape=(5, 9),
    tiny=(2, 8),
    hostile=(
        ([[40.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0]], [0]),
        ([[0.0, 0.0, 0.0, 60.0, 1.0, 2.0, 0.0, 70.0]], [5]),
    ),
    laws={"nonnegative", "convex", "shift_invariant"},
    peers=(Peer("torch", torch_adaptive),),
)  # fmt: skip


# --------------------------------------------------------------------------- any smoothed maximum
class Named:
    """A function that is called the same in every process."""

    def __init__(self, function, name):
        self.function, self.name = function, name

    def __call__(self, x):
        return self.function(tw.array_namespace(x), x)

    def __repr__(self):
        return self.name


HALF_SQUARES = Named(lambda xp, x: 0.5 * xp.sum(x**2, axis=-1), "half_squares")
NEGATIVE_ENTROPY = Named(lambda xp, x: xp.sum(xp.xlogy(x, x), axis=-1), "negative_entropy")


def fenchel_young(rows, targets, *, max_fun=None, omega=None):
    found = []
    for row, q in zip(rows, targets, strict=True):
        squares = mpmath.fsum(x * x for x in row) / 2
        best = mpmath.log(mpmath.fsum(truth.exp(x) for x in row)) if max_fun is None else squares
        value = best - mpmath.fsum(truth.times(p, x) for p, x in zip(q, row, strict=True))
        if repr(omega) == "negative_entropy":
            value += mpmath.fsum(p * mpmath.log(p) for p in q if p)
        elif omega is not None:
            value += mpmath.fsum(p * p for p in q) / 2
        found.append(value)
    return found


def optax_fenchel_young(scores, targets, *, max_fun=None):
    import jax
    import optax

    with jax.enable_x64(True):
        function = jax.nn.logsumexp if max_fun is None else lambda x: 0.5 * (x * x).sum()
        loss = optax.losses.make_fenchel_young_loss(function)
        return np.asarray(loss(jax.numpy.asarray(scores), jax.numpy.asarray(targets)))


register(
    tw.fenchel_young_loss, LOGIT, DISTRIBUTION,
    reference=fenchel_young,
    whole=True,
    options=(
        {},
        {"omega": NEGATIVE_ENTROPY},
        {"max_fun": HALF_SQUARES, "omega": HALF_SQUARES},
    ),
    tiny=(2, 4),
    hostile=(([[1.0, -INF, 0.5, 0.0]], [[0.5, 0.0, 0.25, 0.25]]),),
    laws={"convex"},
    peers=(Peer("optax", optax_fenchel_young, only=lambda o: "omega" not in o),),
)  # fmt: skip
