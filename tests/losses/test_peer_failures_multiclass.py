"""Cases in which other libraries' losses over classes were seen to be wrong; here they are right.

The names are those of `test_peer_failures.py`; M is MONAI's formula.
"""

import numpy as np
import pytest

import tensorweaver as tw

INF, NAN = np.inf, np.nan
F32 = np.float32


def both(loss, logits, target, **options):
    """Value and gradient of a row in float32."""
    return loss.value_and_grad(np.asarray([logits], F32), np.asarray([target]), **options)


@pytest.mark.parametrize("row", [[NAN, 0.0], [-INF, -INF]])
def test_t34_nothing_known_is_nothing_gained(row):
    value, gradient = both(tw.multi_margin_loss, row, 0)
    assert np.isnan(value)
    assert np.isnan(gradient[0, 0])


def test_o04_poly_with_a_masked_class():
    value, gradient = both(tw.poly1_cross_entropy_loss, [0, 1, -INF], [1.0, 0.0, 0.0])
    np.testing.assert_allclose(value, 2.775378845, rtol=2e-7)
    p = 0.2689414213699951
    slope = (1 + 2 * p) * (1 - p)
    np.testing.assert_allclose(gradient, [[-slope, slope, 0]], rtol=3e-7)


@pytest.mark.parametrize("loss", [tw.multiclass_hinge_loss, tw.multiclass_perceptron_loss])
def test_o20_a_masked_class_is_never_the_best(loss):
    value, gradient = both(loss, [0, -INF], 0)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_k01_k02_probabilities_are_not_clipped():
    logs = np.log(np.array([[1e-10, 1.0], [0.0, 1.0]], F32), where=[[True] * 2, [False, True]],
                  out=np.full((2, 2), -INF, F32))  # fmt: skip
    losses = tw.nll_loss(logs, np.array([0, 0]), reduction="none")
    np.testing.assert_allclose(losses, [23.0258509, INF], rtol=2e-7)
    gradient = tw.nll_loss.grad(logs, np.array([0, 0]), reduction="sum")
    np.testing.assert_array_equal(gradient, [[-1, 0], [-1, 0]])


def test_k08_focal_loss_of_a_confident_mistake():
    alpha = np.full(2, 0.25, F32)
    value, gradient = both(tw.softmax_focal_loss, [-20, 0], [1.0, 0.0], alpha=alpha)
    np.testing.assert_allclose(value, 4.99999998, rtol=2e-7)
    np.testing.assert_allclose(gradient, [[-0.25000002, 0.25000002]], rtol=2e-7)


@pytest.mark.parametrize("target", [0, [1.0, 0.0]], ids=["label", "one-hot"])
def test_k09_both_scores_below_zero(target):
    value, gradient = both(tw.categorical_hinge_loss, [-3, -5], target)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_k23_an_impossible_class():
    value, gradient = both(tw.generalized_cross_entropy_loss, [-INF, 0], 0)
    assert value == 2
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_k24_nearly_cross_entropy():
    value, gradient = both(tw.generalized_cross_entropy_loss, [0, 0], 0, q=1e-6)
    np.testing.assert_allclose(value, 0.6931469403, rtol=1e-7)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5]], rtol=1e-6)


def test_m02_a_masked_class_and_a_confident_one():
    value, gradient = both(tw.softmax_focal_loss, [0, 0, -INF], 0)
    np.testing.assert_allclose(value, 0.25 * np.log(2), rtol=2e-7)
    assert np.all(np.isfinite(gradient))
    rest = 4.248354255291589e-18
    logits, label = np.array([[40.0, 0.0]]), np.array([0])
    value, gradient = tw.softmax_focal_loss.value_and_grad(logits, label, gamma=0.5)
    np.testing.assert_allclose(value, rest**1.5, rtol=1e-14)
    np.testing.assert_allclose(gradient, [[-1.5 * rest**1.5, 1.5 * rest**1.5]], rtol=1e-14)
