"""The comparison itself is tested: each way of being wrong makes it raise."""

import math

import mpmath
import numpy as np
import pytest

from tests.helpers.arrays import LIBRARIES, device_of, dtype_name, library_of, make_array, to_host
from tests.helpers.compare import assert_close, spacing

WRONG = {
    "library": (np.zeros(2), "strict"),
    "dtype": (np.zeros(2, np.float32), np.zeros(2)),
    "shape": (np.zeros((2, 1)), np.zeros(2)),
    "scalar shape": (np.zeros(1), 0.0),
    "value": (np.asarray([1.0, 2.0]), np.asarray([1.0, 2.0 + 1e-13])),
    "nan for a number": (np.asarray([math.nan]), [1.0]),
    "a number for nan": (np.asarray([1.0]), [math.nan]),
    "infinity for a number": (np.asarray([math.inf]), [1.7e308]),
    "wrong infinity": (np.asarray([math.inf]), [-math.inf]),
    "a number for infinity": (np.asarray([1.7e308]), [math.inf]),
    "integer": (np.asarray([1, 2]), [1, 3]),
    "boolean": (np.asarray([True]), [False]),
    "cancelled to nothing": (np.asarray([0.0]), [1e-300]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_is_refused(case):
    actual, expected = WRONG[case]
    if isinstance(expected, str):
        expected = make_array(expected, actual)
    with pytest.raises(AssertionError, match=r"got .*, expected"):
        assert_close(actual, expected)


def test_right_is_accepted():
    assert_close(
        np.asarray([1.0, math.nan, math.inf, -math.inf]), [1.0, math.nan, math.inf, -math.inf]
    )
    assert_close(np.asarray([1, 2]), [1, 2])
    assert_close(np.zeros((0, 3)), np.zeros((0, 3)))
    assert_close(np.float64(3.0), 3.0)
    assert_close(np.asarray([1.0, 2.0]), np.asarray([1.0, 2.0 + 1e-13]), of="gradient")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ulp_are_counted_in_the_dtype_of_the_result(dtype):
    one = np.ones((), dtype)
    following = np.nextafter(one, one + one)
    assert_close(following, 1.0, ulp=1)
    with pytest.raises(AssertionError, match="at worst 1 ulp"):
        assert_close(following, 1.0, ulp=0.99)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_spacing_is_numpys(dtype):
    numbers = np.asarray([0.0, 1e-7, 0.1, 1.0, 1.5, 3.0, 1000.0], dtype)
    numbers = np.append(numbers, [np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal])
    assert spacing(numbers.astype(np.float64), np.dtype(dtype).name).tolist() == (
        np.spacing(numbers.astype(dtype)).astype(np.float64).tolist()
    )


def test_mpmath_numbers_keep_their_digits():
    with mpmath.workdps(40):
        third = mpmath.mpf(1) / 3
        assert_close(np.asarray([1 / 3]), np.asarray([third]), ulp=0.5)
        with pytest.raises(AssertionError, match="ulp"):
            assert_close(np.asarray([1 / 3]), np.asarray([third]), ulp=0.2)


def test_what_overflows_the_dtype_is_expected_as_an_infinity():
    assert_close(np.asarray([np.inf], np.float32), [1e39])
    assert_close(np.asarray([np.inf], np.float16), [1e6])
    with pytest.raises(AssertionError, match="infinity"):
        assert_close(np.asarray([3e38], np.float32), [1e39])


def test_like_names_library_and_dtype_apart_from_the_values():
    actual = np.asarray([0.5], np.float32)
    assert_close(actual, np.asarray([0.5]), like=np.zeros(1, np.float32))
    assert_close(actual, [0.5], like=np.zeros(1, np.float16), dtype="float32")
    with pytest.raises(AssertionError, match="dtype"):
        assert_close(actual, [0.5], like=np.zeros(1, np.float16))


def test_a_device_is_told_apart():
    strict = pytest.importorskip("array_api_strict")
    away = make_array("strict", [1.0])
    with pytest.raises(AssertionError, match="device"):
        assert_close(strict.asarray([1.0], dtype=strict.float64), away)
    assert_close(away, away)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "int64", "bool"])
def test_an_array_makes_the_round_trip(library, dtype):
    if library == "cupy":
        pytest.skip("needs a GPU, see test_an_array_makes_the_round_trip_on_a_gpu")
    if library == "strict" and dtype == "bfloat16":
        pytest.skip("array-api-strict has no bfloat16")
    pytest.importorskip("array_api_strict" if library == "strict" else library)
    numbers = [[1, 0, 1], [0, 1, 1], [1, 1, 0]]
    array = make_array(library, numbers, dtype)
    assert library_of(array) == library
    assert dtype_name(array) == dtype
    assert to_host(array).tolist() == numbers


@pytest.mark.gpu
def test_an_array_makes_the_round_trip_on_a_gpu():
    array = make_array("cupy", [[1.0, 2.0]], "float32")
    assert (library_of(array), dtype_name(array), to_host(array).tolist()) == (
        "cupy",
        "float32",
        [[1.0, 2.0]],
    )


def test_arrays_are_placed_where_mistakes_show():
    frozen = make_array("numpy", [1.0])
    with pytest.raises(ValueError, match="read-only"):
        frozen[0] = 2.0
    make_array("numpy", [1.0], writable=True)[0] = 2.0
    assert "device1" in device_of(make_array("strict", [1.0]))


def test_dask_arrays_come_in_blocks():
    pytest.importorskip("dask.array")
    assert make_array("dask", np.zeros((5, 3))).numblocks == (2, 1)
    assert make_array("dask", 1.0).shape == ()
    assert make_array("dask", np.zeros((0, 3))).shape == (0, 3)


def test_numbers_and_lists_belong_to_no_library():
    assert [library_of(value) for value in (1.0, [1.0], None, "text", mpmath.mpf(1))] == [None] * 5
    assert library_of(np.float32(1)) == "numpy"
