"""CuPy: NumPy on CUDA, which may be installed where there is no GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorweaver.backends.backend import LIBRARY_OF, Array, Backend
from tensorweaver.backends.cupy_launcher import LAUNCHER, CuPyLauncher
from tensorweaver.backends.importing import installed, load

__all__ = ["CuPyBackend"]


class CuPyBackend(Backend):
    """Transfers to and from the host happen only where a method here says so."""

    name = "cupy"
    label = "CuPy"
    package = "cupy"
    extra = 'pip install "tensorweaver[cuda13]" (or "tensorweaver[cuda12]" for CUDA 12)'
    namespace_path = "array_api_compat.cupy"
    array_classes = (("cupy", "ndarray"),)
    engine = "cuda"
    takes_dlpack = True

    def launcher(self) -> CuPyLauncher:
        """CuPy's compiler, memory pool and current stream."""
        return LAUNCHER

    def constant(self, value: float, dtype: str, device: Any) -> Any:
        """A NumPy scalar of the dtype: it travels with the launch, not by a copy."""
        return np.dtype(dtype).type(value)

    def has_numbers(self, array: Array) -> bool:
        """The GPU has them."""
        return True

    def unavailable(self) -> str | None:
        """Imports CuPy where it is installed: only its CUDA runtime knows of GPUs."""
        if not installed(self.package):
            return super().unavailable()
        remedy = 'check that nvidia-smi lists a GPU, or compute on the CPU with backend="numpy"'
        try:
            count = load("cupy").cuda.runtime.getDeviceCount()
        except ImportError as error:
            return f"CuPy is installed but cannot be imported: {error}; reinstall it: {self.extra}"
        except Exception as error:  # noqa: BLE001 - CUDA's errors are CuPy's; never crash
            found = str(error)
        else:
            if count > 0:
                return None
            found = "CUDA counts 0 devices"
        return f"CuPy is installed but no CUDA GPU (or driver) was found: {found}; {remedy}"

    def device_key(self, array: Array) -> Any:
        """Its number: CuPy's devices do not hash."""
        return array.device.id

    def move(self, array: Array, device: Any) -> Array:
        """CuPy copies to the device that is current."""
        cupy = load("cupy")
        with cupy.cuda.Device(getattr(device, "id", device)):
            return cupy.asarray(array)

    def shared(self, value: Array) -> Array | None:
        """bfloat16 as bits: CuPy's versions differ in whether DLPack may bring it."""
        source = LIBRARY_OF[type(value)]
        if source is None or source.dtype_name(value.dtype) != "bfloat16":
            return super().shared(value)
        dtype = self.own_dtype("bfloat16")
        bits = source.bits(source.released(value))
        received = None if bits is None else self.taken(bits)
        return None if received is None else received.view(dtype)

    def bits(self, array: Array) -> Array:
        """A view."""
        return array.view(np.int16)

    def as_target(self, value: Any) -> Any:
        """An array whose library goes on with it on the current stream, as inside `beside`."""
        source = LIBRARY_OF[type(value)]
        place = None if source is None or source is self else source.stream(value)
        if place is None:
            return value
        cuda = load("cupy").cuda
        if place != (cuda.get_current_stream().ptr, cuda.runtime.getDevice()):
            return value
        shared = self.shared(value)
        return value if shared is None else shared

    @contextmanager
    def beside(self, values: Sequence[Any]) -> Iterator[None]:
        """Inside, the current stream is that of the first array that another library has on a GPU.

        So that library's work before the call and after it is ordered with the call's, and it may
        use the memory again. What CuPy did before on its own stream comes first, and what it does
        after it comes last.
        """
        sources = ((LIBRARY_OF[type(value)], value) for value in values)
        streams = (source.stream(value) for source, value in sources if source is not None)
        found = next(filter(None, streams), None)
        if found is None or self.unavailable() is not None:  # which the call itself will say
            yield
            return
        number, device = found
        cuda = load("cupy").cuda
        with cuda.Device(device):
            own = cuda.get_current_stream()
            if own.ptr == number:
                yield
                return
            stream = cuda.ExternalStream(number, device) if number else cuda.Stream.null
            stream.wait_event(own.record())
            try:
                with stream:
                    yield
            finally:
                own.wait_event(stream.record())

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """CuPy refuses `np.asarray`, lest a transfer go unnoticed: this is the noticed one."""
        return np.asarray(array.get())

    def wait(self, array: Array) -> None:
        """All that was queued on the array's device, on the stream in use."""
        with array.device:
            load("cupy").cuda.get_current_stream().synchronize()

    def concrete(self, array: Array) -> bool:
        """Looking would wait for the GPU."""
        return False
