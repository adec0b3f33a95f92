"""Cases in which Liger's and TRL's losses were seen to be wrong; here they are right.

The name of a case is its entry in the list of peers' failures. Each states what is true.
"""

import numpy as np
import pytest

import tensorweaver as tw


def close(got, want, dtype, ulp=4):
    got, want = np.asarray(got), np.asarray(want, np.float64)
    assert got.dtype == dtype
    np.testing.assert_allclose(got.astype(float), want, rtol=ulp * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("chosen", "value", "slope"),
    [
        (-1e-9, 1.5651764274966565e-10, -0.15651764271314068),
        (0.0, 0.0, -0.15651764274966565),
        (-1e-4, 1.5652423849541e-5, -0.156522965776),
    ],
    ids=["L01 nearly certain", "L01 certain", "L02"],
)
def test_orpo(chosen, value, slope, dtype):
    import mpmath

    pair = np.asarray([chosen], dtype), np.asarray([-2.0], dtype)
    with mpmath.workdps(60):
        log_p = mpmath.mpf(float(pair[0][0]))
        odds = 1 / mpmath.expm1(2)
        exact = mpmath.log1p(odds * mpmath.expm1(-log_p))
        exact_slope = -odds * mpmath.exp(-log_p) / (1 + odds * mpmath.expm1(-log_p))
    assert np.isclose(float(exact), value, rtol=1e-5)
    assert np.isclose(float(exact_slope), slope, rtol=1e-4)
    got, (by_chosen, _) = tw.orpo_loss.value_and_grad(*pair, beta=1.0)
    close(got, float(exact), dtype)
    close(by_chosen, [float(exact_slope)], dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_l03_discopop_does_not_overflow(dtype):
    four = [np.asarray([x], dtype) for x in (-20000.0, -10.0, 0.0, 0.0)]
    value, gradients = tw.dpo_loss.value_and_grad(*four, loss_type="discopop", beta=0.1)
    close(value, 1999.0, dtype)
    close(gradients, [[-0.1], [0.1]], dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_l04_kto_of_a_completion_that_is_right_for_certain(dtype):
    value, gradient = tw.kto_loss.value_and_grad(
        np.asarray([0.0], dtype), np.asarray([-20.0], dtype), np.asarray([1]), beta=1.0
    )
    close(value, 2.0611536181902037e-09, dtype)
    close(gradient, [-2.0611536139418493e-09], dtype)


def test_l08_the_penalty_of_two_tokens_that_have_hardly_moved():
    log_probs = np.asarray([-1.0000001, -1.001], np.float32)
    reference = np.asarray([-1.001, -1.0000001], np.float32)
    d = reference.astype(float) - log_probs
    want = d**2 / 2 + d**3 / 6 + d**4 / 24
    value, gradient = tw.grpo_loss.value_and_grad(
        log_probs, log_probs, np.zeros(2, np.float32), reference_log_probs=reference, beta=1.0,
        reduction="sum",
    )  # fmt: skip
    close(value, want.sum(), np.float32)
    close(gradient, -np.expm1(d), np.float32)
    first = tw.grpo_loss(
        log_probs[:1], log_probs[:1], np.zeros(1, np.float32), reference_log_probs=reference[:1],
        beta=0.5,
    )  # fmt: skip
    close(first, 2.4978e-7, np.float32, ulp=1e4)
