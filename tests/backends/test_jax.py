"""JAX: tracers, constants and 32 bits."""

import numpy as np
import pytest

from tensorweaver.backends import BACKENDS, available_backends
from tensorweaver.errors import BackendError


def test_jax_tracers_are_left_alone_and_cannot_leave():
    jax = pytest.importorskip("jax")
    lib = BACKENDS["jax"]
    seen = []

    @jax.jit
    def formula(x):
        seen.append((lib.concrete(x), lib.device(x), lib.pinned_device(x)))
        assert lib.asarray(x, None, jax.devices()[0]) is x
        lib.wait(x)
        for name in set(available_backends()) & {"numpy", "torch"}:
            with pytest.raises(BackendError, match="no numbers that could leave JAX"):
                BACKENDS[name].asarray(x)
        return lib.astype(x, "float16").sum()

    total = formula(jax.numpy.ones(3))
    assert seen == [(False, None, None)]
    assert lib.concrete(total)
    assert lib.device(total) == jax.devices()[0]
    lib.wait(total)


def test_jax_stop_gradient():
    jax = pytest.importorskip("jax")
    lib = BACKENDS["jax"]
    grad = jax.grad(lambda x: (x * lib.stop_gradient(x)).sum())(jax.numpy.asarray([3.0]))
    assert grad.tolist() == [3.0]


def test_jax_of_32_bits_takes_64_bit_names_for_32_bit_ones():
    jax = pytest.importorskip("jax")
    lib = BACKENDS["jax"]
    with jax.enable_x64(False):
        assert lib.dtype_name(lib.dtype("float64")) == "float32"
        array = lib.asarray(np.ones(2), "float64")
        assert lib.dtype_name(array.dtype) == "float32"
        assert lib.astype(array, "float64") is array
