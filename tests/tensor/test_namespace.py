"""The array API for tensors."""

import numpy as np
import pytest

from tensorweaver.backends import array_namespace
from tensorweaver.errors import ArgumentError
from tensorweaver.primitives import VOCABULARY
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.methods import METHODS
from tests.helpers.compare import assert_close


@pytest.fixture
def x():
    return Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)


def test_formulas_ask_tensors_for_their_namespace(to_array):
    tensor = Tensor(to_array([1.0, 2.0]))
    xp = array_namespace(tensor, to_array([1.0, 2.0]))
    assert repr(xp) == f"<TensorNamespace {tensor.backend}>"
    assert_close(xp.exp(tensor).data, np.exp([1.0, 2.0]).tolist(), dtype="float64", ulp=2)
    assert xp.isdtype(tensor.dtype, "real floating")
    assert xp.result_type(tensor, xp.float32) == xp.float64


def test_creation(to_array):
    tensor = Tensor(to_array([[1.0, 2.0]]), requires_grad=True)
    xp = tensor.__array_namespace__()
    made = [
        (xp.zeros_like(tensor), [[0.0, 0.0]]),
        (xp.ones_like(tensor), [[1.0, 1.0]]),
        (xp.full_like(tensor, 3.0), [[3.0, 3.0]]),
        (xp.zeros((2,)), [0.0, 0.0]),
        (xp.ones((2,)), [1.0, 1.0]),
        (xp.full((2,), 7.0), [7.0, 7.0]),
        (xp.arange(3), [0, 1, 2]),
        (xp.asarray([1.0, 2.0]), [1.0, 2.0]),
        (xp.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        (xp.linspace(0.0, 1.0, 3), [0.0, 0.5, 1.0]),
    ]
    for got, values in made:
        assert isinstance(got, Tensor)
        assert got.backend == tensor.backend
        assert got.tolist() == values
        assert not got.requires_grad


def test_asarray_keeps_a_tensor(x):
    xp = x.__array_namespace__()
    assert xp.asarray(x) is x
    copied = xp.asarray(x, copy=True)
    assert copied is not x
    assert copied.requires_grad
    assert xp.asarray(x, dtype=xp.float32).dtype == np.float32


def test_astype_casts_the_gradient_back(x):
    y = x.astype("float32")
    assert y.dtype == np.float32
    y.sum().backward()
    assert_close(x.grad, np.ones((2, 3)))
    assert not x.astype("int64").requires_grad


@pytest.mark.parametrize("axis", [None, 0, (0, 1), -1])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std"])
def test_reductions(name, axis, to_array, rng):
    host = rng.normal(size=(3, 4))
    tensor = Tensor(to_array(host))
    truth = getattr(np, name)(host, axis=axis)
    xp = tensor.__array_namespace__()
    for got in (getattr(xp, name)(tensor, axis=axis), getattr(tensor, name)(axis)):
        assert_close(got.data, np.asarray(truth), like=tensor.data, rtol=1e-12, atol=1e-14)
    kept = getattr(xp, name)(tensor, axis=axis, keepdims=True)
    assert kept.ndim == 2


def test_reductions_without_derivative(x):
    assert x.argmax().item() == 5
    assert x.argmin(axis=1).tolist() == [0, 0]
    assert (x > 1).any(axis=0).tolist() == [True, True, True]
    assert not (x > 1).all()
    assert x.count_nonzero().item() == 5
    assert x.argsort(descending=True).tolist() == [[2, 1, 0], [2, 1, 0]]


@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("name", ["var", "std"])
def test_gradient_of_spread(name, correction, rng):
    torch = pytest.importorskip("torch")
    host = rng.normal(size=(3, 4))
    tensor, peer = Tensor(host, requires_grad=True), torch.tensor(host, requires_grad=True)
    getattr(tensor, name)(axis=1, correction=correction).sum().backward()
    getattr(torch, name)(peer, dim=1, correction=correction).sum().backward()
    assert_close(tensor.grad, peer.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_sums_in_another_dtype():
    small = Tensor(np.full(70_000, 1.0, np.float16), requires_grad=True)
    total = small.sum(dtype="float32")
    assert total.item() == 70_000.0
    total.backward()
    assert small.grad.dtype == np.float16


def gradient_and_truth(ours, theirs, *shapes, seed=0):
    """Gradients of the sum of squares of our function and of PyTorch's, on the same numbers."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    hosts = [rng.normal(size=shape) for shape in shapes]
    tensors = [Tensor(host, requires_grad=True) for host in hosts]
    peers = [torch.tensor(host, requires_grad=True) for host in hosts]
    out, truth = ours(tensors[0].__array_namespace__(), *tensors), theirs(torch, *peers)
    assert_close(out.data, truth.detach().numpy())
    (out * out).sum().backward()
    (truth * truth).sum().backward()
    for tensor, peer in zip(tensors, peers, strict=True):
        assert_close(tensor.grad, peer.grad.numpy())


def broadcast_beside(xp, a):
    return xp.broadcast_arrays(a, xp.ones((2, 1, 1)))[0]


@pytest.mark.parametrize(
    ("ours", "theirs", "shapes"),
    [
        (lambda xp, a, b: xp.concat([a, b], axis=1), lambda t, a, b: t.cat([a, b], 1), 2),
        (lambda xp, a, b: xp.concat([a, b], axis=None), lambda t, a, b: t.cat([a, b]).ravel(), 2),
        (lambda xp, a, b: xp.stack([a, b, a], axis=-1), lambda t, a, b: t.stack([a, b, a], -1), 2),
        (lambda xp, a: xp.unstack(a, axis=1)[2], lambda t, a: a[:, 2], 1),
        (lambda xp, a: xp.diff(a, axis=0), lambda t, a: t.diff(a, dim=0), 1),
        (lambda xp, a: xp.diff(a, n=2), lambda t, a: t.diff(a, n=2), 1),
        (lambda xp, a: xp.tile(a, (2, 1)), lambda t, a: t.tile(a, (2, 1)), 1),
        (lambda xp, a: xp.repeat(a, 2, axis=0), lambda t, a: t.repeat_interleave(a, 2, 0), 1),
        (lambda xp, a: xp.moveaxis(a, 0, -1), lambda t, a: t.moveaxis(a, 0, -1), 1),
        (lambda xp, a: xp.moveaxis(a, (0, 1), (1, 0)), lambda t, a: a.T, 1),
        (lambda xp, a: xp.clip(a, -0.5, 0.5), lambda t, a: t.clip(a, -0.5, 0.5), 1),
        (lambda xp, a: xp.clip(a, max=0.1), lambda t, a: t.clip(a, max=0.1), 1),
        (lambda xp, a: xp.sort(a, axis=0, descending=True), lambda t, a: a.sort(0, True)[0], 1),
        (lambda xp, a: xp.flip(a), lambda t, a: t.flip(a, (0, 1)), 1),
        (lambda xp, a, b: xp.where(a > 0, a, b), lambda t, a, b: t.where(a > 0, a, b), 2),
        (lambda xp, a: xp.where(a > 0, 2.0, a), lambda t, a: t.where(a > 0, 2.0, a), 1),
        (lambda xp, a: xp.maximum(0.0, a), lambda t, a: t.relu(a), 1),
        (lambda xp, a: a.squeeze().expand_dims(axis=1), lambda t, a: a[:, None], 1),
        (broadcast_beside, lambda t, a: a.expand(2, 3, 4), 1),
    ],
)  # fmt: skip
def test_joining_and_moving(ours, theirs, shapes):
    gradient_and_truth(ours, theirs, *[(3, 4)] * shapes)


def test_every_method_is_the_function_of_its_name(x):
    assert len(METHODS) == len(set(METHODS))
    xp = x.__array_namespace__()
    for name in METHODS:
        assert callable(getattr(x, name)), name
        assert callable(getattr(xp, name)), name
    for name in ("exp", "log1p", "tanh", "sigmoid", "softplus", "isnan", "square"):
        assert_close(getattr(x, name)().data, getattr(xp, name)(x).data)
        assert name in dir(x)
    assert x.maximum(2.0).tolist() == [[2.0, 2.0, 2.0], [3.0, 4.0, 5.0]]
    assert x.softmax(axis=0).sum(0).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_shape_methods(x):
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == (3, 2)
    assert x.reshape(-1).shape == x.flatten().shape == (6,)
    assert x.permute_dims(1, 0).shape == x.transpose().shape == x.transpose((1, 0)).shape == (3, 2)
    assert x.reshape(1, 2, 1, 3).squeeze().shape == (2, 3)
    assert x.reshape(1, 2, 1, 3).squeeze(0).shape == (2, 1, 3)


def test_unknown_names_suggest_another(x):
    xp = x.__array_namespace__()
    with pytest.raises(AttributeError, match="did you mean log_softmax"):
        _ = xp.log_sofmax
    with pytest.raises(AttributeError, match=r"xp\.einsum"):
        _ = xp.einsum
    with pytest.raises(AttributeError):
        _ = x.sigmod


def test_options_are_checked(x):
    xp = x.__array_namespace__()
    with pytest.raises(ArgumentError, match="mean does not take dims; its options: axis, keepdims"):
        xp.mean(x, dims=1)
    with pytest.raises(ArgumentError, match="add takes 2 arrays, got 1"):
        xp.add(x)
    with pytest.raises(ArgumentError, match="too many"):
        xp.exp(x, x)


def test_functions_without_a_rule_say_so(x):
    xp = x.__array_namespace__()
    with pytest.raises(ArgumentError, match=r"cumulative_prod has no derivative rule.*detach"):
        xp.cumulative_prod(x, axis=1)
    assert xp.cumulative_prod(x.detach(), axis=1).tolist() == [[0.0, 0.0, 0.0], [3.0, 12.0, 60.0]]


def test_the_namespace_lists_the_vocabulary(x):
    assert set(VOCABULARY) <= set(dir(x.__array_namespace__()))


def test_grouped_results(x):
    xp = x.__array_namespace__()
    values, counts = xp.unique_counts(xp.asarray([1.0, 1.0, 2.0]))
    assert (values.tolist(), counts.tolist()) == ([1.0, 2.0], [2, 1])
