"""Policy gradients whose importance weights are constants: CISPO by token, VESPO by sequence."""

from __future__ import annotations

import math
from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise, rowwise
from tensorweaver.losses.preference.dpo import check_positive
from tensorweaver.losses.preference.policy_gradient import (
    check_penalty,
    with_penalty,
)

__all__ = ["cispo_loss", "vespo_loss"]


@pointwise(arrays=("reference_log_probs",))
def cispo_loss(
    log_probs: Any,
    old_log_probs: Any,
    advantages: Any,
    *,
    reference_log_probs: Any = None,
    max_ratio: float = 5.0,
    beta: float = 0.04,
    use_bias_correction_kl: bool = False,
) -> Any:
    """Clipped importance-sampling policy optimisation: the likelihood of tokens by their advantage,
    each weighted by how much more probable it has become, up to a limit.

    Formula: with `w = min(exp(log_probs - old_log_probs), max_ratio)`, held constant, and `d =
    reference_log_probs - log_probs`, `-w advantages log_probs + beta (exp(d) - 1 - d)`.

    Shapes: one log-probability a token, in any shape; the others the same, or broadcasting to it:
    `advantages` of shape `(N, 1)` beside `(N, T)` tokens. `where` leaves out padding.

    Domain: any log-probabilities; an advantage of 0 leaves the penalty alone, and so does an
    impossible token. `max_ratio` positive, `beta >= 0`.

    Gradient: by `log_probs`, `-w advantages` and the penalty's: no token is without one, as it is
    in `grpo_loss` beyond the limits. It is not the slope of the value, in which `w` moves too.

    Numerics: as `grpo_loss`.

    Parameters
    ----------
    reference_log_probs, beta, use_bias_correction_kl
        As for `grpo_loss`.
    max_ratio
        The limit of the ratio itself, not of its distance from 1.

    Reductions: the mean of all tokens that count, which is the paper's.

    Errors: `ArgumentError` for an option out of range.

    Same as: TRL's and Liger's `loss_type="cispo"`, which call the limit `epsilon_high`.

    Reference: MiniMax, MiniMax-M1: Scaling Test-Time Compute Efficiently with Lightning Attention,
    2025.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.cispo_loss([-1.0, -0.5], [-1.0, -9.5], [2.0, 2.0], reduction="none")
    array([2., 5.])
    >>> tw.cispo_loss.grad([-1.0, -0.5], [-1.0, -9.5], [2.0, 2.0], reduction="sum")
    array([ -2., -10.])
    """
    check_positive("cispo_loss", "max_ratio", max_ratio)
    check_penalty("cispo_loss", beta)
    xp = array_namespace(log_probs)
    weight = xp.minimum(xp.exp(log_probs - old_log_probs), max_ratio)
    surrogate = weighted_likelihood(xp, log_probs, xp.stop_gradient(weight), advantages)
    given = (log_probs, old_log_probs, reference_log_probs)
    return with_penalty(xp, surrogate, given, beta, corrected=use_bias_correction_kl)


def weighted_likelihood(xp: Any, log_probs: Any, weight: Any, advantages: Any) -> Any:
    """`-weight advantages log_probs`; what has no weight costs nothing, impossible or not."""
    return -xp.multiply_no_nan(log_probs, weight * advantages)


@rowwise(arrays=("reference_log_probs", "mask"), roles={"advantages": "row"})
def vespo_loss(  # noqa: PLR0913 - the options that TRL and Liger have
    log_probs: Any,
    old_log_probs: Any,
    advantages: Any,
    *,
    reference_log_probs: Any = None,
    mask: Any = None,
    shape_positive: float = 2.0,
    rate_positive: float = 3.0,
    shape_negative: float = 3.0,
    rate_negative: float = 2.0,
    beta: float = 0.04,
    use_bias_correction_kl: bool = False,
) -> Any:
    """Variational sequence-level soft policy optimisation: the likelihood of completions by their
    advantage, weighted by a smooth function of the whole completion's ratio that is 1 where the
    policy has not moved and vanishes where it has moved far.

    Formula: with `ratio = exp(sum(log_probs - old_log_probs))` over the tokens of a completion, `w
    = ratio**k exp(r (1 - ratio))`, held constant, and `d = reference_log_probs - log_probs`,
    `sum(-w advantages log_probs + beta (exp(d) - 1 - d))`; `k` and `r` are the shape and the rate.

    Shapes: `log_probs` `(..., T)` with the tokens on `axis`; the other log-probabilities and `mask`
    the same, or broadcasting to it; `advantages` one a completion, without that axis. One loss a
    completion, the sum over its tokens.

    Domain: any log-probabilities; an advantage of 0 leaves the penalty alone. Shapes and rates
    positive, `beta >= 0`.

    Gradient: by `log_probs`, `-w advantages` and the penalty's, as of `grpo_loss`. It is not the
    slope of the value, in which `w` moves too.

    Numerics: the exponent is `k log(ratio) - r (ratio - 1)`, from the logarithm; no ratio is too
    large or too small for it.

    Parameters
    ----------
    reference_log_probs, beta, use_bias_correction_kl
        As for `grpo_loss`, token by token.
    mask
        Which tokens there are, booleans: padding contributes nothing, whatever it holds.
    shape_positive, rate_positive, shape_negative, rate_negative
        Of the weight where the advantage is not negative, and where it is.

    Reductions: the mean divides by the number of all tokens, not of completions.

    Errors: `ArgumentError` for an option out of range.

    Same as: TRL's and Liger's `loss_type="vespo"`, which call `k` and `r` `vespo_k_pos`,
    `vespo_lambda_pos` and so on, and hold each token's logarithm within 20, their sum between
    log(1e-8) and 20. Subtract the logarithm of the sampler's ratio from `old_log_probs`.

    Reference: G. Shen et al., Variational Sequence-Level Soft Policy Optimization for Stable
    Off-Policy LLM Training, 2026.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.vespo_loss([[-1.0, -0.5]], [[-1.0, -0.5]], [2.0])  # 3 over 2 tokens
    np.float64(1.5)
    >>> tw.vespo_loss.grad([[-1.0, -0.5]], [[-2.0, -0.5]], [2.0]).round(4)
    array([[-0.0426, -0.0426]])
    """
    check_gamma(shape_positive, rate_positive, shape_negative, rate_negative)
    check_penalty("vespo_loss", beta)
    xp = array_namespace(log_probs)
    is_token = xp.ones_like(log_probs) == 1 if mask is None else mask != 0
    new, old = (xp.where(is_token, x, 0.0) for x in (log_probs, old_log_probs))
    is_negative = advantages < 0
    shape = xp.where(is_negative, shape_negative, shape_positive)
    rate = xp.where(is_negative, rate_negative, rate_positive)
    weight = gamma_weight(xp, xp.sum(new - old, axis=-1, keepdims=True), shape, rate)
    losses = weighted_likelihood(xp, new, xp.stop_gradient(weight), advantages)
    if reference_log_probs is not None:
        given = (new, old, xp.where(is_token, reference_log_probs, 0.0))
        losses = with_penalty(xp, losses, given, beta, corrected=use_bias_correction_kl)
    tokens = xp.sum(xp.where(is_token, 1.0, 0.0), axis=-1, keepdims=True)
    return xp.sum(xp.where(is_token, losses, 0.0), axis=-1, keepdims=True), tokens


def check_gamma(*given: float) -> None:
    """Refuse a shape or a rate that is not positive."""
    names = ("shape_positive", "rate_positive", "shape_negative", "rate_negative")
    for name, value in zip(names, given, strict=True):
        check_positive("vespo_loss", name, value)


def gamma_weight(xp: Any, log_ratio: Any, shape: Any, rate: Any) -> Any:
    """`ratio**shape exp(rate (1 - ratio))`, which is 0 where the ratio is 0 or infinite."""
    excess = xp.expm1(log_ratio)
    exponent = shape * log_ratio - rate * excess
    return xp.exp(xp.where(excess == math.inf, -math.inf, exponent))
