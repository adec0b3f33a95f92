"""Reading elements by any key, and where their gradients return to."""

import numpy as np
import pytest

from tensorweaver.errors import ArgumentError, DTypeError
from tensorweaver.tensor import Tensor
from tests.helpers.compare import assert_close

KEYS = {
    "integer": 1,
    "negative": -1,
    "integers": (1, 2),
    "slice": slice(1, None),
    "step": (slice(None), slice(0, 4, 2)),
    "ellipsis": (..., 0),
    "new axis": (slice(None), None, 1),
    "new axis first": None,
    "all of it": (),
    "empty": slice(0, 0),
}
SCATTERED = {
    "integer array": np.array([2, 0, 2, 2]),
    "list": [0, 0, 1],
    "pairs": (np.array([0, 0, 2]), np.array([3, 3, 1])),
    "table": np.array([[0, 1], [1, 0]]),
    "small integers": np.array([2, 0, 2], np.uint8),
    "mask": np.array([True, False, True]),
    "full mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "mask and integer": (np.array([True, False, True]), 1),
    "slice and array": (slice(None), np.array([1, 1])),
}
VALUES = np.arange(12.0).reshape(3, 4)


def truth_of(key):
    """NumPy's answer, and the gradient of the sum of squares."""
    gradient = np.zeros((3, 4))
    np.add.at(gradient, key, 2 * VALUES[key])
    return VALUES[key], gradient


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_blocks(key, to_array):
    x = Tensor(to_array(VALUES), requires_grad=True)
    value, gradient = truth_of(key)
    out = x[key]
    assert_close(out.data, value, like=x.data)
    (out * out).sum().backward()
    assert_close(x.grad, gradient, like=x.data)


@pytest.mark.parametrize("name", SCATTERED)
def test_scattered(name, to_array, backend):
    key = SCATTERED[name]
    if backend == "strict" and name in {"mask and integer", "slice and array"}:
        pytest.skip("the standard does not mix arrays with other keys")
    if backend == "strict" and not isinstance(key, tuple) and "mask" not in name:
        key = (key, np.zeros(np.shape(key), np.int64))
    if backend == "dask" and ("mask" in name or name in {"pairs", "table"}):
        pytest.skip("Dask cannot index so with a known shape")
    x = Tensor(to_array(VALUES), requires_grad=True)
    value, gradient = truth_of(key)
    out = x[key]
    assert_close(out.data, value, like=x.data)
    (out * out).sum().backward()
    assert_close(x.grad, gradient, like=x.data)


def test_keys_may_be_tensors():
    x = Tensor(VALUES, requires_grad=True)
    assert x[Tensor([2, 0])].tolist() == VALUES[[2, 0]].tolist()
    assert x[x > 5].tolist() == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert x[Tensor(1), Tensor([0, 1])].tolist() == [4.0, 5.0]


def test_a_mask_on_dask_says_what_to_write_instead():
    pytest.importorskip("dask")
    x = Tensor(VALUES, backend="dask", requires_grad=True)
    with pytest.raises(ArgumentError, match=r"xp\.where"):
        _ = x[x > 5]
    assert x.detach()[x > 5].tolist() == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]


def test_float_keys_are_refused():
    with pytest.raises((DTypeError, IndexError)):
        _ = Tensor(VALUES)[Tensor([1.0])]


def gradient_of_squares(function, array):
    x = Tensor(array, requires_grad=True)
    out = function(x.__array_namespace__(), x)
    (out * out).sum().backward()
    return out, x.grad


def test_take(to_array):
    index = np.array([3, 0, 3])
    out, gradient = gradient_of_squares(
        lambda xp, x: xp.take(x, to_array(index), axis=1), to_array(VALUES)
    )
    assert_close(out.data, VALUES[:, index].tolist(), dtype="float64")
    expected = np.zeros((3, 4))
    expected[:, 0], expected[:, 3] = 2 * VALUES[:, 0], 4 * VALUES[:, 3]
    assert_close(gradient, expected.tolist(), dtype="float64")
    with pytest.raises(ArgumentError, match="which axis"):
        Tensor(VALUES).take([0])


def test_take_along_axis_with_repeated_places(to_array):
    index = np.array([[0, 0], [1, 3], [2, 2]])
    out, gradient = gradient_of_squares(
        lambda xp, x: xp.take_along_axis(x, to_array(index), axis=1), to_array(VALUES)
    )
    assert_close(out.data, np.take_along_axis(VALUES, index, axis=1).tolist(), dtype="float64")
    expected = np.zeros((3, 4))
    rows = np.arange(3)[:, None]
    np.add.at(expected, (rows, index), 2 * VALUES[rows, index])
    assert_close(gradient, expected.tolist(), dtype="float64")


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_labels_of_any_integer_dtype(dtype, to_array):
    wide = np.arange(600.0).reshape(2, 300)
    labels = to_array([[5], [250]], dtype)
    out, gradient = gradient_of_squares(
        lambda xp, x: xp.take_along_axis(x, labels, axis=-1), to_array(wide)
    )
    assert_close(out.data, [[5.0], [550.0]], dtype="float64")
    expected = np.zeros((2, 300))
    expected[0, 5], expected[1, 250] = 10.0, 1100.0
    assert_close(gradient, expected.tolist(), dtype="float64")


def test_places_that_are_no_integers_are_refused():
    with pytest.raises(DTypeError, match="integers, got float64"):
        Tensor(VALUES).take_along_axis([[0.0]])


def test_put_along_axis(to_array):
    labels = to_array([[1], [0], [3]])
    x = Tensor(to_array(VALUES), requires_grad=True)
    value = Tensor(to_array([[-1.0], [-2.0], [-3.0]]), requires_grad=True)
    out = x.put_along_axis(labels, value, axis=-1)
    assert_close(out.data[0, ...], [0.0, -1.0, 2.0, 3.0], dtype="float64")
    (out * out).sum().backward()
    assert_close(value.grad, [[-2.0], [-4.0], [-6.0]], dtype="float64")
    expected = 2 * VALUES
    expected[[0, 1, 2], [1, 0, 3]] = 0.0
    assert_close(x.grad, expected, like=x.data)


def test_sort(to_array, backend):
    if backend == "dask":
        pytest.skip("Dask cannot sort")
    array = to_array([3.0, 1.0, 2.0])
    out, gradient = gradient_of_squares(lambda xp, x: xp.sort(x) * to_array([0.0, 1.0, 2.0]), array)
    assert_close(out.data, [0.0, 2.0, 6.0], dtype="float64")
    assert_close(gradient, [24.0, 0.0, 4.0], dtype="float64")


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sorting_is_stable_in_both_directions(axis, descending, to_array, backend):
    if backend == "dask":
        pytest.skip("Dask cannot sort")
    values = np.array([[1.0, 3.0, 1.0, 2.0], [1.0, 0.0, 2.0, 2.0], [5.0, 3.0, 1.0, 0.0]])
    x = Tensor(to_array(values), requires_grad=True)
    order = np.argsort(-values if descending else values, axis=axis, stable=True)
    assert x.argsort(axis=axis, descending=descending).tolist() == order.tolist()
    out = x.sort(axis=axis, descending=descending)
    assert_close(out.data, np.take_along_axis(values, order, axis), like=x.data)
    places = np.arange(12.0).reshape(3, 4)
    (out * to_array(places)).sum().backward()
    expected = np.zeros((3, 4))
    np.put_along_axis(expected, order, places, axis)
    assert_close(x.grad, expected, like=x.data)
