"""Hessians against mpmath over all sizes, and values, slopes and curvatures at the ends of range.

Where a plain formula squares, divides by a square or takes two infinite terms from each other it is
infinite, NaN or of the wrong sign long before the result leaves the range of numbers.
"""

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy.judge import Exact, assert_accurate, neighbours
from tests.accuracy.truth import digits

INF = np.inf
LIMIT = 16


def cauchy(x, _y):
    u = x**2 / 2
    return (1 - u) / (1 + u) ** 2


def robust(alpha):
    def curvature(x, _y):
        b, a = abs(mpf(alpha) - 2), mpf(alpha)
        return (x**2 / b + 1) ** (a / 2 - 2) * (1 + (a - 1) * x**2 / b)

    return curvature


def tukey(x, _y, c):
    s = (x / mpf(c)) ** 2
    return mpf(0) if s > 1 else (1 - s) * (1 - 5 * s)


def student_by_error(x, _y, s, df):
    u = (x / s) ** 2
    return (df + 1) * (df - u) / (df + u) ** 2 / s**2


def student_by_scale(x, _y, s, df):
    share = 1 / (1 + df / (x / s) ** 2) if x else mpf(0)
    return ((df + 1) * share * (3 - 2 * share) - 1) / s**2


def event(x, _y, weight=1):
    softplus, sigmoid = mpmath.log1p(mpmath.exp(x)), 1 / (1 + mpmath.exp(-x))
    r, m = weight * softplus, sigmoid / softplus
    bend = m - (1 - sigmoid) + m * (r / -mpmath.expm1(-r) - 1)
    return m * r / mpmath.expm1(r) * bend


def tweedie(power):
    a, b = 1 - mpf(power), 2 - mpf(power)
    return lambda x, y: b * mpmath.exp(b * x) - a * y * mpmath.exp(a * x)


def deviance(power):
    p = mpf(power)
    return lambda x, y: 2 * ((1 - p) * x + p * y) / x ** (p + 1)


SIZES = (1e-9, 1e-3, 0.3, 0.9, 1.3, 7.0, 300.0, 3e4, 2e6, 1e9, 1e12, 5e17)
ERRORS = [(x, 0.0) for size in SIZES for x in (size, -size)]
WITH_SCALE = [(x, 0.0, s) for x, _ in ERRORS[::2] for s in (1e-8, 1e-2, 1.0, 50.0)]
LOGITS = [(x, 1.0) for x in (-80, -44.5, -40, -39.9, -17, -3, -0.1, 0, 0.2, 3, 17, 60)]
MEANS = [(x, y) for x in (1e-3, 0.5, 1.0, 3.0, 1e3, 1e6) for y in (1e-6, 1e-3, 0.7, 1.0, 40.0, 1e5)]
LOG_MEANS = [(x, y) for x in (-30.0, -3.0, 0.0, 0.1, 2.5, 30.0) for y in (0.0, 1e-10, 1.0, 1e4)]
LAWS = [
    ("cauchy", tw.cauchy_loss, {}, {}, cauchy, ERRORS),
    *(
        (f"robust {alpha}", tw.general_robust_loss, {"alpha": alpha}, {}, robust(alpha), ERRORS)
        for alpha in (-2.0, 0.5, 1.0, 1.75, 2 - 2.0**-20, 2.5, 3.0)
    ),
    ("tukey", tw.tukey_biweight_loss, {"c": 4.0}, {"c": 4}, tukey, ERRORS),
    (
        "student",
        tw.student_t_nll_loss,
        {"df": 3.0, "wrt": "predictions"},
        {"df": 3},
        student_by_error,
        WITH_SCALE,
    ),
    (
        "student by scale",
        tw.student_t_nll_loss,
        {"df": 3.0, "wrt": "scale"},
        {"df": 3},
        student_by_scale,
        WITH_SCALE,
    ),
    (
        "gaussian by variance",
        tw.gaussian_nll_loss,
        {"eps": 0.0, "wrt": "variance"},
        {},
        lambda x, _y, v: (x**2 / v - mpf(1) / 2) / v**2,
        WITH_SCALE,
    ),
    (
        "laplace by scale",
        tw.laplace_nll_loss,
        {"wrt": "scale"},
        {},
        lambda x, _y, s: (2 * abs(x) / s - 1) / s**2,
        WITH_SCALE,
    ),
    ("event", tw.cross_entropy_lambda_loss, {}, {}, event, LOGITS),
    (
        "event with exposure",
        tw.cross_entropy_lambda_loss,
        {"weight": 2.0**-7},
        {"weight": mpf(2) ** -7},
        event,
        LOGITS,
    ),
    ("poisson deviance", tw.poisson_deviance_loss, {}, {}, deviance(1), MEANS),
    *(
        (f"deviance {p}", tw.tweedie_deviance_loss, {"power": p}, {}, deviance(p), MEANS)
        for p in (0.5, 1.5, 2, 3)
    ),
    *(
        (f"tweedie {p}", tw.tweedie_nll_loss, {"power": p}, {}, tweedie(p), LOG_MEANS)
        for p in (0, 0.5, 1, 1.5, 2, 2.5, 3)
    ),
    (
        "wing",
        tw.wing_loss,
        {"curvature": 2.0**-100},
        {},
        lambda x, _y: -5 / (mpf(2) ** -100 + abs(x)) ** 2 if abs(x) <= 5 else mpf(0),
        ERRORS,
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law[0])
def test_the_hessian_keeps_its_digits(law, dtype):
    _, loss, options, plain, curvature, points = law
    columns = [np.asarray(column, dtype) for column in zip(*points, strict=True)]
    if "weight" in options:
        options = {**options, "weight": np.full(len(points), options["weight"], dtype)}
    got = loss.hessian_diag(*columns, reduction="sum", **options)
    with digits(dtype):
        exact = []
        for point in zip(*columns, strict=True):
            numbers = [mpf(float(x)) for x in point]
            want, change = curvature(*numbers, **plain), mpf(0)
            for place, given in enumerate(point):
                near = [mpf(float(n)) for n in neighbours(given, dtype)]
                others = [[*numbers[:place], n, *numbers[place + 1 :]] for n in near]
                change += max(abs(curvature(*other, **plain) - want) for other in others)
            exact.append(Exact(want, change))
    assert_accurate(got, exact, dtype, limit=LIMIT, describe=lambda i: f"{law[0]} at {points[i]}")


# --------------------------------------------------------------------------- the ends of range
def name_of(function):
    return getattr(function, "__self__", function).formula.name


F, D = np.float32, np.float64
SHAPE, TINY_SCALE = {"alpha": 1.9999999}, {"wrt": "scale"}
SQUARES = {"kind": "least_squares"}
ENDS = [
    (D, tw.general_robust_loss.hessian_diag, (-1e308, 0), SHAPE, 0.9999281),
    (F, tw.general_robust_loss.hessian_diag, (1e18, 0), {"alpha": 4.0}, 1.5e36),
    (F, tw.general_robust_loss.hessian_diag, (1e30, 0), {"alpha": 3.0}, 2e30),
    *((D, tw.general_robust_loss.hessian_diag, (INF, 0), {"alpha": a}, 0) for a in (0.5, 0, -2)),
    (F, tw.general_robust_loss, (1e19, 0), SHAPE, 5e37),
    (D, tw.general_robust_loss.grad, (-1e308, 0), SHAPE, -0.9999282e308),
    (D, tw.general_robust_loss.grad, (INF, 0), SHAPE, INF),
    (D, tw.cauchy_loss.hessian_diag, (INF, 0), {}, 0),
    (D, tw.student_t_nll_loss.grad, (INF, 0, 2), TINY_SCALE, -1.5),
    (F, tw.student_t_nll_loss.grad, (1, 0, 1e-20), TINY_SCALE, -3e20),
    (F, tw.student_t_nll_loss.grad, (1e30, 0, 1e-20), {"wrt": "predictions"}, 4e-30),
    (F, tw.student_t_nll_loss.hessian_diag, (1, 0, 1e-20), TINY_SCALE, INF),
    (F, tw.laplace_nll_loss.hessian_diag, (1, 0, 1e-20), TINY_SCALE, INF),
    (F, tw.gaussian_nll_loss.hessian_diag, (1, 0, 1e-30), {"eps": 0.0, "wrt": "variance"}, INF),
    (F, tw.tukey_biweight_loss.grad, (6e19, 0), {"c": 1e20}, 2.4576e19),
    (D, tw.tukey_biweight_loss.grad, (6e155, 0), {"c": 1e156}, 2.4576e155),
    (F, tw.tweedie_nll_loss.grad, (-90, 1), {"power": 3}, -INF),
    *((D, tw.tweedie_nll_loss.grad, (-1e4, 1), {"power": p}, -INF) for p in (2.5, 3)),
    (D, tw.tweedie_nll_loss.grad, (-740, 1e-323), {"power": 3}, INF),
    (D, tw.tweedie_nll_loss.grad, (400, 1e304), {"power": 0}, -INF),
    (D, tw.tweedie_nll_loss.hessian_diag, (-1e4, 1), {"power": 3}, INF),
    (D, tw.tweedie_nll_loss, (-1e4, 1), {"power": 3}, INF),
    (D, tw.tweedie_nll_loss, (1e4, 1), {"power": 0}, INF),
    (F, tw.tweedie_nll_loss.hessian_diag, (90, 1), {"power": 1.0}, INF),
    (F, tw.tweedie_nll_loss.hessian_diag, (300, 1), {"power": 1.5}, INF),
    *((D, tw.tweedie_nll_loss.hessian_diag, (720, 1), {"power": p}, INF) for p in (0, 1)),
    (D, tw.tweedie_nll_loss, (1e-8, 1), {}, 5e-17),
    (D, tw.tweedie_nll_loss, (1e-20, 1), {}, 5e-41),
    (D, tw.gamma_nll_loss, (-INF, 0), {}, -INF),
    (D, tw.gamma_nll_loss, (-INF, 1), {}, INF),
    (D, tw.huber_loss, (1.8e154, 0), {"delta": 1e200}, 1.62e308),
    (F, tw.huber_loss, (2e19, 0), {"delta": 1e20}, 2e38),
    (F, tw.gan_generator_loss, (2.5e19,), SQUARES, 3.125e38),
    (F, tw.gan_discriminator_loss, (2.5e19, 0), SQUARES, 3.125e38),
    (F, tw.gan_discriminator_loss, (1, 2.5e19), SQUARES, 3.125e38),
    (F, tw.gaussian_kl_loss, (2.5e19, 0), {}, 3.125e38),
    (F, tw.ppo_value_clip_loss, (2.5e19, 2.5e19, 0), {}, 3.125e38),
    (F, tw.squared_epsilon_insensitive_loss.hessian_diag, (2e38, 0), {}, 2),
    (F, tw.squared_epsilon_insensitive_loss.hessian_diag, (INF, 0), {}, 2),
    (D, tw.msle_loss.grad, (INF, 1), {}, 0),
    (D, tw.msle_loss.hessian_diag, (INF, 1), {}, 0),
    (D, tw.msle_loss, (1e308, -0.5), {}, 503930.2),
    (F, tw.msle_loss, (3e38, -0.5), {}, 7973.26),
    (F, tw.cross_entropy_lambda_loss.hessian_diag, (-44.5, 1), {}, 4.7194e-20),
    (D, tw.cross_entropy_lambda_loss.hessian_diag, (INF, 1), {}, 0),
    (D, tw.cross_entropy_lambda_loss.hessian_diag, (-INF, 1), {}, 0),
    (D, tw.poisson_deviance_loss.hessian_diag, (1000, 1e-15), {}, 2e-21),
    (D, tw.mape_loss.hessian_diag, (1, 1e-310), {}, 0),
    (F, tw.exponential_loss, (-90, 1e-10), {}, 1.2204e29),
]


@pytest.mark.parametrize(
    ("dtype", "function", "point", "options", "want"),
    [pytest.param(*end, id=f"{name_of(end[1])} {end[2]}") for end in ENDS],
)
def test_nothing_on_the_way_is_infinite_before_the_result(dtype, function, point, options, want):
    arrays = [np.asarray([x], dtype) for x in point]
    got = function(*arrays, **options)
    found = float(np.ravel(got[0] if isinstance(got, tuple) else got)[0])
    if np.isfinite(want) and want:
        assert found == pytest.approx(want, rel=1e-4, abs=0)
    else:
        assert found == want


def test_options_that_the_dtype_has_no_number_for_are_refused():
    x, y = np.zeros(1, np.float32), np.zeros(1, np.float32)
    for loss, options, would_be in (
        (tw.charbonnier_loss, {"eps": 1e-46}, "0"),
        (tw.huber_loss, {"delta": 1e-50}, "0"),
        (tw.huber_loss, {"delta": 1e60}, "infinity"),
        (tw.cauchy_loss, {"scale": 1e-60}, "0"),
    ):
        name, (option, value) = loss.formula.name, next(iter(options.items()))
        message = f"{name}: {option} must be a number that float32 has, got {value}, which would be"
        with pytest.raises(tw.ArgumentError, match=f"{message} {would_be}".replace("+", r"\+")):
            loss(x, y, **options)
        assert loss(x.astype(np.float64), y, **options) == 0
    with pytest.raises(tw.ArgumentError, match="q must be a number that float32 has"):
        tw.generalized_cross_entropy_loss(np.zeros((1, 2), np.float32), [1], q=1e-300)
    with pytest.raises(tw.ArgumentError, match="delta must be positive"):
        tw.huber_loss(x, y, delta=-1e-60)
    assert tw.huber_loss(x, y, delta=INF) == 0
