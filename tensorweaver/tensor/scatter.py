"""The way back from picking elements: adding up what returns to each place.

The array API can gather by integer arrays but not scatter, so this is spelled by what an array of
the library can do.
"""

from typing import Any

from tensorweaver.backends import Array

__all__ = ["scatter_add", "scatter_into_slices"]


def scatter_add(xp: Any, zeros: Array, positions: Array, values: Array) -> Array:
    """One-dimensional `zeros` plus `values[i]` at `positions[i]`, which may repeat.

    A library that can do nothing of the kind (Dask, array-api-strict) compares every place with
    every position.
    """
    if hasattr(zeros, "at"):  # JAX
        return zeros.at[positions].add(values)
    if hasattr(zeros, "index_put_"):  # PyTorch
        return zeros.index_put_((positions,), values, accumulate=True)
    if hasattr(getattr(xp.library, "add", None), "at"):  # NumPy, CuPy
        xp.library.add.at(zeros, positions, values)
        return zeros
    places = xp.places(zeros.shape[0], positions)
    meets = xp.expand_dims(places, axis=1) == xp.expand_dims(positions, axis=0)
    values = xp.expand_dims(values, axis=0)
    return xp.sum(xp.where(meets, values, xp.zeros_like(values)), axis=1)


def scatter_into_slices(xp: Any, zeros: Array, key: tuple[Any, ...], values: Array) -> Array:
    """`zeros` with `values` at `zeros[key]`, a key that reads a block."""
    held = tuple(part for part in key if part is not None)
    values = xp.reshape(values, zeros[held].shape)
    if 0 in values.shape:  # Dask cannot write nothing
        return zeros
    if hasattr(zeros, "at"):
        return zeros.at[held].set(values)
    zeros[held] = values
    return zeros
