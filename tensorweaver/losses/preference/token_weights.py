"""How much each token counts: what TRL and Liger divide the losses of tokens by."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.functions import opened
from tensorweaver.tensor.eager import eager_namespace

__all__ = ["token_weights"]

NORMALIZERS = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")
ROWS = 2


def token_weights(
    mask: Any,
    *,
    normalizer: str = "grpo",
    max_completion_length: int | None = None,
    num_items_in_batch: float | None = None,
    backend: str | None = None,
) -> Any:
    """The weights with which the sum over tokens is what a policy loss is normalised to.

    Formula: for N completions in rows of T tokens, of which the completion at hand has n,

    - `"grpo"` (SAPO too): `1 / (N n)`, the mean of each completion's mean;
    - `"bnpo"`: one over the number of tokens in the batch;
    - `"dapo"` (CISPO, VESPO too): the same, or one over `num_items_in_batch`;
    - `"dr_grpo"`: `1 / (N max_completion_length)`, whatever the completions' lengths are;
    - `"luspo"`: `n / (N T)`.

    Give them as `sample_weight` with `reduction="sum"`. Padding has weight 0, and so is left out.

    Shapes: `mask` `(N, T)`, true where there is a token; the result the same, floating.

    Parameters
    ----------
    normalizer
        One of the names above.
    max_completion_length
        For `"dr_grpo"`, which needs it.
    num_items_in_batch
        For `"dapo"`: how many tokens there are in all parts of a batch; those of the mask if None.

    Errors: `ArgumentError` for a normaliser that is none, or an option that it lacks or ignores;
    `ShapeError` for a mask that is no rows of tokens.

    Same as: the divisors of TRL's and Liger's `loss_type`, in one process. Rows without tokens
    count among the N there.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> weights = tw.token_weights([[True, True], [True, False]], normalizer="grpo")
    >>> weights
    array([[0.25, 0.25],
           [0.5 , 0.  ]])
    >>> new, advantages = [[-1.0, -2.0], [-0.5, 9.0]], [[1.0], [-1.0]]
    >>> tw.grpo_loss(new, new, advantages, sample_weight=weights, reduction="sum")
    np.float64(0.0)
    """
    check_normalizer(normalizer, max_completion_length, num_items_in_batch)
    home, array, _ = opened("token_weights", mask, "mask", backend)
    if array.ndim != ROWS:
        message = (
            f"token_weights: mask of shape {tuple(array.shape)} must be rows of tokens, (N, T)"
        )
        raise ShapeError(message)
    xp = eager_namespace(home)
    rows, size = array.shape
    is_token = array if home.dtype_name(array.dtype) == "bool" else array != 0
    counts = home.astype(is_token, home.dtype_name(home.default_dtype("f")))
    lengths = xp.sum(counts, axis=1, keepdims=True)
    if normalizer == "grpo":
        return counts / (xp.maximum(lengths, 1.0) * rows)
    if normalizer == "luspo":
        return counts * (lengths / max(rows * size, 1))
    if normalizer == "dr_grpo":
        return counts / (max(rows, 1) * float(max_completion_length or 1))
    if num_items_in_batch is not None:
        return counts / max(float(num_items_in_batch), 1.0)
    return counts / xp.maximum(xp.sum(lengths), 1.0)


def check_normalizer(normalizer: str, longest: int | None, items: float | None) -> None:
    """Refuse what is unknown, lacking or ignored."""
    if normalizer not in NORMALIZERS:
        known = ", ".join(map(repr, NORMALIZERS))
        message = f"token_weights: normalizer must be one of {known}, got {normalizer!r}"
        raise ArgumentError(message)
    for name, value, owner in (
        ("max_completion_length", longest, "dr_grpo"),
        ("num_items_in_batch", items, "dapo"),
    ):
        if value is not None and normalizer != owner:
            message = (
                f"token_weights: {name} has a meaning for normalizer={owner!r} alone, got "
                f"{value!r} with normalizer={normalizer!r}"
            )
            raise ArgumentError(message)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 < value < math.inf):
            message = f"token_weights: {name} must be a positive number, got {value!r}"
            raise ArgumentError(message)
    if normalizer == "dr_grpo" and longest is None:
        message = (
            "token_weights: normalizer='dr_grpo' needs max_completion_length, such as "
            "mask.shape[1], got None"
        )
        raise ArgumentError(message)
