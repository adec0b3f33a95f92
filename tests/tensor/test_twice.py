"""The walk back can be recorded and walked back from: second derivatives on the tape."""

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.primitives import VOCABULARY
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import gradients
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, convert

STEP = 1e-5
#: Rows whose slope by the first argument does not depend on it.
FLAT = {"negative", "positive", "abs", "sign", "floor", "ceil", "trunc", "round", "floor_divide",
        "add", "subtract", "maximum", "minimum", "copysign", "remainder", "where",
        "multiply", "divide", "multiply_no_nan", "xlogy", "xlog1py",
        "times_exp", "divergence_slope", "laplace_cost", "laplace_by_scale"}  # fmt: skip


def weights(shape):
    return np.sin(1.0 + np.arange(np.prod(shape, dtype=int))).reshape(shape)


def slope(function, x):
    """The gradient of the weighted sum of `function(x)`, as a Tensor on the tape, and its leaf."""
    leaf = Tensor(x, requires_grad=True)
    result = function(leaf)
    (found,) = gradients(result, Tensor(weights(result.shape)), [leaf])
    return leaf, found


def check_twice(function, x, rtol=1e-6):
    """The derivative of the slope along a direction, against differences of slopes."""
    leaf, found = slope(function, x)
    direction = np.cos(np.arange(x.size)).reshape(x.shape)
    (product,) = gradients(found, direction, [leaf])
    up, down = (slope(function, x + s * STEP * direction)[1].numpy() for s in (1, -1))
    expected = (up - down) / (2 * STEP)
    if product is None:
        product = np.zeros_like(x)
    np.testing.assert_allclose(product, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


ELEMENTWISE = [
    name
    for name, primitive in VOCABULARY.items()
    if primitive.kind == "elementwise" and primitive.rules[0] is not None
]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_functions(name, rng):
    primitive = VOCABULARY[name]
    intervals = [low_high or (-2.0, 2.0) for low_high in (*primitive.domain, None, None)]
    low, high = (np.clip(bound, -3, 3) for bound in intervals[0])
    x = low + (high - low) * (0.1 + 0.8 * rng.random((2, 3)))
    others = [
        1.5 if rule is None else 0.3 + 0.5 * rng.random((2, 3)) for rule in primitive.rules[1:]
    ]

    def function(tensor):
        return getattr(tensor.__array_namespace__(), name)(tensor, *others)

    check_twice(function, x)
    if name not in FLAT:
        leaf, found = slope(function, x)
        assert gradients(found, np.ones_like(x), [leaf])[0] is not None


OTHERS = {
    "sum": lambda xp, x: xp.sum(x * x, axis=0),
    "mean, kept": lambda xp, x: x * xp.mean(x**3, axis=1, keepdims=True),
    "max": lambda xp, x: xp.max(x**3, axis=1),
    "prod": lambda xp, x: xp.prod(x, axis=1),
    "softmax": lambda xp, x: xp.softmax(x, axis=0),
    "log_softmax": lambda xp, x: xp.log_softmax(x) ** 2,
    "logsumexp": lambda xp, x: xp.logsumexp(x, axis=-1),
    "softmax_complement": lambda xp, x: xp.softmax_complement(x),
    "log_softmax_complement": lambda xp, x: xp.log_softmax_complement(4.0 * x),
    "matmul": lambda xp, x: x @ x.T,
    "matmul of a vector": lambda xp, x: x.T @ (x @ x[0]),
    "reshape and flip": lambda xp, x: xp.flip(xp.reshape(x, (-1,))) ** 3,
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=1) ** 3,
    "tril and roll": lambda xp, x: xp.tril(xp.roll(x, 1, axis=1)) ** 3,
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, [[0], [2], [1]]) ** 3,
    "several along an axis": lambda xp, x: xp.take_along_axis(x, [[0, 0], [2, 1], [1, 1]]) ** 3,
    "put_along_axis": lambda xp, x: xp.put_along_axis(x**3, [[0], [2], [1]], 0.0),
    "sort": lambda xp, x: xp.sort(x) ** 3,
    "slices": lambda xp, x: x[1:, ::2] ** 3,
    "mask": lambda xp, x: x[x > 0.5] ** 3,
    "concat": lambda xp, x: xp.concat([x**2, x[:1]], axis=0) ** 2,
    "broadcast": lambda xp, x: x[:, None, :] * x[None, :, :] ** 2,
    "std": lambda xp, x: xp.std(x, axis=1),
    "astype": lambda xp, x: (x.astype("float64") ** 3).astype("float64"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions(name, rng):
    x = 0.3 + rng.permutation(9).reshape(3, 3) / 6 + 0.01 * rng.random((3, 3))
    check_twice(lambda tensor: OTHERS[name](tensor.__array_namespace__(), tensor), x)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", CASES)
def test_losses(name, reduction):
    case = CASES[name]
    first, *rest = case.arrays

    def function(tensor):
        return case.loss(tensor, *rest, reduction=reduction, **case.options)

    check_twice(function, first)


def test_losses_on_the_backend(to_array, to_numpy):
    for name in ("huber", "ce, all", "ce, probabilities, all"):
        case = CASES[name]
        arrays, options = convert(case, to_array)
        leaf = Tensor(arrays[0], requires_grad=True)
        result = case.loss(leaf, *arrays[1:], **options)
        (found,) = gradients(result, Tensor(result.array * 0 + 1), [leaf])
        (product,) = gradients(found, found.array, [leaf])
        expected = case.loss.hvp(*arrays, found.array, **options)
        assert_close(product, expected, of="hessian", atol=1e-15)


def test_a_class_axis_that_is_not_the_last(rng):
    x, labels = rng.normal(size=(4, 3)), [0, 1, 3]
    check_twice(lambda t: tw.cross_entropy_loss(t, labels, axis=0, reduction="none"), x)


def test_a_step_recorded_by_hand_says_that_it_has_no_second_derivative():
    leaf = Tensor([1.0, 2.0], requires_grad=True)
    root = Tensor.record(leaf.array**2, [leaf], lambda g: [2 * g * leaf.array])
    with pytest.raises(tw.ArgumentError, match="recorded by hand"):
        gradients(root, Tensor([1.0, 1.0]), [leaf])


def test_what_the_root_does_not_depend_on_has_no_cotangent():
    leaf, other = (Tensor([1.0], requires_grad=True) for _ in range(2))
    assert gradients(leaf * 2.0, np.ones(1), [other, leaf])[0] is None
