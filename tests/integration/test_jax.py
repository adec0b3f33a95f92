"""Under JAX's transformations the losses trace, differentiate and stay exact."""

import functools
import math
import subprocess
import sys

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, ROWS, convert, factor, labels, logits

jax = pytest.importorskip("jax")
jnp = jax.numpy

cross_entropy = tw.cross_entropy_loss
SAMPLE_WEIGHT = np.asarray([0.5, 0.0, 2.0, 1.0, 3.0])


# Compilation is what costs time here: one case of each structure.
CHOSEN = ["huber", "bce, weight", "bce of logits, weights", "kl", "nll, all"]
CHOSEN += ["ce, all", "ce, probabilities, all"]


@pytest.fixture(params=CHOSEN)
def case(request):
    """A loss with the arrays and options of an ordinary call, on JAX."""
    chosen = CASES[request.param]
    arrays, options = convert(chosen, jnp.asarray)
    return chosen.loss, arrays, options


def by_first(loss, arrays, options):
    """The loss as a function of its first argument."""
    return lambda first: loss(first, *arrays[1:], **options)


# --------------------------------------------------------------------- transformations
def test_jit_computes_the_same(case):
    loss, arrays, options = case
    for reduction in ("mean", "none"):
        traced = jax.jit(functools.partial(loss, reduction=reduction, **options))
        assert_close(traced(*arrays), loss(*arrays, reduction=reduction, **options))


def test_jit_of_our_own_derivatives(case):
    loss, arrays, options = case
    value, gradient = jax.jit(functools.partial(loss.value_and_grad, **options))(*arrays)
    assert_close(value, loss(*arrays, **options))
    assert_close(gradient, loss.grad(*arrays, **options), of="gradient")
    diagonal = jax.jit(functools.partial(loss.hessian_diag, **options))(*arrays)
    expected = loss.hessian_diag(*arrays, **options)
    assert_close(diagonal, expected, of="hessian", atol=1e-16)


def test_grad_is_our_own(case):
    loss, arrays, options = case
    expected = loss.grad(*arrays, **options)
    function = by_first(loss, arrays, options)
    value, gradient = jax.value_and_grad(function)(arrays[0])
    assert_close(value, loss(*arrays, **options))
    for found in (
        gradient,
        jax.jit(jax.grad(function))(arrays[0]),
        jax.jacfwd(function)(arrays[0]),
        jax.jacrev(function)(arrays[0]),
    ):
        assert_close(found, expected, of="gradient", atol=1e-16)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_grad_by_every_real_argument(name, reduction):
    chosen = CASES[name]
    arrays, options = convert(chosen, jnp.asarray)
    options["reduction"] = reduction
    places = tuple(chosen.real)
    names = tuple(chosen.loss.formula.arguments[place] for place in places)
    found = jax.grad(functools.partial(chosen.loss, **options), argnums=places)(*arrays)
    expected = chosen.loss.grad(*arrays, wrt=names, **options)
    for gradient, ours in zip(found, expected, strict=True):
        assert_close(gradient, ours, of="gradient", atol=1e-16)


@pytest.mark.parametrize("name", ["ce, all", "nll, all", "ce, probabilities, all"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_grad_by_weights(name, reduction):
    chosen = CASES[name]
    arrays, options = convert(chosen, jnp.asarray)
    options["reduction"] = reduction

    def function(weight, sample_weight):
        given = {**options, "weight": weight, "sample_weight": sample_weight}
        return chosen.loss(*arrays, **given)

    weights = (options["weight"], jnp.asarray(SAMPLE_WEIGHT))
    found = jax.grad(function, argnums=(0, 1))(*weights)
    options["sample_weight"] = weights[1]
    expected = chosen.loss.grad(*arrays, wrt=("weight", "sample_weight"), **options)
    for gradient, ours in zip(found, expected, strict=True):
        assert_close(gradient, ours, of="gradient", atol=1e-15)


def test_vmap_is_a_loop(case):
    loss, arrays, options = case
    options = {name: value for name, value in options.items() if "weight" not in name}
    each = functools.partial(loss, **options)
    pairs = [[np.asarray(a) for a in rows] for rows in zip(*arrays, strict=True)]
    looped = jnp.asarray([loss(*rows, **options) for rows in pairs])
    gradients = jnp.asarray([loss.grad(*rows, **options) for rows in pairs])
    assert_close(jax.vmap(each)(*arrays), looped)
    found = jax.vmap(jax.grad(each))(*arrays)
    assert_close(found, gradients, of="gradient", atol=1e-16)
    together = jax.jit(jax.grad(lambda *given: jnp.sum(jax.vmap(each)(*given))))(*arrays)
    assert_close(together, gradients, of="gradient", atol=1e-16)


def test_hessian_is_our_own(case):
    loss, arrays, options = case
    function = by_first(loss, arrays, options)
    found = jax.hessian(function)(arrays[0])
    if loss.formula.rowwise:
        blocks = loss.hessian(*arrays, **options)
        expected = jnp.zeros(found.shape)
        for row in range(ROWS):
            expected = expected.at[row, :, row, :].set(blocks[row])
    else:
        diagonal = loss.hessian_diag(*arrays, **options)
        expected = jnp.reshape(jnp.diag(jnp.ravel(diagonal)), found.shape)
    assert_close(found, expected, of="hessian", atol=1e-15)


def test_jvp_is_the_gradient_along_the_tangent(case):
    loss, arrays, options = case
    tangent = jnp.cos(jnp.arange(arrays[0].size, dtype="float64")).reshape(arrays[0].shape)
    function = by_first(loss, arrays, options)
    value, slope = jax.jvp(function, (arrays[0],), (tangent,))
    assert_close(value, function(arrays[0]))
    gradient = loss.grad(*arrays, **options)
    assert_close(slope, jnp.sum(gradient * tangent), of="gradient", atol=1e-15)
    _, product = jax.jvp(jax.grad(function), (arrays[0],), (tangent,))
    ours = loss.hvp(*arrays, tangent, **options)
    assert_close(product, ours, of="hessian", atol=1e-15)


def test_hessian_by_reverse_over_either_mode():
    chosen = CASES["ce, all"]
    arrays, options = convert(chosen, jnp.asarray)
    function = by_first(chosen.loss, arrays, options)
    expected = jax.hessian(function)(arrays[0])
    for inner in (jax.jacrev, jax.jacfwd):  # forward over reverse is `hessian` itself
        assert_close(jax.jacrev(inner(function))(arrays[0]), expected, of="hessian", atol=1e-15)


def test_third_derivatives_are_there():
    def cubic(x):
        return jnp.sum(tw.mse_loss(x, 0 * x, reduction="none") * x)

    third = jax.grad(lambda x: jnp.sum(jax.grad(lambda y: jnp.sum(jax.grad(cubic)(y)))(x)))
    assert_close(third(jnp.asarray([1.0, -2.0])), [6.0, 6.0])


def test_mixed_second_derivatives():
    def function(x, w):
        return cross_entropy(x, jnp.asarray(labels), sample_weight=w)

    x, w = jnp.asarray(logits), jnp.asarray(SAMPLE_WEIGHT)
    found = jax.jacfwd(jax.grad(function), argnums=1)(x, w)
    step = 1e-5
    gradient = jax.jit(jax.grad(function))
    for place in range(ROWS):
        moved = [gradient(x, w.at[place].add(s)) for s in (step, -step)]
        assert_close(found[..., place], (moved[0] - moved[1]) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_any_class_axis(axis):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4, 2)))
    y = jnp.zeros(tuple(np.delete(x.shape, axis)), "int64")
    found = jax.jit(jax.grad(lambda x: cross_entropy(x, y, axis=axis)))(x)
    assert_close(found, cross_entropy.grad(x, y, axis=axis), of="gradient", atol=1e-16)


# --------------------------------------------------------------------- exactness
@pytest.mark.parametrize("transform", [jax.grad, jax.jacfwd])
def test_confident_rows_keep_exact_gradients(transform):
    confident = jnp.asarray([[40.0, 0.0]])
    found = transform(lambda x: cross_entropy(x, jnp.asarray([0])))(confident)
    small = math.exp(-40.0)
    assert_close(found, [[-small, small]], ulp=2)
    assert_close(cross_entropy(confident, jnp.asarray([0])), small, ulp=2)
    hard = transform(lambda x: tw.binary_cross_entropy_with_logits_loss(x, 1.0))(jnp.asarray(40.0))
    assert_close(hard, -small, ulp=2)


def test_kinks_take_the_smallest_slope():
    at_kink = jnp.asarray([0.0, 1.0, -1.0])
    found = jax.grad(lambda x: tw.l1_loss(x, jnp.zeros(3), reduction="sum"))(at_kink)
    assert found.tolist() == [0.0, 1.0, -1.0]


def test_certain_probabilities_leak_no_nan():
    def function(p):
        certain = jnp.asarray([0.0, 1.0, 1.0, 0.0])
        return tw.binary_cross_entropy_loss(p, certain, reduction="sum")

    found = jax.grad(function)(jnp.asarray([0.0, 1.0, 0.5, 0.5]))
    assert found.tolist() == [1.0, -1.0, -2.0, 2.0]
    wrong = jax.grad(function)(jnp.asarray([1.0, 0.0, 0.5, 0.5]))
    assert wrong.tolist() == [jnp.inf, -jnp.inf, -2.0, 2.0]


@pytest.mark.parametrize("poison", [jnp.nan, jnp.inf, -jnp.inf])
def test_masked_rows_leak_nothing(poison):
    x = jnp.asarray(logits).at[1].set(poison)
    kept = jnp.asarray([True, False, True, True, True])
    found = jax.jit(jax.grad(lambda x: cross_entropy(x, jnp.asarray(labels), where=kept)))(x)
    keep = np.asarray(kept)
    expected = np.zeros(logits.shape)
    expected[keep] = cross_entropy.grad(logits[keep], labels[keep])
    assert_close(found, expected, like=x, of="gradient", atol=1e-16)


def test_nothing_to_average_is_zero():
    def function(x):
        return cross_entropy(x, jnp.asarray(labels), where=jnp.zeros(ROWS, bool))

    value, gradient = jax.jit(jax.value_and_grad(function))(jnp.full((ROWS, CLASSES), jnp.nan))
    assert float(value) == 0.0
    assert not np.any(gradient)


# --------------------------------------------------------------------- labels
def test_bad_labels_poison_their_row_inside_jit():
    bad = jnp.asarray(labels).at[2].set(CLASSES)
    losses = jax.jit(functools.partial(cross_entropy, reduction="none"))(jnp.asarray(logits), bad)
    good = np.asarray(cross_entropy(logits, labels, reduction="none"))
    assert_close(losses, np.where(np.arange(ROWS) == 2, np.nan, good), like=losses)
    assert np.isnan(jax.jit(cross_entropy)(jnp.asarray(logits), bad))
    gradient = jax.jit(jax.grad(cross_entropy))(jnp.asarray(logits), bad)
    assert np.isnan(gradient).all(axis=1).tolist() == [False, False, True, False, False]


def test_bad_labels_raise_outside_of_jit():
    bad = jnp.asarray(labels).at[2].set(CLASSES)
    with pytest.raises(tw.LabelError, match=r"targets\[2\] is 4, but the 4 classes are 0 to 3"):
        cross_entropy(jnp.asarray(logits), bad)
    with pytest.raises(tw.LabelError):
        jax.grad(cross_entropy)(jnp.asarray(logits), bad)


def test_ignored_labels_inside_jit():
    ignored = jnp.asarray(labels).at[2].set(-100)
    value = jax.jit(cross_entropy)(jnp.asarray(logits), ignored)
    keep = np.arange(ROWS) != 2
    assert_close(value, jnp.asarray(cross_entropy(logits[keep], labels[keep])))


# --------------------------------------------------------------------- dtypes
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gradients_keep_their_dtype(dtype):
    half = jnp.asarray(logits, dtype)
    value, gradient = jax.value_and_grad(cross_entropy)(half, jnp.asarray(labels))
    assert (str(value.dtype), str(gradient.dtype)) == ("float32", dtype)
    exact = cross_entropy.grad(np.asarray(half, "float64"), labels)
    assert_close(gradient, exact, like=gradient, of="value", atol=1e-6)


def test_bce_weights_inside_jit():
    def function(x, weight):
        return tw.binary_cross_entropy_with_logits_loss(x, 1.0, weight=weight)

    found = jax.jit(jax.grad(function, argnums=1))(jnp.asarray(logits), jnp.asarray(factor))
    losses = tw.binary_cross_entropy_with_logits_loss(logits, 1.0, reduction="none")
    assert_close(found, losses / losses.size, like=found, of="gradient")


PROGRAM_OF_32_BITS = """
import jax, jax.numpy as jnp, tensorweaver as tw, warnings
warnings.simplefilter("error")
assert not jax.config.jax_enable_x64
x = jnp.asarray([[2.0, 1.0, 0.1], [0.0, 40.0, 0.0]])
y = jnp.asarray([0, 1])
value, gradient = tw.cross_entropy_loss.value_and_grad(x, y, label_smoothing=0.1)
assert value.dtype == gradient.dtype == jnp.float32
for transformed in (jax.grad, lambda f: jax.jit(jax.grad(f))):
    found = transformed(lambda x: tw.cross_entropy_loss(x, y, label_smoothing=0.1))(x)
    assert jnp.allclose(found, gradient, rtol=1e-6), (found, gradient)
blocks = tw.cross_entropy_loss.hessian(x, y)
whole = jax.hessian(lambda x: tw.cross_entropy_loss(x, y))(x)
assert jnp.allclose(whole[0, :, 0, :], blocks[0], rtol=1e-6)
assert jnp.isnan(jax.jit(tw.cross_entropy_loss)(x, jnp.asarray([0, 3])))
assert float(tw.mse_loss([1.0], [3.0], backend="jax")) == 4.0
print("fine")
"""


def test_jax_of_32_bits(monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM_OF_32_BITS], capture_output=True, text=True, check=False
    )
    assert done.stdout == "fine\n", done.stderr
