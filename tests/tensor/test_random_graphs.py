"""Random expressions: the tape against torch.autograd and jax.grad."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorweaver.tensor import Tensor
from tests.helpers.compare import assert_close

UNARY = ("sin", "cos", "tanh", "atan", "asinh", "square", "negative")
BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "hypot", "logaddexp")
REDUCTIONS = ("sum", "mean", "max", "min", "var")

STEPS = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(UNARY), st.integers(0, 20)),
    st.tuples(st.just("binary"), st.sampled_from(BINARY), st.integers(0, 20), st.integers(0, 20)),
    st.tuples(
        st.just("reduce"), st.sampled_from(REDUCTIONS), st.integers(0, 20), st.integers(-2, 1)
    ),
    st.tuples(st.just("divide"), st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.just("where"), st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.just("matmul"), st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.just("move"), st.sampled_from(("transpose", "flip", "roll")), st.integers(0, 20)),
    st.tuples(st.just("slice"), st.integers(0, 20), st.integers(0, 2)),
)


def matrix(xp, x, leaf):
    """`x` with its broadcast axes laid out."""
    return x + xp.zeros_like(leaf)


def evaluate(xp, program, leaves):
    """One number from an array-API program, whose every value is 3 × 3 or broadcasts to it."""
    pool = list(leaves)
    for kind, *rest in program:
        name = rest.pop(0) if kind in {"unary", "binary", "reduce", "move"} else kind
        x = pool[rest[0] % len(pool)]
        y = pool[rest[1] % len(pool)] if len(rest) > 1 else x
        if kind == "unary":
            out = getattr(xp, name)(x)
        elif kind == "binary":
            out = getattr(xp, name)(x, y)
        elif kind == "reduce":
            out = getattr(xp, name)(matrix(xp, x, leaves[0]), axis=rest[1], keepdims=True)
        elif kind == "divide":
            out = x / (2.0 + xp.square(y))
        elif kind == "where":
            out = xp.where(x > y, xp.sin(x), 0.5 * y)
        elif kind == "matmul":
            out = matrix(xp, x, leaves[0]) @ matrix(xp, y, leaves[0])
        elif kind == "slice":
            out = matrix(xp, x, leaves[0])[:, rest[1] : rest[1] + 1]
        else:
            full = matrix(xp, x, leaves[0])
            out = {
                "transpose": lambda full=full: xp.matrix_transpose(full),
                "flip": lambda full=full: xp.flip(full, axis=0),
                "roll": lambda full=full: xp.roll(full, 1, axis=1),
            }[name]()
        pool.append(xp.tanh(out))
    return xp.sum(sum(matrix(xp, x, leaves[0]) for x in pool[len(leaves) :]))


def hosts_of(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in ((3, 3), (1, 3), (3, 1))]


def by_tape(program, hosts):
    leaves = [Tensor(host, requires_grad=True) for host in hosts]
    value = evaluate(leaves[0].__array_namespace__(), program, leaves)
    value.backward()
    zero = [np.zeros(host.shape) for host in hosts]
    pairs = zip(leaves, zero, strict=True)
    return value.item(), [other if leaf.grad is None else leaf.grad for leaf, other in pairs]


@given(program=st.lists(STEPS, min_size=1, max_size=12), seed=st.integers(0, 2**16))
@settings(max_examples=150)
def test_against_torch(program, seed):
    torch = pytest.importorskip("torch")
    from array_api_compat import torch as xp

    hosts = hosts_of(seed)
    value, gradients = by_tape(program, hosts)
    leaves = [torch.tensor(host, requires_grad=True) for host in hosts]
    truth = evaluate(xp, program, leaves)
    truth.backward()
    assert value == pytest.approx(truth.item(), rel=1e-10, abs=1e-10)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        expected = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


@given(program=st.lists(STEPS, min_size=1, max_size=8), seed=st.integers(0, 2**16))
@settings(max_examples=15)  # JAX compiles each; PyTorch judges ten times as many
def test_against_jax(program, seed):
    jax = pytest.importorskip("jax")
    if not jax.config.jax_enable_x64:
        pytest.skip("JAX computes in 32 bits here")
    hosts = hosts_of(seed)
    value, gradients = by_tape(program, hosts)
    truth, expected = jax.value_and_grad(lambda leaves: evaluate(jax.numpy, program, leaves))(
        [jax.numpy.asarray(host) for host in hosts]
    )
    assert value == pytest.approx(float(truth), rel=1e-10, abs=1e-10)
    for gradient, right in zip(gradients, expected, strict=True):
        assert_close(gradient, np.asarray(right), rtol=1e-9, atol=1e-9)


@given(data=st.data())
@settings(max_examples=100)
def test_broadcasting_against_torch(data):
    torch = pytest.importorskip("torch")
    from hypothesis.extra.numpy import mutually_broadcastable_shapes

    shapes = data.draw(
        mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3)
    ).input_shapes
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    hosts = [rng.normal(size=shape) for shape in shapes]
    leaves = [Tensor(host, requires_grad=True) for host in hosts]
    peers = [torch.tensor(host, requires_grad=True) for host in hosts]
    for operands in (leaves, peers):
        x, y = operands
        ((x * y - y) / (2.0 + x * x)).sum().backward()
    for leaf, peer in zip(leaves, peers, strict=True):
        assert_close(leaf.grad, peer.grad.numpy(), rtol=1e-11, atol=1e-12)
