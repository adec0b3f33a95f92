"""The small differences of large numbers, against mpmath and at the ends of their domains."""

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw
from tensorweaver.primitives.differences import DIFFERENCES
from tests.accuracy.judge import Exact, assert_accurate
from tests.accuracy.truth import digits

INF, NAN = np.inf, np.nan


def textbook_boxcox1p(x, y):
    return ((1 + x) ** y - 1) / y if y else mpmath.log(1 + x)


def textbook_excess(x, y):
    return x - y * mpmath.log(1 + x / y)


REFERENCES = {
    "log_cosh": lambda x, y: mpmath.log(mpmath.cosh(x)),
    "sech": lambda x, y: 1 / mpmath.cosh(x),
    "hypot_excess": lambda x, y: mpmath.sqrt(x * x + y * y) - y,
    "log1p_excess": textbook_excess,
    "log1p_ratio": lambda x, y: mpmath.log((1 + x) / (1 + y)),
    "log1p_quotient": lambda x, y: mpmath.log(1 + x / y),
    "boxcox1p": textbook_boxcox1p,
}
FORMULAS = {
    "log_cosh": lambda xp, x, y: xp.log_cosh(x) + 0.0 * y,
    "sech": lambda xp, x, y: xp.sech(x) + 0.0 * y,
    "hypot_excess": lambda xp, x, y: xp.hypot_excess(x, y),
    "log1p_excess": lambda xp, x, y: xp.log1p_excess(x, y),
    "log1p_ratio": lambda xp, x, y: xp.log1p_ratio(x, y),
    "log1p_quotient": lambda xp, x, y: xp.log1p_quotient(x, y),
    "boxcox1p": lambda xp, x, y: xp.boxcox1p(x, y),
}


def loss_of(name):
    @tw.pointwise
    def loss(x, y):
        return FORMULAS[name](tw.array_namespace(x, y), x, y)

    return loss


def points(name, dtype):
    """Numbers of all sizes, near and far from each other."""
    random = np.random.default_rng(1)
    x = 10 ** random.uniform(-12, 12, 60)
    x[:20] = 10 ** random.uniform(-1, 1, 20)
    y = 10 ** random.uniform(-2, 2, 60)
    if name in {"log_cosh", "sech", "hypot_excess"}:
        x *= random.choice([-1, 1], 60)
    if name == "log1p_excess":
        x[40:] = -y[40:] * random.uniform(0, 0.9, 20)
    if name == "log1p_ratio":
        y = x * (1 + 10 ** random.uniform(-7, 1, 60))
        x[:5], y[:5] = 1e37, -0.999
    if name == "boxcox1p":
        y = random.choice([-2.0, -0.5, 0.0, 2.0**-30, 0.25, 1.0, 2.0], 60)
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REFERENCES)
def test_value_and_slope_keep_their_digits(name, dtype):
    x, y = points(name, dtype)
    loss, reference = loss_of(name), REFERENCES[name]
    with digits(dtype):
        values, slopes = [], []
        for pair in zip(x, y, strict=True):
            a, b = (mpf(float(number)) for number in pair)
            step = abs(a) * mpf(10) ** -40
            up, down = reference(a + step, b), reference(a - step, b)
            # one ulp of `x` may matter more than the limit below: 1 + v near 0
            ulp = abs(up - down) / (2 * step) * float(np.spacing(abs(pair[0])))
            values.append(Exact(reference(a, b), ulp))
            slopes.append(Exact((up - down) / (2 * step), mpf(0)))
    got = loss(x, y, reduction="none")
    assert_accurate(got, values, dtype, limit=4, describe=lambda i: f"{name}{x[i], y[i]}")
    got = loss.grad(x, y, reduction="sum")
    assert_accurate(got, slopes, dtype, limit=8, describe=lambda i: f"{name}'{x[i], y[i]}")


ENDS = {
    "log_cosh": [(INF, 0, INF, 1), (-INF, 0, INF, -1), (0, 0, 0, 0), (NAN, 0, NAN, NAN)],
    "sech": [(INF, 0, 0, 0), (-INF, 0, 0, 0), (0, 0, 1, 0), (NAN, 0, NAN, NAN)],
    "hypot_excess": [(INF, 1, INF, 1), (-INF, 1, INF, -1), (0, 1, 0, 0), (NAN, 1, NAN, NAN)],
    "log1p_excess": [(INF, 1, INF, 1), (0, 1, 0, 0), (-1, 1, INF, -INF), (NAN, 1, NAN, NAN)],
    "log1p_ratio": [
        (INF, 1, INF, 0),
        (INF, -0.5, INF, 0),
        (-1, 1, -INF, INF),
        (-2, -3, NAN, -1),
        (-1.5, 0, NAN, -2),
        (NAN, 1, NAN, NAN),
    ],
    "log1p_quotient": [(INF, 1, INF, 0), (0, 2, 0, 0.5), (NAN, 1, NAN, NAN)],
    "boxcox1p": [
        (INF, -2, 0.5, 0),
        (INF, 1, INF, 1),
        (INF, 2, INF, INF),
        (-1, 0.5, -2, INF),
        (-1, 2, -0.5, 0),
        (0, 0, 0, 1),
        (NAN, 1, NAN, NAN),
    ],
}


@pytest.mark.parametrize("name", ENDS)
def test_the_ends_of_the_domain(name):
    x, y, values, slopes = np.asarray(ENDS[name], float).T.copy()
    loss = loss_of(name)
    np.testing.assert_array_equal(loss(x, y, reduction="none"), values)
    np.testing.assert_array_equal(loss.grad(x, y, reduction="sum"), slopes)


def test_every_row_is_here():
    assert set(REFERENCES) == set(ENDS) == {row.name for row in DIFFERENCES}
