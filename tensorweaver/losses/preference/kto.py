"""Preferences of single completions, each good or bad by itself."""

from __future__ import annotations

from typing import Any

from tensorweaver.backends import array_namespace
from tensorweaver.loss import pointwise
from tensorweaver.losses.preference.dpo import check_positive
from tensorweaver.losses.signs import signs

__all__ = ["kto_loss"]


@pointwise(arrays=("kl",), domains={"labels": "sign"})
def kto_loss(
    log_probs: Any,
    reference_log_probs: Any,
    labels: Any,
    *,
    kl: Any = None,
    beta: float = 0.1,
) -> Any:
    """Kahneman-Tversky optimisation: completions that are good or bad by themselves, without pairs,
    are to gain or lose on a reference model.

    Formula: `sigmoid(-labels beta (log_probs - reference_log_probs - kl))`.

    Shapes: one log-probability a completion, the sum over its tokens, in any shape; the reference,
    the labels and `kl` the same, or broadcasting to it.

    Domain: any log-probabilities, infinite ones included; labels 1 (good) and -1 (bad); any
    other label, 0 and False included, is refused: `2 * labels - 1` turns 0 into -1. `beta > 0`.

    Gradient: by `log_probs`, `-labels beta sigmoid(v) sigmoid(-v)` with `v = beta (log_probs -
    reference_log_probs - kl)`.

    Numerics: `1 - sigmoid(v)` is `sigmoid(-v)`: a completion that is right by 20 nats costs 2e-9,
    where a subtraction leaves 0.

    Parameters
    ----------
    kl
        How far the policy has moved from the reference, the point from which gains are counted: one
        number, usually estimated over the batch and not negative, or one a completion. None is 0.
    beta
        How strongly the reference holds the policy back.

    Errors: `ArgumentError` for a `beta` that is not positive.

    Same as: TRL's and Liger's KTO with desirable and undesirable weights of 1; use `sample_weight`
    for others.

    Reference: K. Ethayarajh et al., KTO: Model Alignment as Prospect Theoretic Optimization, 2024.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.kto_loss([-10.0, -10.0], [-30.0, -12.0], [1, -1], beta=1.0, reduction="none")
    array([2.06115362e-09, 8.80797078e-01])
    """
    check_positive("kto_loss", "beta", beta)
    xp = array_namespace(log_probs)
    gain = log_probs - reference_log_probs
    lead = gain if kl is None else gain - kl
    return xp.sigmoid(-signs(xp, labels) * (beta * lead))
