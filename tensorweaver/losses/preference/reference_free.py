"""Preferences between two completions without a reference model, and between two rewards."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.preference.dpo import check_positive, smoothed_logistic

__all__ = ["cpo_loss", "orpo_loss", "reward_model_loss", "simpo_loss"]

HALF = 0.5
POLICY = ("chosen_log_probs", "rejected_log_probs")


def check_smoothing(loss: str, label_smoothing: float) -> None:
    """Refuse what is no probability of a mistake."""
    if not 0 <= label_smoothing < HALF:
        message = f"{loss}: label_smoothing must be in [0, 0.5), got {label_smoothing!r}"
        raise ArgumentError(message)


@pointwise(wrt=POLICY)
def cpo_loss(
    chosen_log_probs: Any,
    rejected_log_probs: Any,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Any:
    """Contrastive preference optimisation: DPO without a reference model, to be added to the
    likelihood of the chosen completion.

    Formula: with `v = beta (chosen_log_probs - rejected_log_probs)` and `s = label_smoothing`, `(1
    - s) softplus(-v) + s softplus(v)`.

    Shapes: one log-probability a pair, the sum over the completion's tokens, in any shape; the
    rejected ones the same, or broadcasting to it.

    Domain: any numbers, infinite ones included; `beta > 0`; `label_smoothing` in [0, 0.5).

    Gradient: a pair, `s beta sigmoid(v) - (1 - s) beta sigmoid(-v)` and its negative. Hessian:
    `beta**2 sigmoid(v) sigmoid(-v)`.

    Errors: `ArgumentError` for an option out of range.

    Same as: the preference term of TRL's and Liger's CPO, which add `alpha` times the negative
    log-likelihood of the chosen completion; `dpo_loss` with references of equal probability.

    Reference: H. Xu et al., Contrastive Preference Optimization, 2024.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.cpo_loss([-10.0], [-14.0], beta=0.5).round(6)
    np.float64(0.126928)
    """
    check_positive("cpo_loss", "beta", beta)
    check_smoothing("cpo_loss", label_smoothing)
    xp = array_namespace(chosen_log_probs)
    return smoothed_logistic(xp, beta * (chosen_log_probs - rejected_log_probs), label_smoothing)


@pointwise(wrt=POLICY)
def simpo_loss(
    chosen_log_probs: Any,
    rejected_log_probs: Any,
    *,
    beta: float = 0.1,
    gamma: float = 0.5,
    label_smoothing: float = 0.0,
) -> Any:
    """Simple preference optimisation: mean log-probabilities of tokens are to differ by a margin,
    without a reference model and without a bias towards long completions.

    Formula: with `v = beta (chosen_log_probs - rejected_log_probs) - gamma` and `s =
    label_smoothing`, `(1 - s) softplus(-v) + s softplus(v)`.

    Shapes: one log-probability a pair, the mean over the completion's tokens, in any shape; the
    rejected ones the same, or broadcasting to it.

    Domain: any numbers, infinite ones included; `beta > 0`, `gamma` finite, `label_smoothing` in
    [0, 0.5). The paper has `beta` from 2 to 10; the default is that of TRL and Liger.

    Gradient: a pair, `s beta sigmoid(v) - (1 - s) beta sigmoid(-v)` and its negative. Hessian:
    `beta**2 sigmoid(v) sigmoid(-v)`.

    Errors: `ArgumentError` for an option out of range.

    Same as: TRL's `loss_type="simpo"` and Liger's SimPO; `cpo_loss` where `gamma=0`.

    Reference: Y. Meng et al., SimPO: Simple Preference Optimization with a Reference-Free Reward,
    2024.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.simpo_loss([-1.0], [-2.0], beta=2.0, gamma=0.5).round(6)
    np.float64(0.201413)
    """
    check_positive("simpo_loss", "beta", beta)
    check_smoothing("simpo_loss", label_smoothing)
    if not math.isfinite(gamma):
        message = f"simpo_loss: gamma must be finite, got {gamma!r}"
        raise ArgumentError(message)
    xp = array_namespace(chosen_log_probs)
    margin = beta * (chosen_log_probs - rejected_log_probs) - gamma
    return smoothed_logistic(xp, margin, label_smoothing)


@pointwise(wrt=POLICY)
def orpo_loss(chosen_log_probs: Any, rejected_log_probs: Any, *, beta: float = 0.1) -> Any:
    """Odds ratio preference: the odds of the chosen completion against those of the rejected one,
    to be added to the likelihood of the chosen one in place of a reference model.

    Formula: with the odds `p / (1 - p)` of `p = exp(log_probs)`, `beta log(1 + odds(rejected) /
    odds(chosen))`.

    Shapes: one log-probability a pair, the mean over the completion's tokens, in any shape; the
    rejected ones the same, or broadcasting to it.

    Domain: log-probabilities up to 0, -inf included; positive ones give NaN. A chosen completion
    with log-probability 0 costs nothing; two completions that are both certain, or both impossible,
    give NaN.

    Gradient: a pair; with `q = odds(rejected) / (odds(chosen) + odds(rejected))`, `-beta q / (1 -
    p_chosen)` and `beta q / (1 - p_rejected)`, also at `p_chosen = 1`, where it is `-beta
    odds(rejected)`.

    Numerics: `1 - p` is `-expm1(log_probs)`. The smaller of the two odds is divided by the larger
    one, so that nothing overflows, and a certain completion needs no logarithm of 0.

    Errors: `ArgumentError` for a `beta` that is not positive.

    Same as: the odds-ratio term of TRL's and Liger's ORPO, which add the negative log-likelihood of
    the chosen completion.

    Reference: J. Hong et al., ORPO: Monolithic Preference Optimization without Reference Model,
    2024.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.orpo_loss([-1e-9, -0.5], [-2.0, -1.0], beta=1.0, reduction="none")
    array([1.56517643e-10, 3.20299785e-01])
    >>> tw.orpo_loss.grad([0.0], [-2.0], beta=1.0)[0].round(6)
    array([-0.156518])
    """
    check_positive("orpo_loss", "beta", beta)
    xp = array_namespace(chosen_log_probs)
    difference = rejected_log_probs - chosen_log_probs
    chosen_miss = missed(xp, chosen_log_probs)
    rejected_miss = missed(xp, rejected_log_probs)
    right = difference <= 0  # the chosen one is at least as probable
    decay = xp.exp(xp.where(right, difference, -difference))
    smaller = xp.where(right, chosen_miss, rejected_miss)
    larger = xp.where(right, rejected_miss, chosen_miss)
    logistic = xp.log1p(decay * (smaller / larger))
    # Its slopes are inverses of one miss each: of a quotient's logarithm they would be squared.
    log_ratio = xp.power_integral(smaller, larger, 1.0)
    return beta * (logistic + xp.where(right, 0.0, difference - log_ratio))


def missed(xp: Any, log_probs: Any) -> Any:
    """`1 - exp(log_probs)`, a positive zero where that is zero; NaN for what is no probability."""
    no_probability = xp.where(log_probs <= 0, 0.0, math.nan)
    return (0.0 - xp.expm1(log_probs)) + no_probability


@pointwise(arrays=("margin",), wrt=("chosen_rewards", "rejected_rewards"))
def reward_model_loss(
    chosen_rewards: Any,
    rejected_rewards: Any,
    *,
    margin: Any = None,
    center_rewards_coefficient: float = 0.0,
) -> Any:
    """Bradley-Terry loss of a reward model: the chosen of two answers is to get the higher reward.

    Formula: `softplus(-(chosen_rewards - rejected_rewards - margin))`, plus
    `center_rewards_coefficient (chosen_rewards + rejected_rewards)**2`.

    Shapes: one reward a pair, in any shape; `rejected_rewards` and `margin` the same, or
    broadcasting to it.

    Domain: all real numbers; infinite rewards give the limit where there is one.

    Gradient: a pair; with `d = chosen_rewards - rejected_rewards - margin` and `k` the coefficient,
    `-sigmoid(-d) + 2 k (chosen_rewards + rejected_rewards)`, and the same with the first sign
    changed. Hessian: `sigmoid(d) sigmoid(-d) + 2 k`.

    Parameters
    ----------
    margin
        By how much each pair's rewards are to differ, such as the difference of two ratings.
    center_rewards_coefficient
        How strongly rewards are drawn to a mean of 0, which a difference alone leaves open; not
        negative.

    Errors: `ArgumentError` for a negative coefficient.

    Same as: TRL's `RewardTrainer`; XGBoost's `rank:pairwise` on given pairs.

    Reference: L. Ouyang et al., Training Language Models to Follow Instructions with Human
    Feedback, 2022.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.reward_model_loss([1.0, 40.0], [0.0, 0.0], reduction="none")
    array([3.13261688e-01, 4.24835426e-18])
    """
    if not 0 <= center_rewards_coefficient < math.inf:
        message = (
            "reward_model_loss: center_rewards_coefficient must be finite and not negative, got "
            f"{center_rewards_coefficient!r}"
        )
        raise ArgumentError(message)
    xp = array_namespace(chosen_rewards)
    difference = chosen_rewards - rejected_rewards
    lead = difference if margin is None else difference - margin
    loss = xp.softplus(-lead)
    if center_rewards_coefficient == 0:
        return loss
    return loss + center_rewards_coefficient * (chosen_rewards + rejected_rewards) ** 2
