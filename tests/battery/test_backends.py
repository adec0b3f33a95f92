"""Every backend, and every engine of NumPy arrays, computes what NumPy's functions compute."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.battery.select import once_a_loss
from tests.battery.test_laws import several
from tests.helpers.compare import assert_close

pytestmark = pytest.mark.whole


def moved(case, arrays, options, to_array):
    """The arguments as arrays of the backend."""
    given = {
        name: to_array(value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
    return [to_array(a) for a in arrays], given


@once_a_loss
def test_backends_agree(case, random, backend, to_array):
    arrays, options = case.draw(random)
    there, given = moved(case, arrays, options, to_array)
    value, gradient = case.loss.value_and_grad(*there, **given)
    alone = case.loss(*there, reduction="none", **given)
    want, expected = case.loss.value_and_grad(*arrays, **options)
    assert_close(value, want, like=there[0], rtol=1e-12, atol=1e-15)
    losses = case.loss(*arrays, reduction="none", **options)
    assert_close(alone, losses, like=there[0], rtol=1e-12, atol=1e-15)
    for got, wanted in zip(several(gradient), several(expected), strict=True):
        assert_close(got, wanted, like=there[0], rtol=1e-11, atol=1e-14)
    if backend == "dask" and case.loss.formula.composed:
        return  # hundreds of steps of some milliseconds; tests/loss/test_composed.py has some
    vector = np.cos(np.arange(arrays[0].size)).reshape(arrays[0].shape)
    product = case.loss.hvp(*there, to_array(vector), **given)
    wanted = case.loss.hvp(*arrays, vector, **options)
    assert_close(product, wanted, like=there[0], rtol=1e-10, atol=1e-13)


@once_a_loss
@pytest.mark.parametrize("engine", ["blocks", "llvm"])
def test_engines_agree(case, engine, random):
    if engine == "llvm":
        pytest.importorskip("llvmlite", reason="the llvm engine needs llvmlite")
    arrays, options = case.draw(random, (67, *case.specimen.shape[1:]))
    tw.set_engine("interpret")
    want, expected = case.loss.value_and_grad(*arrays, **options)
    losses = case.loss(*arrays, reduction="none", **options)
    tw.set_engine(engine)
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    assert_close(value, want, rtol=1e-13)
    for got, wanted in zip(several(gradient), several(expected), strict=True):
        assert_close(got, wanted, rtol=1e-11, atol=1e-14)
    alone = case.loss(*arrays, reduction="none", **options)
    assert_close(alone, losses, rtol=1e-12, atol=1e-15)
