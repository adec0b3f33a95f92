"""Operators: with numbers, arrays and tensors, on either side."""

import operator

import numpy as np
import pytest

from tensorweaver.errors import BackendError, ShapeError
from tensorweaver.tensor import Tensor
from tests.helpers.compare import assert_close

ARITHMETIC = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.mod,
    operator.floordiv,
]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
LEFT = [[1.5, 2.5], [3.5, 0.5]]
RIGHT = [0.5, 2.5]


@pytest.mark.parametrize("operate", [*ARITHMETIC, *COMPARISONS])
def test_tensors_arrays_and_numbers(operate, to_array):
    left, right = to_array(LEFT), to_array(RIGHT)
    expected = operate(np.array(LEFT), np.array(RIGHT))
    by_number = operate(np.array(LEFT), 2.5), operate(2.5, np.array(LEFT))
    tensor = Tensor(left)
    pairs = [
        (operate(tensor, Tensor(right)), expected),
        (operate(tensor, right), expected),
        (operate(tensor, RIGHT), expected),
        (operate(LEFT, Tensor(right)), expected),
        (operate(tensor, 2.5), by_number[0]),
        (operate(2.5, tensor), by_number[1]),
    ]
    if tensor.backend != "strict":  # which refuses what it does not know, on either side
        pairs.append((operate(left, Tensor(right)), expected))
    for got, truth in pairs:
        assert isinstance(got, Tensor)
        assert_close(got.data, truth.tolist(), dtype=truth.dtype.name)


@pytest.mark.parametrize("operate", ARITHMETIC[:5])
@pytest.mark.parametrize("left", [2.5, RIGHT], ids=["number", "list"])
def test_reflected_gradients(operate, left, to_array):
    x = Tensor(to_array(LEFT), requires_grad=True)
    y = Tensor(to_array(LEFT), requires_grad=True)
    names = {"sub": "subtract", "mul": "multiply", "truediv": "divide"}
    function = names.get(operate.__name__, operate.__name__)
    operate(left, x).sum().backward()
    constant = Tensor(to_array(left))
    getattr(y.__array_namespace__(), function)(constant, y).sum().backward()
    assert_close(x.grad, y.grad)


def test_numpy_on_the_left_leaves_it_to_the_tensor():
    got = np.ones((2, 2)) - Tensor([1.0, 2.0])
    assert isinstance(got, Tensor)
    assert got.tolist() == [[0.0, -1.0], [0.0, -1.0]]
    assert isinstance(np.float64(2.0) * Tensor([1.0]), Tensor)
    assert isinstance(np.ones((1, 2)) @ Tensor([1.0, 2.0]), Tensor)
    with pytest.raises(TypeError):
        np.exp(Tensor([1.0]))


def test_unary_operators(to_array):
    x = Tensor(to_array([-1.0, 2.0]), requires_grad=True)
    assert (-x).tolist() == [1.0, -2.0]
    assert (+x).tolist() == [-1.0, 2.0]
    assert abs(x).tolist() == [1.0, 2.0]
    assert (~(x > 0)).tolist() == [True, False]
    ((x > 0) & (x < 5) | (x == -1)).tolist()
    abs(x).sum().backward()
    assert_close(x.grad, [-1.0, 1.0], dtype="float64")


def test_assignment_operators_make_a_new_tensor():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x
    y += 1.0
    y *= 2.0
    assert x.tolist() == [1.0, 2.0]
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_numpy_numbers_beside_other_libraries_are_numbers(to_array):
    x = Tensor(to_array([1.0, 2.0], "float32"))
    assert_close((x * 2.0).data, [2.0, 4.0], dtype="float32")
    if x.backend not in {"numpy", "dask"}:
        assert_close((x * np.float64(2.0)).data, [2.0, 4.0], dtype="float32")


def test_mixed_libraries_are_an_error_that_names_both():
    torch = pytest.importorskip("torch")
    x = Tensor([1.0, 2.0], backend="numpy")
    with pytest.raises(BackendError, match=r"add.*'numpy'.*'torch'"):
        x + Tensor([1.0, 2.0], backend="torch")
    with pytest.raises(BackendError, match="torch"):
        x + torch.ones(2)


def test_strangers_are_left_to_python():
    with pytest.raises(TypeError, match="unsupported operand"):
        Tensor([1.0]) + "one"
    with pytest.raises(TypeError, match="unsupported operand"):
        None - Tensor([1.0])
    assert None not in (Tensor([1.0]), Tensor([2.0]))


def test_hash_is_by_identity():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y, x}) == 2


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="broadcast"):
        Tensor([1.0, 2.0]) + Tensor([1.0, 2.0, 3.0])


def test_numbers_out():
    assert float(Tensor([[2.5]])) == 2.5
    assert int(Tensor(7)) == 7
    assert [10, 20][Tensor(1)] == 20
    assert bool(Tensor([1.0]))
    assert not Tensor(0.0)
    assert len(Tensor([1.0, 2.0])) == 2
    assert [each.item() for each in Tensor([1.0, 2.0])] == [1.0, 2.0]
    assert np.asarray(Tensor([1.0])).tolist() == [1.0]
    with pytest.raises(ShapeError, match="neither true nor false"):
        bool(Tensor([1.0, 2.0]))
    with pytest.raises(ShapeError, match=r"one element.*\(2,\)"):
        Tensor([1.0, 2.0]).item()
    with pytest.raises(ShapeError, match="length"):
        len(Tensor(1.0))
    with pytest.raises(TypeError, match="integer"):
        [10][Tensor(0.0)]
