"""What a tensor is made of."""

import numpy as np
import pytest

from tensorweaver.backends import use_backend
from tensorweaver.errors import DTypeError, ShapeError
from tensorweaver.tensor import Tensor
from tests.helpers.arrays import library_of
from tests.helpers.compare import assert_close


def test_an_array_is_wrapped_without_a_copy(to_array, backend):
    array = to_array([1.0, 2.0])
    tensor = Tensor(array)
    assert tensor.data is array
    assert tensor.backend == backend
    assert Tensor(tensor).data is array
    assert tensor.shape == (2,)
    assert (tensor.ndim, tensor.size, tensor.dtype) == (1, 2, array.dtype)


def test_a_tensor_of_a_tensor_is_a_new_leaf(to_array):
    x = Tensor(to_array([1.0, 2.0]), requires_grad=True)
    leaf = Tensor(x * 3.0, requires_grad=True)
    assert not Tensor(x).requires_grad
    (leaf * 2.0).sum().backward()
    assert_close(leaf.grad, [2.0, 2.0], like=x.data)
    assert x.grad is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_casting_stays_on_the_tape(dtype, to_array, backend):
    if (backend, dtype) == ("strict", "bfloat16"):
        pytest.skip("the standard has no half precision")
    x = Tensor(to_array([1.0, 2.0]), requires_grad=True)
    cast = x.astype(dtype)
    assert cast.requires_grad
    assert not x.astype("int32").requires_grad
    (cast.astype("float64") * 2.0).sum().backward()
    assert_close(x.grad, [2.0, 2.0], like=x.data)


def test_lists_follow_the_default_backend(backend):
    with use_backend(backend):
        tensor = Tensor([[1.0, 2.0]])
    assert library_of(tensor.data) == backend
    assert Tensor([1.0], backend=backend).backend == backend


def test_arrays_move_where_backend_says(backend):
    tensor = Tensor(np.array([1.0, 2.0]), backend=backend)
    assert library_of(tensor.data) == backend
    assert_close(tensor.numpy(), np.array([1.0, 2.0]))


def test_dtypes_by_name_lose_nothing(backend):
    tensor = Tensor([0.1], backend=backend, dtype="float64")
    assert tensor.item() == 0.1
    assert Tensor([1, 2], backend=backend, dtype="float32").tolist() == [1.0, 2.0]


def test_refusals():
    with pytest.raises(ShapeError, match="ragged"):
        Tensor([[1.0], [1.0, 2.0]])
    with pytest.raises(DTypeError, match="str"):
        Tensor("abc")


def test_devices_are_kept():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    x = Tensor([1.0, 2.0], backend="strict", device=device, requires_grad=True)
    assert x.device == device
    (x[0] * x.sigmoid() + x.take([0, 0])).sum().backward()
    assert x.grad.device == device


def test_dask_computes_nothing_until_asked():
    array = pytest.importorskip("dask.array")
    touched = []

    def block(values):
        touched.append(values.shape)
        return values

    lazy = array.ones((4, 3), chunks=(2, 3)).map_blocks(block, dtype=float, meta=np.ones((0, 0)))
    x = Tensor(lazy, requires_grad=True)
    y = (x.softmax(axis=-1) * x.T.mT + x[1:2] @ x.T @ x).sum()
    y.backward()
    repr(y)
    assert touched == []
    assert np.isfinite(y.item())
    assert touched
