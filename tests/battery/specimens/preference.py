"""Losses of preferences between completions, and of policies that are rewarded."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import LOG_PROBABILITY, REAL, SIGN, Draw
from tests.battery.specimen import Peer, register

LOGIT = Draw(
    lambda random, shape: 3 * random.normal(size=shape),
    lambda dtype: [-1e4, -40.0, -1.5, 0.0, 1e-3, 1.5, 17.0, 88.0, np.inf, -np.inf, np.nan],
)
ADVANTAGE = Draw(
    lambda random, shape: random.normal(size=shape), lambda dtype: [-2.5, -1e-3, 0.0, 1.0, np.nan]
)


# ------------------------------------------------------------------------------ the mathematics
def softplus(x):
    """`log(1 + exp(x))`."""
    if not mpmath.isfinite(x):
        return x if x != -truth.INFINITY else mpf(0)
    return max(x, mpf(0)) + mpmath.log1p(truth.exp(-abs(x)))


def sigmoid(x):
    return 1 / (1 + truth.exp(-x)) if x != -truth.INFINITY else mpf(0)


def largest(*numbers):
    """The maximum, NaN if one of them is."""
    return truth.NAN if any(map(mpmath.isnan, numbers)) else max(numbers)


def logistic(margin, smoothing=0):
    if smoothing == 0:
        return softplus(-margin)
    return (1 - mpf(smoothing)) * softplus(-margin) + mpf(smoothing) * softplus(margin)


def ipo(chosen, rejected, beta=0.1):
    return (chosen - rejected - 1 / (2 * mpf(beta))) ** 2


def exo(margin, s):
    probabilities = [(sigmoid(margin), 1 - mpf(s)), (sigmoid(-margin), mpf(s))]
    return sum(mpf(0) if p == 0 else p * mpmath.log(p / q) for p, q in probabilities)


def robust(margin, s):
    if mpmath.isinf(margin):
        return -margin
    return ((1 - mpf(s)) * softplus(-margin) - mpf(s) * softplus(margin)) / (1 - 2 * mpf(s))


def discopop(u, tau):
    if u == -truth.INFINITY:
        return truth.INFINITY
    share = sigmoid(u / mpf(tau))
    return softplus(-u) * sigmoid(-u / mpf(tau)) + share * truth.exp(-u)


def dpo(
    chosen, rejected, reference_chosen, reference_rejected, *,
    beta=0.1, label_smoothing=0, loss_type="sigmoid", discopop_tau=0.05,
):  # fmt: skip
    beta = mpf(beta)
    c, r = chosen - reference_chosen, rejected - reference_rejected
    u, goal = beta * (c - r), 1 / (2 * beta)
    rules = {
        "sigmoid": lambda: logistic(u, label_smoothing),
        "hinge": lambda: largest(1 - u, mpf(0)),
        "ipo": lambda: ipo(c, r, beta),
        "exo_pair": lambda: exo(u, label_smoothing),
        "robust": lambda: robust(u, label_smoothing) if label_smoothing else softplus(-u),
        "nca_pair": lambda: softplus(-beta * c) + softplus(beta * c) / 2 + softplus(beta * r) / 2,
        "bco_pair": lambda: softplus(-beta * c) + softplus(beta * r),
        "sppo_hard": lambda: (c - goal) ** 2 + (r + goal) ** 2,
        "apo_zero": lambda: sigmoid(-beta * c) + sigmoid(beta * r),
        "apo_down": lambda: sigmoid(beta * c) + sigmoid(-u),
        "discopop": lambda: discopop(u, discopop_tau),
    }
    return rules[loss_type]()


def dpo_slopes(
    chosen, rejected, reference_chosen, reference_rejected, *,
    beta=0.1, label_smoothing=0, loss_type="sigmoid", discopop_tau=0.05,
):  # fmt: skip
    """By the chosen and by the rejected one's log-probability."""
    beta, s, tau = mpf(beta), mpf(label_smoothing), mpf(discopop_tau)
    c, r = chosen - reference_chosen, rejected - reference_rejected
    u, goal = beta * (c - r), 1 / (2 * beta)
    by_margin = {
        "sigmoid": lambda: s * sigmoid(u) - (1 - s) * sigmoid(-u),
        "hinge": lambda: truth.NAN if mpmath.isnan(u) else mpf(-1 if u < 1 else 0),
        "ipo": lambda: 2 * (c - r - goal) / beta,
        "exo_pair": lambda: truth.times(bell(u), u - mpmath.log((1 - s) / s)),
        "robust": lambda: -sigmoid(-u) - s / (1 - 2 * s),
        "discopop": lambda: discopop_slope(u, tau),
    }
    if loss_type in by_margin:
        slope = beta * by_margin[loss_type]()
        return slope, -slope
    return {
        "nca_pair": lambda: (
            beta * (sigmoid(beta * c) / 2 - sigmoid(-beta * c)), beta * sigmoid(beta * r) / 2
        ),
        "bco_pair": lambda: (-beta * sigmoid(-beta * c), beta * sigmoid(beta * r)),
        "sppo_hard": lambda: (2 * (c - goal), 2 * (r + goal)),
        "apo_zero": lambda: (-beta * bell(beta * c), beta * bell(beta * r)),
        "apo_down": lambda: (beta * (bell(beta * c) - bell(u)), beta * bell(u)),
    }[loss_type]()  # fmt: skip


def dpo_terms(
    chosen, rejected, reference_chosen, reference_rejected, *, beta=0.1, loss_type="sigmoid", **more
):  # fmt: skip
    """Slopes of opposite signs: of discopop's two losses near a margin of 0; of apo_down's two
    sigmoids, each as sensitive as its exponent is large, wherever the rejected completion stands
    still.
    """
    c, r = chosen - reference_chosen, rejected - reference_rejected
    u, beta = mpf(beta) * (c - r), mpf(beta)
    if not mpmath.isfinite(u) or loss_type not in {"discopop", "apo_down"}:
        return None
    if loss_type == "apo_down":
        return 0, beta * max(bell(x) * (1 + abs(x)) for x in (beta * c, u)), 0
    tau = mpf(more.get("discopop_tau", 0.05))
    share = sigmoid(u / tau)
    size = beta * (share * truth.exp(-u) + softplus(-u)) * (1 - share) / tau
    return 0, size, size


def bell(x):
    """The slope of the sigmoid."""
    return sigmoid(x) * sigmoid(-x)


def discopop_slope(u, tau):
    if mpmath.isinf(u):
        return mpf(-1 if u < 0 else 0)
    share = sigmoid(u / tau)
    logistic = -sigmoid(-u) * (1 - share) - softplus(-u) * bell(u / tau) / tau
    return logistic + share * truth.exp(-u) * ((1 - share) / tau - 1)


def cpo(chosen, rejected, beta=0.1, label_smoothing=0):
    return logistic(mpf(beta) * (chosen - rejected), label_smoothing)


def simpo(chosen, rejected, beta=0.1, gamma=0.5, label_smoothing=0):
    return logistic(mpf(beta) * (chosen - rejected) - mpf(gamma), label_smoothing)


def log_odds(log_prob):
    """Of a probability; of none NaN."""
    if not log_prob <= 0:
        return truth.NAN
    return truth.INFINITY if log_prob == 0 else log_prob - mpmath.log(1 - truth.exp(log_prob))


def orpo(chosen, rejected, beta=0.1):
    return mpf(beta) * softplus(log_odds(rejected) - log_odds(chosen))


def orpo_slopes(chosen, rejected, beta=0.1):
    """Where the chosen completion is certain, the limit."""
    if chosen > 0 or rejected > 0:
        return truth.NAN, truth.NAN
    if not (mpmath.isfinite(chosen) and mpmath.isfinite(rejected)) or chosen == rejected == 0:
        return truth.NAN, truth.NAN
    if rejected == 0:
        return -mpf(beta) / (1 - truth.exp(chosen)), truth.INFINITY
    odds = truth.exp(rejected) / (1 - truth.exp(rejected))
    if chosen == 0:
        return -mpf(beta) * odds, mpf(0)
    p = truth.exp(chosen)
    share = odds / (odds + p / (1 - p))
    return -mpf(beta) * share / (1 - p), mpf(beta) * share / (1 - truth.exp(rejected))


def reward_model(chosen, rejected, margin=0, center_rewards_coefficient=0):
    center = mpf(center_rewards_coefficient) * (chosen + rejected) ** 2
    return softplus(-(chosen - rejected - margin)) + (center if center_rewards_coefficient else 0)


def kto(log_prob, reference, label, kl=0, beta=0.1):
    return sigmoid(-label * mpf(beta) * (log_prob - reference - kl))


def surrogate(ratio, advantage, low, high, delta):
    if mpmath.isnan(ratio):
        return truth.NAN
    if advantage == 0:
        return mpf(0)
    upper = ratio if delta is None else min(ratio, mpf(delta))
    limited = max(min(ratio, 1 + mpf(high)), 1 - mpf(low))
    return largest(-upper * advantage, -limited * advantage)


def grpo(
    log_prob, old, advantage, *,
    reference_log_probs=None, epsilon_low=0.2, epsilon_high=0.2, beta=0.04, delta=None,
):  # fmt: skip
    loss = surrogate(truth.exp(log_prob - old), advantage, epsilon_low, epsilon_high, delta)
    if reference_log_probs is None:
        return loss
    d = reference_log_probs - log_prob
    penalty = truth.INFINITY if mpmath.isinf(d) else truth.exp(d) - 1 - d
    return loss + mpf(beta) * penalty


def gspo(
    log_probs, old, advantage, *,
    reference_log_probs=None, mask=None, epsilon_low=3e-4, epsilon_high=4e-4, beta=0.04,
):  # fmt: skip
    tokens = [i for i in range(len(log_probs)) if mask is None or mask[i]]
    if not tokens:
        return mpf(0)
    ratio = truth.exp(mpmath.fsum(log_probs[i] - old[i] for i in tokens) / len(tokens))
    loss = surrogate(ratio, advantage, epsilon_low, epsilon_high, None)
    if reference_log_probs is None:
        return loss
    moves = [reference_log_probs[i] - log_probs[i] for i in tokens]
    return loss + mpf(beta) * mpmath.fsum(truth.exp(d) - 1 - d for d in moves) / len(tokens)


def value_clip(value, old, returns, clip=0.2):
    clip = mpf(clip)
    change = value - old
    limited = old + (change if mpmath.isnan(change) else max(min(change, clip), -clip))
    return largest((value - returns) ** 2, (limited - returns) ** 2) / 2


# ------------------------------------------------------------------------------------- the peers
def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def published_dpo(chosen, rejected, reference_chosen, reference_rejected, **options):
    """As TRL and Liger write it."""
    beta, kind = options.get("beta", 0.1), options.get("loss_type", "sigmoid")
    s, tau = options.get("label_smoothing", 0.0), options.get("discopop_tau", 0.05)
    c, r = chosen - reference_chosen, rejected - reference_rejected
    logits = c - r
    u = beta * logits
    m = np.exp(log_sigmoid(u / tau))
    return {
        "sigmoid": -log_sigmoid(u) * (1 - s) - log_sigmoid(-u) * s,
        "hinge": np.maximum(1 - u, 0),
        "ipo": (logits - 1 / (2 * beta)) ** 2,
        "exo_pair": np.exp(log_sigmoid(u)) * (log_sigmoid(u) - np.log(1 - s))
        + np.exp(log_sigmoid(-u)) * (log_sigmoid(-u) - np.log(s or 1)),
        "robust": (-log_sigmoid(u) * (1 - s) + log_sigmoid(-u) * s) / (1 - 2 * s),
        "nca_pair": (
            -log_sigmoid(beta * c) - 0.5 * log_sigmoid(-beta * c) - 0.5 * log_sigmoid(-beta * r)
        ),
        "bco_pair": -log_sigmoid(beta * c) - log_sigmoid(-beta * r),
        "sppo_hard": (c - 0.5 / beta) ** 2 + (r + 0.5 / beta) ** 2,
        "apo_zero": 1 - np.exp(log_sigmoid(beta * c)) + np.exp(log_sigmoid(beta * r)),
        "apo_down": np.exp(log_sigmoid(beta * c)) + 1 - np.exp(log_sigmoid(u)),
        "discopop": -log_sigmoid(u) * (1 - m) + np.exp(-u) * m,
    }[kind]


def published_orpo(chosen, rejected, beta=0.1):
    """As TRL and Liger write it."""
    odds = (chosen - rejected) - (np.log1p(-np.exp(chosen)) - np.log1p(-np.exp(rejected)))
    return -beta * log_sigmoid(odds)


def torch_grpo(log_probs, old, advantages, epsilon_low=0.2, epsilon_high=0.2, delta=None, **_):
    """As TRL and Liger write it."""
    import torch

    ratio = torch.exp(torch.tensor(log_probs - old))
    limited = torch.clamp(ratio, 1 - epsilon_low, 1 + epsilon_high)
    ratio = ratio if delta is None else torch.clamp(ratio, max=delta)
    a = torch.tensor(advantages)
    return -torch.min(ratio * a, limited * a).numpy()


# --------------------------------------------------------------------------------- the specimens
PAIR = (LOG_PROBABILITY,) * 2
FOUR = (LOG_PROBABILITY,) * 4
PUBLISHED = (Peer("numpy", published_dpo),)


register(
    tw.dpo_loss, *FOUR,
    reference=dpo,
    options=(
        {},
        {"beta": 5.0, "label_smoothing": 0.125},
        {"loss_type": "hinge"},
        {"loss_type": "ipo"},
        {"loss_type": "exo_pair", "label_smoothing": 0.25, "beta": 0.5},
        {"loss_type": "exo_pair", "label_smoothing": 2**-10},
        {"loss_type": "robust", "label_smoothing": 0.125, "beta": 0.5},
        {"loss_type": "nca_pair"},
        {"loss_type": "bco_pair", "beta": 2.0},
        {"loss_type": "sppo_hard"},
        {"loss_type": "apo_zero"},
        {"loss_type": "apo_down"},
        {"loss_type": "discopop", "beta": 0.5},
    ),
    exact_slopes=dpo_slopes,
    terms=dpo_terms,
    # Near its goal exo_pair is the rest of two terms of opposite signs: 5.5 was seen.
    limit=lambda options: 8 if options.get("loss_type") == "exo_pair" else None,
    second=False,  # the hinge has none; tests/losses/test_preference.py has the others'
    peers=PUBLISHED,
)  # fmt: skip
register(
    tw.ipo_loss, *FOUR,
    reference=lambda c, r, rc, rr, beta=0.1: ipo(c - rc, r - rr, beta),
    options=({}, {"beta": 2.5}),
    laws={"nonnegative", "convex"},
    peers=(Peer("numpy", lambda *a, **o: published_dpo(*a, loss_type="ipo", **o)),),
)  # fmt: skip
register(
    tw.cpo_loss, *PAIR,
    reference=cpo,
    options=({}, {"beta": 5.0, "label_smoothing": 0.125}),
    laws={"nonnegative", "convex"},
    peers=(Peer("numpy", lambda c, r, **o: published_dpo(c, r, 0.0, 0.0, **o)),),
)  # fmt: skip
register(
    tw.simpo_loss, *PAIR,
    reference=simpo,
    options=({}, {"beta": 2.5, "gamma": 1.5, "label_smoothing": 0.125}),
    laws={"nonnegative", "convex"},
    peers=(
        Peer(
            "numpy",
            lambda c, r, beta=0.1, gamma=0.5, **o: published_dpo(
                c, r, gamma / beta, 0.0, beta=beta, **o
            ),
        ),
    ),
)  # fmt: skip
register(
    tw.orpo_loss, *PAIR,
    reference=orpo,
    options=({}, {"beta": 1.0}),
    hostile=((-1e-9, -2.0), (-2.0, -1e-9), (-0.25, 0.5), (0.5, -0.25)),
    exact_slopes=orpo_slopes,
    avoid=lambda c, r: np.isinf([c, r]).any(),
    laws={"nonnegative"},
    peers=(Peer("numpy", published_orpo),),
)  # fmt: skip
register(
    tw.reward_model_loss, LOGIT, LOGIT,
    reference=reward_model,
    options=({}, {"center_rewards_coefficient": 0.25}),
    limit=8,  # the slopes of the two terms have opposite signs somewhere
    arrays={"margin": REAL._replace(hostile=lambda dtype: [0.0, 0.5, 1e4])},
    laws={"nonnegative", "convex"},
)  # fmt: skip
register(
    tw.kto_loss, LOG_PROBABILITY, LOG_PROBABILITY, SIGN,
    reference=kto,
    options=({}, {"beta": 1.0}),
    arrays={"kl": REAL._replace(hostile=lambda dtype: [0.0, 0.5, 30.0])},
    bounds=(0, 1),
)  # fmt: skip
GRPO = (LOG_PROBABILITY, LOG_PROBABILITY, ADVANTAGE)
register(
    tw.ppo_clip_loss, *GRPO,
    reference=grpo,
    options=({}, {"epsilon_low": 0.5, "epsilon_high": 0.75}),
    peers=(Peer("torch", torch_grpo),),
)  # fmt: skip
register(
    tw.grpo_loss, *GRPO,
    reference=grpo,
    options=({}, {"epsilon_high": 0.25, "delta": 4.0}),
    arrays={"reference_log_probs": LOG_PROBABILITY},
    peers=(Peer("torch", torch_grpo),),
)  # fmt: skip
register(
    tw.gspo_loss, LOG_PROBABILITY, LOG_PROBABILITY, ADVANTAGE.of_row(),
    reference=gspo,
    options=({}, {"epsilon_low": 0.5, "epsilon_high": 0.75}),
    arrays={
        "reference_log_probs": LOG_PROBABILITY,
        "mask": Draw(lambda random, shape: random.random(shape) < 0.7, real=False),
    },
)  # fmt: skip
register(
    tw.ppo_value_clip_loss, REAL, REAL, REAL,
    reference=value_clip,
    options=({}, {"clip": 1.5}),
    hostile=((0.25, 0.0, 1.0), (0.25, 0.0, 0.125), (0.5, 0.5, 0.5), (2.5e19, 2.5e19, 0.0)),
    laws={"nonnegative"},
)  # fmt: skip
