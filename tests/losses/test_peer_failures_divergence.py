"""Cases in which other libraries' divergences were seen to be wrong; here they are right.

The names are those of `test_peer_failures.py`, where those of `kl_div_loss` are; L is Liger.
"""

import numpy as np
import pytest

import tensorweaver as tw

INF = np.inf
F32 = np.float32


def rows(*lists):
    return [np.array([row], F32) for row in lists]


def test_o10_close_measures_keep_their_divergence():
    logs, targets = rows([np.log(0.5) + 1e-4] * 2, [0.5, 0.5])
    exact_log = np.log(0.5)
    surplus = float(logs[0, 0]) - exact_log
    want = 2 * 0.5 * (np.expm1(surplus) - surplus)  # in float64
    value, gradient = tw.generalized_kl_div_loss.value_and_grad(logs, targets)
    # The logarithm of one half, rounded to float32, is all that separates the two.
    np.testing.assert_allclose(value, want, rtol=2e-3)
    np.testing.assert_allclose(gradient, [[0.5 * np.expm1(surplus)] * 2], rtol=1e-3)
    wide = tw.generalized_kl_div_loss([[np.log(0.5) + 1e-4] * 2], [[0.5, 0.5]])
    np.testing.assert_allclose(wide, 5.000166671e-9, rtol=1e-9)


@pytest.mark.parametrize("loss", [tw.generalized_jsd_loss, tw.jensen_shannon_loss])
def test_l05_close_models_keep_their_divergence(loss):
    same, moved = rows([0, 1], [0, 1.001])
    value, gradient = loss.value_and_grad(same, same, from_logits=True)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])
    value, gradient = loss.value_and_grad(moved, same, from_logits=True)
    np.testing.assert_allclose(value, 2.457311e-8, rtol=2e-7)
    np.testing.assert_allclose(gradient, [[-4.913824e-5, 4.913824e-5]], rtol=3e-7)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_l06_a_class_masked_in_both_models(beta, from_logits):
    student, teacher = rows([0.5, -INF, 0.25], [0.0, -INF, 1.0])
    if not from_logits:
        student, teacher = tw.log_softmax(student), tw.log_softmax(teacher)
    options = {"beta": beta, "from_logits": from_logits}
    value, gradient = tw.generalized_jsd_loss.value_and_grad(student, teacher, **options)
    kept = np.array([0, 2])
    want, expected = tw.generalized_jsd_loss.value_and_grad(
        student[:, kept], teacher[:, kept], **options
    )
    np.testing.assert_allclose(value, want, rtol=3e-7)
    np.testing.assert_allclose(gradient[:, kept], expected, rtol=1e-6)
    assert gradient[0, 1] == 0


def test_t30_close_logits_keep_their_divergence():
    student, teacher = rows([0, 1.001], [0, 1])
    value = tw.generalized_jsd_loss(student, teacher, beta=0.0, from_logits=True)
    step = float(student[0, 1]) - 1.0
    p = 1 / (1 + np.exp(-1.0))
    want = np.log1p(p * np.expm1(step)) - p * step  # in float64
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_allclose(want, 9.830000797e-8, rtol=1e-3)
