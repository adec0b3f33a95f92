"""softmax and its relatives, as a user calls them: on arrays, lists, Tensors and in formulas."""

import math
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.arrays import dtype_name, library_of
from tests.helpers.compare import assert_close

ELEMENTWISE = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "log_sigmoid": lambda x: -math.log1p(math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
}
OVER_AN_AXIS = {
    "softmax": lambda row: np.exp(row) / np.exp(row).sum(),
    "log_softmax": lambda row: np.log(np.exp(row) / np.exp(row).sum()),
    "logsumexp": lambda row: np.log(np.exp(row).sum()),
}
FUNCTIONS = (*ELEMENTWISE, *OVER_AN_AXIS)
CUBE = np.linspace(-2.0, 2.0, 24).reshape(2, 3, 4) ** 3
CHAPTER = [2.0, 1.0, 0.1]
# The chapter prints three digits.
PROBABILITIES = [0.659, 0.242, 0.099]


def function(name):
    return getattr(tw, name)


def truth(name, x, axis=-1):
    if name in ELEMENTWISE:
        return np.vectorize(ELEMENTWISE[name])(x)
    return np.apply_along_axis(OVER_AN_AXIS[name], axis, x)


# -------------------------------------------------------------------------------- values
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_keep_library_device_and_dtype(name, dtype, to_array):
    x = to_array(CUBE, dtype)
    expected = truth(name, CUBE.astype(dtype).astype("float64"))
    close = {"rtol": 1e-13, "atol": 1e-15} if dtype == "float64" else {"rtol": 5e-6, "atol": 1e-6}
    assert_close(function(name)(x), expected, like=x, **close)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3, np.int64(1), np.int8(-1)])
@pytest.mark.parametrize("name", OVER_AN_AXIS)
def test_any_axis(name, axis, to_array):
    x = to_array(CUBE)
    expected = truth(name, CUBE, axis)
    assert_close(function(name)(x, axis), expected, like=x, rtol=1e-13, atol=1e-15)
    assert_close(function(name)(x, axis=axis), expected, like=x, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_logsumexp_keeps_its_axis_on_request(axis, to_array):
    x = to_array(CUBE)
    kept = tw.logsumexp(x, axis, keepdims=True)
    expected = np.expand_dims(truth("logsumexp", CUBE, axis), axis)
    assert_close(kept, expected, like=x, rtol=1e-13, atol=1e-15)
    tensor = tw.logsumexp(tw.Tensor(x), axis, keepdims=True)
    assert tensor.shape == tuple(kept.shape)
    assert tw.logsumexp(tw.Tensor(x), axis).shape == truth("logsumexp", CUBE, axis).shape


def test_the_chapters_numbers(backend, to_array, to_numpy):
    assert to_numpy(tw.softmax(to_array(CHAPTER))).round(3).tolist() == PROBABILITIES
    moved = tw.softmax(CHAPTER, backend=backend)
    assert library_of(moved) == backend
    assert_close(to_numpy(moved).astype("float64"), PROBABILITIES, atol=5e-4)
    tensor = tw.softmax(tw.Tensor(CHAPTER, backend=backend, dtype="float64"))
    assert tensor.numpy().round(3).tolist() == PROBABILITIES


def test_far_tails_are_exact(to_array):
    x = to_array([-1000.0, -700.0, 50.0, 1000.0])
    small = math.exp(-700.0)
    tail = math.exp(-50.0)
    assert_close(tw.sigmoid(x), [0.0, small, 1.0, 1.0], like=x, rtol=1e-13)
    assert_close(tw.softplus(x), [0.0, small, 50.0, 1000.0], like=x, rtol=1e-13)
    assert_close(tw.log_sigmoid(x), [-1000.0, -700.0, -tail, 0.0], like=x, rtol=1e-13)
    row = to_array([50.0, 0.0])
    assert_close(tw.log_softmax(row), [-tail, -50.0], like=row, rtol=1e-13)
    assert_close(tw.logsumexp(to_array([1e4, 1e4])), 1e4 + math.log(2.0), rtol=1e-15)


# Dask computes later, in threads that NumPy's warnings are not switched off in.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_infinite_scores(to_array):
    inf = math.inf
    rows = to_array([[0.0, -inf, 0.0], [inf, 1.0, inf], [-inf, -inf, -inf]])
    expected = [[0.5, 0.0, 0.5], [0.5, 0.0, 0.5], [math.nan] * 3]
    assert_close(tw.softmax(rows), expected, like=rows)
    assert_close(tw.logsumexp(rows), [math.log(2.0), inf, -inf], like=rows)
    assert_close(tw.sigmoid(rows)[1:, 0], [1.0, 0.0], like=rows)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_precision_computes_in_single_and_keeps_its_dtype(name, dtype, backend, to_array):
    if backend == "strict":
        pytest.skip("the standard has no half precision")
    x = to_array([[1.0, -2.0, 0.5, 0.25]], dtype)
    expected = truth(name, np.array([[1.0, -2.0, 0.5, 0.25]]))
    precision = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    for result in (function(name)(x), function(name)(tw.Tensor(x)).data):
        assert dtype_name(result) == dtype
        # One rounding, at the very end.
        assert_close(result, expected, like=x, rtol=1.01 * precision)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lists_and_numbers_follow_the_default_backend(name, backend):
    with tw.use_backend(backend):
        assert library_of(function(name)([[1.0, 2.0]])) == backend
    if name in ELEMENTWISE:
        assert float(function(name)(0.5)) == pytest.approx(ELEMENTWISE[name](0.5), rel=1e-15)


def test_inputs_are_left_alone(to_array):
    x = to_array(CUBE)
    for name in FUNCTIONS:
        function(name)(x)
    assert_close(x, CUBE, like=x, rtol=0.0)


# -------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize("name", FUNCTIONS)
def test_integers_are_refused_by_name(name, to_array):
    for x in ([1, 2], to_array([1, 2], "int32"), tw.Tensor(to_array([1, 2], "int32"))):
        with pytest.raises(tw.DTypeError, match=f"^{name}: x must be floating point, got int"):
            function(name)(x)
    with pytest.raises(tw.DTypeError, match="got bool"):
        function(name)([True])


@pytest.mark.parametrize("axis", [True, np.True_, (0,), (0, 1), [0], 1.0, "0", None])
@pytest.mark.parametrize("name", OVER_AN_AXIS)
def test_an_axis_is_one_integer(name, axis):
    with pytest.raises(tw.ArgumentError, match=f"^{name}: axis must be one integer, got "):
        function(name)([[1.0, 2.0]], axis=axis)


@pytest.mark.parametrize("axis", [2, -3])
@pytest.mark.parametrize("name", OVER_AN_AXIS)
def test_an_axis_lies_within_the_array(name, axis, to_array):
    x = to_array([[1.0, 2.0]])
    for values in (x, tw.Tensor(x)):
        with pytest.raises(tw.ArgumentError, match=rf"{name}: axis .* from -2 to 1, got {axis}"):
            function(name)(values, axis=axis)


@pytest.mark.parametrize("name", OVER_AN_AXIS)
def test_an_axis_holds_something(name, to_array):
    empty = to_array(np.zeros((2, 0)))
    for values in (empty, tw.Tensor(empty)):
        with pytest.raises(tw.ShapeError, match=rf"{name}: x of shape \(2, 0\) has nothing on ax"):
            function(name)(values)
    with pytest.raises(tw.ShapeError, match=f"{name}: x needs an axis, got a single number"):
        function(name)(1.0)


def test_no_rows_are_no_mistake(to_array):
    none = to_array(np.zeros((0, 3)))
    assert tw.softmax(none).shape == (0, 3)
    assert tw.logsumexp(none).shape == (0,)


# -------------------------------------------------------------------------------- Tensors
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_tensors(name, to_array):
    values = to_array(CHAPTER)
    x = tw.Tensor(values, requires_grad=True)
    along = np.array([1.0, -2.0, 0.5]) if name != "logsumexp" else np.array(3.0)
    function(name)(x).backward(to_array(along))
    host, step = np.array(CHAPTER), 1e-6
    quotients = [
        np.sum(along * (truth(name, host + step * unit) - truth(name, host - step * unit)))
        / (2 * step)
        for unit in np.eye(3)
    ]
    assert_close(x.grad, quotients, like=values, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensors_are_moved_by_backend_and_gradients_travel_back(name, backend):
    x = tw.Tensor(np.array(CHAPTER), requires_grad=True)
    moved = function(name)(x, backend=backend)
    assert moved.backend == backend
    assert library_of(moved.data) == backend
    moved.sum().backward()
    stayed = tw.Tensor(np.array(CHAPTER), requires_grad=True)
    function(name)(stayed).sum().backward()
    assert library_of(x.grad) == "numpy"
    assert_close(x.grad, stayed.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_of_half_precision_tensors_keep_its_dtype(dtype, backend, to_array):
    if backend == "strict":
        pytest.skip("the standard has no half precision")
    x = tw.Tensor(to_array([0.5, -1.0], dtype), requires_grad=True)
    tw.sigmoid(x).sum().backward()
    slopes = [math.exp(-v) / (1 + math.exp(-v)) ** 2 for v in (0.5, -1.0)]
    assert_close(x.grad, slopes, like=x.data, of="gradient")


# -------------------------------------------------------------------------------- formulas
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_inside_a_formula_over_rows(name, to_array):
    @tw.rowwise
    def weighed(logits, targets):
        xp = tw.array_namespace(logits)
        options = {"keepdims": True} if name == "logsumexp" else {}
        values = function(name)(logits, axis=np.int64(-1), **options)
        return xp.sum(targets * values, axis=-1, keepdims=True)

    logits, targets = np.array([CHAPTER, [0.3, 0.2, -1.0]]), np.array([[0.5, 0.2, 0.3]] * 2)
    values = truth(name, logits)
    expected = (targets * (values[:, None] if name == "logsumexp" else values)).sum()
    x = to_array(logits)
    assert_close(weighed(x, to_array(targets), reduction="sum"), expected, like=x, rtol=1e-13)
    assert tw.check_gradient(weighed, logits, targets).gradient < 1e-8


def test_logsumexp_inside_a_formula_may_drop_its_axis():
    @tw.rowwise
    def total(logits):
        return tw.logsumexp(logits)

    assert total([CHAPTER]) == pytest.approx(float(truth("logsumexp", np.array(CHAPTER))))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_inside_a_pointwise_formula(name, to_array):
    loss = tw.pointwise(lambda predictions, targets: targets * function(name)(predictions))
    x = to_array(CHAPTER)
    expected = 2.0 * truth(name, np.array(CHAPTER)).sum()
    assert_close(loss(x, to_array([2.0] * 3), reduction="sum"), expected, like=x, rtol=1e-13)
    assert tw.check_gradient(loss, CHAPTER, [2.0] * 3).gradient < 1e-8


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_formula_cannot_be_moved_from_inside(name):
    loss = tw.rowwise(lambda logits: function(name)(logits, backend="numpy"))
    with pytest.raises(tw.TraceError, match=rf"^{name}: .* leave backend='numpy' out"):
        loss([CHAPTER])


def test_one_hot_inside_a_formula_says_what_to_write():
    @tw.rowwise(roles={"labels": "label"})
    def loss(logits, labels):
        return tw.one_hot(labels, 3) * logits

    with pytest.raises(tw.TraceError, match=r"^one_hot: .* xp\.take_along_axis\(x, labels"):
        loss([CHAPTER], [0])


# --------------------------------------------------------------------------- smooth_labels
def test_smoothed_labels_are_more_even(to_array):
    hot = to_array([[1.0, 0.0, 0.0, 0.0]], "float32")
    even = [[0.85, 0.05, 0.05, 0.05]]
    assert_close(tw.smooth_labels(hot, 0.2), even, rtol=1e-6, like=hot, dtype="float32")
    assert_close(tw.smooth_labels(hot, 0.0), [[1.0, 0.0, 0.0, 0.0]], like=hot, dtype="float32")
    assert_close(tw.smooth_labels(hot, 1.0), [[0.25] * 4], like=hot, dtype="float32")


def test_smoothed_labels_are_the_losses_own():
    logits, hot = np.asarray([[0.5, -1.0, 2.0]]), tw.one_hot([1], 3)
    want = tw.cross_entropy_loss(logits, [1], label_smoothing=0.3)
    assert_close(tw.cross_entropy_loss(logits, tw.smooth_labels(hot, 0.3)), want, rtol=1e-15)


def test_smoothed_labels_of_half_precision_and_of_tensors():
    half = tw.smooth_labels(np.asarray([1.0, 0.0, 0.0], np.float16), 0.1)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, np.asarray([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3], np.float16))
    tensor = tw.Tensor([[1.0, 0.0]], requires_grad=True)
    smooth = tw.smooth_labels(tensor, 0.5)
    assert smooth.tolist() == [[0.75, 0.25]]
    tw.array_namespace(smooth).sum(smooth).backward()
    assert tensor.grad.tolist() == [[0.5, 0.5]]


def test_smoothed_labels_inside_a_formula():
    @tw.rowwise
    def loss(logits, targets):
        xp = tw.array_namespace(logits)
        return -xp.sum(tw.smooth_labels(targets, 0.3) * xp.log_softmax(logits, axis=-1), axis=-1)

    logits, hot = np.asarray([[0.5, -1.0, 2.0]]), tw.one_hot([1], 3)
    assert_close(
        loss(logits, hot), tw.cross_entropy_loss(logits, [1], label_smoothing=0.3), rtol=1e-14
    )


def test_smooth_labels_refusals():
    with pytest.raises(
        tw.DTypeError, match="smooth_labels: targets must be floating point, got in"
    ):
        tw.smooth_labels([0, 1], 0.1)
    with pytest.raises(
        tw.ArgumentError, match=r"smooth_labels: alpha must be in \[0, 1\], got 1.5"
    ):
        tw.smooth_labels([1.0, 0.0], 1.5)
    with pytest.raises(tw.ShapeError, match="smooth_labels: targets needs an axis"):
        tw.smooth_labels(1.0, 0.5)


# -------------------------------------------------------------------------------- one_hot
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_one_hot_of_any_shape(dtype, to_array):
    labels = to_array([[0, 2], [1, 1]], dtype)
    hot = tw.one_hot(labels, 3, dtype="float32")
    expected = [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]]
    assert_close(hot, expected, like=labels, dtype="float32")


def test_one_hot_outside_the_classes_is_all_zero(to_array):
    hot = tw.one_hot(to_array([-1, 0, 2, -100], "int64"), 2, dtype="int64")
    assert_close(hot, [[0, 0], [1, 0], [0, 0], [0, 0]], dtype="int64")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_one_hot_takes_a_dtype_by_name_or_as_it_is(dtype, xp, to_array, backend):
    labels = to_array([1, 0], "int64")
    own = tw.get_backend(backend).dtype(dtype)
    for wanted in (dtype, own):
        assert_close(tw.one_hot(labels, 2, dtype=wanted), [[0, 1], [1, 0]], dtype=dtype)
    assert tw.one_hot(labels, 2).dtype == xp.asarray(1.0).dtype


def test_one_hot_of_lists_numbers_and_tensors(backend, to_array):
    assert tw.one_hot(1, 3).tolist() == [0.0, 1.0, 0.0]
    three: Any = np.int64(3)
    moved = tw.one_hot([0, 2], three, backend=backend)
    assert library_of(moved) == backend
    assert_close(moved, [[1, 0, 0], [0, 0, 1]], dtype=dtype_name(moved))
    tensor = tw.one_hot(tw.Tensor(to_array([1], "int64")), 2)
    assert isinstance(tensor, tw.Tensor)
    assert (tensor.backend, tensor.tolist()) == (backend, [[0.0, 1.0]])
    assert tw.one_hot(tw.Tensor(np.array([1])), 2, backend=backend).backend == backend


def test_one_hot_refusals():
    with pytest.raises(tw.DTypeError, match="one_hot: labels must be integers, got float64"):
        tw.one_hot([0.0], 2)
    with pytest.raises(tw.DTypeError, match="got bool"):
        tw.one_hot([True], 2)
    with pytest.raises(tw.ArgumentError, match="num_classes must not be negative, got -1"):
        tw.one_hot([0], -1)
    wrong: list[Any] = [True, 2.0, (2,)]
    for classes in wrong:
        with pytest.raises(tw.ArgumentError, match="num_classes must be one integer, got"):
            tw.one_hot([0], classes)
    with pytest.raises(tw.DTypeError, match="unknown dtype 'float'"):
        tw.one_hot([0], 2, dtype="float")
    assert tw.one_hot([0, 1], 0).shape == (2, 0)


# -------------------------------------------------------------- softmax_cross_entropy_backward
@pytest.mark.parametrize("soft", [False, True])
def test_backward_is_probabilities_minus_one_hot(soft, to_array):
    logits = np.array([CHAPTER, [0.3, 0.2, -1.0]])
    probs, hot = truth("softmax", logits), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    targets = to_array(hot) if soft else to_array([0, 2], "int64")
    x = to_array(probs)
    found = tw.softmax_cross_entropy_backward(x, targets)
    assert_close(found, (probs - hot) / 2, like=x, rtol=1e-13, atol=1e-16)
    assert_close(x, probs, like=x, rtol=0.0)
    assert_close(
        found, tw.cross_entropy_loss.grad(to_array(logits), targets), rtol=1e-12, atol=1e-15
    )


def test_backward_of_the_chapters_numbers(backend, to_numpy):
    found = tw.softmax_cross_entropy_backward([PROBABILITIES], [0], backend=backend)
    assert library_of(found) == backend
    assert (
        to_numpy(found).round(3).tolist()
        == to_numpy(found).dtype.type([[-0.341, 0.242, 0.099]]).tolist()
    )


def test_backward_refusals():
    with pytest.raises(tw.LabelError, match=r"targets\[0\] is 2"):
        tw.softmax_cross_entropy_backward([[0.2, 0.8]], [2])
    with pytest.raises(tw.ShapeError):
        tw.softmax_cross_entropy_backward([[0.2, 0.8]], [0, 1, 0])
