"""Policy gradients with a clipped ratio, token by token, and values clipped likewise."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise
from tensorweaver.losses.preference.dpo import check_positive

__all__ = [
    "check_clipping",
    "clipped_surrogate",
    "distance_penalty",
    "grpo_loss",
    "ppo_clip_loss",
    "ppo_value_clip_loss",
    "with_penalty",
]


def check_clipping(loss: str, epsilon_low: float, epsilon_high: float) -> None:
    """Refuse limits that the ratio 1 is not between."""
    if not 0 <= epsilon_low <= 1:
        message = f"{loss}: epsilon_low must be in [0, 1], got {epsilon_low!r}"
        raise ArgumentError(message)
    if not epsilon_high >= 0:
        message = f"{loss}: epsilon_high must not be negative, got {epsilon_high!r}"
        raise ArgumentError(message)


def clipped_surrogate(
    xp: Any, log_ratio: Any, advantages: Any, low: float, high: float, most: float | None = None
) -> Any:
    """`-min(ratio A, clip(ratio) A)`: a limit from above where A is positive, from below where it
    is negative, and there from above at `most`. A ratio that is held at a limit, or does not count,
    may have overflowed: its exponential has no slope.
    """
    ratio = xp.exp(log_ratio)
    is_high = (advantages > 0) & (ratio >= high)
    is_low = (advantages < 0) & (ratio <= low)
    is_held = is_high | is_low | ((advantages == 0) & ~xp.isnan(log_ratio))
    limit = xp.where(is_high, high, xp.where(is_low, low, 0.0))
    if most is not None:
        is_most = (advantages < 0) & (ratio >= most)
        is_held, limit = is_held | is_most, xp.where(is_most, most, limit)
    limited = xp.where(is_held, limit, xp.exp(xp.where(is_held, 0.0, log_ratio)))
    return -(limited * advantages)


@pointwise
def ppo_clip_loss(
    log_probs: Any,
    old_log_probs: Any,
    advantages: Any,
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
) -> Any:
    """Proximal policy optimisation: the advantage of an action, times how much more probable it has
    become, with no gain from moving further than a little.

    Formula: with `ratio = exp(log_probs - old_log_probs)`, `-min(ratio advantages, clip(ratio, 1 -
    epsilon_low, 1 + epsilon_high) advantages)`.

    Shapes: one log-probability an action (or token), in any shape; the old ones and the advantages
    the same, or broadcasting to it.

    Domain: any log-probabilities; `epsilon_low` in [0, 1], `epsilon_high >= 0`. An advantage of 0
    costs nothing, whatever the ratio.

    Gradient: `-ratio advantages`; 0 where the ratio has passed its limit in the direction that the
    advantage wants, and at the limit itself. Hessian: the same number as the gradient.

    Errors: `ArgumentError` for limits out of range.

    Same as: the policy loss of TRL, CleanRL and Stable-Baselines3; `grpo_loss` without a reference.

    Reference: J. Schulman et al., Proximal Policy Optimization Algorithms, 2017.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.ppo_clip_loss([-1.0, -0.5], [-1.0, -1.0], [2.0, 2.0], reduction="none")
    array([-2. , -2.4])
    >>> tw.ppo_clip_loss.grad([-1.0, -0.5], [-1.0, -1.0], [2.0, 2.0], reduction="sum")
    array([-2.,  0.])
    """
    check_clipping("ppo_clip_loss", epsilon_low, epsilon_high)
    xp = array_namespace(log_probs)
    log_ratio = log_probs - old_log_probs
    return clipped_surrogate(xp, log_ratio, advantages, 1 - epsilon_low, 1 + epsilon_high)


@pointwise(arrays=("reference_log_probs",))
def grpo_loss(  # noqa: PLR0913 - the options that TRL and Liger have
    log_probs: Any,
    old_log_probs: Any,
    advantages: Any,
    *,
    reference_log_probs: Any = None,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
    beta: float = 0.04,
    delta: float | None = None,
    use_bias_correction_kl: bool = False,
) -> Any:
    """Group relative policy optimisation, token by token: PPO's clipped advantage, and a penalty
    for moving away from a reference model.

    Formula: with `ratio = exp(log_probs - old_log_probs)` and `d = reference_log_probs -
    log_probs`, `-min(ratio advantages, clip(ratio, 1 - epsilon_low, 1 + epsilon_high) advantages) +
    beta (exp(d) - 1 - d)`.

    Shapes: one log-probability a token, in any shape; the others the same, or broadcasting to it:
    `advantages` of shape `(N, 1)` beside `(N, T)` tokens. `where` leaves out padding.

    Domain: any log-probabilities; an advantage of 0 leaves the penalty alone. `epsilon_low` in [0,
    1], `epsilon_high >= 0`, `beta >= 0`, `delta > 1 + epsilon_high`.

    Gradient: by `log_probs`, `-ratio advantages - beta (exp(d) - 1)`, or `-beta ratio d` as the
    second term with `use_bias_correction_kl`; the first is 0 where the ratio has passed its limit
    in the direction that the advantage wants, and at the limit itself.

    Numerics: `exp(d) - 1 - d` is computed without cancellation: a policy that has moved by 1e-6
    pays 5e-13, where float32 subtractions leave 0 or too much by half. The slope `-beta ratio d` is
    no difference of exponentials either.

    Parameters
    ----------
    reference_log_probs
        The reference model's; None for no penalty.
    epsilon_low, epsilon_high
        How far the ratio may move from 1.
    beta
        What the distance from the reference costs (the estimator k3 of the Kullback-Leibler
        divergence); without effect if there is no reference.
    delta
        An upper limit of the ratio where the advantage is negative (two-sided clipping); None for
        none.
    use_bias_correction_kl
        Whether the penalty is multiplied by the ratio, without limits, so that it estimates the
        divergence of the policy itself and not of the one that wrote the completions.

    Reductions: the mean of all tokens that count, as in DAPO and BNPO; `token_weights` gives the
    weights of the other normalisers, GRPO's own mean of each completion's mean among them.

    Errors: `ArgumentError` for an option out of range.

    Same as: TRL's and Liger's GRPO with importance sampling of tokens; their ratios for what the
    sampler computed differently are factors of `advantages`. `cispo_loss`, `sapo_loss` and
    `vespo_loss` are their other types, `gspo_loss` their importance sampling of sequences.

    Reference: Z. Shao et al., DeepSeekMath, 2024; J. Schulman, Approximating KL Divergence, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.grpo_loss([[-1.0, -0.5]], [[-1.0, -1.0]], [[2.0]], reduction="none")
    array([[-2. , -2.4]])
    >>> tw.grpo_loss([-1.0], [-1.0], [0.0], reference_log_probs=[-1.0 + 1e-6], beta=1.0)
    np.float64(5.00000166695464e-13)
    """
    check_clipping("grpo_loss", epsilon_low, epsilon_high)
    check_penalty("grpo_loss", beta)
    check_delta("grpo_loss", delta, epsilon_high)
    xp = array_namespace(log_probs)
    surrogate = clipped_surrogate(
        xp, log_probs - old_log_probs, advantages, 1 - epsilon_low, 1 + epsilon_high, delta
    )
    given = (log_probs, old_log_probs, reference_log_probs)
    return with_penalty(xp, surrogate, given, beta, corrected=use_bias_correction_kl)


def with_penalty(
    xp: Any, loss: Any, given: tuple[Any, Any, Any], beta: float, *, corrected: bool
) -> Any:
    """The loss and what the distance from the reference costs, if there is one; `given` are the
    policy's, the old and the reference's log-probabilities.
    """
    if given[2] is None or beta == 0:
        return loss
    return loss + beta * distance_penalty(xp, given, corrected=corrected)


def distance_penalty(xp: Any, given: tuple[Any, Any, Any], *, corrected: bool) -> Any:
    """`exp(d) - 1 - d`, times the ratio where it is corrected.

    Far from the reference the product is written so that its slope, `-ratio d`, is no difference of
    two exponentials of `d`; of a ratio that has overflowed it would be one of infinities.
    """
    log_probs, old_log_probs, reference_log_probs = given
    if not corrected:
        return xp.expm1mx(reference_log_probs - log_probs)
    is_gone = (log_probs == -math.inf) & ~xp.isnan(reference_log_probs)
    d = xp.where(is_gone, 0.0, reference_log_probs - log_probs)
    ratio = xp.where(is_gone, 0.0, xp.exp(log_probs - old_log_probs))
    is_near = ((xp.abs(d) < 1.0) | (ratio == math.inf)) & ~is_gone
    near = ratio * xp.expm1mx(xp.where(is_near, d, 0.0))
    far = xp.exp(reference_log_probs - old_log_probs) - ratio * (1.0 + d)
    return xp.where(is_near, near, far)


def check_penalty(loss: str, beta: float) -> None:
    """Refuse a reward for moving away."""
    if not 0 <= beta < math.inf:
        message = f"{loss}: beta must be finite and not negative, got {beta!r}"
        raise ArgumentError(message)


def check_delta(loss: str, delta: Any, epsilon_high: float) -> None:
    """Refuse an upper limit that the usual one already implies."""
    if delta is None:
        return
    if not (isinstance(delta, int | float) and delta > 1 + epsilon_high):
        message = (
            f"{loss}: delta must be None or a number above 1 + epsilon_high = "
            f"{1 + epsilon_high!r}, got {delta!r}"
        )
        raise ArgumentError(message)


@pointwise
def ppo_value_clip_loss(values: Any, old_values: Any, returns: Any, *, clip: float = 0.2) -> Any:
    """PPO's loss of a value function: the larger of two half squares, of the value and of the value
    held near its old one.

    Formula: `max((values - returns)**2, (limited - returns)**2) / 2`, where `limited` is `values`
    limited to `old_values - clip` and `old_values + clip`.

    Shapes: `values` of any shape; the others the same, or broadcasting to it.

    Domain: all real numbers; `clip > 0`.

    Gradient: `values - returns`; 0 where the value has moved by `clip` or more and the limited
    value is the worse one, also where the two are equally far off. Hessian: 1 or 0.

    Errors: `ArgumentError` for a `clip` that is not positive.

    Same as: the value loss of TRL, CleanRL and OpenAI's baselines.

    Reference: J. Schulman et al., Proximal Policy Optimization Algorithms, 2017; L. Engstrom et
    al., Implementation Matters in Deep Policy Gradients, 2020.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.ppo_value_clip_loss([0.5, 0.1], [0.0, 0.0], [1.0, 1.0], reduction="none").round(3)
    array([0.32 , 0.405])
    >>> tw.ppo_value_clip_loss.grad([0.5, 0.1], [0.0, 0.0], [1.0, 1.0], reduction="sum")
    array([ 0. , -0.9])
    """
    check_positive("ppo_value_clip_loss", "clip", clip)
    xp = array_namespace(values)
    change = values - old_values
    step = xp.where(change > 0, clip, xp.where(change <= 0, -clip, change))
    limited_error = (old_values + step) - returns
    error = values - returns
    # The limited value is the worse one if the return lies beyond the middle of the two.
    beyond = xp.where(change > 0, -(error + limited_error), error + limited_error)
    is_limited = (xp.abs(change) >= clip) & (beyond >= 0)
    is_unknown = xp.isnan(limited_error) & ~xp.isnan(error)
    counted = xp.where(is_limited | is_unknown, limited_error, error)
    return (0.5 * counted) * counted
