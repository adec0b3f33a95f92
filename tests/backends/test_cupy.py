"""CuPy without a GPU: stand-ins made of NumPy, and what is said of missing hardware."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tensorweaver.backends.backend as backend_file
import tensorweaver.backends.cupy as cupy_file
from tensorweaver.backends import BACKENDS, available_backends, get_backend
from tensorweaver.errors import BackendUnavailableError

VALUES = np.asarray([[1.5, -2.0, 0.25], [0.0, 8.0, -0.5]], dtype=np.float32)


def check(lib, array, expected, dtype):
    """`array` belongs to `lib` and has that dtype and those values, shape included."""
    assert lib.owns(type(array))
    assert lib.dtype_name(array.dtype) == dtype
    np.testing.assert_array_equal(lib.to_numpy(array), expected, strict=True)


# ---------------------------------------------------------------------------------- hardware
def fake_cupy(monkeypatch, count):
    """A CuPy whose CUDA runtime answers as told."""
    runtime = SimpleNamespace(getDeviceCount=count)
    module = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(cupy_file, "load", {"cupy": module}.__getitem__)


def refuse(error):
    def count():
        raise error

    return count


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (
            refuse(RuntimeError("cudaErrorInsufficientDriver: too old")),
            "cudaErrorInsufficientDriver",
        ),
        (refuse(OSError("libcuda.so.1: cannot open")), "libcuda.so.1"),
        (lambda: 0, "CUDA counts 0 devices"),
    ],
)
def test_cupy_without_a_gpu_is_told_from_no_cupy(monkeypatch, count, found):
    fake_cupy(monkeypatch, count)
    reason = str(BACKENDS["cupy"].unavailable())
    assert reason.startswith("CuPy is installed but no CUDA GPU (or driver) was found: ")
    assert found in reason
    assert "not installed" not in reason
    with pytest.raises(BackendUnavailableError, match=found):
        get_backend("cupy")
    assert "cupy" not in available_backends()


def test_cupy_with_a_gpu_is_available(monkeypatch):
    fake_cupy(monkeypatch, lambda: 1)
    assert get_backend("cupy") is BACKENDS["cupy"]
    assert "cupy" in available_backends()


def test_cupy_that_cannot_be_imported_says_so(monkeypatch):
    fake_cupy(monkeypatch, lambda: 1)

    def broken(path):
        raise ImportError(f"{path}: libnvrtc.so missing")

    monkeypatch.setattr(cupy_file, "load", broken)
    reason = str(BACKENDS["cupy"].unavailable())
    assert "cannot be imported: cupy: libnvrtc.so missing" in reason


# ---------------------------------------------------------------------------------- transfers
class FakeCuPyArray:
    """Refuses what a real one refuses, and notes the transfers."""

    def __init__(self, host, device=0):
        self.host, self.device = np.asarray(host), FakeDevice(device)
        self.dtype, self.ndim, self.gets = self.host.dtype, self.host.ndim, 0

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def get(self):
        self.gets += 1
        return self.host


class FakeDevice:
    current = 0

    def __init__(self, number):
        self.id = number

    def __eq__(self, other):
        return self.id == other.id

    def __hash__(self):
        return hash(self.id)

    def __enter__(self):
        self.previous, FakeDevice.current = FakeDevice.current, self.id

    def __exit__(self, *reason):
        FakeDevice.current = self.previous


@pytest.fixture
def cupy(monkeypatch):
    """A CuPy made of NumPy, with two devices."""

    def asarray(value):
        host = value.host if isinstance(value, FakeCuPyArray) else value
        return FakeCuPyArray(host, FakeDevice.current)

    synchronised = []

    def astype(array, dtype):
        return FakeCuPyArray(array.host.astype(dtype), array.device.id)

    stream = SimpleNamespace(synchronize=lambda: synchronised.append(FakeDevice.current))
    module = SimpleNamespace(
        ndarray=FakeCuPyArray,
        asarray=asarray,
        astype=astype,
        cuda=SimpleNamespace(Device=FakeDevice, get_current_stream=lambda: stream),
        synchronised=synchronised,
    )
    monkeypatch.setitem(sys.modules, "cupy", module)
    for file in (cupy_file, backend_file):
        monkeypatch.setattr(file, "load", lambda _: module)
    return module


def test_cupy_transfers_only_when_asked(cupy):
    lib = BACKENDS["cupy"]
    array = lib.asarray(VALUES)
    assert type(array) is FakeCuPyArray
    assert lib.asarray(array) is array
    assert not lib.concrete(array)
    assert array.gets == 0
    host = BACKENDS["numpy"].asarray(array)
    assert array.gets == 1
    np.testing.assert_array_equal(host, VALUES, strict=True)


def test_cupy_moves_casts_and_waits_on_the_arrays_device(cupy):
    lib = BACKENDS["cupy"]
    moved = lib.asarray(VALUES, "float64", FakeDevice(1))
    assert lib.device(moved) == FakeDevice(1)
    check(lib, moved, VALUES.astype(np.float64), "float64")
    lib.wait(moved)
    assert cupy.synchronised == [1]
    assert FakeDevice.current == 0
