"""Policy gradients with one clipped ratio a completion."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import rowwise
from tensorweaver.losses.preference.policy_gradient import (
    check_clipping,
    check_delta,
    check_penalty,
    clipped_surrogate,
)

__all__ = ["gspo_loss"]


@rowwise(arrays=("reference_log_probs", "mask"), roles={"advantages": "row"})
def gspo_loss(  # noqa: PLR0913 - the options that TRL and Liger have
    log_probs: Any,
    old_log_probs: Any,
    advantages: Any,
    *,
    reference_log_probs: Any = None,
    mask: Any = None,
    epsilon_low: float = 3e-4,
    epsilon_high: float = 4e-4,
    beta: float = 0.04,
    delta: float | None = None,
    use_bias_correction_kl: bool = False,
) -> Any:
    """Group sequence policy optimisation: GRPO with one ratio a completion, so that single
    tokens cannot make it noisy.

    Formula: with `ratio = exp(mean(log_probs - old_log_probs))` over the tokens of a completion and
    `d = reference_log_probs - log_probs`, `-min(ratio advantages, clip(ratio, 1 - epsilon_low, 1 +
    epsilon_high) advantages) + beta mean(exp(d) - 1 - d)`; with `use_bias_correction_kl` the
    second term times `ratio`.

    Shapes: `log_probs` `(..., T)` with the tokens on `axis`; the other log-probabilities and `mask`
    the same, or broadcasting to it; `advantages` one a completion, without that axis. One loss a
    completion.

    Domain: any log-probabilities; `epsilon_low` in [0, 1], `epsilon_high >= 0`, `beta >= 0`.

    Gradient: by the log-probabilities of a completion of T tokens, `(-ratio advantages - beta
    (exp(d) - 1)) / T`; the first term is 0 where the ratio has passed its limit in the direction
    that the advantage wants, and at the limit itself.

    Numerics: as `grpo_loss`.

    Parameters
    ----------
    reference_log_probs
        The reference model's; None for no penalty.
    mask
        Which tokens there are, booleans: padding contributes nothing, whatever it holds. A
        completion without tokens costs nothing and does not count in the mean.
    epsilon_low, epsilon_high
        How far the ratio may move from 1; the defaults are the paper's.
    beta
        What the distance from the reference costs; without effect if there is no reference.
    delta, use_bias_correction_kl
        As for `grpo_loss`, with the completion's ratio.

    Reductions: the mean of all completions with tokens; with their lengths as `sample_weight` the
    mean of all tokens.

    Errors: `ArgumentError` for an option out of range.

    Same as: TRL's and Liger's GRPO with importance sampling of sequences.

    Reference: C. Zheng et al., Group Sequence Policy Optimization, 2025.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.gspo_loss([[-1.0, -2.0]], [[-1.5, -1.5]], [2.0])
    np.float64(-2.0)
    >>> tw.gspo_loss.grad([[-1.0, -2.0]], [[-1.5, -1.5]], [2.0])
    array([[-1., -1.]])
    """
    check_clipping("gspo_loss", epsilon_low, epsilon_high)
    check_penalty("gspo_loss", beta)
    check_delta("gspo_loss", delta, epsilon_high)
    xp = array_namespace(log_probs)
    is_token = xp.ones_like(log_probs) == 1 if mask is None else mask != 0
    tokens = xp.sum(xp.where(is_token, 1.0, 0.0), axis=-1, keepdims=True)
    divisor = xp.where(tokens == 0, 1.0, tokens)
    moves = xp.where(is_token, log_probs - old_log_probs, 0.0)
    log_ratio = xp.sum(moves, axis=-1, keepdims=True) / divisor
    count = xp.where(tokens == 0, 0.0, 1.0)
    loss = clipped_surrogate(xp, log_ratio, advantages, 1 - epsilon_low, 1 + epsilon_high, delta)
    if reference_log_probs is not None and beta != 0:
        penalties = xp.expm1mx(xp.where(is_token, reference_log_probs - log_probs, 0.0))
        penalty = xp.sum(penalties, axis=-1, keepdims=True) / divisor
        loss = loss + beta * (xp.exp(log_ratio) * penalty if use_bias_correction_kl else penalty)
    return xp.where(count == 0, 0.0, loss), count
