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


@pytest.mark.parametrize("size", [1e-300, 1e-5, 0.3, 1.7, 6.0, 40.0, 1e6, 1e15, 1e300])
def test_rising_rest_is_exact_for_all_sizes(size):
    """The slope by a large size is of second order in its inverse."""
    counts = np.asarray([1.0, 2.0, 17.0, 1000.0])
    from tensorweaver.primitives import VOCABULARY

    rule = VOCABULARY["rising_rest"].rules[0]
    assert rule is not None
    sizes = np.full(4, size)
    with mpmath.workdps(50 + 3 * max(0, round(np.log10(size)))):
        r = mpf(size)
        values, slopes = [], []
        for y in map(mpf, counts):
            total = r + y
            logs = total * mpmath.log(total) - r * mpmath.log(r) - y
            values.append(logs - mpmath.loggamma(total) + mpmath.loggamma(r))
            change = mpmath.digamma(r) - mpmath.digamma(total)
            slopes.append(change + mpmath.log(total) - mpmath.log(r))
        np.testing.assert_allclose(XP.rising_rest(sizes, counts), list(map(float, values)), 4e-15)
        np.testing.assert_allclose(
            rule(XP, 1.0, None, sizes, counts), list(map(float, slopes)), 4e-15
        )


def test_rising_rest_of_nothing_is_nothing():
    sizes = np.asarray([1e-300, 0.5, 3.0, 1e300])
    np.testing.assert_array_equal(XP.rising_rest(sizes, np.zeros(4)), np.zeros(4))
