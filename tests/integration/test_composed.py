"""Losses that are ordinary array code, traced by JAX and differentiated by torch, as the battery
draws them.
"""

import functools

import numpy as np
import pytest

import tensorweaver as tw
from tests.battery.specimen import cases
from tests.battery.test_laws import several
from tests.helpers.arrays import make_array
from tests.helpers.compare import assert_close

COMPOSED = [
    pytest.param(case, id=case.id)
    for case in cases()
    if case.loss.formula.composed and not case.options
]


def drawn(case, library):
    """Ordinary arguments and options of a case, as arrays of a library and of NumPy."""
    arrays, options = case.draw(np.random.default_rng(7))
    given = {
        name: make_array(library, value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
    return [make_array(library, a) for a in arrays], given, arrays, options


def places_of(loss):
    return tuple(loss.formula.arguments.index(name) for name in loss.formula.differentiable)


@pytest.mark.parametrize("case", COMPOSED)
def test_jax_traces_value_and_gradient(case):
    jax = pytest.importorskip("jax")
    there, given, arrays, options = drawn(case, "jax")
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    function = functools.partial(case.loss, **given)
    traced = jax.jit(jax.value_and_grad(function, argnums=places_of(case.loss)))
    found, by_jax = traced(*there)
    assert_close(found, value, like=there[0], rtol=1e-12)
    for got, want in zip(by_jax, several(gradient), strict=True):
        assert_close(got, want, like=there[0], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("case", COMPOSED)
def test_torch_walks_back(case):
    pytest.importorskip("torch")
    there, given, arrays, options = drawn(case, "torch")
    leaves = [there[place].requires_grad_() for place in places_of(case.loss)]
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    found = case.loss(*there, **given)
    found.backward()
    assert_close(found.detach(), value, like=there[0].detach(), rtol=1e-12)
    for leaf, want in zip(leaves, several(gradient), strict=True):
        assert_close(leaf.grad, want, like=there[0].detach(), rtol=1e-11, atol=1e-14)


@tw.composed
def held_loss(predictions, targets):
    """An error times itself as a constant: a slope of the half of a square's."""
    error = predictions - targets
    return error * error.detach()


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_what_is_detached_is_a_constant_for_every_library(library):
    pytest.importorskip(library)
    x, y = make_array(library, np.asarray([3.0, -1.0])), make_array(library, np.zeros(2))
    if library == "torch":
        held_loss(x.requires_grad_(), y, reduction="sum").backward()
        found = x.grad
    elif library == "jax":
        import jax

        found = jax.grad(lambda x: held_loss(x, y, reduction="sum"))(x)
    else:
        found = held_loss.grad(x, y, reduction="sum")
    assert np.asarray(found).tolist() == [3.0, -1.0]
