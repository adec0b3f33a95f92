"""PyTorch's tensors on a GPU for CuPy, told by stand-ins: in what order, and in whose memory.

Not seen here: whether CUDA keeps the order, and whether the memory is really the same.
"""

import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
import tensorweaver.backends.backend as backend_file
import tensorweaver.backends.cupy as cupy_file
import tensorweaver.backends.torch as torch_file
from tensorweaver.backends import BACKENDS
from tests.helpers.arrays import numpy_bfloat16
from tests.helpers.cuda_engine import Launcher


class FakeTensor:
    """A tensor on the first GPU; its numbers are NumPy's, bfloat16 by ml_dtypes."""

    def __init__(self, host, kind="cuda"):
        self.host, self.device = host, SimpleNamespace(type=kind, index=0)
        self.shape, self.ndim = host.shape, host.ndim
        self.dtype = f"torch.{host.dtype.name}"

    def detach(self):
        return FakeTensor(self.host, self.device.type)

    def view(self, dtype):
        return FakeTensor(self.host.view(dtype), self.device.type)


class FakeArray(np.ndarray):
    """CuPy's array."""

    device: Any = SimpleNamespace(id=0)


def torch_from_dlpack(array):
    """What PyTorch takes: none of ml_dtypes' numbers."""
    if array.dtype.name == "bfloat16":
        raise BufferError("unsupported dtype")
    return FakeTensor(array.view(np.ndarray))


class FakeStream:
    def __init__(self, ptr, events):
        self.ptr, self.events = ptr, events

    def record(self):
        self.events.append(f"{self.ptr} records")
        return self.ptr

    def wait_event(self, event):
        self.events.append(f"{self.ptr} waits for {event}")


class Libraries:
    """CuPy and PyTorch, each on a stream of its own."""

    def __init__(self, torch_stream=7, cupy_stream=0):
        self.events: list[str] = []
        self.torch_stream = torch_stream
        self.current = FakeStream(cupy_stream, self.events)

    @contextmanager
    def entered(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def cupy(self):
        @contextmanager
        def device(number):
            yield

        libraries = self

        class ExternalStream(FakeStream):
            def __init__(self, ptr, device):
                super().__init__(ptr, libraries.events)

            def __enter__(self):
                self.context = libraries.entered(self)
                self.context.__enter__()

            def __exit__(self, *reason):
                return self.context.__exit__(*reason)

        def from_dlpack(tensor):
            if tensor.host.dtype.name == "bfloat16":
                raise NotImplementedError("CuPy does not support bfloat16 yet")
            self.events.append(f"exchange on {self.current.ptr}")
            return tensor.host.view(FakeArray)

        cuda = SimpleNamespace(
            Device=device,
            ExternalStream=ExternalStream,
            Stream=SimpleNamespace(null=ExternalStream(0, 0)),
            get_current_stream=lambda: self.current,
            runtime=SimpleNamespace(getDevice=lambda: 0, getDeviceCount=lambda: 1),
        )
        return SimpleNamespace(
            ndarray=FakeArray,
            cuda=cuda,
            from_dlpack=from_dlpack,
            reshape=np.reshape,
            empty_like=np.empty_like,
        )


class NotingLauncher(Launcher):
    """Runs kernels on the CPU, and notes the stream that is current."""

    def __init__(self, libraries):
        super().__init__()
        self.libraries = libraries

    def empty(self, shape, dtype):
        return super().empty(shape, dtype).view(FakeArray)

    @contextmanager
    def at(self, device):
        self.libraries.events.append(f"kernel on {self.libraries.current.ptr}")
        yield


@pytest.fixture
def libraries(monkeypatch):
    found = Libraries()
    cupy = found.cupy()
    stream = SimpleNamespace(cuda_stream=0)
    torch = SimpleNamespace(
        Tensor=FakeTensor,
        int16=np.dtype(np.int16),
        bfloat16=numpy_bfloat16(),
        from_dlpack=torch_from_dlpack,
        cuda=SimpleNamespace(current_stream=lambda device: stream),
    )
    stream.cuda_stream = found.torch_stream
    known = {
        "cupy": cupy,
        "array_api_compat.cupy": cupy,
        "torch": torch,
        "array_api_compat.torch": torch,
    }
    known["ml_dtypes"] = SimpleNamespace(bfloat16=numpy_bfloat16())
    for file in (backend_file, cupy_file, torch_file):
        monkeypatch.setattr(file, "load", known.__getitem__)
    monkeypatch.setattr(torch_file, "holds_numbers", lambda array: True)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "torch", torch)
    launcher = NotingLauncher(found)
    monkeypatch.setattr(BACKENDS["cupy"], "launcher", lambda: launcher, raising=False)
    monkeypatch.setattr(BACKENDS["cupy"], "unavailable", lambda: None, raising=False)
    backend_file.LIBRARY_OF.clear()
    backend_file.LIBRARY_OF[FakeArray] = BACKENDS["cupy"]  # not NumPy's, whose class it extends
    yield found
    backend_file.LIBRARY_OF.clear()
    tw.mse_loss.forget()


def tensors(dtype="float32"):
    target = numpy_bfloat16() if dtype == "bfloat16" else np.dtype(dtype)
    return [FakeTensor(np.asarray(row, target)) for row in ([1.0, 2.0, 4.0], [1.0, 1.0, 1.0])]


ORDERED = [
    "0 records",
    "7 waits for 0",
    "exchange on 7",
    "exchange on 7",
    "kernel on 7",
    "7 records",
    "0 waits for 7",
]


def test_a_kernel_runs_on_pytorchs_stream_and_cupys_goes_on_behind_it(libraries):
    value = tw.mse_loss(*tensors(), backend="cupy")
    assert float(value) == pytest.approx(10 / 3)
    assert libraries.events == ORDERED


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_comes_back_in_a_tensor_that_is_given(libraries, dtype):
    predictions, targets = tensors(dtype)
    out = predictions.detach()
    out.host = np.zeros_like(out.host)
    _, gradient = tw.mse_loss.value_and_grad(predictions, targets, backend="cupy", out=out)
    assert gradient is out
    expected = np.asarray([0.0, 2 / 3, 2.0], np.float32).astype(out.host.dtype)
    np.testing.assert_array_equal(out.host, expected)
    assert libraries.events[2:6] == ["exchange on 7"] * 3 + ["kernel on 7"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gradient_becomes_a_tensor_in_the_same_memory(libraries, dtype):
    gradient = tw.mse_loss.grad(*tensors(dtype), backend="cupy")
    assert isinstance(gradient, FakeArray)
    tensor = tw.get_backend("torch").asarray(gradient)
    assert isinstance(tensor, FakeTensor)
    assert tensor.dtype == f"torch.{dtype}"
    assert np.shares_memory(tensor.host, gradient)


def test_the_gradient_may_replace_the_predictions(libraries):
    predictions, targets = tensors()
    found = tw.mse_loss.grad(predictions, targets, backend="cupy", out=predictions)
    assert found is predictions
    np.testing.assert_allclose(predictions.host, [0, 2 / 3, 2], rtol=1e-6)


def test_the_streams_are_put_in_order_where_a_call_fails(libraries):
    with pytest.raises(tw.ArgumentError, match="reduction must be"):
        tw.mse_loss(*tensors(), backend="cupy", reduction="all")
    assert libraries.events[-2:] == ["7 records", "0 waits for 7"]
    assert libraries.current.ptr == 0


def test_one_stream_for_both_needs_no_events(libraries):
    libraries.current = FakeStream(7, libraries.events)
    tw.mse_loss(*tensors(), backend="cupy")
    assert libraries.events == ["exchange on 7", "exchange on 7", "kernel on 7"]


def test_a_tensor_on_another_stream_is_no_target_without_backend(libraries):
    arrays = [tensor.host.view(FakeArray) for tensor in tensors()]
    with pytest.raises(tw.DTypeError, match="out must be a cupy array, got FakeTensor"):
        tw.mse_loss.grad(*arrays, out=tensors()[0])


def test_tensors_of_the_host_have_no_stream(libraries):
    assert BACKENDS["torch"].stream(FakeTensor(np.zeros(1), "cpu")) is None
    with BACKENDS["cupy"].beside([FakeTensor(np.zeros(1), "cpu"), np.zeros(1), None]):
        assert libraries.current.ptr == 0
    assert libraries.events == []
