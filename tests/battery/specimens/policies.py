"""Policy gradients whose ratios are weights, or bent by a sigmoid; penalties times the ratio."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import LOG_PROBABILITY, Draw
from tests.battery.specimen import Peer, register
from tests.battery.specimens.preference import ADVANTAGE, GRPO, grpo, gspo, sigmoid, surrogate

INF = np.inf
MASK = Draw(lambda random, shape: random.random(shape) < 0.7, real=False)
BEYOND = mpf(10) ** 6
"""An exponent that mpmath would take hours for, and no dtype has numbers for."""
REFERENCE = {"reference_log_probs": LOG_PROBABILITY}


# ------------------------------------------------------------------------------ the mathematics
def k3(log_prob, reference):
    d = reference - log_prob
    return truth.INFINITY if mpmath.isinf(d) else truth.exp(d) - 1 - d


def penalty(log_prob, old, reference, beta, corrected):
    """What the distance costs; times the ratio, of an impossible token, it is the limit."""
    if reference is None:
        return mpf(0)
    if not corrected:
        return mpf(beta) * k3(log_prob, reference)
    if log_prob == -truth.INFINITY:
        return mpf(beta) * truth.exp(reference - old)
    return mpf(beta) * truth.exp(log_prob - old) * k3(log_prob, reference)


def penalty_slope(log_prob, old, reference, beta, corrected):
    if reference is None:
        return mpf(0)
    d = reference - log_prob
    if corrected:
        return -mpf(beta) * truth.times(mpf(1) if mpmath.isnan(d) else truth.exp(log_prob - old), d)
    return -mpf(beta) * (truth.exp(d) - 1)


def likelihood(weight, advantage, log_prob):
    factor = weight * advantage
    return mpf(0) if factor == 0 else -factor * log_prob


def clipped_weight(log_prob, old, most):
    ratio = truth.exp(log_prob - old)
    return ratio if mpmath.isnan(ratio) else min(ratio, mpf(most))


def cispo(
    log_prob, old, advantage, *,
    reference_log_probs=None, max_ratio=5.0, beta=0.04, use_bias_correction_kl=False,
):  # fmt: skip
    weight = clipped_weight(log_prob, old, max_ratio)
    extra = penalty(log_prob, old, reference_log_probs, beta, use_bias_correction_kl)
    return likelihood(weight, advantage, log_prob) + extra


def cispo_slope(
    log_prob, old, advantage, *,
    reference_log_probs=None, max_ratio=5.0, beta=0.04, use_bias_correction_kl=False,
):  # fmt: skip
    weight = clipped_weight(log_prob, old, max_ratio)
    extra = penalty_slope(log_prob, old, reference_log_probs, beta, use_bias_correction_kl)
    return -weight * advantage + extra


def sapo(
    log_prob, old, advantage, *,
    reference_log_probs=None, temperature_positive=1.0, temperature_negative=1.05, beta=0.04,
    use_bias_correction_kl=False,
):  # fmt: skip
    t = mpf(temperature_positive if advantage > 0 else temperature_negative)
    ratio = truth.exp(log_prob - old)
    gate = truth.NAN if mpmath.isnan(ratio) else sigmoid(min(t * (ratio - 1), BEYOND))
    extra = penalty(log_prob, old, reference_log_probs, beta, use_bias_correction_kl)
    return -4 / t * gate * advantage + extra


def gamma_weight(log_ratio, advantage, rates):
    k, r = map(mpf, rates[2:] if advantage < 0 else rates[:2])
    if mpmath.isinf(log_ratio):
        return mpf(0)
    exponent = k * log_ratio + r * (1 - truth.exp(log_ratio))
    return mpf(0) if exponent < -BEYOND else truth.exp(exponent)


def vespo_rates(options):
    names = ("shape_positive", "rate_positive", "shape_negative", "rate_negative")
    return [options.get(n, d) for n, d in zip(names, (2.0, 3.0, 3.0, 2.0), strict=True)]


def vespo(log_probs, old, advantage, *, reference_log_probs=None, mask=None, beta=0.04, **more):
    tokens = [i for i in range(len(log_probs)) if mask is None or mask[i]]
    if not tokens:
        return mpf(0)
    total = mpmath.fsum(log_probs[i] - old[i] for i in tokens)
    weight = gamma_weight(total, advantage, vespo_rates(more))
    corrected = more.get("use_bias_correction_kl", False)
    reference = [None] * len(log_probs) if reference_log_probs is None else reference_log_probs
    return mpmath.fsum(
        likelihood(weight, advantage, log_probs[i])
        + penalty(log_probs[i], old[i], reference[i], beta, corrected)
        for i in tokens
    )


def vespo_slopes(
    log_probs, old, advantage, *, reference_log_probs=None, mask=None, beta=0.04, **more
):  # fmt: skip
    kept = [mask is None or bool(m) for m in (mask or log_probs)]
    total = mpmath.fsum(log_probs[i] - old[i] for i in range(len(kept)) if kept[i])
    weight = gamma_weight(total, advantage, vespo_rates(more))
    corrected = more.get("use_bias_correction_kl", False)
    reference = [None] * len(log_probs) if reference_log_probs is None else reference_log_probs
    return [
        -weight * advantage + penalty_slope(log_probs[i], old[i], reference[i], beta, corrected)
        if kept[i]
        else mpf(0)
        for i in range(len(kept))
    ]


def corrected_grpo(log_prob, old, advantage, *, reference_log_probs=None, beta=0.04, **more):
    more.pop("use_bias_correction_kl")
    extra = penalty(log_prob, old, reference_log_probs, beta, True)
    return grpo(log_prob, old, advantage, beta=beta, **more) + extra


def tokenwise_or_not(log_probs, old, advantage, *, use_bias_correction_kl=False, **options):
    """GSPO, whose penalty may count by the completion's ratio; `delta` limits that from above."""
    delta = options.pop("delta", None)
    plain = {"reference_log_probs": None}
    whole = gspo(log_probs, old, advantage, **options)
    policy = gspo(log_probs, old, advantage, **{**options, **plain})
    mask = options.get("mask")
    tokens = [i for i in range(len(log_probs)) if mask is None or mask[i]]
    if not tokens:
        return mpf(0)
    ratio = truth.exp(mpmath.fsum(log_probs[i] - old[i] for i in tokens) / len(tokens))
    extra = (whole - policy) * (ratio if use_bias_correction_kl else 1)
    if delta is None:
        return policy + extra
    low, high = options.get("epsilon_low", 3e-4), options.get("epsilon_high", 4e-4)
    return surrogate(ratio, advantage, low, high, delta) + extra


# ------------------------------------------------------------------------------------- the peers
def tensors(*arrays):
    import torch

    return [torch.tensor(a) for a in arrays]


def liger_cispo(log_probs, old, advantages, max_ratio=5.0, **_):
    """As TRL and Liger write it."""
    import torch

    new, old, a = tensors(log_probs, old, advantages)
    weight = torch.clamp(torch.exp(new - old), max=max_ratio)
    return (-weight * a * new).numpy()


def liger_sapo(
    log_probs, old, advantages, temperature_positive=1.0, temperature_negative=1.05, **_
):  # fmt: skip
    """As TRL and Liger write it."""
    import torch

    new, old, a = tensors(log_probs, old, advantages)
    ratio = torch.exp(new - old)
    gates = [torch.sigmoid(t * (ratio - 1)) * 4 / t
             for t in (temperature_positive, temperature_negative)]  # fmt: skip
    return (-torch.where(a > 0, *gates) * a).numpy()


def liger_vespo(log_probs, old, advantages, **options):
    """As TRL and Liger write it, and the sum over a completion's tokens."""
    import torch

    new, old, a = tensors(log_probs, old, advantages[..., None])
    log_ratio = torch.clamp(new - old, -20.0, 20.0).sum(-1, keepdim=True)
    log_ratio = torch.clamp(log_ratio, np.log(1e-8), 20.0)
    rates = vespo_rates(options)
    shape, rate = (torch.where(a >= 0, *rates[i::2]) for i in (0, 1))
    weight = torch.exp(rate + shape * log_ratio - rate * torch.exp(log_ratio))
    return (-weight * a * new).sum(-1).numpy()


# --------------------------------------------------------------------------------- the specimens
def extreme(log_prob, old, *_):
    """Whether the ratio, a factor of something, is no normal number of float32."""
    return not (log_prob in (old, -INF) or abs(log_prob - old) <= 80)


register(
    tw.grpo_loss, *GRPO,
    variant="corrected",
    reference=corrected_grpo,
    options=({"use_bias_correction_kl": True},),
    arrays=REFERENCE,
    avoid=extreme,
)  # fmt: skip
register(
    tw.gspo_loss, LOG_PROBABILITY, LOG_PROBABILITY, ADVANTAGE.of_row(),
    variant="corrected",
    reference=tokenwise_or_not,
    options=({"use_bias_correction_kl": True, "epsilon_low": 0.5, "epsilon_high": 0.75},
             {"delta": 1.25, "epsilon_low": 0.125, "epsilon_high": 0.125}),
    arrays={**REFERENCE, "mask": MASK},
)  # fmt: skip
register(
    tw.cispo_loss, *GRPO,
    reference=cispo,
    options=({}, {"max_ratio": 1.25}),
    arrays=REFERENCE,
    exact_slopes=cispo_slope,
    avoid=extreme,
    second=False,  # of the penalty alone, and there only with a reference
    stopped=("log_probs",),
    peers=(Peer("torch", liger_cispo),),
)  # fmt: skip
register(
    tw.cispo_loss, *GRPO,
    variant="corrected",
    reference=cispo,
    options=({"use_bias_correction_kl": True},),
    arrays=REFERENCE,
    exact_slopes=cispo_slope,
    avoid=extreme,
    second=False,
    stopped=("log_probs",),
)  # fmt: skip
register(
    tw.sapo_loss, *GRPO,
    reference=sapo,
    options=({}, {"temperature_positive": 2.0, "temperature_negative": 0.5}),
    arrays=REFERENCE,
    peers=(Peer("torch", liger_sapo),),
)  # fmt: skip
register(
    tw.vespo_loss, LOG_PROBABILITY, LOG_PROBABILITY, ADVANTAGE.of_row(),
    reference=vespo,
    options=({}, {"shape_positive": 1.0, "rate_positive": 0.5}, {"use_bias_correction_kl": True}),
    arrays={**REFERENCE, "mask": MASK},
    hostile=(
        ([-1e3, -1.0, -0.5, -0.25], [-0.5, -1.0, -0.5, -0.25], 1.0),
        ([-0.5, -1.0, -0.5, -0.25], [-1e3, -1.0, -0.5, -0.25], -1.0),
        ([-0.5, -1.0, -0.5, -0.25], [-0.5, -1.0, -0.5, -0.25], 0.0),
        ([-0.5, -1.0, np.nan, -0.25], [-0.5, -1.0, -0.5, -0.25], 1.0),
    ),
    exact_slopes=vespo_slopes,
    second=False,
    stopped=("log_probs",),
    peers=(Peer("torch", liger_vespo),),
)  # fmt: skip
