"""Derivative graphs: against finite differences, through branches, and to depth."""

import numpy as np
import pytest

from tensorweaver.backends import array_namespace, get_backend
from tensorweaver.compiler import compile as weaving
from tensorweaver.compiler.differentiate import NoDiagonalError
from tensorweaver.compiler.graph import Graph, operation
from tests.compiler.formulas import FORMULAS, X, Y
from tests.compiler.test_passes import CASES, graph_of, numbers, run
from tests.helpers.compare import assert_close


def difference_quotient(function, x, step=1e-3):
    """The Jacobian of `function` by central differences of sixth order, axes: result, then x."""
    columns = []
    for place in np.ndindex(x.shape):
        unit = np.zeros_like(x)
        unit[place] = step
        rises = [function(x + k * unit) - function(x - k * unit) for k in (1, 2, 3)]
        columns.append((45 * rises[0] - 9 * rises[1] + rises[2]) / (60 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("formula", FORMULAS)
def test_gradient(formula):
    values = numbers()
    value, gradient = run(graph_of(formula, "gradient"), values)
    graph = graph_of(formula, "value")

    def total(x):
        return np.sum(run(graph, values | {X: x})[0])

    expected = 0.25 * difference_quotient(total, values[X]).reshape(6, 5)
    assert np.isfinite(value).all()
    assert_close(np.broadcast_to(gradient, (6, 5)).copy(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("formula", "kind"), [case for case in CASES if "hessian" in case[1]])
def test_second_derivatives(formula, kind):
    values = numbers()
    gradient = graph_of(formula, "gradient")

    def gradient_at(x):
        return np.broadcast_to(run(gradient, values | {X: x})[1], (6, 5)).ravel().copy()

    jacobian = difference_quotient(gradient_at, values[X])
    (actual,) = run(graph_of(formula, kind), values)
    vector = values[next(n for n in values if n.value == "vector_x")]
    expected = np.diag(jacobian) if kind == "hessian_diagonal" else jacobian @ vector.ravel()
    assert_close(
        np.broadcast_to(actual, (6, 5)).copy(), expected.reshape(6, 5), rtol=1e-6, atol=1e-7
    )


def test_a_coupled_formula_has_no_closed_diagonal():
    with pytest.raises(NoDiagonalError):
        graph_of("coupled_rows", "hessian_diagonal")


LEAKS = {
    "log": lambda xp, x: xp.where(x > 0, xp.log(x), 0.0),
    "sqrt": lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0.0),
    "reciprocal": lambda xp, x: xp.where(x == 0, 1.0, 1.0 / x),
    "nested": lambda xp, x: xp.where(x > -1, xp.where(x > 0, xp.log(xp.log1p(x)), 2.0), 3.0),
    "chain": lambda xp, x: xp.where(x > 0, xp.exp(-1.0 / xp.square(x)), 0.0),
    "reduced": lambda xp, x: xp.sum(xp.where(x > 0, xp.log(x), 0.0), axis=-1, keepdims=True),
}


@pytest.mark.parametrize("name", LEAKS)
def test_the_branch_not_taken_does_not_leak(name):
    graph = weaving.trace_formula(lambda x: LEAKS[name](array_namespace(x), x), [X])
    x = np.asarray([[0.0, 2.0, -2.0]])
    values = {X: x, weaving.SEED: 1.0, graph.inputs[-1]: 3}
    _, gradient = run(weaving.gradient_graph(graph, [X]), values)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0] == 0.0
    assert gradient[0, 1] != 0.0


def test_what_hides_a_row_hides_what_is_summed_over_it():
    """The slope by the length is a sum over the row: 0 here, by which infinity is multiplied."""

    def formula(x):
        xp = array_namespace(x)
        squares = xp.sum(x**2, axis=-1, keepdims=True)
        first = xp.sum((x / xp.sqrt(squares) - 1.0) ** 2, axis=-1, keepdims=True)
        return xp.where(squares > 0, first, 0.0)

    graph = weaving.trace_formula(formula, [X])
    values = {
        X: np.asarray([[0.0, 0.0], [3.0, 4.0]]),
        weaving.SEED: 1.0,
        graph.inputs[-1]: 2,
    }
    _, gradient = run(weaving.gradient_graph(graph, [X]), values)
    assert_close(gradient, np.asarray([[0.0, 0.0], [-0.064, 0.048]]), rtol=1e-14, atol=1e-15)


def test_what_only_scales_has_no_slope():
    def formula(x):
        xp = array_namespace(x)
        largest = xp.stop_gradient(xp.max(xp.abs(x), axis=-1, keepdims=True))
        return largest * xp.sum(x / largest, axis=-1, keepdims=True)

    graph = weaving.trace_formula(formula, [X])
    values = {X: np.asarray([[1.0, -7.0, 3.0]]), weaving.SEED: 1.0, graph.inputs[-1]: 3}
    value, gradient = run(weaving.gradient_graph(graph, [X]), values)
    assert_close(value, np.asarray([[-3.0]]), rtol=1e-15)
    assert_close(np.broadcast_to(gradient, (1, 3)).copy(), np.ones((1, 3)), rtol=1e-15)


def test_nan_is_not_hidden_by_a_branch_that_was_taken():
    graph = weaving.trace_formula(
        lambda x: array_namespace(x).where(x > 0, array_namespace(x).log(x), x), [X]
    )
    values = {X: np.asarray([[np.nan]]), weaving.SEED: 1.0, graph.inputs[-1]: 1}
    value, _ = run(weaving.gradient_graph(graph, [X]), values)
    assert np.isnan(value).all()


def test_a_chain_of_ten_thousand_operations_is_differentiated():
    node = X
    for _ in range(10_000):
        node = operation("sin", node)
    gradient = weaving.gradient_graph(Graph((X,), (node,)), [X])
    x = np.asarray([0.75])
    _, slope = run(gradient, {X: x, weaving.SEED: 1.0})
    expected, value = 1.0, 0.75
    for _ in range(10_000):
        expected *= np.cos(value)
        value = np.sin(value)
    assert_close(slope, np.asarray([expected]), rtol=1e-10)


def test_what_does_not_depend_on_the_input_has_gradient_zero():
    graph = weaving.trace_formula(lambda x, y: y * 2.0, [X, Y])
    gradient = weaving.gradient_graph(graph, [X], value=False)
    assert gradient.outputs[0].value == 0.0


def test_a_kernel_runs_in_the_dtype_it_was_woven_for(rng):
    graph = graph_of("huber", "gradient")
    kernel = weaving.weave(graph, weaving.Setting(get_backend("numpy"), "float32"))
    x = rng.normal(size=(4, 3)).astype(np.float32)
    for result in kernel(x, x[::-1].copy(), 3, 1.0):
        assert result.dtype == np.float32
