"""The fixtures of the matrix hand out what they promise, on every backend."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from tests.helpers.arrays import dtype_name, library_of
from tests.helpers.compare import assert_close


def test_to_array_makes_arrays_of_the_backend(backend, to_array, to_numpy):
    array = to_array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert (library_of(array), dtype_name(array)) == (backend, "float64")
    assert_close(to_numpy(array), np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), rtol=0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (5, 3), (0, 3)])
def test_any_dtype_and_shape(backend, to_array, to_numpy, dtype, shape):
    host = np.ones(shape, dtype)
    array = to_array(host, dtype)
    assert (library_of(array), dtype_name(array)) == (backend, dtype)
    assert_close(to_numpy(array), host)


def test_xp_is_the_namespace_of_the_arrays(xp, to_array):
    array = to_array([1.0, 4.0, 9.0])
    assert library_of(xp.asarray([1.0])) == library_of(array)
    assert_close(xp.sqrt(array), [1.0, 2.0, 3.0], like=array)


@hypothesis.given(numbers=strategies.lists(strategies.floats(-1e6, 1e6), min_size=1, max_size=5))
@hypothesis.settings(max_examples=10)
def test_hypothesis_may_use_the_fixtures(to_array, xp, numbers):
    assert_close(-to_array(numbers), [-number for number in numbers], rtol=0.0)


def test_rng_is_a_tests_own(rng, request):
    assert rng.random() != np.random.default_rng(request.config.option.seed).random()
