"""Tensors in, Tensors out: what `backward` finds is what `.grad` computes."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.arrays import library_of
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, ROWS, convert


@pytest.fixture(params=CASES)
def case(request):
    """An ordinary call of a loss."""
    return CASES[request.param]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_backward_is_grad(case, reduction, to_array):
    arrays, options = convert(case, to_array)
    options["reduction"] = reduction
    tensors = [
        tw.Tensor(array, requires_grad=place in case.real) for place, array in enumerate(arrays)
    ]
    value = case.loss(*tensors, **options)
    assert isinstance(value, tw.Tensor)
    assert_close(value.data, case.loss(*arrays, **options), rtol=0.0)
    (3.0 * value).backward()
    for place in case.real:
        name = case.loss.formula.arguments[place]
        expected = 3.0 * case.loss.grad(*arrays, wrt=name, **options)
        assert library_of(tensors[place].grad) == library_of(arrays[place])
        assert_close(tensors[place].grad, expected, of="gradient", atol=1e-15)


def test_backward_from_elements(case, to_array):
    arrays, options = convert(case, to_array)
    leaf = tw.Tensor(arrays[0], requires_grad=True)
    losses = case.loss(leaf, *arrays[1:], reduction="none", **options)
    factor = np.cos(np.arange(np.prod(losses.shape))).reshape(losses.shape)
    (losses * to_array(factor)).sum().backward()
    expected = case.loss.grad(*arrays, reduction="sum", sample_weight=to_array(factor), **options)
    assert_close(leaf.grad, expected, of="gradient", atol=1e-15)


def test_methods_take_tensors_and_give_tensors(case, to_array):
    arrays, options = convert(case, to_array)
    tensors = [tw.Tensor(array) for array in arrays]
    value, gradient = case.loss.value_and_grad(*tensors, **options)
    results = {
        "value": (value, case.loss(*arrays, **options)),
        "gradient": (gradient, case.loss.grad(*arrays, **options)),
        "diagonal": (
            case.loss.hessian_diag(*tensors, **options),
            case.loss.hessian_diag(*arrays, **options),
        ),
        "product": (
            case.loss.hvp(*tensors, tensors[0], **options),
            case.loss.hvp(*arrays, arrays[0], **options),
        ),
    }
    for found, expected in results.values():
        assert isinstance(found, tw.Tensor)
        assert not found.requires_grad
        assert_close(found.data, expected, rtol=1e-13, atol=1e-16)


def test_weights_may_be_tensors_that_learn(to_array):
    case = CASES["ce, all"]
    arrays, options = convert(case, to_array)
    options["weight"] = tw.Tensor(options["weight"], requires_grad=True)
    sample_weight = tw.Tensor(to_array(np.arange(1.0, ROWS + 1)), requires_grad=True)
    case.loss(*arrays, sample_weight=sample_weight, **options).backward()
    raw = {**options, "weight": options["weight"].data, "sample_weight": sample_weight.data}
    expected = case.loss.grad(*arrays, wrt=("weight", "sample_weight"), **raw)
    assert_close(options["weight"].grad, expected[0], of="gradient", atol=1e-15)
    assert_close(sample_weight.grad, expected[1], of="gradient", atol=1e-15)


def test_nothing_is_recorded_without_need(to_array):
    x, y = to_array([1.0, 2.0]), to_array([0.0, 0.0])
    assert not tw.mse_loss(tw.Tensor(x), y).requires_grad
    leaf = tw.Tensor(x, requires_grad=True)
    with tw.no_grad():
        assert not tw.mse_loss(leaf, y).requires_grad
    assert tw.mse_loss(leaf, y).requires_grad


def test_one_tensor_twice(to_array):
    leaf = tw.Tensor(to_array([1.0, 3.0]), requires_grad=True)
    tw.mse_loss(leaf, leaf * leaf).backward()
    # d/dx (x - x²)² / 2 elements = (x - x²)(1 - 2x)
    assert_close(leaf.grad, [0.0, -6.0 * -5.0], like=leaf.data)


def test_out_may_be_a_tensor():
    out = tw.Tensor(np.zeros(2))
    assert tw.mse_loss.grad(tw.Tensor([1.0, 2.0]), [0.0, 0.0], out=out) is out
    assert out.tolist() == [1.0, 2.0]


def test_half_precision_leaves_keep_their_dtype():
    leaf = tw.Tensor(np.asarray([1.0, 3.0], np.float16), requires_grad=True)
    tw.mse_loss(leaf, [0.0, 0.0]).backward()
    assert leaf.grad.dtype == np.float16
    assert leaf.grad.tolist() == [1.0, 3.0]


@pytest.mark.parametrize("engine", [None, "blocks"])
def test_a_zero_cotangent_stays_zero_even_over_nan(engine):
    tw.set_engine(engine)
    for loss, rows, targets in (
        (tw.cross_entropy_loss, [[np.nan, 1.0], [0.0, 1.0]], [0, 0]),
        (tw.mse_loss, [[np.nan, np.inf], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]),
    ):
        x = tw.Tensor(rows, requires_grad=True)
        losses = loss(x, targets, reduction="none")
        kept = np.asarray([False, True]).reshape(2, *[1] * (losses.ndim - 1))
        xp = losses.__array_namespace__()
        xp.sum(xp.where(kept, losses, 0.0)).backward()
        np.testing.assert_array_equal(x.grad[0], [0.0, 0.0])
        expected = loss.grad(np.asarray(rows)[1:], targets[1:], reduction="sum")
        np.testing.assert_array_equal(x.grad[1:], expected)
