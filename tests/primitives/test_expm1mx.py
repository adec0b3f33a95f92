"""`exp(x) - 1 - x` to a few ulp, on both sides of where its formula changes, and at the ends."""

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from tensorweaver.primitives.stable import expm1mx
from tests.accuracy.judge import Exact, assert_accurate
from tests.accuracy.truth import digits

SIZES = [1e-30, 1e-12, 1e-4, 0.1, 0.5, 0.999, 1.0, 1.001, 2.0, 10.0, 80.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_exact(dtype):
    x = np.array([*SIZES, *(-s for s in SIZES)], dtype)
    with digits(dtype):
        exact = [Exact(mpmath.exp(v) - 1 - v, mpf(0)) for v in map(mpf, x.tolist())]
    assert_accurate(expm1mx(np, x), exact, dtype, limit=3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_its_ends():
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1e300, -1e300])
    np.testing.assert_array_equal(expm1mx(np, x), [0, np.inf, np.inf, np.nan, np.inf, 1e300])
