"""Losses of counts, amounts and predicted distributions: refusals, edges, identities, limits."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw

INF, NAN = np.inf, np.nan


def value(loss, *arrays, **options):
    return float(loss(*[np.asarray([float(a)]) for a in arrays], reduction="sum", **options))


def slope(loss, *arrays, **options):
    given = [np.asarray([float(a)]) for a in arrays]
    found = loss.grad(*given, reduction="sum", **options)
    return tuple(float(g[0]) for g in found) if isinstance(found, tuple) else float(found[0])


# ------------------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    ("loss", "count", "options", "message"),
    [
        (tw.poisson_nll_loss, 2, {"full": "stirling"}, 'full must be True, False or "exact", got'),
        (tw.poisson_nll_loss, 2, {"full": 1}, 'full must be True, False or "exact", got 1'),
        (
            tw.poisson_nll_loss,
            2,
            {"eps": -1e-8},
            "eps must be 0 or positive and finite, got",
        ),
        (tw.poisson_nll_loss, 2, {"eps": INF}, "eps must be 0 or positive and finite, got inf"),
        (tw.poisson_nll_loss, 2, {"log_input": 1}, "log_input must be True or False, got 1"),
        (tw.tweedie_nll_loss, 2, {"power": -0.5}, "power must be from 0 to 3, got -0.5"),
        (tw.tweedie_nll_loss, 2, {"power": NAN}, "power must be from 0 to 3, got nan"),
        (tw.tweedie_deviance_loss, 2, {"power": 3.5}, "power must be from 0 to 3, got 3.5"),
        (tw.tweedie_deviance_loss, 2, {"power": "1"}, "power must be a number, got '1'"),
        (tw.gaussian_nll_loss, 3, {"eps": -1.0}, "eps must be 0 or positive and finite, got -1.0"),
        (tw.gaussian_nll_loss, 3, {"full": "exact"}, "full must be True or False, got 'exact'"),
        (tw.beta_nll_loss, 3, {"beta": 1.5}, "beta must be from 0 to 1, got 1.5"),
        (tw.beta_nll_loss, 3, {"eps": NAN}, "eps must be 0 or positive and finite, got nan"),
        (tw.interval_score_loss, 3, {"alpha": 0.0}, "alpha must be between 0 and 1, got 0.0"),
        (tw.interval_score_loss, 3, {"alpha": 1.0}, "alpha must be between 0 and 1, got 1.0"),
    ],
)
def test_bad_options_are_refused(loss, count, options, message):
    with pytest.raises(tw.ArgumentError) as caught:
        loss(*[[1.0, 2.0]] * count, **options)
    assert str(caught.value).startswith(f"{loss.formula.name}: {message}")


@pytest.mark.parametrize(
    "loss", [tw.poisson_nll_loss, tw.gamma_deviance_loss, tw.tweedie_deviance_loss]
)
def test_integer_predictions_are_refused_and_integer_targets_welcome(loss):
    with pytest.raises(tw.DTypeError, match="predictions must be floating point"):
        loss(np.asarray([1, 2]), np.asarray([1.0, 2.0]))
    predictions, targets = np.asarray([1.0, 2.0]), np.asarray([1, 3])
    assert loss(predictions, targets) == loss(predictions, targets.astype(float))


def test_targets_do_not_enlarge_predictions():
    with pytest.raises(tw.ShapeError, match="poisson_nll_loss"):
        tw.poisson_nll_loss(np.ones((8, 1)), np.ones(8))


def test_a_variance_may_be_one_for_all_or_one_a_row():
    predictions, targets = np.zeros((2, 3)), np.arange(6.0).reshape(2, 3)
    by_row = np.asarray([[1.0], [4.0]])
    mean, variance = tw.gaussian_nll_loss.grad(predictions, targets, by_row, reduction="sum")
    whole = tw.gaussian_nll_loss.grad(
        predictions, targets, np.broadcast_to(by_row, (2, 3)).copy(), reduction="sum"
    )
    np.testing.assert_allclose(mean, whole[0], rtol=1e-15)
    np.testing.assert_allclose(variance, whole[1].sum(axis=1, keepdims=True), rtol=1e-14)


# ------------------------------------------------------------------------------ edges of the domain
@pytest.mark.parametrize("full", [False, True, "exact"])
def test_infinite_log_rates_have_their_limits(full):
    assert value(tw.poisson_nll_loss, -INF, 0, full=full) == 0
    assert slope(tw.poisson_nll_loss, -INF, 0, full=full) == 0
    assert value(tw.poisson_nll_loss, -INF, 2, full=full) == INF
    assert slope(tw.poisson_nll_loss, -INF, 2, full=full) == -2
    assert value(tw.poisson_nll_loss, INF, 2, full=full) == INF
    assert slope(tw.poisson_nll_loss, INF, 2, full=full) == INF


def test_a_rate_of_nothing():
    rates = {"log_input": False}
    assert value(tw.poisson_nll_loss, 0, 0, **rates) == 0
    assert slope(tw.poisson_nll_loss, 0, 0, **rates) == 1
    assert value(tw.poisson_nll_loss, 0, 2, **rates) == INF
    assert slope(tw.poisson_nll_loss, 0, 2, **rates) == -INF
    assert value(tw.poisson_deviance_loss, 0, 0) == 0
    assert slope(tw.poisson_deviance_loss, 0, 0) == 2
    assert value(tw.poisson_deviance_loss, 0, 2) == INF
    assert slope(tw.poisson_deviance_loss, 0, 2) == -INF


@pytest.mark.parametrize("full", [False, True, "exact"])
def test_negative_rates_are_nan(full):
    assert np.isnan(value(tw.poisson_nll_loss, -1, 0, log_input=False, full=full))
    assert np.isnan(slope(tw.poisson_nll_loss, -1, 0, log_input=False, full=full))


@pytest.mark.parametrize("loss", [tw.poisson_deviance_loss, tw.gamma_deviance_loss])
def test_deviances_of_negative_numbers_are_refused(loss):
    for pair in ((NAN, 1), (1, NAN)):
        assert np.isnan(value(loss, *pair))
        assert np.isnan(slope(loss, *pair))
    for name, pair in (("predictions", (-1, 2)), ("targets", (2, -1))):
        with pytest.raises(tw.ArgumentError, match=f"{name}.* is -1.0, but must be"):
            value(loss, *pair)


@pytest.mark.parametrize(("power", "expected"), [(0, 4.0), (1, 4.0), (1.5, 4 * 2**0.5), (2, INF)])
def test_a_target_of_nothing(power, expected):
    assert value(tw.tweedie_deviance_loss, 2, 0, power=power) == pytest.approx(expected, rel=1e-15)


def test_real_numbers_have_a_squared_error():
    assert value(tw.tweedie_deviance_loss, -1, 2, power=0) == 9
    assert slope(tw.tweedie_deviance_loss, -1, 2, power=0) == -6


def test_infinite_predictions_of_the_gamma_likelihood():
    assert value(tw.gamma_nll_loss, INF, 2) == INF
    assert slope(tw.gamma_nll_loss, INF, 2) == 1
    assert value(tw.gamma_nll_loss, -INF, 2) == INF
    assert slope(tw.gamma_nll_loss, -INF, 2) == -INF


@pytest.mark.parametrize(
    "loss", [tw.gaussian_nll_loss, tw.beta_nll_loss, tw.laplace_nll_loss, tw.crps_gaussian_loss]
)
def test_negative_spreads_are_refused(loss):
    with pytest.raises(tw.ArgumentError, match=r"is -1.0, but must be 0 or more"):
        slope(loss, 1, 0, -1)


def test_a_forecast_without_spread_is_scored_by_its_error():
    assert value(tw.crps_gaussian_loss, 1, 3, 0) == 2
    assert slope(tw.crps_gaussian_loss, 1, 3, 0) == (-1.0, -1 / np.sqrt(np.pi))
    assert value(tw.crps_gaussian_loss, 3, 3, 0) == 0


def test_infinite_logits_of_a_binomial_have_their_limits():
    assert value(tw.binomial_nll_loss, INF, 4, 4) == 0
    assert value(tw.binomial_nll_loss, -INF, 0, 4) == 0
    assert value(tw.binomial_nll_loss, INF, 3, 4) == INF
    assert slope(tw.binomial_nll_loss, -INF, 3, 4) == -3


# ------------------------------------------------------------------------------ kinks
def test_a_variance_at_its_floor_has_no_slope():
    for variance in (0.0, 0.25, 0.5):
        by_mean, by_variance = slope(tw.gaussian_nll_loss, 2, 1, variance, eps=0.5)
        assert by_mean == pytest.approx(2, rel=1e-15)
        assert by_variance == 0
    assert slope(tw.gaussian_nll_loss, 2, 1, 1, eps=0.5) == (1.0, 0.0)
    assert slope(tw.gaussian_nll_loss, 3, 1, 1, eps=0.5) == (2.0, -1.5)


def test_the_laplace_likelihood_has_no_slope_at_the_target():
    assert slope(tw.laplace_nll_loss, 2, 2, 4) == (0.0, 0.25)


def test_a_target_on_the_end_of_an_interval_costs_no_fine():
    assert slope(tw.interval_score_loss, 1, 3, 1) == (-1.0, 1.0)
    assert slope(tw.interval_score_loss, 1, 3, 3) == (-1.0, 1.0)
    assert slope(tw.interval_score_loss, 1, 3, 0, alpha=0.5) == (3.0, 1.0)
    assert value(tw.interval_score_loss, 1, 3, 0, alpha=0.5) == 6
    assert np.isnan(value(tw.interval_score_loss, 1, 3, NAN))


# ------------------------------------------------------------------------------ identities
@pytest.fixture
def amounts():
    random = np.random.default_rng(8)
    return random.uniform(0.2, 5, 50), random.uniform(0.2, 5, 50)


@pytest.mark.parametrize(
    ("power", "loss"),
    [(0, tw.mse_loss), (1, tw.poisson_deviance_loss), (2, tw.gamma_deviance_loss)],
)
def test_the_tweedie_deviance_has_the_others_in_it(power, loss, amounts):
    for which in ("value", "slope"):
        ask = (lambda f, **o: f(*amounts, **o)) if which == "value" else None
        ask = ask or (lambda f, **o: f.grad(*amounts, **o))
        got = ask(tw.tweedie_deviance_loss, power=power)
        np.testing.assert_allclose(got, ask(loss), rtol=1e-14)


@pytest.mark.parametrize("power", [1, 2])
def test_the_tweedie_deviance_is_continuous_in_its_power(power, amounts):
    whole = tw.tweedie_deviance_loss(*amounts, power=power, reduction="none")
    for step in (1e-14, -1e-14, 1e-10, -1e-10):
        close = tw.tweedie_deviance_loss(*amounts, power=power + step, reduction="none")
        np.testing.assert_allclose(close, whole, rtol=20 * abs(step) + 1e-14)


@pytest.mark.parametrize("power", [1, 2])
def test_the_tweedie_likelihood_is_continuous_in_its_power(power, amounts):
    predictions, targets = np.log(amounts[0]), amounts[1]
    whole = tw.tweedie_nll_loss(predictions, targets, power=power, reduction="none")
    for step in (1e-14, -1e-14, 1e-10, -1e-10):
        close = tw.tweedie_nll_loss(predictions, targets, power=power + step, reduction="none")
        np.testing.assert_allclose(close, whole, rtol=1e-13, atol=50 * abs(step) + 1e-14)


def test_likelihoods_are_half_the_deviance_but_for_the_target(amounts):
    means, targets = amounts
    links = np.log(means)
    pairs: list[tuple[tw.Loss, tw.Loss, dict[str, Any]]] = [
        (tw.poisson_nll_loss, tw.poisson_deviance_loss, {}),
        (tw.gamma_nll_loss, tw.gamma_deviance_loss, {}),
        (tw.tweedie_nll_loss, tw.tweedie_deviance_loss, {"power": 1.25}),
    ]
    for likelihood, deviance, options in pairs:
        by_link = likelihood.grad(links, targets, reduction="sum", **options)
        by_mean = deviance.grad(means, targets, reduction="sum", **options)
        np.testing.assert_allclose(by_link, means * by_mean / 2, rtol=1e-12, atol=1e-14)


def test_the_exact_likelihood_sums_to_one():
    counts = np.arange(200.0)
    for log_input, prediction in ((True, np.log(7.5)), (False, 7.5)):
        losses = tw.poisson_nll_loss(
            np.full(200, prediction), counts, log_input=log_input, full="exact", reduction="none"
        )
        assert np.exp(-losses).sum() == pytest.approx(1, rel=1e-13)


def test_the_exact_likelihood_by_the_target_is_digamma():
    found = tw.poisson_nll_loss.grad(
        np.zeros(2), np.asarray([0.0, 1.0]), full="exact", wrt="targets", reduction="sum"
    )
    np.testing.assert_allclose(found, [-0.5772156649015329, 0.42278433509846714], rtol=1e-14)


def test_the_binomial_likelihood_sums_to_one():
    successes = np.arange(31.0)
    losses = tw.binomial_nll_loss(
        np.full(31, 0.3), successes, np.full(31, 30.0), full=True, reduction="none"
    )
    assert np.exp(-losses).sum() == pytest.approx(1, rel=1e-13)


def test_one_trial_is_binary_cross_entropy():
    logits, targets = np.asarray([-800.0, -2.0, 0.5, 40.0]), np.asarray([0.0, 1.0, 0.25, 1.0])
    np.testing.assert_array_equal(
        tw.binomial_nll_loss(logits, targets, np.ones(4), reduction="none"),
        tw.binary_cross_entropy_with_logits_loss(logits, targets, reduction="none"),
    )


def test_beta_weighs_a_gaussian_likelihood():
    random = np.random.default_rng(9)
    predictions, targets = random.normal(size=(2, 20))
    variance = random.uniform(0.5, 3, 20)
    plain = tw.gaussian_nll_loss.grad(predictions, targets, variance, reduction="sum")
    for beta in (0.0, 0.5, 1.0):
        weighted = tw.beta_nll_loss.grad(predictions, targets, variance, beta=beta, reduction="sum")
        for got, want in zip(weighted, plain, strict=True):
            np.testing.assert_allclose(got, variance**beta * want, rtol=1e-13, atol=1e-15)
    errors = tw.beta_nll_loss.grad(predictions, targets, variance, beta=1.0, reduction="sum")[0]
    np.testing.assert_allclose(errors, predictions - targets, rtol=1e-14)


def test_the_score_of_a_normal_distribution_is_its_definition():
    from scipy.integrate import quad
    from scipy.stats import norm

    mean, target, scale = 0.5, 1.75, 2.0
    squares = [
        quad(lambda x, at=at: (norm.cdf(x, mean, scale) - at) ** 2, *ends)[0]
        for at, ends in ((0, (-INF, target)), (1, (target, INF)))
    ]
    assert value(tw.crps_gaussian_loss, mean, target, scale) == pytest.approx(
        sum(squares), rel=1e-8
    )


def test_stop_gradient_stops_every_derivative():
    @tw.pointwise
    def weighted_loss(x, y):
        xp = tw.array_namespace(x)
        return xp.stop_gradient(x * x) * x * y

    x, y = np.asarray([3.0]), np.asarray([2.0])
    assert weighted_loss(x, y) == 54
    assert weighted_loss.grad(x, y) == 18
    assert weighted_loss.hessian_diag(x, y) == 0
    assert weighted_loss.hvp(x, y, np.ones(1)) == 0


# ------------------------------------------------------------------------------ negative binomial
NEGATIVE_BINOMIAL = tw.negative_binomial_nll_loss


def by_dispersion(loss, *arrays, **options):
    return slope(loss, *arrays, **options)[1]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("r", [0.0, NAN])
def test_a_dispersion_of_nothing_gives_nan(r, full):
    assert np.isnan(value(NEGATIVE_BINOMIAL, 0.5, 2, r, full=full))
    assert np.isnan(slope(NEGATIVE_BINOMIAL, 0.5, 2, r, full=full)).all()


@pytest.mark.parametrize("full", [False, True])
def test_a_large_dispersion_is_poissons(full):
    poisson = "exact" if full else False
    for prediction, target in ((0.3, 0), (1.5, 4), (6.9, 1000)):
        expected = value(tw.poisson_nll_loss, prediction, target, full=poisson)
        found = value(NEGATIVE_BINOMIAL, prediction, target, 1e200, full=full)
        assert found == pytest.approx(expected, rel=2e-15)
        by_rate = slope(NEGATIVE_BINOMIAL, prediction, target, 1e200, full=full)[0]
        assert by_rate == pytest.approx(slope(tw.poisson_nll_loss, prediction, target), rel=1e-15)


def test_the_slope_by_a_large_dispersion_is_of_second_order():
    """`((y - m)**2 - y) / (2 r**2)`, where digamma functions have no digits of it left."""
    for mean, target in ((2.0, 5.0), (3.0, 0.0), (4.0, 1.0)):
        found = by_dispersion(NEGATIVE_BINOMIAL, mean, target, 1e12, log_input=False)
        expected = ((target - mean) ** 2 - target) / 2e24
        assert found == pytest.approx(expected, rel=1e-10, abs=0)


def test_one_trial_of_size_one_is_geometric():
    mean, count = 2.5, 3
    expected = -np.log(1 / (1 + mean)) - count * np.log(mean / (1 + mean))
    found = value(NEGATIVE_BINOMIAL, mean, count, 1, log_input=False, full=True)
    assert found == pytest.approx(expected, rel=1e-15)


def test_negative_binomial_means_of_nothing_and_of_everything():
    rates = {"log_input": False}
    assert value(NEGATIVE_BINOMIAL, 0, 0, 2, **rates) == 0
    assert slope(NEGATIVE_BINOMIAL, 0, 0, 2, **rates) == (1, 0)
    assert value(NEGATIVE_BINOMIAL, 0, 2, 2, **rates) == INF
    assert slope(NEGATIVE_BINOMIAL, 0, 2, 2, **rates)[0] == -INF
    assert np.isnan(value(NEGATIVE_BINOMIAL, -1, 0, 2, **rates))
    assert value(NEGATIVE_BINOMIAL, -INF, 0, 2) == 0
    assert value(NEGATIVE_BINOMIAL, INF, 3, 2) == INF
    assert value(NEGATIVE_BINOMIAL, 1e3, 0, 2) == pytest.approx(2 * (1e3 - np.log(2)))


def test_probabilities_of_the_negative_binomial_add_up_to_one():
    counts = np.arange(400.0)
    loss = NEGATIVE_BINOMIAL(
        np.full(400, 1.2), counts, np.full(400, 0.7), full=True, reduction="none"
    )
    assert np.exp(-loss).sum() == pytest.approx(1, rel=1e-12)


# ------------------------------------------------------------------------------ zero-inflated
ZERO_INFLATED = tw.zero_inflated_poisson_nll_loss


@pytest.mark.parametrize("target", [0, 3])
def test_without_another_reason_for_zeros_counts_are_poissons(target):
    found = value(ZERO_INFLATED, 0.5, target, -INF, full=True)
    assert found == value(tw.poisson_nll_loss, 0.5, target, full="exact")


def test_zeros_for_a_certain_reason_cost_nothing():
    assert value(ZERO_INFLATED, 0.5, 0, INF) == 0
    assert value(ZERO_INFLATED, 0.5, 1, INF) == INF
    assert value(ZERO_INFLATED, 1.0, 0, 100.0) == pytest.approx(
        -np.expm1(-np.e) * np.exp(-100), rel=1e-14, abs=0
    )


def test_negative_counts_are_refused():
    for loss, third in ((ZERO_INFLATED, 0), (NEGATIVE_BINOMIAL, 1)):
        with pytest.raises(tw.ArgumentError, match=r"targets\S* is -1.0, but must be 0 or more"):
            value(loss, 0.5, -1, third)
    with pytest.raises(tw.ArgumentError, match=r"dispersion\S* is -1.0, but must be 0 or more"):
        value(NEGATIVE_BINOMIAL, 0.5, 2, -1)


# ------------------------------------------------------------------------------ binomial
def test_the_likelihood_of_all_results_is_exact():
    """Of a thousand trials the likeliest result has a probability that large terms cancel to."""
    assert value(tw.binomial_nll_loss, 0, 500, 1000, full=True) == pytest.approx(
        3.679918992094129, rel=4e-16, abs=0
    )
    assert value(tw.binomial_nll_loss, 40, 1000, 1000, full=True) == pytest.approx(
        1000 * np.exp(-40), rel=1e-14, abs=0
    )
