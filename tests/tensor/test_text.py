"""How tensors look."""

import numpy as np
import pytest

from tensorweaver.tensor import Tensor


def test_values_as_nested_lists(backend):
    x = Tensor([[10.0], [28.5]], backend=backend)
    assert str(x) == f"{x}" == "[[10.0], [28.5]]"
    if backend == "dask":
        assert repr(x) == "Tensor(shape=(2, 1), dtype=float64, backend=dask)"
    else:
        assert repr(x) == "Tensor([[10.0], [28.5]])"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_shortest_digits_of_their_own_dtype(dtype):
    pytest.importorskip("ml_dtypes")
    assert str(Tensor([0.1, 1e-3], dtype=dtype)) == "[0.1, 0.001]"


def test_other_kinds():
    assert str(Tensor(3)) == "3"
    assert str(Tensor([True, False])) == "[True, False]"
    assert str(Tensor([np.nan, -np.inf])) == "[nan, -inf]"
    assert str(Tensor(np.ones((0, 3)))) == "[]"
    assert repr(Tensor(1.0, requires_grad=True)) == "Tensor(1.0, requires_grad=True)"
    assert f"{Tensor(2.0):.3f}" == "2.000"


def test_large_tensors_are_shortened():
    text = str(Tensor(np.arange(1001.0)))
    assert text == "[0.0, 1.0, 2.0, ..., 998.0, 999.0, 1000.0]"
    table = str(Tensor(np.zeros((100, 100))))
    assert table.count("[") == 7
    assert table.count("...") == 7
    assert "..." not in str(Tensor(np.arange(1000.0)))


def test_what_jax_traces_is_shown_by_its_shape():
    jax = pytest.importorskip("jax")
    seen = []

    def show(x):
        seen.append(repr(Tensor(x)))
        return x

    jax.jit(show)(jax.numpy.ones((2, 3)))
    assert seen[0].startswith("Tensor(shape=(2, 3)")
