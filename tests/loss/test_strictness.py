"""Calls that look alike and are not: refused, told apart, or kept from sharing memory."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close
from tests.loss.cases import class_weight, distribution, labels, logits, predictions, targets

CE, MSE = tw.cross_entropy_loss, tw.mse_loss
X = np.asarray([1.0, 2.0])
Y = np.asarray([0.0, 4.0])
DELTA_TEXT: Any = "a"
WRT_NOTHING: Any = ()
WRT_TWICE: Any = ("predictions", "predictions")


@tw.pointwise(arrays=("weight",))
def identity_loss(values, *, weight=None):
    """The loss is its argument."""
    return values if weight is None else values * weight


@tw.rowwise(roles={"centre": "row", "scale": "class"})
def tangled_loss(x, centre, scale):
    """Couples the elements of a row, with a number a row and a number a class beside them."""
    xp = tw.array_namespace(x)
    inner = xp.sum(scale * xp.tanh(x - centre), axis=-1, keepdims=True)
    return xp.exp(0.3 * inner) * centre**2


@tw.rowwise
def product_loss(x, y):
    """Couples the elements of `y` in a row."""
    xp = tw.array_namespace(x)
    return xp.exp(xp.sum(x * y, axis=-1, keepdims=True))


@tw.pointwise
def kinded_loss(x, *, option: Any = None):
    """Its value tells options apart that Python holds for equal."""
    return x * {"True": 2.0, "1": 3.0, "1.0": 5.0, "0.0": 7.0, "-0.0": 11.0}[repr(option)]


@tw.rowwise
def elements_loss(x):
    """A row-coupled formula that gives elements."""
    xp = tw.array_namespace(x)
    return (x - xp.mean(x, axis=-1, keepdims=True)) ** 2


REFUSALS = {
    "labels with a class axis": (
        lambda: CE(np.zeros((2, 3)), [[2], [0]]),
        tw.ShapeError,
        (
            r"targets of shape \(2, 1\) does not fit logits of shape \(2, 3\): labels have that "
            "shape without the class axis"
        ),
    ),
    "labels that are floating": (
        lambda: CE(np.zeros((3, 4)), np.zeros(3)),
        tw.DTypeError,
        (
            r"targets of shape \(3,\) and dtype float64: class labels must be integers; "
            r"probabilities need the shape \(3, 4\)"
        ),
    ),
    "labels that are boolean": (
        lambda: CE(np.zeros((3, 4)), np.zeros(3, bool)),
        tw.DTypeError,
        "dtype bool: class labels must be integers",
    ),
    "one distribution for all rows": (
        lambda: CE(np.zeros((3, 4)), np.full(4, 0.25)),
        tw.DTypeError,
        r"probabilities need the shape \(3, 4\)",
    ),
    "probabilities that would broadcast": (
        lambda: CE(np.zeros((3, 4)), np.ones((3, 1))),
        tw.ShapeError,
        r"probabilities need the shape \(3, 4\)",
    ),
    "wrt integer targets": (
        lambda: MSE.grad(X, [0, 1], wrt="targets"),
        tw.DTypeError,
        "mse_loss: a gradient by targets cannot be stored in its dtype int64",
    ),
    "wrt integer class weights": (
        lambda: CE.grad(logits, labels, weight=np.ones(4, int), wrt="weight"),
        tw.DTypeError,
        "a gradient by weight cannot be stored",
    ),
    "wrt integer sample weights": (
        lambda: MSE.value_and_grad(X, Y, sample_weight=[1, 2], wrt="sample_weight"),
        tw.DTypeError,
        "a gradient by sample_weight cannot be stored",
    ),
    "wrt boolean targets, twice": (
        lambda: MSE.hvp(X, [True, False], X, wrt="targets"),
        tw.DTypeError,
        "dtype bool; convert targets",
    ),
    "hessian by class weights": (
        lambda: CE.hessian(logits, labels, weight=class_weight, reduction="sum", wrt="weight"),
        tw.ShapeError,
        r"the Hessian by weight needs weight in the shape \(5, 4\) of logits, got \(4,\)",
    ),
    "hessian by sample weights": (
        lambda: CE.hessian(
            logits, labels, sample_weight=np.ones(5), reduction="sum", wrt="sample_weight"
        ),
        tw.ShapeError,
        r"the Hessian by sample_weight needs .* got \(5,\)",
    ),
    "hessian by a number a row": (
        lambda: tangled_loss.hessian(logits, np.ones(5), np.ones(4), wrt="centre"),
        tw.ShapeError,
        "the Hessian by centre needs",
    ),
    "hessian diagonal of what spans a row": (
        lambda: product_loss.hessian_diag(logits, np.ones((5, 1)), wrt="y"),
        tw.ShapeError,
        r"the Hessian by y needs y in the shape \(5, 4\) of x, got \(5, 1\)",
    ),
    "option a text": (
        lambda: tw.huber_loss(X, Y, delta=DELTA_TEXT),
        tw.ArgumentError,
        "huber_loss: delta must be a number, got 'a'",
    ),
    "option None": (
        lambda: tw.huber_loss(X, Y, delta=None),
        tw.ArgumentError,
        "huber_loss: delta must be a number, got None",
    ),
    "option a boolean": (
        lambda: tw.huber_loss(X, Y, delta=True),
        tw.ArgumentError,
        "delta must be a number, got True",
    ),
    "switch a text": (
        lambda: tw.kl_div_loss(X, Y, log_target="yes"),
        tw.ArgumentError,
        "kl_div_loss: log_target must be True or False, got 'yes'",
    ),
    "ignore_index broken": (
        lambda: CE(logits, labels, ignore_index=0.5),
        tw.ArgumentError,
        "ignore_index must be an integer or None, got 0.5",
    ),
    "vector missing": (
        lambda: MSE.hvp(X, Y),
        TypeError,
        r"mse_loss\.hvp\(\) takes predictions, targets, vector: vector is missing",
    ),
    "wrt nothing": (
        lambda: MSE.grad(X, Y, wrt=WRT_NOTHING),
        tw.ArgumentError,
        r"wrt must be one name, or different names, got \(\)",
    ),
    "wrt twice": (
        lambda: MSE.grad(X, Y, wrt=WRT_TWICE),
        tw.ArgumentError,
        "wrt must be one name, or different names",
    ),
    "reduction a list": (
        lambda: MSE(X, Y, reduction=["mean"]),
        tw.ArgumentError,
        r"reduction must be one of 'mean', 'sum', 'none', got \['mean'\]",
    ),
    "argument twice": (lambda: MSE(X, Y, targets=Y), TypeError, "got targets twice"),
    "first argument twice": (
        lambda: MSE(X, predictions=X),
        TypeError,
        r"mse_loss\(\) got predictions twice",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name):
    call, error, message = REFUSALS[name]
    with pytest.raises(error, match=message):
        call()


def test_out_must_be_different_arrays():
    out = np.zeros(2)
    with pytest.raises(tw.ArgumentError, match="out holds the same array twice"):
        MSE.grad(X, Y, wrt=("predictions", "targets"), out=(out, out))
    assert out.tolist() == [0.0, 0.0]


def test_one_hot_integers_are_probabilities(to_array):
    one_hot = np.eye(4, dtype=int)[labels]
    x = to_array(logits)
    assert_close(CE(x, to_array(one_hot)), CE(x, to_array(labels)), rtol=1e-14)


# --------------------------------------------------------------------- what is accepted
def test_axis_may_be_an_integer_of_any_kind():
    moved = logits.T.copy()
    assert CE(moved, labels, axis=np.int64(0)) == CE(moved, labels, axis=0)


def test_the_vector_may_have_its_name(to_array):
    x, y, vector = to_array(predictions), to_array(targets), to_array(np.cos(predictions))
    expected = MSE.hvp(x, y, vector)
    assert_close(MSE.hvp(x, y, vector=vector), expected, rtol=0.0)
    assert_close(MSE.hvp(predictions=x, targets=y, vector=vector), expected, rtol=0.0)
    assert_close(MSE.hvp(vector, predictions=x, targets=y), expected, rtol=0.0)


# --------------------------------------------------------------------- second derivatives
@pytest.mark.parametrize("name", ["x", "centre", "scale"])
def test_hessian_products_by_arguments_of_every_role(name, rng):
    given = {"x": rng.normal(size=(3, 4)), "centre": rng.normal(size=3) + 2}
    given["scale"] = rng.normal(size=4)
    vector = rng.normal(size=given[name].shape)

    def slope(t):
        return tangled_loss.grad(**{**given, name: given[name] + t * vector}, wrt=name)

    difference = (slope(1e-5) - slope(-1e-5)) / 2e-5
    product = tangled_loss.hvp(**given, vector=vector, wrt=name)
    assert_close(product, difference, rtol=1e-7, atol=1e-8)


def test_hessian_diagonal_by_a_number_a_row(rng):
    x, centre, scale = rng.normal(size=(3, 4)), rng.normal(size=3) + 2, rng.normal(size=4)

    def slope(t):
        return tangled_loss.grad(x, centre + t, scale, wrt="centre")

    difference = (slope(1e-5) - slope(-1e-5)) / 2e-5  # rows are not coupled
    diagonal = tangled_loss.hessian_diag(x, centre, scale, wrt="centre")
    assert_close(diagonal, difference, rtol=1e-7, atol=1e-8)


def test_hessian_diagonal_by_what_spans_the_rows(rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 1))
    wide = np.broadcast_to(y, x.shape).copy()
    by_wide = MSE.hessian_diag(x, wide, wrt="targets")
    by_narrow = MSE.hessian_diag(x, y, wrt="targets")
    assert_close(by_narrow, by_wide.sum(axis=1, keepdims=True), rtol=1e-14)
    by_weight = MSE.hessian_diag(
        x, wide, sample_weight=np.ones(3), wrt="sample_weight", reduction="sum"
    )
    assert by_weight.tolist() == [0.0, 0.0, 0.0]


# --------------------------------------------------------------------- what must not be shared
@pytest.mark.parametrize("order", [1, -1])
def test_equal_options_of_different_kinds_are_different(order):
    kinded_loss.forget()
    kinded_loss.formula.variants.clear()
    expected = [(True, 2.0), (1, 3.0), (1.0, 5.0), (0.0, 7.0), (-0.0, 11.0)]
    for _ in range(2):
        for option, factor in expected[::order]:
            assert kinded_loss(np.ones(2), option=option) == factor
            assert kinded_loss([1.0, 1.0], option=option) == factor


def test_options_may_be_numpy_scalars():
    for delta in (0.5, np.float32(0.5), np.float64(0.5), np.asarray(0.5)):
        assert tw.huber_loss(X, Y, delta=delta) == tw.huber_loss(X, Y, delta=0.5)
    assert tw.huber_loss(X, Y, delta=np.float32(0.1)) == tw.huber_loss(
        X, Y, delta=float(np.float32(0.1))
    )


def test_losses_have_memory_of_their_own(to_array, backend):
    array = to_array([1.0, -2.0])
    losses = identity_loss(array, reduction="none")
    value, gradient = identity_loss.value_and_grad(array, reduction="none")
    steps = identity_loss.steps(array, reduction="none")
    for found in (losses, value, steps["values"], steps["losses"], steps["loss"]):
        assert found is not array
        assert_close(found, [1.0, -2.0], rtol=0.0)
    assert gradient is not array
    if backend != "jax":  # whose arrays never change
        for found in (losses, value, *steps.values()):
            found[0] = 9.0
        assert_close(array, [1.0, -2.0], rtol=0.0)


# --------------------------------------------------------------------- elements of rows
@pytest.mark.parametrize("axis", [-1, 0])
def test_a_rowwise_formula_may_give_elements(axis, to_array, to_numpy, rng):
    host = rng.normal(size=(3, 4))
    x = to_array(host)
    losses = to_numpy(elements_loss(x, axis=axis, reduction="none"))
    assert losses.shape == (3, 4)
    assert_close(elements_loss(x, axis=axis), losses.mean(), like=x, rtol=1e-14)
    weight, kept = rng.random((3, 4)), rng.random((3, 4)) > 0.4
    options = {"sample_weight": to_array(weight), "where": to_array(kept), "axis": axis}
    expected = (losses * weight * kept).sum() / (weight * kept).sum()
    assert_close(elements_loss(x, **options), expected, like=x, rtol=1e-14)
    by_weight = elements_loss.grad(x, wrt="sample_weight", **options)
    total = (weight * kept).sum()
    slope = kept * (losses - expected) / total
    assert_close(by_weight, slope, like=x, rtol=1e-12, atol=1e-15)
    tw.check_gradient(elements_loss, host, axis=axis)


def test_a_count_a_row_counts_each_element():
    @tw.rowwise(roles={"importance": "row"})
    def counted_loss(x, importance):
        return importance * x**2, importance

    x, importance = np.asarray([[1.0, 2.0], [3.0, 4.0]]), np.asarray([1.0, 3.0])
    assert counted_loss(x, importance) == (1 + 4 + 3 * 9 + 3 * 16) / 8


# --------------------------------------------------------------------- Tensors that move
def test_a_gradient_travels_back_from_another_library():
    pytest.importorskip("torch")
    leaf = tw.Tensor(predictions, requires_grad=True)
    value = MSE(leaf, targets, backend="torch")
    assert value.backend == "torch"
    value.backward()
    assert isinstance(leaf.grad, np.ndarray)
    assert_close(leaf.grad, MSE.grad(predictions, targets), rtol=1e-14)
    other = tw.Tensor(logits, requires_grad=True)
    weight = tw.Tensor(np.ones(4), requires_grad=True)
    CE(other, tw.Tensor(distribution), weight=weight, backend="torch").backward()
    expected = CE.grad(logits, distribution, weight=np.ones(4), wrt=("logits", "weight"))
    assert_close(other.grad, expected[0], rtol=1e-13, atol=1e-16)
    assert_close(weight.grad, expected[1], rtol=1e-13)


# --------------------------------------------------------------------- names of steps
def test_steps_do_not_overwrite_each_other():
    @tw.pointwise
    def crowded_loss(x, y):
        mean = 0.5 * (x + y)
        x = x - mean
        return x**2

    steps = crowded_loss.steps(X, Y)
    assert list(steps) == ["x", "y", "x'", "mean", "loss", "loss (mean)"]
    assert steps["x"].tolist() == X.tolist()
    assert steps["mean"].tolist() == [0.5, 3.0]
    assert steps["x'"].tolist() == [0.5, -1.0]
    assert steps["loss (mean)"] == 0.625


def test_clipped_predictions_do_not_hide_the_given_ones():
    steps = tw.binary_cross_entropy_loss.steps([0.0, 0.5], [1.0, 1.0], clip=0.25)
    assert steps["predictions"].tolist() == [0.0, 0.5]
    assert steps["predictions'"].tolist() == [0.25, 0.5]


def test_the_same_array_is_never_given_back_under_autograd():
    torch = pytest.importorskip("torch")
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = identity_loss(leaf, reduction="none")
    assert losses.data_ptr() != leaf.data_ptr()
    (losses * torch.tensor([3.0, 4.0])).sum().backward()
    assert leaf.grad.tolist() == [3.0, 4.0]
    assert identity_loss(leaf).item() == 1.5


def test_an_option_annotated_so_may_be_none():
    @tw.pointwise
    def scaled_loss(predictions, targets, *, scale: float | None = 2.0):
        factor = 1.0 if scale is None else scale
        return factor * (predictions - targets)

    assert scaled_loss([3.0], [1.0]) == 4
    assert scaled_loss([3.0], [1.0], scale=None) == 2
    with pytest.raises(tw.ArgumentError, match="scaled_loss: scale must be a number, got 'a'"):
        scaled_loss([3.0], [1.0], scale="a")
