"""JAX: traced, asynchronous, and of 32 bits unless told otherwise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorweaver.backends.backend import Array, Backend
from tensorweaver.backends.execution import Derivatives
from tensorweaver.backends.importing import load
from tensorweaver.backends.jax_derivatives import with_derivatives
from tensorweaver.errors import BackendError

__all__ = ["JaxBackend"]


class JaxBackend(Backend):
    """Without `jax_enable_x64`, names of 64-bit dtypes mean 32-bit ones, as everywhere in JAX."""

    name = "jax"
    label = "JAX"
    package = "jax"
    extra = "pip install jax"
    namespace_path = "jax.numpy"
    # A tracer passes isinstance(..., jax.Array), but its class is no subclass of it.
    array_classes = (("jax", "Array"), ("jax.core", "Tracer"))
    takes_dlpack = True
    differentiates = True

    def constant(self, value: float, dtype: str, device: Any) -> Any:
        """A NumPy scalar: made while tracing, a JAX array would not outlive the trace."""
        return np.dtype(dtype).type(value)

    def label_dtype(self) -> str:
        """JAX indexes with 32 bits unless told otherwise."""
        return "int64" if load("jax").config.jax_enable_x64 else "int32"

    def writable(self, array: Array) -> bool:
        """JAX arrays never change."""
        return False

    def with_derivatives(
        self, value: Callable[..., Any], derivatives: Derivatives
    ) -> Callable[..., Any]:
        """See `jax_derivatives`."""
        return with_derivatives(value, derivatives)

    def move(self, array: Array, device: Any) -> Array:
        """A traced array has no place yet, and stays what it is."""
        return array if traced(array) else load("jax").device_put(array, device)

    def released(self, array: Array) -> Array:
        """Numbers leave JAX; what stands for numbers cannot."""
        if traced(array):
            raise BackendError(
                "an array traced by JAX (inside jit, grad or vmap) has no numbers that could leave "
                'JAX: keep the call on backend="jax", or move it outside of the traced function'
            )
        return array

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Waits for the numbers; NumPy sees them read-only."""
        return np.asarray(self.released(array))

    def device(self, array: Array) -> Any:
        """A device, or the sharding of an array that lies on several; None while tracing."""
        return None if traced(array) else array.device

    def pinned_device(self, array: Array) -> Any:
        """JAX itself moves uncommitted arrays to committed ones, and lays out sharded ones."""
        if traced(array) or not getattr(array, "committed", True) or len(array.devices()) > 1:
            return None
        return array.device

    def wait(self, array: Array) -> None:
        """JAX computes behind one's back."""
        if not traced(array):
            array.block_until_ready()

    def concrete(self, array: Array) -> bool:
        """Not while tracing."""
        return not traced(array)

    def scan(
        self, step: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: tuple[Array, ...]
    ) -> tuple[Any, tuple[Array, ...]]:
        """One step is compiled, however many there are."""
        found: tuple[Any, tuple[Array, ...]] = load("jax").lax.scan(step, state, inputs)
        return found

    def own_dtype(self, name: str) -> Any:
        """Made 32 bits here rather than, with a warning, in every conversion."""
        return load("jax").dtypes.canonicalize_dtype(super().own_dtype(name))

    def stop_gradient(self, array: Array) -> Array:
        """Constant for `jax.grad`."""
        return load("jax").lax.stop_gradient(array)


def traced(array: Array) -> bool:
    """Whether it stands for numbers that are not there yet."""
    return isinstance(array, load("jax").core.Tracer)
