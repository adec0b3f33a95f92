"""What the battery cannot know of losses of lists as wholes, and of the average precision."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

NAN = np.nan
LOSSES = [tw.unique_softmax_loss, tw.approx_ndcg_loss, tw.xendcg_loss]
every = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.formula.name)


def by_map(scores, relevance, **options):
    return tw.lambdarank_loss(scores, relevance, metric="map", **options)


@pytest.fixture
def lists(rng):
    return rng.normal(size=(4, 6)), rng.integers(0, 4, (4, 6)).astype(float)


@pytest.mark.parametrize("loss", LOSSES[:2], ids=lambda loss: loss.formula.name)
def test_lists_of_nothing(loss):
    assert loss(np.zeros((2, 0)), np.zeros((2, 0)), reduction="sum") == 0
    assert loss(np.zeros((0, 3)), np.zeros((0, 3))) == 0
    assert by_map(np.zeros((2, 0)), np.zeros((2, 0)), reduction="sum") == 0


def test_what_is_refused():
    lists = [[1.0, 0.0]], [[1.0, 0.0]]
    with pytest.raises(tw.ArgumentError, match="lambdarank_loss: metric must be 'ndcg' or 'map'"):
        tw.lambdarank_loss(*lists, metric="mrr")
    with pytest.raises(tw.ArgumentError, match="approx_ndcg_loss: temperature must be positive"):
        tw.approx_ndcg_loss(*lists, temperature=0.0)
    for loss in LOSSES[:2]:
        with pytest.raises(tw.ShapeError, match=f"{loss.formula.name}: relevance of shape"):
            loss([[1.0, 0.0]], [1.0, 0.0])
    with pytest.raises(tw.ShapeError, match="xendcg_loss: noise"):
        tw.xendcg_loss(*lists, noise=[[0.5, 0.5, 0.5]])


def test_unique_softmax_of_one_relevant_item_is_listnet(rng):
    scores, relevance = rng.normal(size=(3, 5)), np.eye(5)[[1, 0, 4]]
    want = tw.ranking_softmax_loss.value_and_grad(scores, relevance)
    for got, expected in zip(
        tw.unique_softmax_loss.value_and_grad(scores, relevance), want, strict=True
    ):
        assert_close(got, expected, rtol=1e-13)


def test_xendcg_is_listnet_of_lowered_gains(lists, rng):
    scores, relevance = lists
    noise = rng.random((4, 6))
    gains = 2**relevance - noise
    want = tw.ranking_softmax_loss(scores, gains / gains.sum(-1, keepdims=True))
    assert_close(tw.xendcg_loss(scores, relevance, noise=noise), want, rtol=1e-14)
    assert tw.xendcg_loss([[1.0, 2.0]], [[0.0, 0.0]], noise=[[1.0, 1.0]]) == 0


def test_a_smooth_ndcg_becomes_the_ndcg(lists):
    from sklearn.metrics import ndcg_score

    relevance = lists[1]
    scores = np.argsort(lists[0], axis=1).astype(float)  # far apart
    found = tw.approx_ndcg_loss(scores, relevance, temperature=1e-2, reduction="none")
    gains = 2**relevance - 1
    want = [1 - ndcg_score(g[None], s[None]) for g, s in zip(gains, scores, strict=True)]
    assert_close(found, np.asarray(want), rtol=1e-12, atol=1e-15)


def test_a_list_in_the_best_order_keeps_its_digits():
    value = tw.approx_ndcg_loss([[80.0, 40.0, 0.0]], [[2.0, 1.0, 0.0]])
    # Each of the first two items is moved by exp(-40), up and down, of which the discounts differ.
    logs = np.log([2.0, 3.0, 4.0])
    slopes = [3 / (2 * logs[0] ** 2), 1 / (3 * logs[1] ** 2)]
    step, best = np.exp(-40.0), 3 / logs[0] + 1 / logs[1]
    assert_close(value, step * (slopes[0] + slopes[1] * (1 - 1)) / best, rtol=1e-12)


def test_lists_without_relevant_items_cost_nothing():
    lists = [[2.0, 1.0]], [[0.0, 0.0]]
    for loss in (tw.unique_softmax_loss, tw.approx_ndcg_loss, by_map):
        assert loss(*lists) == 0


def test_pairs_by_average_precision_want_no_grades(lists):
    scores, relevance = lists
    plain = by_map(scores, (relevance > 0).astype(float))
    assert by_map(scores, relevance) == plain


def test_a_single_exchange_that_repairs_the_list():
    """The one relevant item is second: exchanged, the average precision is 1 and not 1 / 2."""
    value = by_map([[1.0, 0.0]], [[0.0, 1.0]])
    assert_close(value, 0.5 * np.log1p(np.e), rtol=1e-15)
