"""Losses of sequences whose alignment is not given."""

import itertools

import mpmath
import numpy as np

import tensorweaver as tw
from tests.battery.draws import LOG_DISTRIBUTION, LOGIT, Draw
from tests.battery.specimen import Peer, register

LABELS = 2


def labels(*, blank_is_last=False):
    """Two labels a sequence, none of them the blank; `shape` is (T, N, C)."""
    first = 0 if blank_is_last else 1
    return Draw(
        lambda random, shape: random.integers(first, shape[2] - 1 + first, (shape[1], LABELS)),
        real=False,
    )


STEPS = Draw(lambda random, shape: random.integers(3, shape[0] + 1, shape[1]), real=False)
# All alike: a mean divides by them.
COUNTS = Draw(lambda random, shape: np.full(shape[1], random.integers(1, LABELS + 1)), real=False)


def collapsed(alignment, blank):
    """What an alignment says: repeats merged, then blanks dropped."""
    return [label for label, _ in itertools.groupby(alignment) if label != blank]


def ctc(log_probs, targets, input_lengths, target_lengths, *, blank=0, zero_infinity=False):
    """Every alignment by itself."""
    losses = []
    for n, labels_ in enumerate(targets):
        wanted = [int(label) for label in labels_[: int(target_lengths[n])]]
        steps, classes = int(input_lengths[n]), len(log_probs[0][n])
        total = mpmath.mpf(0)
        for alignment in itertools.product(range(classes), repeat=steps):
            if collapsed(alignment, blank) == wanted:
                total += mpmath.exp(sum(log_probs[t][n][c] for t, c in enumerate(alignment)))
        impossible = 0 if zero_infinity else mpmath.inf
        losses.append(-mpmath.log(total) if total else impossible)
    return losses


def torch_ctc(log_probs, *rest, blank=0, zero_infinity=False):
    import torch

    arrays = map(torch.tensor, (log_probs, *rest))
    return torch.nn.functional.ctc_loss(
        *arrays, blank=blank, reduction="none", zero_infinity=zero_infinity
    ).numpy()


def optax_ctc(log_probs, targets, input_lengths, target_lengths, blank=0):
    import optax

    def paddings(lengths, size):
        return (np.arange(size) >= lengths[:, None]).astype(float)

    return optax.ctc_loss(
        log_probs.transpose(1, 0, 2),
        paddings(input_lengths, len(log_probs)),
        targets,
        paddings(target_lengths, targets.shape[1]),
        blank_id=blank,
    )


CERTAIN = [[[-1e-9, -25.0, -30.0]], [[-22.0, -1e-8, -28.0]], [[-2e-9, -21.0, -26.0]]]
REMOTE = [[[-300.0, 0.0, -500.0]], [[-700.0, -2.0, -900.0]], [[-1.0, -800.0, -1000.0]]]
UNNORMALISED = [[[0.1, 0.2, 0.3]], [[0.4, 0.1, 0.0]], [[0.3, 0.3, 0.1]], [[0.2, 0.5, 0.4]]]
register(
    tw.ctc_loss, LOG_DISTRIBUTION, labels(), STEPS, COUNTS,
    reference=ctc,
    options=({}, {"zero_infinity": True}),
    limit=24,  # a probability of e^-43 comes from a logarithm whose last bit is worth 32 ulp of it
    shape=(5, 5, 4), tiny=(4, 2, 3), row_axes=(1, 0, 0, 0), whole=True,
    hostile=(
        (CERTAIN, [[1]], [3], [1]),
        (CERTAIN, [[2, 1]], [3], [2]),
        (REMOTE, [[1, 2]], [3], [2]),
        (REMOTE, [[2, 2]], [3], [2]),
        (UNNORMALISED, [[1, 2]], [4], [2]),
        (UNNORMALISED, [[1, 1]], [3], [0]),
    ),
    peers=(Peer("torch", torch_ctc, rtol=1e-9),
           Peer("optax", optax_ctc, rtol=1e-5, only=lambda options: not options)),
)  # fmt: skip


# ------------------------------------------------------------------------------------ transducers
PLACED = Draw(
    lambda random, shape: random.integers(0, shape[3] - 1, (shape[0], shape[2] - 1)), real=False
)
SOME_STEPS = Draw(lambda random, shape: random.integers(1, shape[1] + 1, shape[0]), real=False)
SOME_LABELS = Draw(lambda random, shape: random.integers(0, shape[2], shape[0]), real=False)


def log_softmax(row):
    total = mpmath.log(sum(mpmath.exp(x) for x in row))
    return [x - total for x in row]


def rnnt(
    logits, targets, logit_lengths, target_lengths, *, blank=-1, clamp=-1, fused_log_softmax=True
):
    """Every order of blanks and labels by itself; the last blank comes last."""
    assert clamp < 0
    losses = []
    for n, places in enumerate(logits):
        steps, count = int(logit_lengths[n]), int(target_lengths[n])
        costs = [
            [log_softmax(place) if fused_log_softmax else place for place in row[: count + 1]]
            for row in places[:steps]
        ]
        total = mpmath.mpf(0)
        for spots in itertools.combinations(range(steps - 1 + count), count):
            t, u, logarithm = 0, 0, mpmath.mpf(0)
            for spot in range(steps - 1 + count):
                if spot in spots:
                    logarithm += costs[t][u][int(targets[n][u])]
                    u += 1
                else:
                    logarithm += costs[t][u][blank]
                    t += 1
            total += mpmath.exp(logarithm + costs[t][u][blank])
        losses.append(-mpmath.log(total) if total else mpmath.inf)
    return losses


SURE = [[[[0.0, 30.0, -5.0], [-30.0, 0.0, 33.0]], [[1.0, -28.0, 31.0], [0.0, -2.0, 25.0]]]]
register(
    tw.rnnt_loss, LOGIT, PLACED, SOME_STEPS, SOME_LABELS,
    reference=rnnt,
    options=({}, {"fused_log_softmax": False}),
    shape=(5, 2, 3, 4), tiny=(2, 2, 2, 3), whole=True,
    hostile=(
        (SURE, [[0]], [2], [1]),
        (SURE, [[1]], [2], [1]),
        (SURE, [[0]], [1], [0]),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------ chains of tags
TAGS = Draw(lambda random, shape: random.integers(0, shape[2], shape[:2]), real=False)
MOVES = Draw(lambda random, shape: random.normal(size=(shape[2], shape[2])))
ENDS = Draw(lambda random, shape: random.normal(size=shape[2]))


def crf(emissions, tags, transitions, start_transitions=None, end_transitions=None):
    """Every tagging by itself."""

    def score(rows, tagging):
        total = sum(row[tag] for row, tag in zip(rows, tagging, strict=True))
        total += sum(transitions[a][b] for a, b in itertools.pairwise(tagging))
        total += start_transitions[tagging[0]] if start_transitions else 0
        return total + (end_transitions[tagging[-1]] if end_transitions else 0)

    losses = []
    for rows, chosen in zip(emissions, tags, strict=True):
        own = score(rows, [int(tag) for tag in chosen])
        every = itertools.product(range(len(rows[0])), repeat=len(rows))
        losses.append(mpmath.log(sum(mpmath.exp(score(rows, t) - own) for t in every)))
    return losses


CONFIDENT = [[[40.0, 0.0], [3.0, 38.0], [-1.0, 37.0]]]
register(
    tw.crf_nll_loss, LOGIT, TAGS, MOVES,
    reference=crf,
    arrays={"start_transitions": ENDS, "end_transitions": ENDS},
    laws={"nonnegative"},
    shape=(5, 3, 3), tiny=(2, 3, 2), row_axes=(0, 0, None), rows_are_independent=False, whole=True,
    hostile=(
        (CONFIDENT, [[0, 1, 1]], [[0.0, 1.0], [2.0, 0.5]]),
        (CONFIDENT, [[1, 1, 0]], [[0.0, 1.0], [2.0, 0.5]]),
    ),
)  # fmt: skip
