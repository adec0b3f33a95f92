"""A branch that was not taken sends nothing back: no NaN where the true gradient is finite."""

import numpy as np
import pytest

from tensorweaver.tensor import Tensor
from tests.helpers.compare import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of Dask's own threads


def gradient(formula, array):
    x = Tensor(array, requires_grad=True)
    formula(x.__array_namespace__(), x).sum().backward()
    return x.grad


@pytest.mark.parametrize(
    ("formula", "values", "expected"),
    [
        (lambda xp, x: xp.where(x > 0, xp.log(x), 0.0), [0.0, 2.0], [0.0, 0.5]),
        (lambda xp, x: xp.where(x > 0, x * xp.log(x), 0.0), [0.0, 1.0], [0.0, 1.0]),
        (lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0.0), [0.0, 4.0], [0.0, 0.25]),
        (lambda xp, x: xp.where(x != 0, 1.0 / x, 0.0), [0.0, 2.0], [0.0, -0.25]),
        (lambda xp, x: xp.where(x < 10, xp.exp(x), 0.0), [1000.0, 0.0], [0.0, 1.0]),
        (lambda xp, x: xp.where(x < 10, xp.sin(x) * x, 0.0), [np.inf, 0.0], [0.0, 0.0]),
        (lambda xp, x: xp.where(x > 0, x**-0.5, 0.0), [0.0, 4.0], [0.0, -0.0625]),
        (lambda xp, x: xp.where(xp.isnan(x), 0.0, x * x), [np.nan, 3.0], [0.0, 6.0]),
        (lambda xp, x: xp.maximum(xp.log(x), -1.0), [0.0, 2.0], [0.0, 0.5]),
        (lambda xp, x: 0.0 * xp.log(x), [0.0, 2.0], [0.0, 0.0]),
    ],
)
def test_elementwise(formula, values, expected, to_array):
    array = to_array(values)
    assert_close(gradient(formula, array), expected, like=array)


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax", "prod", "max", "std"])
def test_rows(name, to_array):
    array = to_array([[np.nan, 1.0, 2.0], [0.0, 0.5, 3.0]])
    keep = to_array([[False], [True]])

    def formula(xp, x):
        options = {"keepdims": True} if name in {"prod", "max", "std"} else {}
        return xp.where(keep, getattr(xp, name)(x, axis=-1, **options), 0.0)

    got = np.asarray(Tensor(gradient(formula, array)).numpy())
    assert got[0].tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(got[1]).all()


def test_nan_is_never_hidden():
    got = gradient(lambda _, x: x * x, np.array([np.nan, 1.0]))
    assert np.isnan(got[0])
    assert got[1] == 2.0


def test_the_standard_deviation_of_equal_values_has_slope_zero(to_array):
    array = to_array([2.0, 2.0, 2.0])
    assert_close(gradient(lambda xp, x: xp.std(x), array), [0.0, 0.0, 0.0], like=array)


def test_clip_has_slope_zero_at_its_ends():
    got = gradient(lambda xp, x: xp.clip(x, -1.0, 1.0), np.array([-2.0, -1.0, 0.5, 1.0, 3.0]))
    assert got.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
