"""The functions for usual numbers, by themselves, with the device's own as wrong as may be."""

import numpy as np
import pytest

from tensorweaver.compiler.cuda.prelude import preamble
from tests.helpers.compare import assert_close
from tests.helpers.cuda_engine import Launcher

KERNEL = """
extern "C" __global__ void __launch_bounds__(256) apply(
    int count, const float *x, const float *y, float *result
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) result[i] = EXPRESSION;
}
"""


def computed(expression, x, y=None):
    """What the device makes of it."""
    text = preamble("float", "", online=False) + KERNEL.replace("EXPRESSION", expression)
    x = np.ascontiguousarray(x, np.float32)
    y = x if y is None else np.ascontiguousarray(y, np.float32)
    found = np.full(x.shape, np.nan, np.float32)
    grid = (-(-x.size // 256),)
    Launcher().compile(text).launch("apply", grid, (256,), [np.int32(x.size), x, y, found])
    return found


def assert_near(found, exact, **bound):
    """Numbers of float32 are as near to exact ones as that."""
    assert_close(found, exact, dtype="float32", like=found, **bound)


def test_an_exponential_near_0(rng):
    x = np.concatenate([-87 * rng.random(5000), -rng.random(5000), [0.0, -0.0, -87.0]])
    exact = np.exp(x.astype(np.float32).astype(np.float64))
    assert_near(computed("exp_near(x[i])", x), exact, ulp=3.0)
    assert computed("exp_near(x[i])", [0.0, -0.0]).tolist() == [1, 1]
    assert np.isnan(computed("exp_near(x[i])", [np.nan])[0])


def test_a_rough_exponential_is_exact_enough_for_half_precision(rng):
    x = -87 * rng.random(5000).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert_near(computed("exp_rough(x[i])", x), exact, rtol=2.0**-16)
    within = x > -16.0  # what is not 0 in float16
    assert_near(computed("exp_rough(x[i])", x[within]), exact[within], rtol=2.0**-19)


def test_a_logarithm_of_1_to_2(rng):
    x = np.concatenate([rng.random(5000), 10.0 ** -rng.uniform(0, 44, 5000), [0.0, 1.0]])
    exact = np.log1p(x.astype(np.float32).astype(np.float64))
    assert_near(computed("log1p_unit(x[i])", x), exact, ulp=2.0)
    assert np.isnan(computed("log1p_unit(x[i])", [np.nan])[0])


@pytest.mark.parametrize("kind", ["of", "of_unit"])
def test_a_product_with_an_inverse_is_the_quotient(kind, rng):
    sizes = 2.0 ** rng.uniform(-99, 99, 5000) * rng.choice([-1, 1], 5000)
    y = (1 + rng.random(5000) if kind == "of_unit" else sizes).astype(np.float32)
    y[:3] = [1, 2, 1.5]
    x = rng.normal(size=y.size).astype(np.float32)
    exact = x.astype(np.float64) / y.astype(np.float64)
    found = computed(f"Inverse::{kind}(y[i]).times(x[i])", x, y)
    assert_near(found, exact, ulp=0.51)
    rough = computed(f"Inverse::{kind}(y[i]).rough(x[i])", x, y)
    assert_near(rough, exact, rtol=2.0**-21)


@pytest.mark.parametrize("kind", ["of", "of_unit"])
def test_a_product_with_an_inverse_keeps_what_is_no_ordinary_number(kind):
    x = np.asarray([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, np.inf], np.float32)
    y = np.asarray([1.0, 1.5, 2.0, 1.25, 1.25, np.nan, np.nan], np.float32)
    with np.errstate(all="ignore"):
        expected = x / y
    found = computed(f"Inverse::{kind}(y[i]).times(x[i])", x, y)
    assert_close(found, expected)
    assert np.signbit(found[3:5]).tolist() == [False, True]


def test_what_is_usual_to_divide_by():
    y = [0.0, 1e-38, 1e-29, 1.0, -3.0, 1e29, 1e31, np.inf, -np.inf, np.nan]
    found = computed("Inverse::usual(x[i]) ? 1.0f : 0.0f", y)
    assert found.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
