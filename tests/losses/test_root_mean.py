"""Roots of a row's mean square, and the Huber loss with a quantile: edges, axes, refusals."""

import math

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
ROOTS = [(tw.rmse_loss, tw.mse_loss), (tw.rmsle_loss, tw.msle_loss)]


# -------------------------------------------------------------------------------- roots
@pytest.mark.parametrize(("loss", "square"), ROOTS)
def test_it_is_the_root_of_the_mean_of_each_row(loss, square, rng):
    x, y = rng.random((2, 5, 7))
    for axis in (0, 1):
        want = np.sqrt(square(x, y, reduction="none").mean(axis))
        assert_close(loss(x, y, axis=axis, reduction="none"), want, rtol=1e-14)
        assert_close(loss(x, y, axis=axis), want.mean(), rtol=1e-14)


@pytest.mark.parametrize(("loss", "square"), ROOTS)
def test_a_row_that_meets_its_targets_has_no_slope(loss, square):
    value, gradient = loss.value_and_grad([[1.0, 2.0], [0.0, 3.0]], [[1.0, 2.0], [0.0, 0.0]])
    assert value == loss([0.0, 3.0], [0.0, 0.0]) / 2
    np.testing.assert_array_equal(gradient[0], [0, 0])
    assert gradient[1, 1] > 0
    np.testing.assert_array_equal(loss.hessian_diag([1.0, 2.0], [1.0, 2.0]), [0, 0])
    del square


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e308])
def test_no_square_leaves_the_range_of_numbers(size):
    value, gradient = tw.rmse_loss.value_and_grad([0.6 * size, -0.8 * size], 0.0)
    assert_close(value, size * math.sqrt(0.5), ulp=3)
    assert_close(gradient, [0.6 * math.sqrt(0.5), -0.8 * math.sqrt(0.5)], ulp=3)


def test_infinite_errors_share_the_slope():
    value, gradient = tw.rmse_loss.value_and_grad([INF, 1.0, -INF, 3.0], 0.0)
    assert value == INF
    assert_close(gradient, np.asarray([1, 0, -1, 0]) / math.sqrt(8), ulp=2)
    assert tw.rmsle_loss([-1.0, 1.0], [0.0, 0.0]) == INF


def test_nan_is_nan_of_its_row():
    found = tw.rmse_loss([[NAN, 1.0], [3.0, 4.0]], 0.0, reduction="none")
    np.testing.assert_array_equal(found, [NAN, math.sqrt(12.5)])


def test_whole_weights_repeat_elements_and_zero_removes_them():
    x, weight = np.asarray([[1.0, NAN, 3.0, 2.0]]), np.asarray([[2.0, 0.0, 1.0, 1.0]])
    value, gradient = tw.rmse_loss.value_and_grad(x, 0.0, weight=weight)
    assert_close(value, tw.rmse_loss([1.0, 1.0, 3.0, 2.0], 0.0), ulp=2)
    assert gradient[0, 1] == 0
    single = tw.rmse_loss.grad([1.0, 1.0, 3.0, 2.0], 0.0)
    assert_close(gradient[0, [0, 2, 3]], [2 * single[0], single[2], single[3]], ulp=4)


def test_a_row_without_weight_does_not_count():
    x, weight = [[1.0, 2.0], [NAN, INF]], [[1.0, 1.0], [0.0, 0.0]]
    value, gradient = tw.rmse_loss.value_and_grad(x, 0.0, weight=weight)
    assert_close(value, math.sqrt(2.5), ulp=1)
    np.testing.assert_array_equal(gradient[1], [0, 0])


# -------------------------------------------------------------------------------- Huber
def test_delta_is_an_error_and_constant(rng):
    x, y = rng.normal(size=(2, 40))
    delta = float(np.sort(np.abs(x - y))[math.ceil(0.7 * 40) - 1])
    value, gradient = tw.adaptive_delta_huber_loss.value_and_grad(x, y, quantile=0.7)
    assert_close(value, tw.huber_loss(x, y, delta=delta), rtol=1e-14)
    assert_close(gradient, tw.huber_loss.grad(x, y, delta=delta), rtol=1e-14)
    assert_close(
        tw.adaptive_delta_huber_loss.hessian_diag(x, y, quantile=0.7),
        tw.huber_loss.hessian_diag(x, y, delta=delta), rtol=1e-14,
    )  # fmt: skip


def test_the_whole_quantile_is_half_the_square(rng):
    x, y = rng.normal(size=(2, 9))
    found = tw.adaptive_delta_huber_loss(x, y, quantile=1)
    assert_close(found, tw.half_mse_loss(x, y), rtol=1e-14)


def test_met_targets_leave_no_width():
    value, gradient = tw.adaptive_delta_huber_loss.value_and_grad(
        [1.0, 1.0, 9.0], 1.0, quantile=0.5
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, [0, 0, 0])


def test_infinite_and_unknown_errors():
    x = np.asarray([0.5, 1.0, INF])
    found, slopes = tw.adaptive_delta_huber_loss.value_and_grad(
        x, 0.0, quantile=0.5, reduction="none"
    )
    np.testing.assert_array_equal(found, [0.125, 0.5, INF])
    np.testing.assert_array_equal(slopes, [0.5, 1, 1])
    spoiled = tw.adaptive_delta_huber_loss([0.5, NAN, 1.0], 0.0, reduction="none")
    assert np.isnan(spoiled).all()
    assert tw.adaptive_delta_huber_loss([], []) == 0


@pytest.mark.parametrize("quantile", [0.0, -0.5, 1.5, NAN])
def test_quantiles_refused(quantile):
    wanted = "adaptive_delta_huber_loss: quantile must be above 0 and at most 1"
    with pytest.raises(tw.ArgumentError, match=wanted):
        tw.adaptive_delta_huber_loss([1.0], [0.0], quantile=quantile)


def test_targets_do_not_enlarge():
    with pytest.raises(tw.ShapeError, match=r"adaptive_delta_huber_loss: targets of shape \(3,\)"):
        tw.adaptive_delta_huber_loss(np.ones((3, 1)), np.ones(3))
