"""Arrays of any kind: views, other orders, read-only, empty, half precision, no axes, lists."""

import ml_dtypes
import numpy as np
import pytest

from tests.battery.select import of, once_a_loss
from tests.battery.test_laws import several
from tests.helpers.compare import assert_close


def ways(array):
    """The same numbers lying otherwise."""
    strided = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)[..., ::2]
    strided[...] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    return {
        "strided": strided,
        "Fortran": np.asfortranarray(array),
        "read-only": read_only,
        "backwards": array[::-1].copy()[::-1],
    }


@pytest.mark.parametrize("way", ["strided", "Fortran", "read-only", "backwards"])
@once_a_loss
def test_it_does_not_matter_how_arrays_lie(case, way, random):
    arrays, options = case.draw(random)
    before = [a.copy() for a in arrays]
    laid = [ways(a)[way] if a.ndim else a for a in arrays]
    value, gradient = case.loss.value_and_grad(*laid, **options)
    want, expected = case.loss.value_and_grad(*before, **options)
    assert_close(value, want, rtol=1e-13)
    for got, wanted in zip(several(gradient), several(expected), strict=True):
        assert_close(got, wanted, rtol=1e-12, atol=1e-15)
    for array, kept in zip(laid, before, strict=True):
        np.testing.assert_array_equal(array, kept)


@once_a_loss
@of(lambda case: not case.with_arrays)
def test_a_mean_over_nothing_is_zero(case, random):
    arrays, options = case.draw(random)
    empty = case.specimen.rows(arrays, [])
    value, gradient = case.loss.value_and_grad(*empty, **options)
    assert value == 0
    formula = case.loss.formula
    wanted = [empty[formula.arguments.index(name)] for name in formula.differentiable]
    for got, array in zip(several(gradient), wanted, strict=True):
        assert got.shape == array.shape
        assert not got.any()


def is_pointwise(case):
    return not (case.loss.formula.rowwise or case.loss.formula.composed)


@once_a_loss
@of(lambda case: is_pointwise(case) and not case.with_arrays)
def test_single_numbers(case, random):
    arrays, options = case.draw(random)
    numbers = [a.reshape(-1)[0] for a in arrays]
    value, gradient = case.loss.value_and_grad(*map(np.asarray, numbers), **options)
    want = case.loss(*[a.reshape(-1)[:1] for a in arrays], **options)
    assert_close(value, want, rtol=1e-15)
    assert all(np.shape(g) == () for g in several(gradient))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@once_a_loss
def test_other_dtypes(case, dtype, random):
    arrays, options = case.draw(random)
    narrow = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    real = [a.astype(narrow) if a.dtype.kind == "f" else a for a in arrays]
    given = {k: v.astype(narrow) if hasattr(v, "astype") else v for k, v in options.items()}
    value, gradient = case.loss.value_and_grad(*real, **given)
    wide = [np.asarray(a, np.float64) if d.real else a
            for a, d in zip(real, case.specimen.draws, strict=True)]  # fmt: skip
    at = {k: np.asarray(v, np.float64) if hasattr(v, "astype") else v for k, v in given.items()}
    want, expected = case.loss.value_and_grad(*wide, **at)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, want, rtol=2e-5, atol=2e-6)
    tolerance = {"float32": 1e-4, "float16": 2e-3, "bfloat16": 1.6e-2}[dtype]
    for got, wanted in zip(several(gradient), several(expected), strict=True):
        assert got.dtype == narrow
        size = np.max(np.abs(wanted), initial=0)
        np.testing.assert_allclose(
            got.astype(float), wanted, rtol=tolerance, atol=tolerance * size + 1e-7
        )


@once_a_loss
@of(lambda case: not case.with_arrays)
def test_lists_are_arrays(case, random):
    arrays, options = case.draw(random)
    value = case.loss(*[a.tolist() for a in arrays], **options)
    assert_close(value, case.loss(*arrays, **options), rtol=1e-14)


@once_a_loss
def test_the_gradient_is_written_where_told(case, random):
    arrays, options = case.draw(random)
    expected = case.loss.grad(*arrays, **options)
    out = tuple(np.full_like(g, np.nan) for g in several(expected))
    single = not isinstance(expected, tuple)
    found = case.loss.grad(*arrays, out=out[0] if single else out, **options)
    for got, target, want in zip(several(found), out, several(expected), strict=True):
        assert got is target
        assert_close(got, want, rtol=1e-13, atol=1e-300)
