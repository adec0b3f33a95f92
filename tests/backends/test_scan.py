"""A loop over the rows of arrays, which JAX compiles once."""

import numpy as np
import pytest

from tensorweaver.backends import get_backend
from tests.helpers.compare import assert_close


def test_scan_carries_a_state_and_stacks_the_outputs(backend, to_array):
    first, second = np.arange(8.0).reshape(4, 2), np.arange(4.0)[:, None]
    home = get_backend(backend)

    def step(state, rows):
        (total,) = state
        x, y = rows
        return (total + x * y,), (total, x + y)

    start = to_array(np.ones(2))
    (last,), (before, sums) = home.scan(step, (start,), (to_array(first), to_array(second)))
    running = 1 + np.cumsum(first * second, axis=0)
    assert_close(last, running[-1], like=start, rtol=1e-15)
    assert_close(before, np.concatenate([np.ones((1, 2)), running[:-1]]), like=start, rtol=1e-15)
    assert_close(sums, first + second, like=start, rtol=1e-15)


def test_jax_compiles_the_step_once():
    jax = pytest.importorskip("jax")
    calls = []

    def step(state, rows):
        calls.append(rows)
        return (state[0] + rows[0],), (state[0],)

    inputs = (jax.numpy.ones((100, 3)),)
    get_backend("jax").scan(step, (jax.numpy.zeros(3),), inputs)
    assert len(calls) < 5
