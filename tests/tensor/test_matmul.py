"""The matrix product of every pair of ranks, against PyTorch."""

import numpy as np
import pytest

from tensorweaver.tensor import Tensor
from tests.helpers.compare import assert_close

SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((6, 1, 3, 4), (2, 4, 5)),
    ((0, 4), (4, 5)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_value_and_gradients(left, right, rng, to_array):
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=left), rng.normal(size=right)]
    tensors = [Tensor(to_array(array), requires_grad=True) for array in arrays]
    peers = [torch.tensor(array, requires_grad=True) for array in arrays]
    out, truth = tensors[0] @ tensors[1], peers[0] @ peers[1]
    seed = rng.normal(size=truth.shape)
    truth.backward(torch.tensor(seed))
    out.backward(to_array(seed))
    assert_close(out.data, truth.detach().numpy(), like=tensors[0].data, rtol=1e-12, atol=1e-13)
    for tensor, peer in zip(tensors, peers, strict=True):
        assert_close(tensor.grad, peer.grad.numpy(), like=tensor.data, rtol=1e-12, atol=1e-13)


def test_an_array_on_the_left(backend, to_array, rng):
    left, right = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    if backend == "strict":
        pytest.skip("array-api-strict refuses what it does not know, on either side")
    got = to_array(left) @ Tensor(to_array(right))
    assert isinstance(got, Tensor)
    assert_close(got.data, (left @ right).tolist(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("left", "right", "axes"),
    [
        ((2, 3, 4), (3, 4, 5), 2),
        ((2, 3), (4, 5), 0),
        ((2, 3, 4), (4, 2, 5), ((0, 2), (1, 0))),
        ((3,), (3,), 1),
        ((2, 3), (5, 3), ((-1,), (-1,))),
    ],
)
def test_tensordot(left, right, axes, rng):
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=left), rng.normal(size=right)]
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    peers = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = tensors[0].__array_namespace__().tensordot(*tensors, axes=axes)
    truth = torch.tensordot(*peers, dims=axes)
    assert_close(out.data, truth.detach().numpy(), rtol=1e-12, atol=1e-13)
    (out * out).sum().backward()
    (truth * truth).sum().backward()
    for tensor, peer in zip(tensors, peers, strict=True):
        assert_close(tensor.grad, peer.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_tensordot_refuses_lengths_that_differ():
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 3\) differ along axes"):
        x.__array_namespace__().tensordot(x, x, axes=1)


def test_vecdot(rng):
    x, y = (Tensor(rng.normal(size=(3, 4)), requires_grad=True) for _ in range(2))
    out = x.__array_namespace__().vecdot(x, y, axis=0)
    assert_close(out.data, (x.data * y.data).sum(axis=0))
    out.sum().backward()
    assert_close(x.grad, y.data)


def test_transposes():
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    assert x.T.shape == (3, 2)
    (x.T * Tensor(np.arange(6.0).reshape(3, 2))).sum().backward()
    assert_close(x.grad, np.arange(6.0).reshape(3, 2).T)
    vector, number = Tensor([1.0, 2.0]), Tensor(1.0)
    assert vector.T is vector
    assert number.T is number
    cube = Tensor(np.ones((2, 3, 4)))
    assert cube.mT.shape == (2, 4, 3)
    with pytest.raises(ValueError, match=r"\.mT"):
        _ = cube.T
