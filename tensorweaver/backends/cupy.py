"""CuPy: NumPy on CUDA, which may be installed where there is no GPU."""

from typing import Any

import numpy as np

from tensorweaver.backends.backend import Array, Backend
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
