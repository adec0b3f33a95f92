"""The judge goes red for what is wrong, and knows what an ulp is everywhere."""

import numpy as np
import pytest
from mpmath import mpf

from tests.accuracy.judge import Exact, assert_accurate, exact_results, neighbours, spacing
from tests.accuracy.truth import digits, log_sigmoid, mse, sigmoid

INFINITY, NAN = mpf("inf"), mpf("nan")
DTYPES = ("float32", "float64")


def judge(got, want, dtype="float64", *, allowance=0, limit=4):
    got = np.array([got], dtype)
    return assert_accurate(got, [Exact(mpf(want), mpf(allowance))], dtype, limit=limit)


def steps_away(x, steps, dtype):
    x = np.dtype(dtype).type(x)
    for _ in range(abs(steps)):
        x = np.nextafter(x, x.dtype.type(np.copysign(np.inf, steps)))
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [1.0, 1.5, -0.3, 1e-30, 3e38, 0.0, 1e-40])
@pytest.mark.parametrize("way", [1, -1])
def test_six_steps_off_is_wrong_and_three_are_not(x, way, dtype):
    exact = float(np.dtype(dtype).type(x))
    if abs(exact) != 1.0 or way > 0:  # below a power of two the steps are half as long
        with pytest.raises(AssertionError, match="ulp"):
            judge(steps_away(x, 6 * way, dtype), exact, dtype)
    assert 0 < judge(steps_away(x, 3 * way, dtype), exact, dtype) <= 3


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.nan, 1.0),
        (1.0, NAN),
        (np.inf, 1.0),
        (1.0, INFINITY),
        (-np.inf, INFINITY),
        (np.nan, INFINITY),
        (-1.0, 1.0),
        (0.0, 1e-12),
        (0.0, 1e-300),
        (1.7e308, INFINITY),
    ],
)
def test_wrong_kinds_of_number_are_wrong_whatever_is_allowed(got, want):
    with pytest.raises(AssertionError, match=r"1 of 1 .* ulp"):
        judge(got, want, allowance=1e-310)


@pytest.mark.parametrize(
    ("got", "want"),
    [(np.nan, NAN), (np.inf, INFINITY), (-np.inf, -INFINITY), (np.inf, mpf(2) ** 2000)],
)
def test_the_same_nan_or_infinity_is_right(got, want):
    assert judge(got, want) == 0


def test_overflow_at_the_edge_of_the_range_is_a_step_like_any_other():
    largest = np.finfo("float32").max
    assert judge(np.inf, float(largest), "float32") == 1
    assert judge(largest, mpf(2) ** 128, "float32") == 1
    with pytest.raises(AssertionError):
        judge(np.inf, 3.4e38, "float32")


def test_another_dtype_or_size_is_wrong():
    exact = [Exact(mpf(1), mpf(0))]
    with pytest.raises(AssertionError, match="dtype"):
        assert_accurate(np.ones(1, "float32"), exact, "float64", limit=4)
    with pytest.raises(AssertionError, match="size"):
        assert_accurate(np.ones(2), exact, "float64", limit=4)
    with pytest.raises(AssertionError, match="nothing"):
        assert_accurate(np.ones(0), [], "float64", limit=4)


def test_the_message_names_the_inputs_and_both_numbers():
    exact = [Exact(mpf(1), mpf(0)), Exact(mpf(2), mpf(0))]
    names = ["the first", "the second"]
    with pytest.raises(AssertionError, match=r"1 of 2 .* the second: got .*2\.5.*, want 2\.0"):
        assert_accurate(np.array([1, 2.5]), exact, "float64", limit=4, describe=names.__getitem__)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [1.0, 0.7, 1e-38, 1e-42, 3e38, 1e20])
def test_spacing_is_numpys(x, dtype):
    x = np.dtype(dtype).type(x)
    assert spacing(mpf(float(x)), dtype) == float(np.spacing(x))


def test_what_the_inputs_allow_is_what_moving_them_changes():
    (value, slope) = exact_results(mse, [3.0, 1.0], "float64")
    step = np.spacing(3.0) + np.spacing(1.0)
    assert value.want == 4
    assert slope.want == 4
    assert float(value.allowance) == pytest.approx(4 * step)
    assert float(slope.allowance) == pytest.approx(2 * step)
    (fixed, _) = exact_results(mse, [3.0, 1.0], "float64", fixed=(0, 1))
    assert fixed.allowance == 0


def test_nothing_is_allowed_near_an_infinity():
    assert neighbours(np.inf, "float32") == []
    assert neighbours(np.nan, "float32") == []
    assert neighbours(np.finfo("float32").max, "float32") == [np.float32(3.4028233e38)]


def test_the_reference_keeps_its_digits_in_the_tails():
    with digits("float64"):
        assert float(-log_sigmoid(mpf(700))[0]) == pytest.approx(np.exp(-700.0), rel=1e-12)
        assert float(sigmoid(mpf(700))[1]) == pytest.approx(np.exp(-700.0), rel=1e-12)
