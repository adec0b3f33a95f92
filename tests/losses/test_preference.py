"""What the battery cannot know of the losses of preferences and policies."""

import math

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

TYPES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "robust", "nca_pair", "bco_pair", "sppo_hard",
    "apo_zero", "apo_down", "discopop",
)  # fmt: skip
PAIR = ([-1.0], [-2.0])
FOUR = (*PAIR, [-1.5], [-1.5])
TOKENS = ([-1.0], [-1.0], [1.0])


# ----------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize("beta", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("dpo_loss", FOUR), ("ipo_loss", FOUR), ("cpo_loss", PAIR), ("simpo_loss", PAIR),
        ("orpo_loss", PAIR), ("kto_loss", (*PAIR, [1])),
    ],
)  # fmt: skip
def test_beta_is_positive(name, arrays, beta):
    with pytest.raises(tw.ArgumentError, match=f"^{name}: beta must be positive and finite, got "):
        getattr(tw, name)(*arrays, beta=beta)


@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 1.0, math.nan])
@pytest.mark.parametrize(
    ("name", "arrays"), [("dpo_loss", FOUR), ("cpo_loss", PAIR), ("simpo_loss", PAIR)]
)
def test_a_smoothing_is_less_than_a_half(name, arrays, smoothing):
    with pytest.raises(tw.ArgumentError, match=rf"^{name}: label_smoothing must be in \[0, 0.5\)"):
        getattr(tw, name)(*arrays, label_smoothing=smoothing)


def test_unknown_types_are_refused_with_the_known_ones():
    with pytest.raises(tw.ArgumentError, match=r"loss_type must be one of 'sigmoid', .*'kto_pair'"):
        tw.dpo_loss(*FOUR, loss_type="kto_pair")


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {"sigmoid", "robust", "exo_pair"}))
def test_a_smoothing_that_would_be_ignored_is_refused(kind):
    with pytest.raises(tw.ArgumentError, match="label_smoothing has a meaning for the types"):
        tw.dpo_loss(*FOUR, loss_type=kind, label_smoothing=0.1)


@pytest.mark.parametrize("smoothing", [0.0, 0.5, -0.1])
def test_exo_needs_a_smoothing(smoothing):
    with pytest.raises(tw.ArgumentError, match=r"must be in \(0, 0.5\) for loss_type='exo_pair'"):
        tw.dpo_loss(*FOUR, loss_type="exo_pair", label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("name", "arrays", "options", "message"),
    [
        ("dpo_loss", FOUR, {"discopop_tau": 0.0}, "discopop_tau must be positive"),
        ("simpo_loss", PAIR, {"gamma": math.inf}, "gamma must be finite"),
        ("reward_model_loss", PAIR, {"center_rewards_coefficient": -1.0}, "not negative"),
        ("grpo_loss", TOKENS, {"epsilon_low": 1.5}, r"epsilon_low must be in \[0, 1\]"),
        ("ppo_clip_loss", TOKENS, {"epsilon_low": -0.1}, r"epsilon_low must be in \[0, 1\]"),
        ("grpo_loss", TOKENS, {"epsilon_high": -0.1}, "epsilon_high must not be negative"),
        ("grpo_loss", TOKENS, {"beta": -0.1}, "beta must be finite and not negative"),
        ("gspo_loss", ([[-1.0]], [[-1.0]], [1.0]), {"beta": math.nan}, "beta must be finite"),
        ("gspo_loss", ([[-1.0]], [[-1.0]], [1.0]), {"epsilon_low": 2}, "epsilon_low must be in"),
        ("grpo_loss", TOKENS, {"delta": 1.1}, "delta must be None or a number above 1"),
        ("grpo_loss", TOKENS, {"delta": "2"}, "delta must be None or a number above 1"),
        ("ppo_value_clip_loss", TOKENS, {"clip": 0.0}, "clip must be positive"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(name, arrays, options, message):
    with pytest.raises(tw.ArgumentError, match=f"^{name}: .*{message}"):
        getattr(tw, name)(*arrays, **options)


def test_a_pair_has_one_shape():
    with pytest.raises(tw.ShapeError, match="dpo_loss"):
        tw.dpo_loss(np.zeros(3), np.zeros((3, 1)), 0.0, 0.0)


# ---------------------------------------------------------------------------------- identities
@pytest.fixture
def four(rng):
    return [-5 * rng.random(8) for _ in range(4)]


def test_losses_that_are_others_with_certain_options(four):
    chosen, rejected, *_ = four
    zeros = np.zeros(8)
    plain = tw.dpo_loss(chosen, rejected, zeros, zeros, beta=0.7, reduction="none")
    same = {
        "cpo": tw.cpo_loss(chosen, rejected, beta=0.7, reduction="none"),
        "simpo": tw.simpo_loss(chosen, rejected, beta=0.7, gamma=0.0, reduction="none"),
        "reward": tw.reward_model_loss(0.7 * chosen, 0.7 * rejected, reduction="none"),
        "robust": tw.dpo_loss(
            chosen, rejected, zeros, zeros, beta=0.7, loss_type="robust", reduction="none"
        ),
    }
    for losses in same.values():
        assert_close(losses, plain, rtol=1e-13)
    assert tw.ipo_loss(*four, beta=0.3) == tw.dpo_loss(*four, beta=0.3, loss_type="ipo")


def test_robust_undoes_the_mean_of_a_flipped_preference(four):
    """The expectation over flips with probability s is the loss without flips."""
    s, options = 0.2, {"beta": 0.5, "loss_type": "robust", "label_smoothing": 0.2}
    c, r, rc, rr = four
    mean = (1 - s) * tw.dpo_loss(c, r, rc, rr, **options) + s * tw.dpo_loss(r, c, rr, rc, **options)
    assert_close(mean, tw.dpo_loss(c, r, rc, rr, beta=0.5), rtol=1e-12)


def test_what_both_models_gain_alike_changes_no_margin(four):
    c, r, rc, rr = four
    for kind in ("sigmoid", "hinge", "ipo", "discopop"):
        moved = tw.dpo_loss(c + 1, r + 1, rc, rr, loss_type=kind)
        assert_close(moved, tw.dpo_loss(c, r, rc, rr, loss_type=kind), rtol=1e-12)


def test_exo_is_least_where_the_margin_says_the_smoothing():
    goal = math.log(0.9 / 0.1)
    value, (by_chosen, by_rejected) = tw.dpo_loss.value_and_grad(
        [goal], [0.0], [0.0], [0.0], beta=1.0, label_smoothing=0.1, loss_type="exo_pair"
    )
    assert 0 <= value < 1e-31
    assert abs(by_chosen[0]) < 1e-16
    assert by_rejected[0] == -by_chosen[0]


def test_exo_is_exact_near_its_minimum():
    """The divergence is p (1 - p) d**2 / 2 to first order."""
    goal, d = math.log(3), 2.0**-20
    value = tw.dpo_loss(
        [goal + d], [0.0], [0.0], [0.0], beta=1.0, label_smoothing=0.25, loss_type="exo_pair"
    )
    assert_close(value, 0.25 * 0.75 * d**2 / 2, rtol=1e-6)


def test_apo_down_is_as_exact_as_two_sigmoids_add_up(four):
    c, r, rc, rr = four
    by_chosen, by_rejected = tw.dpo_loss.grad(
        c, r, rc, rr, beta=0.5, loss_type="apo_down", reduction="sum"
    )
    a, u = 0.5 * (c - rc), 0.5 * ((c - rc) - (r - rr))
    bells = [0.25 / np.cosh(x / 2) ** 2 for x in (a, u)]
    np.testing.assert_allclose(by_chosen, 0.5 * (bells[0] - bells[1]), rtol=0, atol=1e-16)
    np.testing.assert_allclose(by_rejected, 0.5 * bells[1], rtol=1e-14)


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_but_the_hinge_is_curved(four, kind):
    smoothing = 0.1 if kind == "exo_pair" else 0.0
    curvature = tw.dpo_loss.hessian_diag(*four, loss_type=kind, label_smoothing=smoothing)
    assert np.any(curvature != 0) == (kind != "hinge")


def test_grpo_without_a_reference_is_ppo(rng):
    new, old = -rng.random((3, 5)), -rng.random((3, 5))
    advantages = rng.normal(size=(3, 1))
    assert tw.grpo_loss(new, old, advantages) == tw.ppo_clip_loss(new, old, advantages)
    free = tw.grpo_loss(new, old, advantages, reference_log_probs=old, beta=0.0)
    assert free == tw.ppo_clip_loss(new, old, advantages)


def test_orpo_bends_little_where_the_rejected_one_is_nearly_certain():
    for dtype in (np.float32, np.float64):
        pair = np.asarray([-40.0], dtype), np.asarray([-1e-20], dtype)
        second = tw.orpo_loss.hessian_diag(*pair)
        assert_close(second.astype(float), [-4.248354255e-19], rtol=1e-6)  # by mpmath


def test_a_kto_label_of_0_is_not_guessed_at():
    for labels, told in (([True, False], "False"), ([1, 0], "0")):
        with pytest.raises(tw.ArgumentError, match=rf"labels\[1\] is {told}, but must be -1 or 1"):
            tw.kto_loss([0.0, 0.0], [-5.0, -5.0], labels)


def test_kto_counts_gains_from_kl():
    arrays = [-3.0, -2.0], [-4.0, -4.0], [1, -1]
    assert tw.kto_loss(*arrays, kl=0.0) == tw.kto_loss(*arrays)
    one_each = tw.kto_loss(*arrays, kl=[0.5, 0.5])
    assert tw.kto_loss(*arrays, kl=np.float64(0.5)) == one_each
    assert one_each != tw.kto_loss(*arrays)


def test_padding_of_tokens_is_left_out():
    new, old = [[-1.0, np.nan], [-2.0, -1.0]], [[-1.0, np.nan], [-1.0, -1.0]]
    where = [[True, False], [True, True]]
    value, gradient = tw.grpo_loss.value_and_grad(new, old, [[1.0], [0.5]], where=where)
    assert_close(value, -(1 + 0.5 * math.exp(-1) + 0.5) / 3, rtol=1e-15)
    assert gradient[0][1] == 0


def test_padding_of_completions_is_left_out(rng):
    new, old, reference = -rng.random((3, 2, 4))
    advantages = np.asarray([1.0, -2.0])
    mask = np.asarray([[True, True, False, False], [False] * 4])
    padded = [np.where(mask, a, np.nan) for a in (new, old, reference)]
    value, gradient = tw.gspo_loss.value_and_grad(
        *padded[:2], advantages, mask=mask, reference_log_probs=padded[2],
        epsilon_low=1.0, epsilon_high=9.0,
    )  # fmt: skip
    want, expected = tw.gspo_loss.value_and_grad(
        new[:1, :2], old[:1, :2], advantages[:1], reference_log_probs=reference[:1, :2],
        epsilon_low=1.0, epsilon_high=9.0,
    )  # fmt: skip
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient[:1, :2], expected, rtol=1e-13)
    assert np.all(gradient[~mask] == 0)


def test_gspo_of_single_tokens_is_grpo(rng):
    new, old, reference = -rng.random((3, 6))
    advantages = rng.normal(size=6)
    options = {"epsilon_low": 0.2, "epsilon_high": 0.2}
    alone = tw.grpo_loss(new, old, advantages, reference_log_probs=reference, **options)
    whole = tw.gspo_loss(
        new[:, None], old[:, None], advantages, reference_log_probs=reference[:, None], **options
    )
    assert_close(whole, alone, rtol=1e-14)


# --------------------------------------------------------------------------------------- kinks
def test_the_hinge_has_slope_0_at_its_kink():
    by_chosen, by_rejected = tw.dpo_loss.grad(
        [1.0, 0.5, 2.0], [0.0] * 3, 0.0, 0.0, beta=1.0, loss_type="hinge", reduction="sum"
    )
    np.testing.assert_array_equal(by_chosen, [0, -1, 0])
    np.testing.assert_array_equal(by_rejected, [0, 1, 0])


@pytest.mark.parametrize(
    ("advantage", "ratio", "slope"),
    [
        (1, 2, 0), (1, 1.5, -1.5), (1, 0.25, -0.25), (-1, 0.5, 0), (-1, 0.25, 0), (-1, 4, 4),
        (0, 4, 0),
    ],
)  # fmt: skip
def test_a_ratio_at_its_limit_has_slope_0(advantage, ratio, slope):
    old = [0.0]
    new = [math.log(ratio)]
    at_limit = tw.ppo_clip_loss.grad(
        new, old, [float(advantage)], epsilon_low=0.5, epsilon_high=math.exp(math.log(2)) - 1
    )
    assert_close(at_limit, [slope], rtol=1e-15)


def test_a_negative_advantage_is_held_at_delta():
    value, gradient = tw.grpo_loss.value_and_grad([5.0], [0.0], [-2.0], delta=4.0)
    assert value == 8
    assert gradient[0] == 0


def test_a_ratio_that_overflows_where_it_does_not_count():
    new, old = [0.0, 0.0], [-1e4, -1e4]
    value, gradient = tw.ppo_clip_loss.value_and_grad(new, old, [1.0, 0.0], reduction="sum")
    assert value == -1.2
    np.testing.assert_array_equal(gradient, [0, 0])
    assert tw.ppo_clip_loss(new, old, -1.0) == math.inf


@pytest.mark.parametrize(
    ("value", "returned", "loss", "slope"),
    [
        (0.25, 1.0, 0.28125, 0.0),  # at the limit, wanting to go on
        (0.25, 0.0, 0.03125, 0.25),  # at the limit, wanting back
        (-0.25, -1.0, 0.28125, 0.0),
        (0.125, 1.0, 0.3828125, -0.875),  # within
        (0.5, 0.375, 0.0078125, 0.0),  # beyond, both equally far off
        (0.5, 0.0, 0.125, 0.5),  # beyond, and worse than the limit
    ],
)
def test_values_are_held_near_the_old_ones(value, returned, loss, slope):
    got, gradient = tw.ppo_value_clip_loss.value_and_grad([value], [0.0], [returned], clip=0.25)
    assert got == loss
    assert gradient[0] == slope


# --------------------------------------------------------------------------- edges of the domain
def test_impossible_completions():
    inf = math.inf
    losses = tw.dpo_loss([-1.0, -inf, -inf], [-inf, -1.0, -1.0], [-1.0, -1.0, -inf], [-1.0] * 3,
                         reduction="none")  # fmt: skip
    np.testing.assert_array_equal(losses, [0, inf, np.nan])
    by_chosen, _ = tw.dpo_loss.grad([-1.0, -inf], [-inf, -1.0], -1.0, -1.0, reduction="sum")
    assert_close(by_chosen, [0.0, -0.1], rtol=1e-15)


def test_orpo_at_certain_and_impossible_completions():
    losses = tw.orpo_loss(
        [0.0, -1.0, -1.0, -math.inf, 0.0], [-1.0, 0.0, -math.inf, -1.0, 0.0], reduction="none"
    )
    np.testing.assert_array_equal(losses, [0, math.inf, 0, math.inf, np.nan])
    by_chosen, by_rejected = tw.orpo_loss.grad([0.0], [-1.0], beta=1.0)
    assert_close(by_chosen, [-1 / math.expm1(1)], rtol=1e-15)
    assert by_rejected[0] == 0


@pytest.mark.parametrize("pair", [([0.5], [-1.0]), ([-1.0], [0.5]), ([0.5], [0.25])])
def test_orpo_of_no_probabilities_is_nan(pair):
    value, gradients = tw.orpo_loss.value_and_grad(*pair)
    assert np.isnan([value, *np.ravel(gradients)]).all()


def test_nothing_is_hidden_by_a_comparison():
    for arrays in ([[np.nan, 1.0, 1.0]], [[1.0, np.nan, 1.0]], [[1.0, 1.0, np.nan]]):
        single = [[x] for x in arrays[0]]
        assert np.isnan(tw.ppo_value_clip_loss(*single))
        assert np.isnan(tw.grpo_loss(*single))
