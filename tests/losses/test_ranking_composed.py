"""Pairs of a list: masks, ties, NaN, lists of nothing, refusals."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

NAN = np.nan
LOSSES = [
    tw.pairwise_logistic_loss,
    tw.pairwise_hinge_loss,
    tw.lambdarank_loss,
    tw.list_mle_loss,
]
LISTWISE = [tw.unique_softmax_loss, tw.approx_ndcg_loss, tw.xendcg_loss]
every = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.formula.name)
every_of_lists = pytest.mark.parametrize(
    "loss", [*LOSSES, *LISTWISE], ids=lambda loss: loss.formula.name
)


@pytest.fixture
def lists(rng):
    return rng.normal(size=(4, 6)), rng.integers(0, 4, (4, 6)).astype(float)


@every_of_lists
@pytest.mark.parametrize("poison", [NAN, np.inf, -np.inf])
def test_masked_items_leave_value_and_gradient_untouched(loss, poison, lists):
    scores, relevance = lists
    mask = np.ones((4, 6))
    mask[:, [1, 4]] = 0
    kept = mask[0] != 0
    want, expected = loss.value_and_grad(scores[:, kept], relevance[:, kept])
    scores[:, ~kept], relevance[:, ~kept] = poison, poison
    value, gradient = loss.value_and_grad(scores, relevance, mask=mask)
    assert_close(value, want, rtol=1e-13)
    assert_close(gradient[:, kept], expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(gradient[:, ~kept], np.zeros((4, 2)))
    same = loss.value_and_grad(scores, relevance, mask=kept)
    assert same[0] == value
    np.testing.assert_array_equal(same[1], gradient)


@every_of_lists
def test_a_list_without_items_does_not_count(loss, lists):
    scores, relevance = lists
    mask = np.ones((4, 6), bool)
    mask[2], scores[2] = False, NAN
    value, gradient = loss.value_and_grad(scores, relevance, mask=mask)
    assert_close(value, loss(np.delete(scores, 2, 0), np.delete(relevance, 2, 0)), rtol=1e-13)
    np.testing.assert_array_equal(gradient[2], np.zeros(6))
    value, gradient = loss.value_and_grad(scores, relevance, mask=np.zeros((4, 6), bool))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((4, 6)))


@every
@pytest.mark.parametrize("place", [0, 1])
def test_nan_is_nan_of_its_list(loss, place, lists):
    given = lists
    given[place][1, 3] = NAN
    losses = loss(*given, reduction="none")
    assert np.isnan(losses).tolist() == [False, True, False, False]
    gradient = loss.grad(*given, reduction="sum")
    assert np.isnan(gradient).all(axis=1).tolist() == [False, True, False, False]


@every
@pytest.mark.parametrize("shape", [(3, 0), (0, 5), (3, 1)])
def test_lists_of_nothing_and_of_one(loss, shape):
    value, gradient = loss.value_and_grad(np.ones(shape), np.ones(shape))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(shape))


@pytest.mark.parametrize("loss", LOSSES[:3], ids=lambda loss: loss.formula.name)
def test_equal_relevance_costs_nothing(loss, rng):
    value, gradient = loss.value_and_grad(rng.normal(size=(2, 5)), np.ones((2, 5)))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((2, 5)))


def test_a_margin_just_met_has_no_slope():
    value, gradient = tw.pairwise_hinge_loss.value_and_grad([[1.0, 0.0]], [[1.0, 0.0]])
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_equal_scores_rank_in_their_order():
    """Exchanging the second and the third place changes nothing of the first pair's gain."""
    first = tw.lambdarank_loss([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    second = tw.lambdarank_loss([[1.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]])
    discount = 1 / np.log2(np.arange(2, 5))
    want = (discount[0] - discount[1]) * np.log(2)
    want += (discount[0] - discount[2]) * np.log1p(np.exp(-1.0))
    assert_close(first, want, rtol=1e-14)
    want = (discount[0] - discount[1]) * np.log(2)
    want += (discount[1] - discount[2]) * np.log1p(np.exp(-1.0))
    assert_close(second, want, rtol=1e-14)


def test_neighbours_far_down_a_list_differ_exactly():
    """The difference of two discounts that share their first digits."""
    count = 2000
    scores, relevance = -np.arange(float(count))[None], np.zeros((1, count))
    relevance[0, -1] = 1.0
    gradient = tw.lambdarank_loss.grad(scores, relevance)
    ratio = np.log1p(1 / count) / (np.log(count) * np.log(count + 1)) * np.log(2)
    assert_close(gradient[0, -2], ratio / (1 + np.exp(-1.0)), rtol=1e-13)


def test_large_relevances_do_not_overflow():
    scores, relevance = np.asarray([[0.5, 1.0, 2.0]], np.float32), np.asarray([[500.0, 499.0, 0.0]])
    value = tw.lambdarank_loss(scores, relevance.astype(np.float32))
    assert np.isfinite(value)
    assert_close(value, tw.lambdarank_loss(scores.astype(float), relevance).astype("f4"), rtol=1e-6)


def test_equally_relevant_items_stay_in_their_order():
    found = tw.list_mle_loss([[1.0, 2.0, 0.0]], [[1.0, 1.0, 1.0]])
    want = tw.list_mle_loss([[1.0, 2.0, 0.0]], [[3.0, 2.0, 1.0]])
    assert found == want


def test_list_mle_of_two_is_the_logistic_loss(rng):
    scores = 5 * rng.normal(size=(8, 2))
    relevance = np.tile([1.0, 0.0], (8, 1))
    found = tw.list_mle_loss.value_and_grad(scores, relevance)
    want = tw.pairwise_logistic_loss.value_and_grad(scores, relevance)
    assert_close(found[0], want[0], rtol=1e-14)
    assert_close(found[1], want[1], rtol=1e-13)


def test_a_sure_order_keeps_its_accuracy():
    value, gradient = tw.list_mle_loss.value_and_grad([[60.0, 0.0]], [[1.0, 0.0]])
    assert_close(value, np.exp(-60.0), ulp=2)
    assert_close(gradient, [[-np.exp(-60.0), np.exp(-60.0)]], ulp=2)


REFUSED = {
    "a number": (
        lambda: tw.list_mle_loss(1.0, 1.0),
        tw.ShapeError,
        "list_mle_loss: scores must have an axis of items, got a single number",
    ),
    "other relevance": (
        lambda: tw.pairwise_logistic_loss(np.ones((2, 3)), np.ones((2, 4))),
        tw.ShapeError,
        r"pairwise_logistic_loss: relevance of shape \(2, 4\) must have the shape \(2, 3\)",
    ),
    "other mask": (
        lambda: tw.lambdarank_loss(np.ones((2, 3)), np.ones((2, 3)), mask=np.ones(2)),
        tw.ShapeError,
        r"lambdarank_loss: mask of shape \(2,\) must have the shape \(2, 3\) of scores, or stretch",
    ),
    "mask of more axes": (
        lambda: tw.lambdarank_loss(np.ones(3), np.ones(3), mask=np.ones((2, 3))),
        tw.ShapeError,
        r"lambdarank_loss: mask of shape \(2, 3\) must have the shape \(3,\)",
    ),
    "negative margin": (
        lambda: tw.pairwise_hinge_loss(np.ones(3), np.ones(3), margin=-1.0),
        tw.ArgumentError,
        "pairwise_hinge_loss: margin must not be negative, got -1.0",
    ),
    "no slope": (
        lambda: tw.lambdarank_loss(np.ones(3), np.ones(3), sigma=0.0),
        tw.ArgumentError,
        "lambdarank_loss: sigma must be positive, got 0.0",
    ),
    "no ranks": (
        lambda: tw.lambdarank_loss(np.ones(3), np.ones(3), truncation=0),
        tw.ArgumentError,
        "lambdarank_loss: truncation must be a positive integer, got 0",
    ),
    "half a rank": (
        lambda: tw.lambdarank_loss(np.ones(3), np.ones(3), truncation=1.5),
        tw.ArgumentError,
        "lambdarank_loss: truncation must be a positive integer, got 1.5",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_a_gain_below_nothing_is_no_gain():
    scores, relevance = [[1.0, 2.0], [1.0, 2.0]], [[-2.0, -1.0], [0.0, 1.0]]
    values = tw.lambdarank_loss(scores, relevance, reduction="none")
    assert np.isnan(values).tolist() == [True, False]
    slopes = tw.lambdarank_loss.grad(scores, relevance, reduction="sum")
    assert np.isnan(slopes).tolist() == [[True, True], [False, False]]
    padded = tw.lambdarank_loss([[1.0, 2.0, 0.0]], [[0.0, 1.0, -1.0]], mask=[[1, 1, 0]])
    assert padded == values[1]
