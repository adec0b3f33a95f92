"""Look at, make and fetch an array of any library, without the help of the package under test."""

import array_api_compat
import numpy as np

__all__ = ["LIBRARIES", "device_of", "dtype_name", "library_of", "make_array", "to_host"]

LIBRARIES = ("numpy", "cupy", "strict", "torch", "jax", "dask")

ROOTS = {
    "numpy": "numpy",
    "cupy": "cupy",
    "array_api_strict": "strict",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "dask": "dask",
}


def library_of(value):
    """The library of an array, `None` for a number, a list or an object of no array library."""
    for cls in type(value).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in ROOTS:
            return ROOTS[root]
    return None


def device_of(array):
    """The array's device as text; `None` where the library has no such notion."""
    return None if library_of(array) == "dask" else str(array_api_compat.device(array))


def dtype_name(array):
    """The array's dtype by its array API name, such as `float32`."""
    return getattr(array.dtype, "name", None) or str(array.dtype).rpartition(".")[2]


def to_host(value):
    """A NumPy array with the values of any library's array, of a Tensor, a number or nested lists.

    PyTorch's bfloat16 comes out as float32, which holds it exactly.
    """
    library = library_of(value)
    if library is None and library_of(getattr(value, "data", None)) is not None:
        return to_host(value.data)
    if library == "cupy":
        return value.get()
    if library == "strict":
        return np.asarray(array_api_compat.to_device(value, strict_device("CPU_DEVICE")))
    if library == "torch":
        value = value.detach().cpu()
        return (value.float() if dtype_name(value) == "bfloat16" else value).numpy()
    return np.asarray(value)


def make_array(library, value, dtype=None, *, writable=False):
    """An array of `library` from numbers, lists or a NumPy array, placed where mistakes show.

    Floats are float64 unless `dtype` names another. NumPy arrays are read-only unless `writable`,
    so that writing to an input fails; array-api-strict arrays lie on its second device, so that a
    stray host copy fails; Dask arrays are in two blocks along the first axis, so that a blockwise
    shortcut fails.
    """
    host = np.array(value) if dtype == "bfloat16" else np.array(value, dtype=dtype)
    if library == "numpy":
        array = host if dtype != "bfloat16" else host.astype(numpy_bfloat16())
        array.flags.writeable = writable
        return array
    if library == "torch":
        import torch

        return torch.as_tensor(host, dtype=None if dtype is None else getattr(torch, dtype))
    if library == "jax":
        import jax

        return jax.numpy.asarray(host, dtype=dtype)
    if dtype == "bfloat16":
        host = host.astype(numpy_bfloat16())
    place = {"cupy": on_the_gpu, "dask": in_two_blocks, "strict": on_the_second_device}[library]
    return place(host)


def on_the_gpu(host):
    import cupy

    return cupy.asarray(host)


def in_two_blocks(host):
    import dask.array

    if host.ndim == 0 or host.size == 0:
        return dask.array.from_array(host, chunks=-1)
    return dask.array.from_array(host, chunks=(-(-len(host) // 2), *host.shape[1:]))


def on_the_second_device(host):
    import array_api_strict

    return array_api_strict.asarray(host, device=strict_device("device1"))


def strict_device(name):
    import array_api_strict

    return array_api_strict.Device(name)


def numpy_bfloat16():
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)
