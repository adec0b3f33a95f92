"""The gamma functions, the error function and the integrals: within a few ulp, and at the edges."""

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from tensorweaver.backends import get_backend
from tensorweaver.tensor.eager import eager_namespace

XP = eager_namespace(get_backend("numpy"))
RANDOM = np.random.default_rng(5)
POSITIVE = np.concatenate(
    [
        10 ** RANDOM.uniform(-30, 30, 150),
        RANDOM.uniform(0, 12, 400),
        1 + 1e-3 * RANDOM.normal(size=60),
        2 + 1e-3 * RANDOM.normal(size=60),
        1.4616321 + 1e-4 * RANDOM.normal(size=60),
        np.arange(1.0, 20.0),
    ]
)
REAL = np.concatenate([2 * RANDOM.normal(size=300), 10 ** RANDOM.uniform(-30, 0, 100)])


def excess(x):
    return mpmath.loggamma(1 + x) - x * mpmath.log(x) + x


def ulps(got, wants):
    errors = [
        abs(mpf(float(g)) - w) / mpf(float(np.spacing(got.dtype.type(abs(float(w))))))
        for g, w in zip(got, wants, strict=True)
    ]
    return float(max(errors))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "truth", "points", "limit"),
    [
        # Just above 2 the logarithm of the step loses half of its size to the rest.
        ("lgamma", mpmath.loggamma, POSITIVE, 8),
        ("log_factorial", lambda x: mpmath.loggamma(1 + x), POSITIVE, 6),
        ("log_factorial_excess", excess, POSITIVE, 3),
        ("digamma", mpmath.digamma, POSITIVE, 5),
        ("trigamma", lambda x: mpmath.polygamma(1, x), POSITIVE[150:], 5),
        ("erf", mpmath.erf, REAL, 2),
        ("expm1mx", lambda x: mpmath.expm1(x) - x, REAL, 4),
    ],
)
def test_functions_are_within_a_few_ulp(name, truth, points, limit, dtype):
    x = points.astype(dtype)
    with mpmath.workdps(80):
        wants = [truth(mpf(float(a))) for a in x]
        assert ulps(getattr(XP, name)(x), wants) < limit


@pytest.mark.parametrize("name", ["lgamma", "log_factorial", "digamma", "trigamma"])
def test_gamma_functions_at_the_edges(name):
    at_zero = {"lgamma": np.inf, "log_factorial": 0, "digamma": -np.inf, "trigamma": np.inf}
    at_infinity = 0 if name == "trigamma" else np.inf
    found = getattr(XP, name)(np.asarray([0.0, np.inf, -1.5, np.nan]))
    np.testing.assert_array_equal(found, [at_zero[name], at_infinity, np.nan, np.nan])


def test_the_slope_of_trigamma_is_there():
    x = np.asarray([0.3, 1.0, 5.0, 30.0])
    from tensorweaver.primitives import VOCABULARY

    rule = VOCABULARY["trigamma"].rules[0]
    assert rule is not None
    slopes = rule(XP, 1.0, None, x)
    np.testing.assert_allclose(slopes, [float(mpmath.polygamma(2, a)) for a in x], rtol=1e-14)
