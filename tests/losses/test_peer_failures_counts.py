"""Inputs on which other libraries are wrong: the entries of the catalogue by their numbers."""

import math

import numpy as np
import pytest

import tensorweaver as tw

INF = np.inf
F32, F64 = np.float32, np.float64


def both(loss, *arrays, dtype=F64, **options):
    """Value and first gradient of one element."""
    given = [np.asarray([a], dtype) for a in arrays]
    found, slopes = loss.value_and_grad(*given, reduction="sum", **options)
    slopes = slopes if isinstance(slopes, tuple) else (slopes,)
    return float(found), *(float(s[0]) for s in slopes)


def test_t23_a_large_error_with_a_large_variance():
    value, by_mean, by_variance = both(tw.gaussian_nll_loss, 1e20, 0.0, 1e38, dtype=F32)
    assert value == pytest.approx(93.74911677, rel=1e-6)
    assert by_mean == pytest.approx(1e-18, rel=1e-6)
    assert by_variance == pytest.approx(-4.95e-37, rel=1e-5)


def test_t24_a_variance_below_its_floor():
    value, by_mean, by_variance = both(tw.gaussian_nll_loss, 0.0, 1.0, 0.0)
    assert value == pytest.approx(499993.0922, rel=1e-9)
    assert by_mean == pytest.approx(-1e6, rel=1e-14)
    assert by_variance == 0


@pytest.mark.parametrize("target", [0.0, 0.5, 1.0, 1.0000001, 2.0])
def test_t25_the_term_of_the_target_alone(target):
    plain, _ = both(tw.poisson_nll_loss, 0.3, target)
    exact, _ = both(tw.poisson_nll_loss, 0.3, target, full="exact")
    assert exact - plain == pytest.approx(math.lgamma(target + 1), rel=1e-6, abs=1e-15)


def test_t26_its_slope_by_the_target():
    by_target = tw.poisson_nll_loss.grad(
        np.zeros(2), np.asarray([0.0, 1.0]), full=True, wrt="targets", reduction="sum"
    )
    assert by_target.tolist() == [0, 0]
    by_target = tw.poisson_nll_loss.grad(
        np.zeros(2), np.asarray([0.0, 1.0]), full="exact", wrt="targets", reduction="sum"
    )
    np.testing.assert_allclose(by_target, [-0.57721566, 0.42278434], rtol=1e-7)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_t27_s12_a_rate_of_nothing_for_a_count_of_nothing(dtype):
    assert both(tw.poisson_nll_loss, -INF, 0.0, dtype=dtype) == (0, 0)


def test_t28_k15_no_epsilon_in_the_logarithm_of_a_rate():
    value, slope = both(tw.poisson_nll_loss, 1e-12, 2.0, log_input=False)
    assert value == pytest.approx(55.26204223, rel=1e-9)
    assert slope == pytest.approx(1 - 2e12, rel=1e-15)
    value, slope = both(tw.poisson_nll_loss, 1e-10, 1.0, log_input=False)
    assert value == pytest.approx(23.02585093, rel=1e-9)
    assert slope == pytest.approx(1 - 1e10, rel=1e-15)
    value, _ = both(tw.poisson_nll_loss, 1e-12, 2.0, log_input=False, eps=1e-8)
    assert value == pytest.approx(36.8412, rel=1e-5)


def test_s01_s02_a_confident_binomial():
    value, slope = both(tw.binomial_nll_loss, 20.0, 1.0, 1.0)
    assert value == pytest.approx(2.06115362e-9, rel=1e-8)
    assert slope == pytest.approx(-2.06115362e-9, rel=1e-8)
    value, slope = both(tw.binomial_nll_loss, 40.0, 1.0, 1.0)
    assert value == pytest.approx(4.248354e-18, rel=1e-6)
    value, slope = both(tw.binomial_nll_loss, 8.0, 1.0, 1.0, dtype=F32)
    assert value == pytest.approx(3.354064e-4, rel=1e-6)
    assert both(tw.binomial_nll_loss, 20.0, 1.0, 1.0, dtype=F32)[0] == pytest.approx(
        2.0612e-9, rel=1e-4
    )


def test_s03_a_certain_binomial():
    assert both(tw.binomial_nll_loss, INF, 1.0, 1.0) == (0, 0)
    assert both(tw.binomial_nll_loss, -INF, 0.0, 1.0) == (0, 0)


def test_s05_a_tiny_amount_and_a_low_prediction():
    value, slope = both(tw.gamma_nll_loss, -1000.0, 1e-300)
    assert value == pytest.approx(1.970071e134, rel=1e-6)
    assert slope == pytest.approx(-1.970071e134, rel=1e-6)


def test_s06_the_likelihood_does_not_diverge_between_powers():
    found = [both(tw.tweedie_nll_loss, 0.3, 2.0, power=p) for p in (0.999999, 1, 1.000001)]
    expected = math.expm1(0.3) - 2 * 0.3
    for value, slope in found:
        assert value == pytest.approx(expected, rel=1e-5)
        assert slope == pytest.approx(math.exp(0.3) - 2, rel=1e-5)
    assert found[1][0] == pytest.approx(0.7498588076 - 1, rel=1e-8)


def test_s07_s08_the_deviance_near_the_power_of_a_logarithm():
    value, slope = both(tw.tweedie_deviance_loss, 0.3, 2.0, power=1 + 1e-12)
    assert value / 2 == pytest.approx(2.09423997, rel=1e-8)
    assert slope / 2 == pytest.approx(-1.7 / 0.3, rel=1e-11)
    value, slope = both(tw.tweedie_deviance_loss, 3.0, 2.0, power=1 + 1e-12)
    assert value == pytest.approx(0.37813957, rel=1e-8)
    assert slope == pytest.approx(2 / 3, rel=1e-11)


@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_s09_deviances_near_the_target(power):
    value, slope = both(tw.tweedie_deviance_loss, 1 + 1e-8, 1.0, power=power)
    assert value == pytest.approx(1e-16, rel=1e-7)
    assert slope == pytest.approx(2e-8, rel=1e-7)
