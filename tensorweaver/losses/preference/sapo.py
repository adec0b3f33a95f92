"""Policy gradients with a soft gate in the place of clipping."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.preference.dpo import check_positive
from tensorweaver.losses.preference.policy_gradient import check_penalty, with_penalty

__all__ = ["sapo_loss"]


@pointwise(arrays=("reference_log_probs",))
def sapo_loss(
    log_probs: Any,
    old_log_probs: Any,
    advantages: Any,
    *,
    reference_log_probs: Any = None,
    temperature_positive: float = 1.0,
    temperature_negative: float = 1.05,
    beta: float = 0.04,
    use_bias_correction_kl: bool = False,
) -> Any:
    """Soft adaptive policy optimisation: GRPO whose ratio is bent by a sigmoid where GRPO clips it,
    so that no token loses its gradient at once.

    Formula: with `ratio = exp(log_probs - old_log_probs)`, `t` the temperature of the advantage's
    sign and `d = reference_log_probs - log_probs`, `-4 / t sigmoid(t (ratio - 1)) advantages + beta
    (exp(d) - 1 - d)`.

    Shapes: one log-probability a token, in any shape; the others the same, or broadcasting to it:
    `advantages` of shape `(N, 1)` beside `(N, T)` tokens. `where` leaves out padding.

    Domain: any log-probabilities; an advantage of 0 leaves the penalty alone. The temperatures
    positive, `beta >= 0`.

    Gradient: by `log_probs`, `-4 s (1 - s) ratio advantages` with `s = sigmoid(t (ratio - 1))`, and
    the penalty's: at a ratio of 1 PPO's, far from it 0.

    Numerics: `ratio - 1` is `expm1`, which keeps the digits of a small step; a ratio that overflows
    has slope 0.

    Parameters
    ----------
    reference_log_probs, beta, use_bias_correction_kl
        As for `grpo_loss`.
    temperature_positive, temperature_negative
        How soon the gate closes where the advantage is positive, and where it is not.

    Reductions: the mean of all tokens that count; the paper's mean of each completion's mean by
    `token_weights`.

    Errors: `ArgumentError` for an option out of range.

    Same as: TRL's and Liger's `loss_type="sapo"`, which call the temperatures
    `sapo_temperature_pos` and `sapo_temperature_neg`.

    Reference: C. Gao et al., Soft Adaptive Policy Optimization, 2025.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.sapo_loss([-1.0, -0.5], [-1.0, -1.5], [2.0, 2.0], reduction="none").round(6)
    array([-4.      , -6.783259])
    >>> tw.sapo_loss.grad([-1.0, -0.5], [-1.0, -1.5], [2.0, 2.0], reduction="sum").round(6)
    array([-2.      , -2.804407])
    """
    check_positive("sapo_loss", "temperature_positive", temperature_positive)
    check_positive("sapo_loss", "temperature_negative", temperature_negative)
    check_penalty("sapo_loss", beta)
    xp = array_namespace(log_probs)
    is_positive = advantages > 0
    temperature = xp.where(is_positive, temperature_positive, temperature_negative)
    log_ratio = log_probs - old_log_probs
    # Beyond the largest number the gate is open, and an infinite ratio times its slope is not 0.
    is_open = (xp.exp(log_ratio) == math.inf) & ~xp.isnan(advantages)
    excess = xp.expm1(xp.where(is_open, 0.0, log_ratio))
    gate = xp.where(is_open, 1.0, xp.sigmoid(temperature * excess))
    known = (advantages != 0) | xp.isnan(log_ratio)
    surrogate = xp.where(known, -(4.0 / temperature) * gate * advantages, 0.0)
    given = (log_probs, old_log_probs, reference_log_probs)
    return with_penalty(xp, surrogate, given, beta, corrected=use_bias_correction_kl)
