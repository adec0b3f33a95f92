"""Direct preference optimisation: of two completions the chosen one is to gain on a reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.loss import pointwise

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_positive", "dpo_loss", "ipo_loss", "smoothed_logistic"]

HALF = 0.5
CERTAIN = 1e4  # a logit whose other probability is 0 in every dtype
POLICY = ("chosen_log_probs", "rejected_log_probs")


def check_positive(loss: str, name: str, value: float) -> None:
    """Refuse an option that is not a positive finite number."""
    if not 0 < value < math.inf:
        message = f"{loss}: {name} must be positive and finite, got {value!r}"
        raise ArgumentError(message)


def smoothed_logistic(xp: Any, margin: Any, label_smoothing: float) -> Any:
    """What a margin costs if the preference is the other way round with a small probability."""
    if label_smoothing == 0:
        return xp.softplus(-margin)
    right = (1 - label_smoothing) * xp.softplus(-margin)
    return right + label_smoothing * xp.softplus(margin)


class Gains(NamedTuple):
    """What both completions have gained on the reference, and the options that weigh it."""

    chosen: Any
    rejected: Any
    beta: float
    smoothing: float = 0.0
    tau: float = 1.0

    @property
    def margin(self) -> Any:
        """By how much the chosen completion's reward is the higher one."""
        return self.beta * (self.chosen - self.rejected)


def sigmoid(xp: Any, gains: Gains) -> Any:
    return smoothed_logistic(xp, gains.margin, gains.smoothing)


def hinge(xp: Any, gains: Gains) -> Any:
    return xp.maximum(1.0 - gains.margin, 0.0)


def ipo(_xp: Any, gains: Gains) -> Any:
    return (gains.chosen - gains.rejected - 1 / (2 * gains.beta)) ** 2


def exo_pair(xp: Any, gains: Gains) -> Any:
    """The divergence between two yes-or-no distributions, of logits `margin` and `goal`."""
    log_wrong, log_right = math.log(gains.smoothing), math.log1p(-gains.smoothing)
    margin = xp.clip(gains.margin, -CERTAIN, CERTAIN)
    apart = margin - (log_right - log_wrong)
    is_near = xp.abs(apart) < 1.0
    # Near the goal, seen from the less probable side, two small terms of opposite signs are left.
    less = xp.where(margin <= 0, xp.sigmoid(margin), xp.sigmoid(-margin))
    step = xp.where(is_near, xp.where(margin <= 0, -apart, apart), 0.5)
    near = xp.log1pmx(less * xp.expm1(step)) + less * xp.expm1mx(step)
    if_right = xp.sigmoid(margin) * (xp.log_sigmoid(margin) - log_right)
    if_wrong = xp.sigmoid(-margin) * (xp.log_sigmoid(-margin) - log_wrong)
    return xp.where(is_near, near, if_right + if_wrong)


def robust(xp: Any, gains: Gains) -> Any:
    if gains.smoothing == 0:
        return xp.softplus(-gains.margin)
    slant = gains.smoothing / (1 - 2 * gains.smoothing)
    return xp.softplus(-gains.margin) - slant * gains.margin


def nca_pair(xp: Any, gains: Gains) -> Any:
    reward, other_reward = gains.beta * gains.chosen, gains.beta * gains.rejected
    pull = HALF * xp.softplus(reward) + HALF * xp.softplus(other_reward)
    return xp.softplus(-reward) + pull


def bco_pair(xp: Any, gains: Gains) -> Any:
    return xp.softplus(-gains.beta * gains.chosen) + xp.softplus(gains.beta * gains.rejected)


def sppo_hard(_xp: Any, gains: Gains) -> Any:
    goal = 1 / (2 * gains.beta)
    return (gains.chosen - goal) ** 2 + (gains.rejected + goal) ** 2


def apo_zero(xp: Any, gains: Gains) -> Any:
    return xp.sigmoid(-gains.beta * gains.chosen) + xp.sigmoid(gains.beta * gains.rejected)


def apo_down(xp: Any, gains: Gains) -> Any:
    return xp.sigmoid(gains.beta * gains.chosen) + xp.sigmoid(-gains.margin)


def discopop(xp: Any, gains: Gains) -> Any:
    """The exponential and its share are one exponential: apart one overflows, the other is 0."""
    is_hopeless = gains.margin == -math.inf
    margin = xp.where(is_hopeless, 0.0, gains.margin)
    logistic = xp.softplus(-margin) * xp.sigmoid(-margin / gains.tau)
    exponential = xp.exp(xp.log_sigmoid(margin / gains.tau) - margin)
    return xp.where(is_hopeless, -gains.margin, logistic + exponential)


TYPES: dict[str, Callable[[Any, Gains], Any]] = {
    "sigmoid": sigmoid,
    "hinge": hinge,
    "ipo": ipo,
    "exo_pair": exo_pair,
    "robust": robust,
    "nca_pair": nca_pair,
    "bco_pair": bco_pair,
    "sppo_hard": sppo_hard,
    "apo_zero": apo_zero,
    "apo_down": apo_down,
    "discopop": discopop,
}
SMOOTHED = {"sigmoid", "exo_pair", "robust"}


def check_smoothing(loss_type: str, label_smoothing: float) -> None:
    """Refuse a smoothing that the type has no meaning for."""
    if loss_type == "exo_pair" and not 0 < label_smoothing < HALF:
        message = (
            "dpo_loss: label_smoothing must be in (0, 0.5) for loss_type='exo_pair', such as "
            f"0.001, got {label_smoothing!r}"
        )
    elif loss_type not in SMOOTHED and label_smoothing != 0:
        known = ", ".join(map(repr, sorted(SMOOTHED)))
        message = (
            f"dpo_loss: label_smoothing has a meaning for the types {known} alone, got "
            f"{label_smoothing!r} with loss_type={loss_type!r}"
        )
    elif not 0 <= label_smoothing < HALF:
        message = f"dpo_loss: label_smoothing must be in [0, 0.5), got {label_smoothing!r}"
    else:
        return
    raise ArgumentError(message)


@pointwise(wrt=POLICY)
def dpo_loss(
    chosen_log_probs: Any,
    rejected_log_probs: Any,
    reference_chosen_log_probs: Any,
    reference_rejected_log_probs: Any,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    loss_type: str = "sigmoid",
    discopop_tau: float = 0.05,
) -> Any:
    """Direct preference optimisation: of two completions the chosen one is to gain more on a
    reference model than the rejected one.

    Formula: with `c = chosen_log_probs - reference_chosen_log_probs`, `r` likewise, the rewards
    `beta c`, `beta r` and the margin `u = beta (c - r)`:

    - `"sigmoid"`: `(1 - s) softplus(-u) + s softplus(u)` with `s = label_smoothing`;
    - `"hinge"` (SLiC): `max(0, 1 - u)`;
    - `"ipo"`: `(c - r - 1 / (2 beta))**2`; its arguments are means over tokens;
    - `"exo_pair"`: the divergence `KL(P || Q)` of `P = (sigmoid(u), sigmoid(-u))` from `Q = (1 - s,
      s)`;
    - `"robust"`: `((1 - s) softplus(-u) - s softplus(u)) / (1 - 2 s)`;
    - `"nca_pair"`: `softplus(-beta c) + softplus(beta c) / 2 + softplus(beta r) / 2`;
    - `"bco_pair"`: `softplus(-beta c) + softplus(beta r)`;
    - `"sppo_hard"`: `(c - 1 / (2 beta))**2 + (r + 1 / (2 beta))**2`;
    - `"apo_zero"`: `sigmoid(-beta c) + sigmoid(beta r)`;
    - `"apo_down"`: `sigmoid(beta c) + sigmoid(-u)`;
    - `"discopop"`: `(1 - m) softplus(-u) + m exp(-u)` with `m = sigmoid(u / discopop_tau)`.

    Shapes: one log-probability a pair, that of the whole completion (a sum over its tokens, or a
    mean), in any shape; the others the same, or broadcasting to it.

    Domain: any numbers. -inf is an impossible completion: the loss is its limit where there is one,
    NaN where the model and the reference both find it impossible.

    Gradient: a pair, by `chosen_log_probs` and by `rejected_log_probs`; for the sigmoid `-beta
    sigmoid(-u)` and its negative. The hinge has slope 0 at its kink, `u = 1`. Hessian: `beta**2
    sigmoid(u) sigmoid(-u)` for the sigmoid, 0 for the hinge.

    Numerics: a pair told apart with certainty keeps a loss of `exp(-u)`; `1 - sigmoid` is nowhere
    subtracted; the exponential of discopop does not overflow where its share is 0; the divergence
    of exo keeps its digits near its minimum.

    Parameters
    ----------
    beta, discopop_tau
        How strongly the reference holds the policy back; the temperature of discopop's blend.
    label_smoothing
        The probability that a preference is the wrong way round, in [0, 0.5); for `"sigmoid"`
        (conservative DPO), `"robust"` and `"exo_pair"`, which needs one.
    loss_type
        One of the names above.

    Errors: `ArgumentError` for an option out of range or a smoothing that the type would ignore.

    Same as: TRL's `DPOTrainer` and Liger's `LigerFusedLinearDPOLoss`, from log-probabilities; these
    add the negative log-likelihood of the chosen completion on request.

    Reference: R. Rafailov et al., Direct Preference Optimization, 2023.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.dpo_loss([-10.0], [-14.0], [-12.0], [-12.0], beta=0.5).round(6)
    np.float64(0.126928)
    >>> tw.dpo_loss.grad([-10.0], [-14.0], [-12.0], [-12.0], beta=0.5)[0].round(6)
    array([-0.059601])
    """
    check_positive("dpo_loss", "beta", beta)
    check_positive("dpo_loss", "discopop_tau", discopop_tau)
    if loss_type not in TYPES:
        known = ", ".join(map(repr, TYPES))
        message = f"dpo_loss: loss_type must be one of {known}, got {loss_type!r}"
        raise ArgumentError(message)
    check_smoothing(loss_type, label_smoothing)
    xp = array_namespace(chosen_log_probs)
    chosen = chosen_log_probs - reference_chosen_log_probs
    rejected = rejected_log_probs - reference_rejected_log_probs
    return TYPES[loss_type](xp, Gains(chosen, rejected, beta, label_smoothing, discopop_tau))


@pointwise(wrt=POLICY)
def ipo_loss(
    chosen_log_probs: Any,
    rejected_log_probs: Any,
    reference_chosen_log_probs: Any,
    reference_rejected_log_probs: Any,
    *,
    beta: float = 0.1,
) -> Any:
    """Identity preference optimisation: the margin between two completions is to reach a fixed
    size, so that certain preferences do not drive it to infinity.

    Formula: with `c = chosen_log_probs - reference_chosen_log_probs` and `r` likewise, `(c - r - 1
    / (2 beta))**2`.

    Shapes: one log-probability a pair, by the paper's implementation the mean over the completion's
    tokens; the others the same shape, or broadcasting to it.

    Domain: any numbers; `beta > 0`.

    Gradient: a pair, `2 (c - r - 1 / (2 beta))` and its negative. Hessian: 2.

    Errors: `ArgumentError` for a `beta` that is not positive.

    Same as: `dpo_loss(loss_type="ipo")`; TRL's `loss_type="ipo"`.

    Reference: M. G. Azar et al., A General Theoretical Paradigm to Understand Learning from Human
    Preferences, 2023.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.ipo_loss([-1.0], [-2.0], [-1.5], [-1.5], beta=0.25)
    np.float64(1.0)
    """
    check_positive("ipo_loss", "beta", beta)
    xp = array_namespace(chosen_log_probs)
    chosen = chosen_log_probs - reference_chosen_log_probs
    rejected = rejected_log_probs - reference_rejected_log_probs
    return ipo(xp, Gains(chosen, rejected, beta))
