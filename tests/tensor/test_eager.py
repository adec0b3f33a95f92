"""The table's operations on plain arrays of every library."""

import numpy as np
import pytest

from tensorweaver.backends import get_backend
from tensorweaver.errors import DTypeError
from tensorweaver.tensor.eager import eager_namespace
from tests.helpers.compare import assert_close

X = [[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]]


@pytest.fixture
def eager(backend):
    return eager_namespace(get_backend(backend))


def test_there_is_one_a_backend(eager, backend):
    assert eager_namespace(get_backend(backend)) is eager
    assert repr(eager) == f"<EagerNamespace {backend}>"


def test_formulas_of_the_table(eager, to_array):
    x = to_array(X)
    log_total = np.log1p(np.exp(-1.0) + np.exp(-2.0))
    expected = [[-2 - log_total, -1 - log_total, -log_total], [0.0, -1000.0, -2000.0]]
    assert_close(eager.log_softmax(x, axis=-1), expected, like=x)
    total = eager.sum(eager.softmax(x, axis=0), axis=0)
    assert_close(total, [1.0, 1.0, 1.0], dtype="float64")
    assert_close(eager.logsumexp(x), [[3 + log_total], [1000.0]], dtype="float64")
    assert_close(eager.sigmoid(to_array([0.0, -1e4, 1e4])), [0.5, 0.0, 1.0], dtype="float64")


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sigmoid", "softplus"])
def test_single_precision_stays_single(name, eager, to_array):
    assert_close(
        getattr(eager, name)(to_array(X, "float32")),
        eager.backend.to_numpy(getattr(eager, name)(to_array(X))).tolist(),
        dtype="float32",
    )


def test_numbers_stand_beside_arrays(eager, to_array):
    x = to_array([-1.0, 2.0], "float32")
    assert_close(eager.where(x > 0, 1.0, x), [-1.0, 1.0], dtype="float32")
    assert_close(eager.where(x > 0, x, 0.5), [0.5, 2.0], dtype="float32")
    assert_close(eager.maximum(x, 0.0), [0.0, 2.0], dtype="float32")
    assert_close(eager.minimum(1.0, x), [-1.0, 1.0], dtype="float32")


@pytest.mark.parametrize(
    ("axis", "keepdims", "count"),
    [(None, False, 24), (1, True, 3), ((0, -1), False, 8), (-1, False, 4)],
)
def test_spread_and_count(axis, keepdims, count, eager, to_array):
    x = to_array(np.arange(24.0).reshape(2, 3, 4))
    total = eager.sum(x, axis=axis, keepdims=keepdims)
    truth = np.arange(24.0).reshape(2, 3, 4).sum(axis=axis, keepdims=True)
    expected = np.broadcast_to(truth, (2, 3, 4))
    assert_close(eager.spread(total, x, axis, keepdims), expected, like=x)
    assert eager.count(x, axis) == count


def test_places(eager, to_array):
    x, labels = to_array(X), to_array([[2], [0]])
    assert_close(eager.take_along_axis(x, labels, axis=-1), [[3.0], [1000.0]], dtype="float64")
    several = to_array([[2, 0, 2, 1], [0, 0, 1, 2]])
    assert_close(
        eager.take_along_axis(x, several, axis=1),
        [[3.0, 1.0, 3.0, 2.0], [1000.0, 1000.0, 0.0, -1000.0]],
        dtype="float64",
    )
    put = eager.put_along_axis(x, labels, -1.0, axis=-1)
    assert_close(put, [[1.0, 2.0, -1.0], [-1.0, 0.0, -1000.0]], like=x)
    columns = eager.put_along_axis(x, to_array([[0, 1, 0]]), 9.0, axis=0)
    assert_close(columns, [[9.0, 2.0, 9.0], [1000.0, 9.0, -1000.0]], like=x)
    assert_close(x, X, dtype="float64")


def test_scatter_add(eager, to_array):
    like, values = to_array(np.zeros((2, 2))), to_array([1.0, 10.0, 100.0])
    got = eager.scatter_add(like, to_array([3, 0, 3]), values)
    assert_close(got, [[10.0, 0.0], [0.0, 101.0]], like=like)


def test_labels_are_integers(eager, to_array):
    with pytest.raises(DTypeError, match="integers, got float64"):
        eager.take_along_axis(to_array(X), to_array([[0.0], [1.0]]))


def test_an_unknown_function(eager):
    with pytest.raises(AttributeError, match="did you mean softmax"):
        _ = eager.softmaxx


def test_running_sums_without_the_new_name(monkeypatch):
    eager = eager_namespace(get_backend("numpy"))
    x = np.arange(6.0).reshape(2, 3)
    expected = [
        np.cumulative_sum(x, axis=axis, include_initial=initial)
        for axis in (0, -1)
        for initial in (False, True)
    ]

    class OldNumPy:
        """NumPy 2.0."""

        def __getattr__(self, name):
            if name == "cumulative_sum":
                raise AttributeError(name)
            return getattr(np, name)

    monkeypatch.setattr(eager, "library", OldNumPy())
    got = [
        eager.cumulative_sum(x, axis=axis, include_initial=initial)
        for axis in (0, -1)
        for initial in (False, True)
    ]
    for one, other in zip(got, expected, strict=True):
        assert_close(one, other)
