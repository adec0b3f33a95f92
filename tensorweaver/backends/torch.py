"""PyTorch: its own dtypes, several devices, and wrappers that only look like tensors of numbers."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorweaver.backends.backend import LIBRARY_OF, Array, Backend
from tensorweaver.backends.execution import Derivatives
from tensorweaver.backends.importing import installed, load
from tensorweaver.backends.torch_derivatives import with_derivatives
from tensorweaver.errors import BackendError

__all__ = ["TorchBackend"]


class TorchBackend(Backend):
    """Gradients are recorded as long as an array stays in PyTorch, and cut where it leaves."""

    name = "torch"
    label = "PyTorch"
    package = "torch"
    extra = "pip install torch"
    namespace_path = "array_api_compat.torch"
    array_classes = (("torch", "Tensor"),)
    takes_dlpack = True
    differentiates = True

    def functions(self, axis: int) -> dict[str, Callable[..., Any]]:
        """The compatibility layer's `sign` writes into its result: `torch.func.vmap` refuses."""
        return {"sign": sign}

    def constant(self, value: float, dtype: str, device: Any) -> Array:
        """Made outside of any `torch.func` transform: it is kept, and outlives the transform."""
        with load("torch")._C._DisableFuncTorch():  # noqa: SLF001 - there is no public name for it
            return super().constant(value, dtype, device)

    def has_numbers(self, array: Array) -> bool:
        """On whatever device they are."""
        return holds_numbers(array)

    def write(self, target: Array, values: Array) -> None:
        """Off the tape: what is written is a result."""
        with load("torch").no_grad():
            target.copy_(values)

    def writable_copy(self, array: Array) -> Array:
        """A clone stays on the tape, where `asarray` warns."""
        return array.clone(memory_format=load("torch").contiguous_format)

    def with_derivatives(
        self, value: Callable[..., Any], derivatives: Derivatives
    ) -> Callable[..., Any]:
        """See `torch_derivatives`; what nobody differentiates goes straight to the kernel."""
        recorded = with_derivatives(value, derivatives)

        def run(*inputs: Any) -> Any:
            if all(holds_numbers(x) and not x.requires_grad for x in inputs):
                return value(*inputs)
            return recorded(*inputs)

        return run

    def import_host(self, host: np.ndarray[Any, Any]) -> Array:
        """Shares memory, unless it is read-only or runs backward, which PyTorch does not know."""
        torch = load("torch")
        if not host.flags.writeable or any(stride < 0 for stride in host.strides):
            host = host.copy()
        if host.dtype.name == "bfloat16":
            return torch.asarray(host.view(np.int16)).view(torch.bfloat16)
        return torch.asarray(host)

    def place(self, array: Array, dtype: Any = None, device: Any = None) -> Array:
        """The tensor itself where nothing changes; a copy stays on the tape."""
        if (dtype is None or array.dtype == dtype) and (device is None or array.device == device):
            return array
        return array.to(device=device, dtype=dtype)

    def released(self, array: Array) -> Array:
        """Off the tape."""
        if not holds_numbers(array):
            raise BackendError(
                "a tensor inside torch.func, under FakeTensorMode or on the meta device has no "
                'numbers that could leave PyTorch: keep the call on backend="torch", or move it out'
            )
        return array.detach()

    def shared(self, value: Array) -> Array | None:
        """bfloat16 of CuPy's as bits: its own DLPack does not know it."""
        source = LIBRARY_OF[type(value)]
        if source is None or source.name != "cupy" or source.dtype_name(value.dtype) != "bfloat16":
            return super().shared(value)
        bits = source.bits(value)
        received = None if bits is None else self.taken(bits)
        return None if received is None else received.view(load("torch").bfloat16)

    def bits(self, array: Array) -> Array:
        """A view."""
        return array.view(load("torch").int16)

    def stream(self, array: Array) -> tuple[int, int] | None:
        """PyTorch's current one."""
        if array.device.type != "cuda":
            return None
        found = load("torch").cuda.current_stream(array.device)
        return int(found.cuda_stream), int(array.device.index)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """In bfloat16 where ml_dtypes is installed, else in float32, which holds it exactly."""
        torch = load("torch")
        host = self.released(array).cpu()
        if host.dtype != torch.bfloat16:
            return np.asarray(host.numpy(force=True))
        if not installed("ml_dtypes"):
            return np.asarray(host.to(torch.float32).numpy())
        bits = host.contiguous().view(torch.int16).numpy()
        return np.asarray(bits.view(load("ml_dtypes").bfloat16))

    def pinned_device(self, array: Array) -> Any:
        """PyTorch itself mixes single numbers on the CPU with tensors anywhere."""
        device = array.device
        return None if array.ndim == 0 and device.type == "cpu" else device

    def wait(self, array: Array) -> None:
        """Accelerators compute behind one's back, each in the part of `torch` named like it."""
        kind = array.device.type
        if kind == "cuda":
            load("torch").cuda.synchronize(array.device)
        elif kind != "cpu" and hasattr(getattr(load("torch"), kind, None), "synchronize"):
            getattr(load("torch"), kind).synchronize()

    def concrete(self, array: Array) -> bool:
        """A plain tensor in CPU memory, and nobody compiling or tracing."""
        torch = load("torch")
        plain = type(array) in (torch.Tensor, torch.nn.Parameter) and array.device.type == "cpu"
        if not plain or not holds_numbers(array):
            return False
        return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or transforming())

    def dtype_name(self, dtype: Any) -> str:
        """Its dtypes print as `torch.float32`."""
        return str(dtype).removeprefix("torch.")

    def own_dtype(self, name: str) -> Any:
        """Attributes of the module."""
        return getattr(load("torch"), name)

    def stop_gradient(self, array: Array) -> Array:
        """Constant for autograd."""
        return array.detach()


def sign(x: Array) -> Array:
    """-1, 0 or 1, and NaN for NaN, where PyTorch's own says 0."""
    torch = load("torch")
    return torch.where(torch.isnan(x), x, torch.sign(x))


def transforming() -> bool:
    """Whether this runs inside `torch.func`, which wraps plain tensors as soon as they are used."""
    functorch = getattr(load("torch")._C, "_functorch", None)  # noqa: SLF001 - see below
    innermost = getattr(functorch, "peek_interpreter_stack", None)
    return innermost is not None and innermost() is not None


def holds_numbers(array: Array) -> bool:
    """False for meta and fake tensors, and for the wrappers of `torch.func`.

    The class of a wrapper is plain `Tensor`. PyTorch has no public question for wrappers and fakes,
    so a version that lacks one of its private answers is taken to lack the thing asked about.
    """
    fakes = sys.modules.get("torch._subclasses.fake_tensor")
    if array.device.type == "meta" or (fakes is not None and isinstance(array, fakes.FakeTensor)):
        return False
    functorch = getattr(load("torch")._C, "_functorch", None)  # noqa: SLF001 - see above
    wrapped = getattr(functorch, "is_functorch_wrapped_tensor", None)
    return wrapped is None or not wrapped(array)
