"""Losses of masks: refusals, empty masks, limits of parameters, identities among them."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
LOSSES = (tw.dice_loss, tw.jaccard_loss, tw.tversky_loss, tw.focal_tversky_loss)
MASK = np.array([[0.9, 0.2, 0.4, 0.05], [0.3, 0.8, 0.6, 0.7]])
TRUTH = np.array([[1, 0, 1, 0], [0, 1, 1, 0]])
NONE = {"reduction": "none"}


def named(loss):
    return loss.formula.name


# ------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("loss", "name"),
    [
        pytest.param(loss, name, id=f"{named(loss)}-{name}")
        for loss in LOSSES
        for name in ("smooth", "alpha", "beta")
        if name in loss.formula.options
    ],
)
@pytest.mark.parametrize("value", [-1.0, INF, NAN])
def test_numbers_out_of_range_are_refused(loss, name, value):
    message = f"^{named(loss)}: {name} must be finite and not negative, got {value}"
    with pytest.raises(tw.ArgumentError, match=message):
        loss(MASK, TRUTH, **{name: value})


@pytest.mark.parametrize("gamma", [0.0, -1.0, INF, NAN])
def test_a_power_is_positive(gamma):
    message = f"^focal_tversky_loss: gamma must be positive and finite, got {gamma}"
    with pytest.raises(tw.ArgumentError, match=message):
        tw.focal_tversky_loss(MASK, TRUTH, gamma=gamma)


# ----------------------------------------------------------------------- empty and perfect
@pytest.mark.parametrize("smooth", [0.0, 1.0])
@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_nothing_against_nothing_is_perfect(loss, smooth):
    value, gradient = loss.value_and_grad(np.zeros((1, 3)), np.zeros((1, 3)), smooth=smooth)
    assert value == 0
    if smooth == 0 or loss is tw.focal_tversky_loss:
        np.testing.assert_array_equal(gradient, np.zeros((1, 3)))
    else:
        assert np.all(gradient > 0)
    far = np.full((1, 3), -INF)
    value, gradient = loss.value_and_grad(far, np.zeros((1, 3)), smooth=smooth, from_logits=True)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((1, 3)))


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_a_perfect_mask_costs_nothing_and_a_wrong_one_everything(loss):
    losses = loss([[1.0, 0.0, 1.0]] * 2, [[1, 0, 1], [0, 1, 0]], **NONE)
    np.testing.assert_array_equal(losses, [0, 1])
    certain = [[INF, -INF, INF]] * 2
    losses = loss(certain, [[1, 0, 1], [0, 1, 0]], from_logits=True, **NONE)
    np.testing.assert_array_equal(losses, [0, 1])
    assert np.all(loss.grad(certain, [[1, 0, 1], [0, 1, 0]], from_logits=True) == 0)


def test_a_power_below_one_is_flat_at_a_perfect_score():
    value, gradient = tw.focal_tversky_loss.value_and_grad([[1.0, 0.0]], [[1, 0]], gamma=0.5)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_something_against_nothing_costs_everything():
    value, gradient = tw.dice_loss.value_and_grad([[1e-20, 0.0]], [[0, 0]])
    assert value == 1
    np.testing.assert_array_equal(gradient, [[0, 0]])
    assert tw.tversky_loss([[0.5, 0.5]], [[0, 0]], alpha=0.0) == 0


def test_nan_shows():
    for loss in LOSSES:
        assert np.isnan(loss([[NAN, 0.5]], [[1, 0]]))
        assert np.isnan(loss([[NAN, 0.5]], [[0, 1]], from_logits=True))


# ----------------------------------------------------------------------------- identities
def test_tversky_is_dice_and_jaccard():
    dice, jaccard = tw.dice_loss(MASK, TRUTH, **NONE), tw.jaccard_loss(MASK, TRUTH, **NONE)
    assert_close(tw.tversky_loss(MASK, TRUTH, **NONE), dice, rtol=1e-15)
    weighed = tw.tversky_loss(MASK, TRUTH, alpha=1.0, beta=1.0, **NONE)
    assert_close(weighed, jaccard, rtol=1e-15)
    assert_close(jaccard, 2 * dice / (1 + dice), rtol=1e-14)
    smoothed = tw.tversky_loss(MASK, TRUTH, smooth=0.5, **NONE)
    assert_close(smoothed, tw.dice_loss(MASK, TRUTH, smooth=1.0, **NONE), rtol=1e-15)


def test_focal_tversky_is_a_power():
    options = {"alpha": 0.3, "beta": 0.7}
    plain = tw.tversky_loss(MASK, TRUTH, **options, **NONE)
    for gamma in (0.5, 1.0, 2.0, 3.5):
        got = tw.focal_tversky_loss(MASK, TRUTH, gamma=gamma, **options, **NONE)
        assert_close(got, plain**gamma, rtol=1e-14)


def test_logits_are_probabilities_not_yet_squeezed():
    logits = np.log(MASK) - np.log1p(-MASK)
    for loss in LOSSES:
        value, gradient = loss.value_and_grad(logits, TRUTH, from_logits=True)
        want, expected = loss.value_and_grad(MASK, TRUTH)
        assert_close(value, want, rtol=1e-13)
        assert_close(gradient, expected * MASK * (1 - MASK), rtol=1e-12)


def test_alpha_weighs_false_positives_and_beta_false_negatives():
    options = {"alpha": 0.25, "beta": 0.75}
    assert tw.tversky_loss([[1.0, 1.0]], [[1, 0]], **options) == 0.25 / 1.25
    assert tw.tversky_loss([[1.0, 0.0]], [[1, 1]], **options) == 0.75 / 1.75


def test_the_pixels_may_lie_on_another_axis():
    for loss in LOSSES:
        got = loss(MASK.T, TRUTH.T, axis=0, **NONE)
        assert_close(got, loss(MASK, TRUTH, **NONE), rtol=1e-15)


def test_booleans_are_masks():
    for loss in LOSSES:
        assert loss(MASK, TRUTH.astype(bool)) == loss(MASK, TRUTH)


@pytest.mark.parametrize("gamma", [0.75, 1.5])
def test_a_perfect_mask_is_flat_where_its_slope_or_curvature_has_no_bound(gamma):
    given = [[1.0, 0.0]], [[1, 0]]
    assert tw.focal_tversky_loss.grad(*given, gamma=gamma).tolist() == [[0.0, 0.0]]
    assert tw.focal_tversky_loss.hessian_diag(*given, gamma=gamma).tolist() == [[0.0, 0.0]]
    product = tw.focal_tversky_loss.hvp(*given, [[1.0, 1.0]], gamma=gamma)
    assert product.tolist() == [[0.0, 0.0]]
