"""Cox's partial likelihood: ties, strata, certain events, no hazard, refusals."""

import math

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
TIES = pytest.mark.parametrize("ties", ["breslow", "efron"])
BIG = 2**40


@pytest.fixture
def subjects(rng):
    """Predictions, times some of which tie, and events."""
    return rng.normal(size=30), rng.integers(0, 12, 30), rng.integers(0, 2, 30)


@TIES
def test_the_order_of_the_subjects_does_not_matter(subjects, ties, rng):
    order = rng.permutation(30)
    found = tw.cox_ph_loss(*subjects, ties=ties, reduction="none")
    other = tw.cox_ph_loss(*(a[order] for a in subjects), ties=ties, reduction="none")
    assert_close(other, found[order], rtol=1e-13)


@TIES
def test_only_the_order_of_the_times_and_differences_of_predictions_count(subjects, ties):
    predictions, times, events = subjects
    want = tw.cox_ph_loss(*subjects, ties=ties)
    assert_close(tw.cox_ph_loss(predictions + 3, np.exp(0.1 * times), events == 1, ties=ties),
                 want, rtol=1e-13)  # fmt: skip
    assert abs(tw.cox_ph_loss.grad(*subjects, ties=ties).sum()) < 1e-14


def test_what_torchsurv_documents():
    predictions, events = [0.1, 0.2, 0.3, 0.4, 0.5], [1, 0, 1, 0, 1]
    assert_close(tw.cox_ph_loss(predictions, [1, 2, 3, 4, 5], events), 1.0071, atol=5e-5)
    total = tw.cox_ph_loss(predictions, [1, 2, 3, 4, 5], events, reduction="sum")
    assert_close(total, 3.0214, atol=5e-5)
    for ties in ("breslow", "efron"):
        found = tw.cox_ph_loss(predictions, [1, 2, 2, 4, 5], events, ties=ties)
        assert_close(found, 1.0873, atol=5e-5)


def test_xgboosts_labels(rng):
    """`exp(p)` times the sum of `1 / sum(exp(p) at risk)` of the events so far, less 1."""
    predictions, labels = rng.normal(size=20), rng.integers(1, 9, 20) * rng.choice([-1, 1], 20)
    times, events = np.abs(labels), labels > 0
    hazards = np.exp(predictions)
    at_risk = np.asarray([hazards[times >= t].sum() for t in times])
    before = np.asarray([(events / at_risk)[times <= t].sum() for t in times])
    found = tw.cox_ph_loss.grad(predictions, times, events, reduction="sum")
    assert_close(found, hazards * before - events, rtol=1e-12, atol=1e-14)


def test_reductions_count_events(subjects):
    total = tw.cox_ph_loss(*subjects, reduction="sum")
    assert_close(tw.cox_ph_loss(*subjects), total / subjects[2].sum(), rtol=1e-14)


@TIES
def test_without_events_it_is_nothing(ties):
    for events in ([0, 0, 0], [False, False, False]):
        value, gradient = tw.cox_ph_loss.value_and_grad(
            [1.0, 2.0, 3.0], [1, 2, 3], events, ties=ties
        )
        assert value == 0
        np.testing.assert_array_equal(gradient, [0, 0, 0])
    assert tw.cox_ph_loss([], [], [], ties=ties) == 0


def test_efron_is_breslow_without_ties(subjects):
    predictions, _, events = subjects
    times = np.arange(30)[::-1]
    found = (tw.cox_ph_loss.value_and_grad(predictions, times, events, ties=t) for t in
             ("breslow", "efron"))  # fmt: skip
    (a, by_a), (b, by_b) = found
    assert_close(a, b, rtol=1e-14)
    assert_close(by_a, by_b, rtol=1e-12, atol=1e-15)


def test_efron_of_equals():
    """Of `d` equal events at once each leaves one less at risk."""
    assert_close(
        tw.cox_ph_loss([7.0] * 4, [1] * 4, [1] * 4, ties="efron", reduction="sum"),
        math.log(24), ulp=2,
    )  # fmt: skip


@TIES
def test_strata_are_losses_of_their_own(subjects, ties):
    strata = np.arange(30) % 3
    found = tw.cox_ph_loss(*subjects, strata=strata, ties=ties, reduction="sum")
    each = [
        tw.cox_ph_loss(*(a[strata == k] for a in subjects), ties=ties, reduction="sum")
        for k in range(3)
    ]
    assert_close(found, sum(each), rtol=1e-13)


@TIES
def test_certain_events_keep_their_digits(ties):
    value, gradient = tw.cox_ph_loss.value_and_grad(
        [60.0, 0.0, -45.0], [1, 2, 3], [1, 1, 0], ties=ties, reduction="none"
    )
    assert_close(value, [math.exp(-60), math.exp(-45), 0.0], rtol=1e-15)
    assert_close(gradient[:1], [-math.exp(-60)], rtol=1e-14)


@TIES
def test_no_range_is_too_wide(ties):
    predictions = [-5000.0, 3000.0, -4000.0, 0.0]
    found = tw.cox_ph_loss(predictions, [4, 2, 3, 1], [1, 1, 1, 1], ties=ties, reduction="none")
    np.testing.assert_array_equal(found, [0, 0, 0, 3000])


@TIES
def test_no_hazard(ties):
    """It is nothing among those at risk; an event there is impossible, but for the last one."""
    value, gradient = tw.cox_ph_loss.value_and_grad(
        [-INF, 1.0, -INF, 0.0], [3, 1, 2, 4], [0, 1, 0, 1], ties=ties, reduction="none"
    )
    assert_close(value, [0, math.log1p(math.exp(-1)), 0, 0], ulp=2)
    assert np.isfinite(gradient).all()
    assert gradient[0] == gradient[2] == 0
    value = tw.cox_ph_loss([-INF, 0.0], [1, 2], [1, 0], ties=ties, reduction="none")
    np.testing.assert_array_equal(value, [INF, 0])
    value = tw.cox_ph_loss([-INF, 0.0], [2, 1], [1, 0], ties=ties, reduction="none")
    np.testing.assert_array_equal(value, [0, 0])


@TIES
@pytest.mark.parametrize(
    ("times", "events"),
    [([1.0, NAN, 2.0], [1, 0, 1]), ([1, 2, 3], [1, 0, 2]), ([1, 2, 3], [0, 0, NAN])],
)
def test_what_is_not_known_is_nan(times, events, ties):
    for ask in (tw.cox_ph_loss, tw.cox_ph_loss.grad):
        assert np.isnan(ask([0.0, 1.0, 2.0], times, events, ties=ties)).all()


def test_nan_stays_with_those_that_meet_it():
    value = tw.cox_ph_loss([NAN, 1.0, 0.0], [1, 2, 3], [1, 1, 0], reduction="none")
    assert np.isnan(value[0])
    assert_close(value[1], math.log1p(math.exp(-1)), ulp=2)


def test_large_whole_times_do_not_tie():
    times = np.asarray([BIG + 1, BIG, BIG + 2])
    found = tw.cox_ph_loss(np.zeros(3, np.float32), times, [1, 1, 1], reduction="none")
    assert_close(found, np.log(np.asarray([2, 3, 1], np.float32)), ulp=1)


def test_weights_are_the_events():
    """Who is left out remains at risk."""
    given = [0.0, 0.0, 0.0], [1, 2, 3], [1, 1, 0]
    found = tw.cox_ph_loss(*given, sample_weight=[0.0, 2.0, 1.0], reduction="sum")
    assert_close(found, 2 * math.log(2), ulp=1)
    assert_close(tw.cox_ph_loss(*given, where=[True, False, True]), math.log(3), ulp=1)


@TIES
def test_second_derivatives(subjects, ties):
    assert max(tw.check_gradient(tw.cox_ph_loss, *subjects, ties=ties)) < 1e-6


def test_refusals():
    with pytest.raises(
        tw.ArgumentError, match="cox_ph_loss: ties must be 'breslow' or 'efron', got 'exact'"
    ):
        tw.cox_ph_loss([0.0], [1], [1], ties="exact")
    with pytest.raises(tw.ShapeError, match=r"predictions of shape \(2,\), times of shape \(3,\)"):
        tw.cox_ph_loss([0.0, 0.0], [1, 2, 3], [1, 1])
    with pytest.raises(tw.ShapeError, match="a single axis that counts the subjects"):
        tw.cox_ph_loss(*np.ones((3, 2, 2)))
