"""Accelerated failure time: known times, tails, narrow intervals, infinities, refusals."""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy.judge import assert_accurate, exact_results
from tests.battery.specimens.survival import LAWS_OF_TIME, aft, standard
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
LAWS = tuple(LAWS_OF_TIME)
EVERY_LAW = pytest.mark.parametrize("distribution", LAWS)


def ask(predictions, lower, upper, **options):
    """Losses, slopes and second derivatives."""
    given = np.broadcast_arrays(*map(np.asarray, (predictions, lower, upper)))
    return (
        tw.aft_nll_loss(*given, reduction="none", **options),
        tw.aft_nll_loss.grad(*given, reduction="sum", **options),
        tw.aft_nll_loss.hessian_diag(*given, reduction="sum", **options),
    )


# -------------------------------------------------------------------------------- known times
def known_time(distribution, scale, time):
    """Value, slope and second derivative by the prediction, as a function of it."""

    def reference(prediction):
        z = standard(mpf(time), prediction, mpf(scale))
        slopes = {
            "normal": (-z, mpf(1)),
            "logistic": (-mpmath.tanh(z / 2), mpmath.sech(z / 2) ** 2 / 2),
            "extreme": (1 - mpmath.exp(z), mpmath.exp(z)),
        }
        first, second = slopes[distribution]
        value = aft(prediction, mpf(time), mpf(time), distribution=distribution, scale=scale)
        return value, first / scale, second / mpf(scale) ** 2

    return reference


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
@EVERY_LAW
def test_known_times(distribution, scale, dtype):
    for time in (0.5, 3.0, 40.0):
        predictions = np.asarray([-20.0, -1.5, 0.25, 2.0, 7.5, 60.0], dtype)
        times = np.full_like(predictions, time)
        found = ask(predictions, times, times, distribution=distribution, scale=scale)
        exact = [
            exact_results(known_time(distribution, scale, time), [x], dtype) for x in predictions
        ]
        for kind, got in enumerate(found):
            # An ulp of z is worth as many of exp(z) as z is large.
            assert_accurate(got, [e[kind] for e in exact], dtype, limit=100)


def test_a_normal_time_is_a_gaussian_of_its_logarithm(rng):
    predictions, times = rng.normal(size=9), 0.1 + rng.random(9)
    found = tw.aft_nll_loss(predictions, times, times, scale=0.5, reduction="none")
    log_times = np.log(times)
    plain = tw.gaussian_nll_loss(
        predictions, log_times, np.full(9, 0.25), full=True, reduction="none"
    )
    assert_close(found, plain + log_times, rtol=1e-13, atol=1e-14)


# -------------------------------------------------------------------------------- tails
@pytest.mark.parametrize("z", [5.0, 12.0, 40.0, 1e3, 1e6])
def test_far_normal_tails_on_both_sides(z):
    """XGBoost has 27.6 at most, and slopes within 15."""
    with mpmath.workdps(400):
        tail = mpmath.erfc(mpf(z) / mpmath.sqrt(2)) / 2
        hazard = mpmath.exp(-(mpf(z) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi) / tail
        want = float(-mpmath.log(tail)), float(hazard), float(hazard * (hazard - z))
    for found, sign in ((ask(-z, 1.0, INF), -1), (ask(z, 0.0, 1.0), 1)):
        value, slope, second = map(float, found)
        assert_close(value, want[0], ulp=4)
        assert_close(slope, sign * want[1], ulp=4)
        assert_close(second, want[2], ulp=8)


@pytest.mark.parametrize("width", [2.0**-40, 2.0**-20, 2.0**-8])
@pytest.mark.parametrize("prediction", [0.0, -4.0, 30.0, 600.0])
def test_narrow_normal_intervals(prediction, width):
    """As wide as one may be in floating point: its cost is that of the density and the width."""
    lower, upper = 1.0, 1.0 + width
    with mpmath.workdps(700):
        start, d = -mpf(prediction), mpmath.log(mpf(upper))
        if 2 * start + d < 0:
            start = -start - d
        tails = (mpmath.erfc(x / mpmath.sqrt(2)) / 2 for x in (start, start + d))
        between = next(tails) - next(tails)
        ends = [mpmath.npdf(x) for x in (start, start + d)]
        mean = (ends[0] - ends[1]) / between
        want = -mpmath.log(between), mean, d * ends[1] / between + mean * (mean - start)
    value, slope, second = map(float, ask(prediction, lower, upper))
    assert_close(value, float(want[0]), ulp=4)
    assert_close(abs(slope), float(want[1]), ulp=12)
    assert_close(second, float(want[2]), ulp=8)


@EVERY_LAW
def test_what_is_nearly_certain_keeps_its_digits(distribution):
    value = float(tw.aft_nll_loss(9.0, 1.0, INF, distribution=distribution))
    with mpmath.workdps(50):
        want = aft(mpf(9), mpf(1), mpmath.inf, distribution=distribution)
    assert_close(value, float(want), rtol=1e-14)
    assert 0 < value < 2e-4


@EVERY_LAW
def test_a_narrow_interval_is_nearly_a_known_time(distribution, rng):
    predictions, times = rng.normal(size=5), 0.5 + rng.random(5)
    near = ask(predictions, times, times * (1 + 2.0**-26), distribution=distribution)
    known = ask(predictions, times, times, distribution=distribution)
    for a, b in zip(near[1:], known[1:], strict=True):
        assert_close(a, b, rtol=1e-6)
    wide = np.log(times * 2.0**-26)
    assert_close(near[0] + wide, known[0], atol=1e-6)


# -------------------------------------------------------------------------------- edges
@EVERY_LAW
def test_nothing_known_costs_nothing(distribution):
    for prediction in (-3.0, 0.0, 1e4, INF, -INF):
        value, slope, second = ask(prediction, 0.0, INF, distribution=distribution)
        assert value == slope == second == 0


@EVERY_LAW
def test_infinite_predictions(distribution):
    for prediction, want in ((INF, 0.0), (-INF, INF)):
        assert tw.aft_nll_loss(prediction, 1.0, INF, distribution=distribution) == want
        assert tw.aft_nll_loss(-prediction, 0.0, 1.0, distribution=distribution) == want
    assert tw.aft_nll_loss.grad(np.asarray(INF), 1.0, INF, distribution=distribution) == 0


@EVERY_LAW
@pytest.mark.parametrize(
    ("prediction", "lower", "upper"),
    [(NAN, 0.0, INF), (0.0, NAN, 1.0), (0.0, 1.0, NAN), (0.0, 2.0, 1.0)],
)
def test_what_has_no_likelihood_is_nan(prediction, lower, upper, distribution):
    for found in ask(prediction, lower, upper, distribution=distribution)[:2]:
        assert np.isnan(found)
    with pytest.raises(tw.ArgumentError, match=r"aft_nll_loss: lower is -1.0, but must be 0 or"):
        tw.aft_nll_loss(prediction, -1.0, upper, distribution=distribution)


@EVERY_LAW
def test_slopes_by_the_bounds(distribution, rng):
    predictions, lower = rng.normal(size=6), 0.5 + rng.random(6)
    upper = lower + 0.5 + rng.random(6)
    for name in ("lower", "upper"):
        check = tw.check_gradient(
            tw.aft_nll_loss, predictions, lower, upper, wrt=name, distribution=distribution
        )
        assert max(check) < 1e-6


@EVERY_LAW
def test_it_is_convex_everywhere(distribution):
    predictions = np.linspace(-60.0, 60.0, 241)
    for lower, upper in ((1.0, INF), (0.0, 1.0), (1.0, 1.0 + 2.0**-20), (0.5, 4.0)):
        second = ask(predictions, lower, upper, distribution=distribution)[2]
        assert np.all(second >= 0)
        assert np.all(np.isfinite(second))


def test_refusals():
    wanted = "aft_nll_loss: distribution must be 'normal', 'logistic' or 'extreme', got 'gumbel'"
    with pytest.raises(tw.ArgumentError, match=wanted):
        tw.aft_nll_loss(0.0, 1.0, 1.0, distribution="gumbel")
    for scale in (0.0, -1.0, INF, NAN):
        with pytest.raises(tw.ArgumentError, match="aft_nll_loss: scale must be positive"):
            tw.aft_nll_loss(0.0, 1.0, 1.0, scale=scale)
    assert math.isfinite(tw.aft_nll_loss(0.0, 1.0, 1.0))
