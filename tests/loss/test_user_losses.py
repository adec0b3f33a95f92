"""`@tw.pointwise` and `@tw.rowwise` make of a user's formula what the library's own losses are."""

import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES


@tw.pointwise
def lopsided_loss(predictions, targets, *, ratio=3.0):
    """Squared error that costs `ratio` times more below the target."""
    xp = tw.array_namespace(predictions, targets)
    error = predictions - targets
    return xp.where(error < 0, ratio * error * error, error * error)


@tw.rowwise(roles={"targets": "label"})
def margin_loss(scores, targets, *, margin=1.0):
    """The best wrong class should stay `margin` below the right one."""
    xp = tw.array_namespace(scores)
    own = xp.take_along_axis(scores, targets, axis=-1)
    others = xp.put_along_axis(scores, targets, -np.inf, axis=-1)
    best = xp.max(others, axis=-1, keepdims=True)
    return xp.maximum(margin + best - own, 0.0)


@tw.rowwise(roles={"importance": "row"}, wrt=("features", "importance"))
def paired_loss(features, importance):
    """A loss and how much of it a mean counts."""
    xp = tw.array_namespace(features)
    size = xp.sum(xp.square(features), axis=-1, keepdims=True)
    return importance * size, importance


@tw.pointwise
def guarded_logarithm_loss(x):
    """The logarithm where there is one."""
    xp = tw.array_namespace(x)
    return xp.where(x > 0, xp.log(x), 0.0)


@tw.rowwise
def entropy_loss(logits):
    """A coupled formula without a closed diagonal."""
    xp = tw.array_namespace(logits)
    p = xp.softmax(logits, axis=-1)
    return -xp.sum(p * xp.log(p), axis=-1)


@tw.rowwise
def spread_loss(x):
    """Reductions of reductions."""
    xp = tw.array_namespace(x)
    deviation = x - xp.mean(x, axis=-1, keepdims=True)
    return xp.sqrt(xp.mean(xp.square(deviation), axis=-1))


def test_a_pointwise_loss(to_array):
    x, y = to_array([1.0, 4.0]), to_array([2.0, 2.0])
    assert_close(lopsided_loss(x, y), 3.5, like=x)
    assert_close(lopsided_loss.grad(x, y), [-3.0, 2.0], like=x)
    assert_close(lopsided_loss(x, y, ratio=1.0, reduction="none"), [1.0, 4.0], like=x)
    assert_close(lopsided_loss.hessian_diag(x, y, reduction="sum"), [6.0, 2.0], like=x)
    assert_close(lopsided_loss.hvp(x, y, to_array([1.0, -1.0])), [3.0, -1.0], like=x)
    kept = to_array([False, True])
    assert_close(lopsided_loss(x, y, where=kept), 4.0, like=x)


def test_a_rowwise_loss_with_labels(to_array):
    scores = to_array([[3.0, 1.0, 2.5], [0.0, 5.0, 1.0]])
    labels = to_array([0, 1])
    assert_close(margin_loss(scores, labels, reduction="none"), [0.5, 0.0], like=scores)
    gradient = margin_loss.grad(scores, labels)
    assert_close(gradient, [[-0.5, 0.0, 0.5], [0.0, 0.0, 0.0]], like=scores)
    with pytest.raises(tw.LabelError, match=r"margin_loss: targets\[1\] is 3"):
        margin_loss(np.zeros((2, 3)), [0, 3])


@tw.rowwise(roles={"targets": "label"})
def mean_of_others_loss(scores, targets):
    """The mean over the row, the label's score left out of it."""
    xp = tw.array_namespace(scores)
    return xp.mean(xp.put_along_axis(scores, targets, 0.0, axis=-1), axis=-1, keepdims=True)


def test_a_slope_that_is_the_same_in_a_row_is_laid_out_before_it_is_written_to(to_array):
    scores, labels = to_array(np.array([[1.0, 2.0, 6.0]])), to_array(np.array([2]))
    assert_close(mean_of_others_loss(scores, labels, reduction="sum"), 1.0, like=scores)
    gradient = mean_of_others_loss.grad(scores, labels, reduction="sum")
    assert_close(gradient, [[1 / 3, 1 / 3, 0.0]], like=scores)


def test_a_formula_may_return_a_pair(to_array):
    x, importance = to_array([[1.0, 2.0], [3.0, 0.0]]), to_array([1.0, 3.0])
    assert_close(paired_loss(x, importance), (5.0 + 27.0) / 4, like=x)
    by_x, by_importance = paired_loss.grad(x, importance)
    assert_close(by_x, [[0.5, 1.0], [4.5, 0.0]], like=x)
    # The mean's divisor moves with the importance: (size - mean) / total.
    assert_close(by_importance, [(5 - 8) / 4, (9 - 8) / 4], like=x)
    weighted = paired_loss(x, importance, sample_weight=to_array([2.0, 0.0]))
    assert_close(weighted, 5.0, like=x)


def test_a_branch_not_taken_leaks_nothing(to_array):
    x = to_array([0.0, -1.0, 2.0])
    assert_close(guarded_logarithm_loss.grad(x, reduction="sum"), [0.0, 0.0, 0.5], like=x)
    diagonal = guarded_logarithm_loss.hessian_diag(x, reduction="sum")
    assert_close(diagonal, [0.0, 0.0, -0.25], like=x)
    product = guarded_logarithm_loss.hvp(x, to_array([1.0, 1.0, 1.0]), reduction="sum")
    assert_close(product, [0.0, 0.0, -0.25], like=x)


@pytest.mark.parametrize("loss", [entropy_loss, spread_loss], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_coupled_formulas_have_a_diagonal_too(loss, axis, to_array, rng):
    x = to_array(rng.normal(size=(2, 3, 4)))
    blocks = loss.hessian(x, axis=axis)
    diagonal = loss.hessian_diag(x, axis=axis)
    last = np.moveaxis(np.asarray(tw.get_backend("numpy").asarray(diagonal)), axis, -1)
    host = tw.get_backend("numpy").asarray(blocks)
    expected = np.diagonal(host, axis1=-2, axis2=-1)
    assert_close(last, expected, rtol=1e-10, atol=1e-14)
    assert np.abs(host - np.swapaxes(host, -1, -2)).max() < 1e-14


def test_check_gradient_agrees(rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    tw.check_gradient(lopsided_loss, x, y, ratio=2.5)
    tw.check_gradient(lopsided_loss, x, y, wrt="targets")
    tw.check_gradient(entropy_loss, x)
    tw.check_gradient(spread_loss, x, reduction="sum")
    tw.check_gradient(paired_loss, x, y[:, 0] ** 2 + 0.5)


# --------------------------------------------------------------------- what formulas cannot do
def test_a_condition_in_python_is_refused():
    @tw.pointwise
    def branching_loss(x, y):
        return max(y, x)

    with pytest.raises(tw.TraceError, match=r"write xp\.where\(condition, a, b\)"):
        branching_loss([1.0], [2.0])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: float(x), "no number yet"),  # noqa: PLW0108 - float has no signature
        (lambda x: x[0], "no shape, length or index"),
        (lambda x: x * x.shape[0], "no shape, length or index"),
        (lambda x: x * "2", "no number yet"),
        (lambda x: np.ones(3) * x, "numbers and its own arguments|unsupported operand"),
    ],
    ids=["float", "index", "shape", "text", "array"],
)
def test_what_needs_numbers_is_refused(body, message):
    loss = tw.pointwise(body)
    with pytest.raises(TypeError, match=message):
        loss([1.0, 2.0])


def test_a_reduced_value_beside_elements_must_keep_its_axis():
    @tw.rowwise
    def centred_loss(x):
        xp = tw.array_namespace(x)
        return xp.sum((x - xp.sum(x, axis=-1)) ** 2, axis=-1)

    with pytest.raises(tw.TraceError, match="keepdims=True"):
        centred_loss(np.ones((2, 3)))


def test_an_unknown_function_suggests_a_known_one():
    loss = tw.pointwise(lambda x: tw.array_namespace(x).softplos(x))
    with pytest.raises(AttributeError, match=r"xp\.softplos; did you mean softplus"):
        loss([1.0])


def test_another_axis_than_the_row_is_refused():
    loss = tw.rowwise(lambda x: tw.array_namespace(x).sum(x, axis=0))
    with pytest.raises(tw.TraceError, match="write axis=-1"):
        loss(np.ones((2, 3)))


@pytest.mark.parametrize("name", ["where", "sample_weight", "reduction", "backend", "out", "wrt"])
def test_the_names_that_every_loss_uses_are_taken(name):
    space: dict[str, Any] = {}
    exec(f"def formula(x, {name}): return x", space)  # noqa: S102 - our own text
    with pytest.raises(TypeError, match=f"an argument cannot be called '{name}'"):
        tw.pointwise(space["formula"])


def test_decorating_for_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="has no argument 'z'"):
        tw.pointwise(arrays=("z",))(lambda x: x)


# --------------------------------------------------------------------- names
def test_arguments_and_steps_may_be_called_like_functions(to_array):
    @tw.pointwise
    def confusing_loss(exp, log):
        xp = tw.array_namespace(exp)
        where = xp.exp(exp)
        square = xp.square(where - log)
        sum = xp.where(exp > 0, square, where)  # noqa: A001 - the point of the test
        return sum + square + where

    x, y = np.asarray([0.5, -1.0]), np.asarray([2.0, 0.25])
    found = confusing_loss(to_array(x), to_array(y), reduction="none", where=to_array([True, True]))
    square = (np.exp(x) - y) ** 2
    expected = np.where(x > 0, square, np.exp(x)) + square + np.exp(x)
    assert_close(found, expected, like=to_array(x))
    tw.check_gradient(confusing_loss, x, y)


def test_a_loss_looks_like_its_formula():
    assert getattr(lopsided_loss, "__name__", None) == "lopsided_loss"
    assert "times more below" in str(lopsided_loss.__doc__)
    parameters = inspect.signature(lopsided_loss).parameters
    assert list(parameters) == [
        "predictions", "targets", "ratio", "reduction", "sample_weight", "where", "backend",
    ]  # fmt: skip
    assert parameters["ratio"].default == 3.0
    assert "axis" in inspect.signature(entropy_loss).parameters
    assert repr(lopsided_loss).startswith("<Loss lopsided_loss(predictions, targets, *, ratio=3.0")


@pytest.mark.parametrize("name", CASES)
def test_the_librarys_losses_survive_a_pickle(name):
    loss = CASES[name].loss
    assert pickle.loads(pickle.dumps(loss)) is loss  # noqa: S301 - what we wrote ourselves


def test_a_users_loss_survives_a_pickle():
    again = pickle.loads(pickle.dumps(lopsided_loss))  # noqa: S301 - what we wrote ourselves
    assert again is lopsided_loss


# --------------------------------------------------------------------- size
def test_a_formula_of_ten_thousand_operations():
    @tw.pointwise
    def deep_loss(x):
        y = x
        for _ in range(5000):
            y = y * 0.999 + x
        return y

    slope = (1 - 0.999**5001) / 0.001
    value, gradient = deep_loss.value_and_grad(np.asarray([2.0]))
    assert_close(value, 2 * slope, like=np.float64(0), rtol=1e-11)
    assert_close(gradient, [slope], rtol=1e-11)


def test_source_is_the_text_of_the_kernel():
    text = lopsided_loss.source(ratio=2.0)
    assert text.startswith("def kernel(predictions, targets, row_size, seed):")
    assert "error = (predictions - targets)" in text
    assert text == lopsided_loss.source(ratio=2.0)
    compile(text, "kernel", "exec")
