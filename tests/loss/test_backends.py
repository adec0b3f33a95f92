"""Every loss on every backend: NumPy's numbers, in the caller's library, device and dtype."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.arrays import dtype_name
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, ROWS, convert, labels, logits

REDUCED = {"float64": "float64", "float32": "float32", "float16": "float32"}


@pytest.fixture(params=CASES)
def case(request):
    """An ordinary call of a loss."""
    return CASES[request.param]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values_are_those_of_numpy(case, reduction, to_array):
    arrays, options = convert(case, to_array)
    found = case.loss(*arrays, reduction=reduction, **options)
    expected = case.loss(*case.arrays, reduction=reduction, **case.options)
    assert_close(found, expected, like=arrays[0], rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_are_those_of_numpy(case, reduction, to_array):
    arrays, options = convert(case, to_array)
    value, gradient = case.loss.value_and_grad(*arrays, reduction=reduction, **options)
    expected = case.loss.grad(*case.arrays, reduction=reduction, **case.options)
    assert_close(gradient, expected, like=arrays[0], of="gradient", atol=1e-16)
    alone = case.loss.grad(*arrays, reduction=reduction, **options)
    assert_close(alone, gradient, rtol=0.0)
    same = case.loss(*arrays, reduction=reduction, **options)
    assert_close(value, same, rtol=1e-14, atol=1e-16)


def test_second_derivatives_are_those_of_numpy(case, to_array):
    arrays, options = convert(case, to_array)
    vector = np.cos(case.arrays[0])
    diagonal = case.loss.hessian_diag(*arrays, **options)
    expected = case.loss.hessian_diag(*case.arrays, **case.options)
    assert_close(diagonal, expected, like=arrays[0], of="hessian", atol=1e-16)
    product = case.loss.hvp(*arrays, to_array(vector), **options)
    expected = case.loss.hvp(*case.arrays, vector, **case.options)
    assert_close(product, expected, like=arrays[0], of="hessian", atol=1e-16)


def test_gradients_by_the_targets_are_those_of_numpy(case, to_array):
    if case.arrays[1].dtype.kind != "f":
        with pytest.raises(tw.ArgumentError, match="wrt must be among"):
            case.loss.grad(*case.arrays, wrt="targets")
        return
    arrays, options = convert(case, to_array)
    found = case.loss.grad(*arrays, wrt="targets", **options)
    expected = case.loss.grad(*case.arrays, wrt="targets", **case.options)
    assert_close(found, expected, like=arrays[1], of="gradient", atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_dtypes_are_kept(case, dtype, backend, to_array):
    if dtype == "float16" and backend == "strict":
        pytest.skip("array-api-strict has no float16")

    def convert_to(array):
        return to_array(array, dtype if array.dtype.kind == "f" else None)

    arrays, options = convert(case, convert_to)
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    assert dtype_name(value) == REDUCED[dtype]
    losses = case.loss(*arrays, reduction="none", **options)
    diagonal = case.loss.hessian_diag(*arrays, **options)
    product = case.loss.hvp(*arrays, arrays[0], **options)
    for array in (gradient, losses, diagonal, product):
        assert_close(array, array, like=arrays[0])
    tolerance = {"float64": 1e-13, "float32": 5e-6, "float16": 1e-2}[dtype]
    exact = case.loss(*case.arrays, **case.options)
    assert_close(value, exact, like=value, rtol=tolerance)
    exact = case.loss.grad(*case.arrays, **case.options)
    assert_close(gradient, exact, like=gradient, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "bool"])
def test_targets_may_be_whole_numbers(dtype, to_array):
    predictions = to_array([0.25, 0.75, 0.5])
    for loss in (tw.mse_loss, tw.binary_cross_entropy_loss, tw.huber_loss):
        value, gradient = loss.value_and_grad(predictions, to_array([0, 1, 1], dtype))
        expected = loss.value_and_grad(predictions, to_array([0.0, 1.0, 1.0]))
        assert_close(value, expected[0], rtol=0.0)
        assert_close(gradient, expected[1], rtol=0.0)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint16"])
def test_labels_may_have_any_integer_dtype(dtype, backend, to_array):
    if dtype == "uint16" and backend == "torch":
        pytest.skip("PyTorch's uint16 cannot be computed with")
    x, y = to_array(logits), to_array(labels)
    found = tw.cross_entropy_loss.value_and_grad(x, to_array(labels, dtype))
    for ours, expected in zip(found, tw.cross_entropy_loss.value_and_grad(x, y), strict=True):
        assert_close(ours, expected, rtol=0.0)


def test_lists_and_numbers_follow_the_arrays_beside_them(to_array):
    x = to_array(logits, "float32")
    found = tw.cross_entropy_loss(x, labels.tolist())
    assert_close(found, tw.cross_entropy_loss(x, to_array(labels)), rtol=0.0)
    found = tw.mse_loss(x, 0.5)
    assert_close(found, tw.mse_loss(x, to_array(np.full(logits.shape, 0.5), "float32")), rtol=0.0)
    found = tw.mse_loss(x, logits.tolist(), where=[True] * ROWS)
    assert_close(found, 0.0, like=x, atol=1e-12)


def test_lists_alone_are_numpys():
    assert tw.mse_loss([[10.0], [60.0]], [[32.0], [212.0]]) == 11794.0
    assert tw.mse_loss.grad([[10.0], [60.0]], [[32.0], [212.0]]).tolist() == [[-22.0], [-152.0]]
    assert tw.mse_loss(1.0, 3) == 4.0


def test_a_single_number(to_array):
    value, gradient = tw.mse_loss.value_and_grad(to_array(3.0), to_array(1.0))
    assert_close(value, 4.0, like=to_array(3.0))
    assert_close(gradient, 4.0, like=to_array(3.0))
    assert_close(tw.mse_loss.hessian_diag(to_array(3.0), to_array(1.0)), 2.0, like=to_array(3.0))


def test_moving_to_a_backend(backend, to_array):
    found = tw.cross_entropy_loss(logits, labels, backend=backend)
    here = tw.cross_entropy_loss(to_array(logits), to_array(labels), backend="numpy")
    assert_close(here, tw.cross_entropy_loss(logits, labels), rtol=0.0)
    assert_close(tw.get_backend(backend).to_numpy(found), np.asarray(here), rtol=1e-14)


def test_rows_alone(to_array):
    value, gradient = tw.cross_entropy_loss.value_and_grad(to_array(logits[0]), to_array(labels[0]))
    expected = tw.cross_entropy_loss.value_and_grad(logits[:1], labels[:1])
    assert_close(value, expected[0], like=to_array(logits))
    assert_close(gradient, expected[1][0], like=to_array(logits), of="gradient", atol=1e-17)
    assert gradient.shape == (CLASSES,)
