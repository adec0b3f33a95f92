"""Losses of regression where other libraries were seen to be wrong; here they are right.

A case's name begins with the library: O optax 0.2.8, K Keras 3.15, S scikit-learn 1.9, R kornia.
Each states what is true, to the digits worth reading.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

import tensorweaver as tw

INF = np.inf
F16, F32, F64 = "float16", "float32", "float64"


class Failure(NamedTuple):
    """Predictions, targets, and the true values and gradients of each element by itself."""

    loss: tw.Loss
    dtype: str
    predictions: list[float]
    targets: list[float]
    values: list[float]
    gradients: list[float]
    options: Mapping[str, Any] = MappingProxyType({})


FAILURES = {
    "O01 small errors in log-cosh": Failure(
        tw.log_cosh_loss,
        F32,
        [1e-2, 1e-3, 1e-4],
        [0] * 3,
        [4.999916e-5, 4.999999642e-7, 4.999999739e-9],
        [9.9996666e-3, 9.9999967e-4, 1e-4],
    ),
    "O02 tiny errors in log-cosh": Failure(
        tw.log_cosh_loss, F64, [1e-8, 1e-9], [0, 0], [5e-17, 5e-19], [1e-8, 1e-9]
    ),
    "O26 a large delta in half precision": Failure(
        tw.huber_loss, F16, [300], [0], [45000], [300], {"delta": 1000.0}
    ),
    "K10 log-cosh on both sides": Failure(
        tw.log_cosh_loss,
        F32,
        [1e-3, 1e-4, -3e38, 3e38],
        [0] * 4,
        [5e-7, 5e-9, 3e38, 3e38],
        [1e-3, 1e-4, -1, 1],
    ),
    "K10 log-cosh at infinity": Failure(
        tw.log_cosh_loss, F32, [-INF, INF], [0, 0], [INF, INF], [-1, 1]
    ),
    "K11 an infinite error": Failure(tw.huber_loss, F32, [INF], [0], [INF], [1]),
    "K16 small and negative predictions in squared logarithms": Failure(
        tw.msle_loss, F64, [1e-8, -0.5, 1e-6], [0] * 3,
        [9.9999999e-17, 0.4804530139, 9.9999900000092e-13],
        [1.9999999700e-8, -2.7725887222, 1.999997000004e-6],
    ),
    "K16 the same in single precision": Failure(
        tw.msle_loss, F32, [-0.5, 1e-6], [0, 0], [0.480453014, 1e-12], [-2.772588722, 2e-6]
    ),
    "K17 a target of zero": Failure(tw.mape_loss, F32, [1], [0], [INF], [INF]),
    "S13 a target of zero": Failure(tw.mape_loss, F64, [1, 0], [0, 0], [INF, 0], [INF, 0]),
    "R02 small errors in charbonnier": Failure(
        tw.charbonnier_loss, F32, [1e-4], [0], [5e-9], [1e-4]
    ),
    "R02 small errors in welsch": Failure(tw.welsch_loss, F32, [1e-4], [0], [5e-9], [1e-4]),
    "R02 large errors in geman-mcclure": Failure(
        tw.geman_mcclure_loss, F32, [1e20], [0], [2], [0]
    ),
    "2.4 small errors in pseudo-Huber": Failure(
        tw.pseudo_huber_loss, F32, [1e-4, 1e30], [0, 0], [5e-9, 1e30], [1e-4, 1]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_it_is_right_here(name):
    case = FAILURES[name]
    x, y = np.asarray(case.predictions, case.dtype), np.asarray(case.targets, case.dtype)
    value = case.loss(x, y, reduction="none", **case.options)
    gradient = case.loss.grad(x, y, reduction="sum", **case.options)
    rtol = {F16: 1e-3, F32: 2e-6, F64: 1e-9}[case.dtype]
    assert value.dtype == gradient.dtype == np.dtype(case.dtype)
    np.testing.assert_allclose(value.astype(float), case.values, rtol=rtol, atol=0)
    np.testing.assert_allclose(gradient.astype(float), case.gradients, rtol=rtol, atol=1e-37)


def test_optax_loses_small_errors_in_log_cosh_still():
    """So that O01 is worth having."""
    optax = pytest.importorskip("optax")
    found = float(optax.losses.log_cosh(np.float32(1e-4)))
    assert abs(found / 5e-9 - 1) > 0.01


def test_k28_half_precision_reduces_in_single():
    x = np.asarray([[0.0, 300.0]], np.float16)
    found = tw.mse_loss(x, np.zeros_like(x))
    assert found == 45000
    assert found.dtype == np.float32
    ones = np.ones(100000, np.float16)
    assert tw.mse_loss(ones, 0 * ones, reduction="sum") == 100000  # T37


def test_k29_integer_targets_keep_their_digits():
    assert tw.l1_loss(np.asarray([16777216.0]), np.asarray([16777217])) == 1
