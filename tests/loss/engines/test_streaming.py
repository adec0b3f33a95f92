"""Results too large for the caches are written past them, with the same bits."""

import numpy as np
import pytest

import tensorweaver as tw

pytest.importorskip("llvmlite")

from tensorweaver.compiler.llvm import engine as llvm  # after the library is known to be there
from tensorweaver.compiler.llvm.kernels import Arrangement

LARGE_ROWS = llvm.FEW_ENDS + 3


@pytest.fixture
def streams(monkeypatch):
    """Stream results of whatever size, and note for each call whether it was done."""
    tw.set_engine("llvm")
    found: list[bool] = []
    original = llvm.LLVMKernel.streams

    def noted(self, *arguments):
        found.append(original(self, *arguments))
        return found[-1]

    monkeypatch.setattr(llvm, "STREAMED_FROM", 0)
    monkeypatch.setattr(llvm.LLVMKernel, "streams", noted)
    yield found
    tw.set_engine(None)


def at_offset(shape, dtype, offset):
    """An array that begins `offset` bytes behind a border of a line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start : start + size].view(dtype).reshape(shape)


def expected(call, monkeypatch):
    """What the same call gives when nothing is streamed."""
    with monkeypatch.context() as patch:
        patch.setattr(llvm, "STREAMED_FROM", 1 << 60)
        return call()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 4096, 100_003, 1_000_000])
def test_elements(count, dtype, rng, streams, monkeypatch):
    x, t = (rng.standard_normal(count).astype(dtype) for _ in range(2))
    for offset in (0, 16, 48):
        out = at_offset((count,), dtype, offset)

        def call(out=out):
            out[...] = -1
            value, gradient = tw.huber_loss.value_and_grad(x, t, out=out)
            return value, gradient.copy()

        value, gradient = expected(call, monkeypatch)
        streams.clear()
        assert call()[0] == value
        np.testing.assert_array_equal(out, gradient)
        assert streams == [True]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(40, 128), (7, 2048), (3, LARGE_ROWS + 1), (2, 1 << 17)])
def test_rows(shape, dtype, rng, streams, monkeypatch):
    x = rng.standard_normal(shape).astype(dtype)
    labels = rng.integers(0, shape[1], shape[0])
    value, gradient = expected(lambda: tw.cross_entropy_loss.value_and_grad(x, labels), monkeypatch)
    streams.clear()
    found = tw.cross_entropy_loss.value_and_grad(x, labels, out=at_offset(shape, dtype, 16))
    assert found[0] == value
    np.testing.assert_array_equal(found[1], gradient)
    assert streams == [True]


def test_what_is_not_streamed(rng, streams):
    x, t = (rng.standard_normal(5000).astype("float32") for _ in range(2))
    wanted = (x - t) * np.float32(2) / np.float32(5000)

    def agrees(gradient):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6)
        return streams.pop()

    assert agrees(tw.mse_loss.grad(x, t, out=at_offset((5000,), "float32", 0)))
    assert not agrees(tw.mse_loss.grad(x, t, out=at_offset((5000,), "float32", 4))), "no border"
    in_place = at_offset((5000,), "float32", 0)
    in_place[...] = x
    assert not agrees(tw.mse_loss.grad(in_place, t, out=in_place)), "it is an input"


@pytest.mark.parametrize("classes", [100, LARGE_ROWS])
def test_rows_that_end_within_a_vector_or_off_a_border_are_not_streamed(classes, rng, streams):
    x = rng.standard_normal((8, classes)).astype("float32")
    tw.cross_entropy_loss.grad(x, np.zeros(8, int))
    assert streams == [False]


def test_the_text_says_so():
    loss = tw.mse_loss.source("llvm")
    assert "nontemporal" not in loss
    assert "fence" not in loss
    # A kernel that streams says when its writes are there for all.
    kernel = llvm.LLVMKernel(*parts(), rowwise=False)
    text = kernel.writer(1, Arrangement(streamed=True)).write()
    assert text.count("!nontemporal !0") == 1
    assert text.index("fence seq_cst") < text.index("ret void")


def parts():
    """A graph, its outputs and its dtype: the value and gradient of the squared error."""
    from tensorweaver.compiler.compile import gradient_graph, prepare, trace_formula
    from tensorweaver.compiler.graph import Level, input_node
    from tensorweaver.compiler.schedule import Output

    inputs = [input_node(name, Level.ELEMENT) for name in ("x", "y")]
    graph = prepare(gradient_graph(trace_formula(lambda x, y: (x - y) ** 2, inputs), inputs[:1]))
    return graph, (Output(Level.SCALAR, total=True), Output(Level.ELEMENT)), "float32"
