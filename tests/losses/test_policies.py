"""What the battery cannot know of CISPO, SAPO, VESPO, and of what tokens are divided by."""

import math
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

TOKENS = ([-1.0], [-1.0], [1.0])
ROW = ([[-1.0]], [[-1.0]], [1.0])
MASK = np.asarray([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]])


@pytest.fixture
def tokens(rng):
    new, old, reference = -3 * rng.random((3, 3, 4))
    return new, old, reference, rng.normal(size=(3, 1))


# ----------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("name", "arrays", "options", "message"),
    [
        ("cispo_loss", TOKENS, {"max_ratio": 0.0}, "max_ratio must be positive and finite"),
        ("cispo_loss", TOKENS, {"beta": -1.0}, "beta must be finite and not negative"),
        ("sapo_loss", TOKENS, {"temperature_positive": 0.0}, "temperature_positive must be posi"),
        ("sapo_loss", TOKENS, {"temperature_negative": math.inf}, "temperature_negative must be"),
        ("sapo_loss", TOKENS, {"beta": math.nan}, "beta must be finite and not negative"),
        ("vespo_loss", ROW, {"shape_positive": 0.0}, "shape_positive must be positive"),
        ("vespo_loss", ROW, {"rate_negative": -1.0}, "rate_negative must be positive"),
        ("vespo_loss", ROW, {"beta": -1.0}, "beta must be finite and not negative"),
        ("gspo_loss", ROW, {"delta": 1.0}, "delta must be None or a number above 1"),
        ("grpo_loss", TOKENS, {"use_bias_correction_kl": 1}, "use_bias_correction_kl must be True"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(name, arrays, options, message):
    with pytest.raises(tw.ArgumentError, match=f"^{name}: .*{message}"):
        getattr(tw, name)(*arrays, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalizer": "mean"}, "normalizer must be one of 'grpo', 'bnpo', .* got 'mean'"),
        ({"normalizer": "dr_grpo"}, "'dr_grpo' needs max_completion_length"),
        ({"normalizer": "dr_grpo", "max_completion_length": 0}, "must be a positive number, got 0"),
        ({"max_completion_length": 4}, "has a meaning for normalizer='dr_grpo' alone, got 4"),
        ({"num_items_in_batch": 4.0}, "has a meaning for normalizer='dapo' alone"),
        ({"normalizer": "dapo", "num_items_in_batch": True}, "must be a positive number, got True"),
    ],
)
def test_normalizers_that_are_none_are_refused(options, message):
    with pytest.raises(tw.ArgumentError, match=f"^token_weights: .*{message}"):
        tw.token_weights(MASK, **options)


def test_a_mask_is_rows_of_tokens():
    with pytest.raises(tw.ShapeError, match=r"token_weights: mask of shape \(3,\) must be rows"):
        tw.token_weights([1, 1, 0])


# ------------------------------------------------------------------------------------ identities
LIGER = {
    "grpo": lambda x, m: ((x * m).sum(1) / np.maximum(m.sum(1), 1)).sum() / len(m),
    "bnpo": lambda x, m: (x * m).sum() / max(m.sum(), 1),
    "dapo": lambda x, m: (x * m).sum() / max(m.sum(), 1),
    "dr_grpo": lambda x, m: (x * m).sum() / (len(m) * 6),
    "luspo": lambda x, m: (x * m * m.sum(1, keepdims=True)).sum() / m.size,
}


@pytest.mark.parametrize("name", LIGER)
@pytest.mark.parametrize("empty", [False, True])
def test_weighted_sums_are_the_normalised_losses_of_liger(tokens, name, empty):
    new, old, reference, advantages = tokens
    mask = MASK * np.asarray([[1], [0 if empty else 1], [1]])
    options: Any = {"max_completion_length": 6} if name == "dr_grpo" else {}
    weights = tw.token_weights(mask, normalizer=name, **options)
    given = {"reference_log_probs": reference, "beta": 0.5}
    losses = tw.grpo_loss(new, old, advantages, reduction="none", **given)
    padded = np.where(mask, new, np.nan)
    value, gradient = tw.grpo_loss.value_and_grad(
        padded, old, advantages, reduction="sum", sample_weight=weights, **given
    )
    assert_close(value, LIGER[name](losses, mask), rtol=1e-13)
    assert np.all(gradient[mask == 0] == 0)


def test_the_tokens_of_other_parts_of_a_batch_count():
    weights = tw.token_weights(MASK, normalizer="dapo", num_items_in_batch=20)
    assert_close(weights, MASK / 20, rtol=1e-15)


def test_no_tokens_have_no_weights():
    for name in ("grpo", "bnpo", "dapo", "luspo"):
        assert np.all(tw.token_weights(np.zeros((2, 3)), normalizer=name) == 0)
    assert tw.token_weights(np.zeros((0, 3))).shape == (0, 3)


def test_weights_belong_to_the_library_of_the_mask(xp, to_array, to_numpy):
    mask = to_array(MASK.astype(bool))
    weights = tw.token_weights(mask, normalizer="grpo")
    assert type(weights) is type(mask)
    want = MASK / MASK.sum(1, keepdims=True) / 3
    np.testing.assert_allclose(to_numpy(weights), want, rtol=1e-6)


def test_a_policy_that_has_not_moved_has_the_same_gradient_by_every_loss(tokens):
    new, _, _, advantages = tokens
    want = tw.ppo_clip_loss.grad(new, new, advantages, reduction="sum")
    for loss in (tw.cispo_loss, tw.sapo_loss, tw.grpo_loss):
        assert_close(loss.grad(new, new, advantages, reduction="sum"), want, rtol=1e-14)
    by_row = tw.vespo_loss.grad(new, new, advantages[:, 0], reduction="sum")
    assert_close(by_row, want, rtol=1e-14)


def test_vespo_divides_by_tokens(tokens):
    new, old, reference, advantages = tokens
    arrays = [np.where(MASK, a, np.nan) for a in (new, old, reference)]
    options: Any = {"mask": MASK, "reference_log_probs": arrays[2]}
    losses = tw.vespo_loss(*arrays[:2], advantages[:, 0], reduction="none", **options)
    value = tw.vespo_loss(*arrays[:2], advantages[:, 0], **options)
    assert_close(value, losses.sum() / MASK.sum(), rtol=1e-14)
    _, gradient = tw.vespo_loss.value_and_grad(*arrays[:2], advantages[:, 0], **options)
    assert np.all(gradient[MASK == 0] == 0)
    assert np.all(np.isfinite(gradient))


def test_a_completion_without_tokens_costs_nothing():
    nothing = np.zeros((1, 2), bool)
    value, gradient = tw.vespo_loss.value_and_grad(
        [[1.0, np.nan]], [[0.0, 0.0]], [1.0], mask=nothing
    )
    assert value == 0
    assert np.all(gradient == 0)


def test_the_samplers_ratio_is_a_factor_of_the_advantage(tokens, rng):
    """As Liger's `vllm_is_ratio`, before the penalty."""
    new, old, _, advantages = tokens
    ratio = 0.5 + rng.random((3, 4))
    for loss in (tw.grpo_loss, tw.cispo_loss, tw.sapo_loss):
        plain = loss(new, old, advantages, reduction="none")
        assert_close(
            loss(new, old, advantages * ratio, reduction="none"), plain * ratio, rtol=1e-14
        )


@pytest.mark.parametrize("name", ["grpo_loss", "cispo_loss", "sapo_loss"])
def test_the_corrected_penalty_is_the_penalty_times_the_ratio(tokens, name):
    new, old, reference, advantages = tokens
    loss, given = getattr(tw, name), {"reference_log_probs": reference, "reduction": "none"}
    free = loss(new, old, advantages, beta=0.0, **given)
    plain = loss(new, old, advantages, beta=1.0, **given) - free
    found = loss(new, old, advantages, beta=1.0, use_bias_correction_kl=True, **given) - free
    assert_close(found, plain * np.exp(new - old), rtol=1e-9)


def test_the_corrected_penalty_has_the_slope_of_a_divergence():
    new, old, reference = np.asarray([-1.0, -30.0, -0.5]), np.asarray([-1.5, -29.0, -0.5]), -0.5
    gradient = tw.grpo_loss.grad(
        new, old, 0.0, reference_log_probs=reference, beta=1.0, use_bias_correction_kl=True,
        reduction="sum",
    )  # fmt: skip
    assert_close(gradient, -np.exp(new - old) * (reference - new), rtol=1e-14, atol=1e-300)
    curvature = tw.grpo_loss.hessian_diag(
        new, old, 0.0, reference_log_probs=reference, beta=1.0, use_bias_correction_kl=True,
        reduction="sum",
    )  # fmt: skip
    assert_close(curvature, np.exp(new - old) * (1 - (reference - new)), rtol=1e-13)


# --------------------------------------------------------------------------- edges of the domain
def test_the_corrected_penalty_of_ratios_without_bounds():
    new, old = [-20.0, -math.inf], [-math.inf, -1.0]
    value = tw.cispo_loss(
        new, old, 0.0, reference_log_probs=-0.5, beta=1.0, use_bias_correction_kl=True,
        reduction="none",
    )  # fmt: skip
    assert_close(value, [math.inf, math.exp(0.5)], rtol=1e-15)


def test_impossible_and_overflowing_tokens():
    inf, old = math.inf, [-1.0, -1e4, -1e4]
    value, gradient = tw.sapo_loss.value_and_grad([-inf, 0.0, 0.0], old, [1.0, 1.0, 0.0],
                                                  reduction="none")  # fmt: skip
    assert_close(value, [-4 / (1 + math.e), -4.0, 0.0], rtol=1e-15)
    np.testing.assert_array_equal(gradient, [0, 0, 0])
    value, gradient = tw.cispo_loss.value_and_grad([-inf, -1.0, -1.0], old, [1.0, 1.0, 0.0],
                                                   reduction="none")  # fmt: skip
    np.testing.assert_array_equal(value, [0, 5, 0])
    np.testing.assert_array_equal(gradient, [0, -5, 0])
    for row in ([-inf, -1.0], [0.0, 0.0]):
        value, gradient = tw.vespo_loss.value_and_grad([row], [[-1.0, -1e4]], [1.0])
        assert value == 0
        np.testing.assert_array_equal(gradient, [[0, 0]])


def test_the_weight_of_vespo_is_1_where_nothing_has_moved():
    step = 2.0**-30
    gradient = tw.vespo_loss.grad([[-1.0 + step]], [[-1.0]], [1.0])
    assert_close(gradient, [[-math.exp(2 * step - 3 * math.expm1(step))]], rtol=1e-15)


def test_nothing_is_hidden_by_a_comparison():
    for place in range(3):
        arrays = [[-1.0], [-1.0], [1.0]]
        arrays[place] = [np.nan]
        assert np.isnan(tw.cispo_loss(*arrays))
        assert np.isnan(tw.sapo_loss(*arrays))
        assert np.isnan(tw.vespo_loss([arrays[0]], [arrays[1]], arrays[2]))
