"""Losses of regression: what they refuse, their kinks, limits and identities."""

import math

import mpmath
import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
X = np.asarray([-40.0, -3.0, -0.5, 0.0, 1e-3, 0.7, 2.0, 1e6])
Y = np.asarray([0.0, 1.0, -0.5, 1e-3, 0.0, -0.7, 1.75, 3.0])


def losses(loss, x=X, y=Y, **options):
    return loss(x, y, reduction="none", **options)


def slopes(loss, x=X, y=Y, **options):
    return loss.grad(x, y, reduction="sum", **options)


# -------------------------------------------------------------------------------- refusals
POSITIVE = [
    (tw.pseudo_huber_loss, "delta"),
    (tw.charbonnier_loss, "eps"),
    (tw.fair_loss, "c"),
    (tw.cauchy_loss, "scale"),
    (tw.geman_mcclure_loss, "scale"),
    (tw.welsch_loss, "scale"),
    (tw.general_robust_loss, "scale"),
    (tw.tukey_biweight_loss, "c"),
    (tw.wing_loss, "width"),
    (tw.wing_loss, "curvature"),
]
NONNEGATIVE = [
    (tw.epsilon_insensitive_loss, "epsilon"),
    (tw.squared_epsilon_insensitive_loss, "epsilon"),
    (tw.mape_loss, "eps"),
]


@pytest.mark.parametrize(("loss", "name"), POSITIVE)
@pytest.mark.parametrize("value", [0.0, -1.0, INF, NAN])
def test_options_that_must_be_positive(loss, name, value):
    wanted = f"{loss.formula.name}: {name} must be positive and finite, got {value!r}"
    with pytest.raises(tw.ArgumentError, match=wanted):
        loss(X, Y, **{name: value})


@pytest.mark.parametrize(("loss", "name"), NONNEGATIVE)
@pytest.mark.parametrize("value", [-1e-9, INF, NAN])
def test_options_that_must_not_be_negative(loss, name, value):
    wanted = f"{loss.formula.name}: {name} must be finite and not negative, got {value!r}"
    with pytest.raises(tw.ArgumentError, match=wanted):
        loss(X, Y, **{name: value})


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (tw.quantile_loss, {"quantile": 1.5}, r"quantile must be in \[0, 1\], got 1.5"),
        (tw.quantile_loss, {"quantile": -0.1}, r"quantile must be in \[0, 1\], got -0.1"),
        (tw.quantile_loss, {"quantile": NAN}, r"quantile must be in \[0, 1\], got nan"),
        (tw.expectile_loss, {"expectile": 1.0}, "expectile must be between 0 and 1, got 1.0"),
        (tw.expectile_loss, {"expectile": 0}, "expectile must be between 0 and 1, got 0"),
        (tw.general_robust_loss, {"alpha": NAN}, "alpha must be a number, got nan"),
        (tw.cauchy_loss, {"scale": "a"}, "scale must be a number, got 'a'"),
        (tw.quantile_loss, {"quantile": [0.1, 0.9]}, "quantile must be a number or a string"),
    ],
)
def test_other_options(loss, options, message):
    with pytest.raises(tw.ArgumentError, match=f"{loss.formula.name}: {message}"):
        loss(X, Y, **options)


@pytest.mark.parametrize("df", [0.0, -1.0, NAN])
def test_degrees_of_freedom_are_positive(df):
    with pytest.raises(
        tw.ArgumentError, match=f"student_t_nll_loss: df must be positive, got {df}"
    ):
        tw.student_t_nll_loss(X, Y, np.ones(8), df=df)


def test_several_quantiles_are_asked_for():
    with pytest.raises(tw.ArgumentError, match="multi_quantile_loss: quantiles must be the levels"):
        tw.multi_quantile_loss(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(tw.ShapeError, match="multi_quantile_loss: quantiles"):
        tw.multi_quantile_loss(np.zeros((2, 3)), np.zeros(2), quantiles=[0.1, 0.9])


# ----------------------------------------------------------------------------------- kinks
@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (tw.quantile_loss, {"quantile": 0.9}),
        (tw.quantile_loss, {"quantile": 0.0}),
        (tw.epsilon_insensitive_loss, {"epsilon": 0.0}),
        (tw.mape_loss, {}),
        (tw.smape_loss, {}),
        (tw.wing_loss, {}),
    ],
)
def test_the_slope_at_the_target_is_zero(loss, options):
    x = np.asarray([-3.0, 0.0, 2.5])
    value, slope = loss.value_and_grad(x, x, reduction="sum", **options)
    assert value == 0
    assert slope.tolist() == [0.0, 0.0, 0.0]


def test_the_slope_at_the_edge_of_the_free_zone_is_zero():
    found = slopes(tw.epsilon_insensitive_loss, [0.5, -0.5], [0.0, 0.0], epsilon=0.5)
    assert found.tolist() == [0.0, 0.0]


def test_the_smaller_slope_holds_where_wing_changes():
    found = slopes(tw.wing_loss, [4.0, -4.0, 4.25], [0.0, 0.0, 0.0], width=4.0, curvature=4.0)
    assert found.tolist() == [0.5, -0.5, 1.0]


def test_smape_at_a_prediction_of_zero():
    value, slope = tw.smape_loss.value_and_grad([0.0], [2.0])
    assert value == 2
    assert slope.tolist() == [0.0]


def test_levels_of_several_quantiles_that_are_none():
    x, y = np.zeros((1, 2)), np.ones(1)
    with pytest.raises(tw.ArgumentError, match=r"quantiles\[1\] is 1.5, but must be from 0 to 1"):
        tw.multi_quantile_loss.value_and_grad(x, y, quantiles=[0.5, 1.5])
    value, slope = tw.multi_quantile_loss.value_and_grad(x, y, quantiles=[0.5, math.nan])
    assert math.isnan(value)
    assert slope[0, 0] == -0.25
    assert math.isnan(slope[0, 1])


# ------------------------------------------------------------------------------- identities
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((tw.half_mse_loss, {}, 2), (tw.mse_loss, {}, 1)),
        ((tw.quantile_loss, {"quantile": 0.5}, 2), (tw.l1_loss, {}, 1)),
        ((tw.expectile_loss, {"expectile": 0.5}, 2), (tw.half_mse_loss, {}, 1)),
        ((tw.epsilon_insensitive_loss, {"epsilon": 0}, 1), (tw.l1_loss, {}, 1)),
        ((tw.squared_epsilon_insensitive_loss, {"epsilon": 0}, 1), (tw.mse_loss, {}, 1)),
        ((tw.charbonnier_loss, {"eps": 0.5}, 0.5), (tw.pseudo_huber_loss, {"delta": 0.5}, 1)),
        ((tw.general_robust_loss, {"alpha": 2}, 1), (tw.half_mse_loss, {}, 1)),
        ((tw.general_robust_loss, {"alpha": 1}, 1), (tw.charbonnier_loss, {}, 1)),
        ((tw.general_robust_loss, {"alpha": 0}, 1), (tw.cauchy_loss, {}, 1)),
        ((tw.general_robust_loss, {"alpha": -2}, 1), (tw.geman_mcclure_loss, {}, 1)),
        ((tw.general_robust_loss, {"alpha": -INF}, 1), (tw.welsch_loss, {}, 1)),
        ((tw.tukey_biweight_loss, {"c": 1e9}, 1), (tw.half_mse_loss, {}, 1)),
        ((tw.fair_loss, {"c": 1e16}, 1), (tw.half_mse_loss, {}, 1)),
        ((tw.fair_loss, {"c": 1e-30}, 1e30), (tw.l1_loss, {}, 1)),
    ],
)
def test_identities(one, other):
    far = slice(0, 7)  # 1e6 is not small beside every option
    (loss, options, factor), (same, of_same, other_factor) = one, other
    found = factor * losses(loss, **options)[far]
    assert_close(found, other_factor * losses(same, **of_same)[far], rtol=1e-11, atol=1e-300)
    found = factor * slopes(loss, **options)[far]
    assert_close(found, other_factor * slopes(same, **of_same)[far], rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("alpha", [2.0, 1.0, 0.0, -2.0])
@pytest.mark.parametrize("step", [1e-12, -1e-12, 1e-15])
def test_the_general_loss_is_continuous_in_its_shape(alpha, step):
    x = np.asarray([1e-8, 0.3, 5.0, 1e3])
    for function in (losses, slopes):
        here = function(tw.general_robust_loss, x, 0 * x, alpha=alpha)
        near = function(tw.general_robust_loss, x, 0 * x, alpha=alpha + step)
        assert_close(near, here, rtol=1e-9)


def test_the_general_loss_tends_to_welsch():
    x = np.asarray([1e-8, 0.3, 2.0, 5.0])
    for function in (losses, slopes):
        welsch = function(tw.general_robust_loss, x, 0 * x, alpha=-INF)
        near = function(tw.general_robust_loss, x, 0 * x, alpha=-1e14)
        assert_close(near, welsch, rtol=1e-10)


def test_the_general_loss_of_infinite_shape():
    found = losses(tw.general_robust_loss, [1e-9, 2.0], [0.0, 0.0], alpha=INF)
    assert_close(found, [5e-19, math.expm1(2.0)], rtol=1e-14)


def test_several_quantiles_are_the_mean_of_each():
    random = np.random.default_rng(0)
    x, y, levels = random.normal(size=(6, 3)), random.normal(size=6), [0.1, 0.5, 0.9]
    found = tw.multi_quantile_loss(x, y, quantiles=levels, reduction="none")
    each = [losses(tw.quantile_loss, x[:, k], y, quantile=q) for k, q in enumerate(levels)]
    assert_close(found, np.mean(each, axis=0), rtol=1e-14)
    along_first = tw.multi_quantile_loss(
        np.ascontiguousarray(x.T), y, quantiles=levels, axis=0, reduction="none"
    )
    assert_close(along_first, found, rtol=1e-14)


def test_student_t_of_infinite_df_is_gaussian():
    scale = np.linspace(0.5, 2, 8)
    found = tw.student_t_nll_loss(X, Y, scale, df=INF, full=True, reduction="none")
    gaussian = 0.5 * ((X - Y) / scale) ** 2 + np.log(scale) + 0.5 * np.log(2 * np.pi)
    assert_close(found, gaussian, rtol=1e-14)
    near = tw.student_t_nll_loss(X[:7], Y[:7], scale[:7], df=1e14, full=True, reduction="none")
    assert_close(near, gaussian[:7], rtol=1e-10)


@pytest.mark.parametrize("df", [0.5, 39.9, 40.1, 1e4, 9e7, 1e300])
def test_the_constant_of_student_t(df):
    constant = tw.student_t_nll_loss([0.0], [0.0], [1.0], df=df, full=True)
    with mpmath.workdps(400):
        z = mpmath.mpf(df) / 2
        want = mpmath.loggamma(z) - mpmath.loggamma(z + 0.5) + mpmath.log(2 * mpmath.pi * z) / 2
    assert_close(constant, float(want), rtol=2e-14)


# ------------------------------------------------------------------------- Hessians and edges
@pytest.mark.parametrize(
    ("loss", "x", "curvature"),
    [
        (tw.log_cosh_loss, [0.0, 20.0], [1.0, math.cosh(20.0) ** -2]),
        (tw.pseudo_huber_loss, [0.0, 1e6], [1.0, 1e-18]),
        (tw.charbonnier_loss, [0.0, -1e6], [1.0, 1e-18]),
        (tw.fair_loss, [0.0, 1e8, -1e8], [1.0, 1e-16, 1e-16]),
        (tw.cauchy_loss, [0.0, 1e6], [1.0, -2e-12]),
        (tw.geman_mcclure_loss, [0.0, 1e6], [1.0, -48e-24]),
        (tw.welsch_loss, [0.0, 1.0, INF], [1.0, 0.0, 0.0]),
        (tw.tukey_biweight_loss, [0.0, 9.0, INF], [1.0, 0.0, 0.0]),
        (tw.msle_loss, [0.0, 3.0], [2.0, 2 * (1 - math.log(4)) / 16]),
    ],
)
def test_second_derivatives(loss, x, curvature):
    found = loss.hessian_diag(x, np.zeros(len(x)), reduction="sum")
    assert_close(found, np.asarray(curvature), rtol=1e-7, atol=1e-300)


@pytest.mark.parametrize("x", [0.0, 3.0])
def test_curvature_at_the_target(x):
    """What is smooth there has its curvature there, whichever branch a formula takes."""
    found = tw.msle_loss.hessian_diag([x], [x])
    assert_close(found, [2 / (1 + x) ** 2], rtol=1e-15)


def test_targets_of_zero_cost_infinity_by_their_percentage():
    value = losses(tw.mape_loss, [1.0, -1.0, 0.0], [0.0] * 3)
    slope = slopes(tw.mape_loss, [1.0, -1.0, 0.0], [0.0] * 3)
    assert value.tolist() == [INF, INF, 0.0]
    assert slope.tolist() == [INF, -INF, 0.0]
    kept = tw.mape_loss([1.0, 3.0], [0.0, 2.0], where=[False, True])
    assert kept == 0.5


def test_logarithmic_errors_end_at_minus_one():
    found = losses(tw.msle_loss, [-1.0, -1.5, 0.0, -2.0], [0.0, 0.0, -1.5, -3.0])
    np.testing.assert_array_equal(found, [INF, NAN, NAN, NAN])
    assert slopes(tw.msle_loss, [-1.0], [0.0]).tolist() == [-INF]


@pytest.mark.parametrize("loss", [tw.cauchy_loss, tw.geman_mcclure_loss, tw.welsch_loss])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_redescending_losses_let_go_of_outliers(loss, dtype):
    far = np.asarray([1e30, -1e30, INF, -INF], dtype)
    value, slope = loss.value_and_grad(far, np.zeros(4, dtype), reduction="none")
    assert not np.isnan(value).any()
    assert np.all(np.abs(slope) < 1e-29)


def test_losses_of_no_elements():
    for name in tw.losses.names("Regression"):
        loss = tw.get_loss(name)
        if loss.formula.rowwise or len(loss.formula.arguments) > 2:
            continue  # a row has elements; the battery has those of three arguments
        assert loss([], []) == 0, name


def test_scales_of_student_t_are_positive():
    assert not np.isfinite(tw.student_t_nll_loss([1.0], [0.0], [0.0]))
    with pytest.raises(tw.ArgumentError, match=r"scale\[1\] is -1.0, but must be 0 or more"):
        tw.student_t_nll_loss([1.0, 1.0], [0.0, 0.0], [0.0, -1.0])


def test_student_t_lets_go_of_infinite_errors():
    found = tw.student_t_nll_loss.grad([INF, -INF], [0.0, 0.0], [1.0, 2.0], wrt="predictions")
    assert found.tolist() == [0.0, 0.0]
