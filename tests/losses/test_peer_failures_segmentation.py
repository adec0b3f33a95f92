"""Cases in which other libraries' losses of masks were seen to be wrong; here they are right.

The names are those of `test_peer_failures.py`.
"""

import numpy as np
import pytest

import tensorweaver as tw

F32 = np.float32


@pytest.mark.parametrize("name", ["O25 optax", "K21 Keras"])
@pytest.mark.parametrize("loss", [tw.dice_loss, tw.jaccard_loss, tw.tversky_loss])
def test_nothing_against_nothing(loss, name):
    value, gradient = loss.value_and_grad(np.zeros((1, 2), F32), np.zeros((1, 2), F32))
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_o24_probabilities_of_masks_need_not_add_up():
    p, t = np.array([[0.75, 0.75, 0.25]], F32), np.array([[1, 1, 0]], F32)
    value, gradient = tw.dice_loss.value_and_grad(p, t)
    assert value == F32(1 - 3.0 / 3.75)
    # The slope of 1 - 2 i / (s + 2): 2 i = 3, s + 2 = 3.75.
    inside, outside = -(2 * 3.75 - 3) / 3.75**2, 3 / 3.75**2
    np.testing.assert_allclose(gradient, [[inside, inside, outside]], rtol=2e-7)


def test_k22_alpha_weighs_false_positives():
    p, t = np.array([[1, 1]], F32), np.array([[1, 0]], F32)
    value, gradient = tw.tversky_loss.value_and_grad(p, t, alpha=1.0, beta=0.0)
    assert value == 0.5
    np.testing.assert_array_equal(gradient, [[-0.25, 0.25]])
    assert tw.tversky_loss(p, t, alpha=0.0, beta=1.0) == 0
