"""What the battery cannot know of ListNet's loss and of pairs of scores."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close


@pytest.fixture
def lists(rng):
    return rng.normal(size=(4, 5)), rng.integers(0, 4, (4, 5)).astype(float)


def test_items_that_are_not_there_contribute_nothing(lists):
    scores, labels = lists
    mask = np.ones((4, 5), bool)
    mask[:, 3:] = False
    scores[:, 3:], labels[0, 3:] = np.nan, np.inf
    value, gradient = tw.ranking_softmax_loss.value_and_grad(scores, labels, mask=mask)
    want, expected = tw.ranking_softmax_loss.value_and_grad(scores[:, :3], labels[:, :3])
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient[:, :3], expected, rtol=1e-13)
    assert np.all(gradient[:, 3:] == 0)


def test_a_list_without_items_does_not_count(lists):
    scores, labels = lists
    mask = np.ones((4, 5), bool)
    mask[1] = False
    scores[1] = np.nan
    value, gradient = tw.ranking_softmax_loss.value_and_grad(scores, labels, mask=mask)
    want = tw.ranking_softmax_loss(np.delete(scores, 1, 0), np.delete(labels, 1, 0))
    assert_close(value, want, rtol=1e-14)
    assert np.all(gradient[1] == 0)
    nothing = tw.ranking_softmax_loss.value_and_grad(scores, labels, mask=np.zeros((4, 5), bool))
    assert nothing[0] == 0
    assert np.all(nothing[1] == 0)


def test_whole_lists_are_left_out_by_where(lists):
    scores, labels = lists
    kept = np.asarray([True, False, True, True])
    value = tw.ranking_softmax_loss(scores, labels, where=kept, mask=np.ones((4, 5), bool))
    assert_close(value, tw.ranking_softmax_loss(scores[kept], labels[kept]), rtol=1e-14)


def test_a_mask_of_one_list_is_for_all(lists):
    scores, labels = lists
    mask = np.asarray([True, True, False, True, False])
    all_the_same = np.broadcast_to(mask, (4, 5)).copy()
    value = tw.ranking_softmax_loss(scores, labels, mask=mask)
    assert value == tw.ranking_softmax_loss(scores, labels, mask=all_the_same)
    assert value == tw.ranking_softmax_loss(scores, labels, mask=mask.astype(int))


def test_items_may_be_on_any_axis(lists):
    scores, labels = lists
    value, gradient = tw.ranking_softmax_loss.value_and_grad(scores.T, labels.T, axis=0)
    want, expected = tw.ranking_softmax_loss.value_and_grad(scores, labels)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, expected.T, rtol=1e-13)


def test_labels_are_not_normalised(lists):
    scores, labels = lists
    twice = tw.ranking_softmax_loss(scores, 2 * labels)
    assert_close(twice, 2 * tw.ranking_softmax_loss(scores, labels), rtol=1e-14)
    shares = labels / labels.sum(-1, keepdims=True)
    value = tw.ranking_softmax_loss(scores, shares)
    assert_close(value, tw.cross_entropy_loss(scores, shares), rtol=1e-14)


def test_a_list_without_relevant_items_costs_nothing(lists):
    scores, _ = lists
    value, gradient = tw.ranking_softmax_loss.value_and_grad(scores, np.zeros((4, 5)))
    assert value == 0
    assert np.all(gradient == 0)


def test_an_item_that_cannot_be_first():
    scores = [[0.0, 1.0, -np.inf]]
    assert_close(tw.ranking_softmax_loss(scores, [[1.0, 0.0, 0.0]]), np.log1p(np.e), rtol=1e-15)
    assert tw.ranking_softmax_loss(scores, [[0.0, 0.0, 1.0]]) == np.inf


def test_shapes_that_do_not_fit_are_refused(lists):
    scores, labels = lists
    with pytest.raises(tw.ShapeError, match="ranking_softmax_loss: labels"):
        tw.ranking_softmax_loss(scores, labels[:3])
    with pytest.raises(tw.ShapeError, match="ranking_softmax_loss: mask"):
        tw.ranking_softmax_loss(scores, labels, mask=np.ones((4, 4), bool))


def test_bpr_is_the_logistic_loss_of_a_difference(rng):
    a, b = rng.normal(size=(2, 9))
    want = tw.binary_cross_entropy_with_logits_loss(a - b, np.ones(9), reduction="none")
    assert_close(tw.bpr_loss(a, b, reduction="none"), want, rtol=1e-14)
    by_positive, by_negative = tw.bpr_loss.grad(a, b)
    np.testing.assert_array_equal(by_positive, -by_negative)
    assert tw.bpr_loss([np.inf, -np.inf], [0.0, 0.0], reduction="none").tolist() == [0, np.inf]
