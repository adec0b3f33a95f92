"""Every pass leaves a well-formed graph that computes the same."""

import numpy as np
import pytest

from tensorweaver.backends import get_backend
from tensorweaver.compiler import compile as weaving
from tensorweaver.compiler.graph import Graph, constant, input_node, operation, topological, verify
from tensorweaver.compiler.simplify import lower, recognise, simplify
from tensorweaver.compiler.trace import ROW_SIZE, trace
from tensorweaver.primitives import VOCABULARY
from tests.compiler.formulas import FORMULAS, LABELS, ROW_VALUE, X, Y
from tests.helpers.compare import assert_close

KINDS = ("value", "gradient", "hessian_product", "hessian_diagonal")


def graph_of(formula, kind):
    function, inputs = FORMULAS[formula]
    graph = weaving.trace_formula(function, inputs)
    graph = graph.with_outputs(graph.outputs[0])
    if kind == "gradient":
        return weaving.gradient_graph(graph, [X])
    if kind == "hessian_product":
        return weaving.hessian_product_graph(graph, [X], [X])
    if kind == "hessian_diagonal":
        return weaving.hessian_diagonal_graph(graph, X)
    return graph


def numbers():
    """The same every time, away from kinks and poles: difference quotients need that."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(6, 5))
    return {
        X: x + np.copysign(0.3, x),
        Y: rng.random((6, 5)),
        ROW_VALUE: rng.random((6, 1)) + 0.5,
        LABELS: rng.integers(0, 5, (6, 1)),
        ROW_SIZE: 5,
        weaving.SEED: 0.25,
        input_node("vector_x"): rng.normal(size=(6, 5)),
    }


def run(graph, values):
    kernel = weaving.weave(graph, weaving.Setting(get_backend("numpy"), "float64", "int64"))
    with np.errstate(all="ignore"):
        results = kernel(*(values[node] for node in graph.inputs))
    return results if isinstance(results, tuple) else (results,)


def closed_form(formula, kind):
    return (formula, kind) != ("coupled_rows", "hessian_diagonal")


CASES = [(f, k) for f in FORMULAS for k in KINDS if closed_form(f, k)]


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_every_pass_leaves_a_well_formed_graph(formula, kind):
    graph = graph_of(formula, kind)
    verify(graph)
    for stage in (simplify, lower, simplify):
        graph = stage(graph)
        verify(graph)
    composed = {name for name, row in VOCABULARY.items() if row.formula is not None}
    assert not composed & {node.name for node in topological(graph.outputs)}


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_passes_keep_the_numbers(formula, kind):
    graph = graph_of(formula, kind)
    values = numbers()
    plain = run(graph, values)
    for other in (simplify(graph), lower(graph), simplify(lower(simplify(graph)))):
        for actual, expected in zip(run(other, values), plain, strict=True):
            assert_close(
                np.broadcast_to(actual, np.shape(expected)), expected, rtol=1e-12, atol=1e-14
            )


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_plain_spelling_is_recognised(formula):
    function, inputs = FORMULAS[formula]
    plain = trace(function, inputs)
    values = numbers()
    for actual, expected in zip(run(recognise(plain), values), run(plain, values), strict=True):
        assert_close(actual, expected, rtol=1e-12)


def test_the_log_likelihood_of_a_label_is_recognised():
    graph = graph_of("labelled", "value")
    assert "log_softmax_at" in {node.name for node in topological(graph.outputs)}


@pytest.mark.parametrize(
    "name", ["log_softmax", "softmax", "softmax_complement", "log_softmax_complement"]
)
def test_what_a_label_reads_is_computed_for_the_label_alone(name):
    row = operation(name, X)
    graph = recognise(Graph((X, LABELS), (operation("take_along_axis", row, LABELS),)))
    assert {node.name for node in topological(graph.outputs)} == {"input", f"{name}_at"}


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_simplify_has_nothing_left_to_do(formula, kind):
    once = simplify(graph_of(formula, kind))
    assert simplify(once).outputs == once.outputs


ZERO, ONE, TWO = constant(0.0), constant(1.0), constant(2.0)
NEGATED = operation("negative", X)
IS_NAN = operation("isnan", X)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (operation("add", X, ZERO), X),
        (operation("subtract", X, ZERO), X),
        (operation("multiply", ONE, X), X),
        (operation("divide", X, ONE), X),
        (operation("add", X, X), operation("multiply", TWO, X)),
        (operation("add", X, operation("negative", Y)), operation("subtract", X, Y)),
        (operation("subtract", X, operation("negative", Y)), operation("add", X, Y)),
        (operation("negative", NEGATED), X),
        (operation("negative", operation("subtract", X, Y)), operation("subtract", Y, X)),
        (operation("pow", X, TWO), operation("square", X)),
        (operation("pow", X, constant(0.5)), operation("sqrt", X)),
        (operation("pow", X, ONE), X),
        (operation("pow", X, constant(3.0)), operation("multiply", X, operation("square", X))),
        (operation("pow", X, constant(1.5)), operation("multiply", X, operation("sqrt", X))),
        (operation("divide", X, TWO), operation("multiply", constant(0.5), X)),
        (operation("where", constant(True), X, Y), X),
        (operation("where", operation("isnan", X), Y, Y), Y),
        (
            operation("sum", operation("spread", ROW_VALUE)),
            operation("multiply", ROW_SIZE, ROW_VALUE),
        ),
        (operation("add", operation("spread", ROW_VALUE), X), operation("add", ROW_VALUE, X)),
        (operation("multiply", TWO, constant(3.0)), constant(6.0)),
        (
            operation("multiply", TWO, operation("multiply", ROW_SIZE, X)),
            operation("multiply", operation("multiply", TWO, ROW_SIZE), X),
        ),
        (
            operation("multiply", ROW_SIZE, operation("multiply", TWO, X)),
            operation("multiply", operation("multiply", TWO, ROW_SIZE), X),
        ),
        (
            operation(
                "where",
                IS_NAN,
                operation("multiply", ROW_SIZE, X),
                operation("multiply", ROW_SIZE, Y),
            ),
            operation("multiply", ROW_SIZE, operation("where", IS_NAN, X, Y)),
        ),
    ],
)
def test_rules(before, after):
    graph = Graph((X, Y, ROW_VALUE, ROW_SIZE), (before,))
    assert simplify(graph).outputs == (after,)


@pytest.mark.parametrize(
    "kept",
    [
        operation("multiply", ZERO, X),  # NaN times 0 is NaN
        operation("subtract", X, X),  # infinity less infinity is NaN
        operation("divide", X, constant(3.0)),  # a third is not a number of this base
        operation("equal", X, X),  # NaN is not itself
        operation("subtract", ZERO, X),  # 0 - 0 is 0, -(0) is -0
    ],
)
def test_rules_that_would_hide_something_do_not_exist(kept):
    assert simplify(Graph((X,), (kept,))).outputs == (kept,)


def test_a_formula_that_needs_a_formula_is_lowered_to_the_end():
    x = input_node("x")
    low = lower(Graph((x,), (operation("log_factorial_excess", x),)))
    names = {node.name for node in topological(low.outputs)} & set(VOCABULARY)
    assert {name for name in names if VOCABULARY[name].formula is not None} == set()


def test_a_row_is_never_empty():
    nothing = operation("equal", ROW_SIZE, constant(0.0))
    graph = Graph((X, ROW_SIZE), (operation("where", nothing, constant(0.0), X),), {})
    assert simplify(graph).outputs == (X,)


def simplify_power(exponent):
    node = simplify(Graph((X,), (operation("pow", X, constant(exponent)),))).outputs[0]
    assert node.name != "pow"
    return node


@pytest.mark.parametrize("exponent", [-1.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_a_power_by_other_functions_is_the_power(exponent):
    x = np.asarray([0.0, 5e-324, 1e-200, 1e-30, 0.3, 1.0, 7.1, 1e30, 1e80, 1e300, np.inf, np.nan])
    x = np.concatenate([x, -x]) if exponent == int(exponent) else x
    graph = Graph((X,), (simplify_power(exponent),))
    (actual,) = run(graph, {X: x[:, None]})
    with np.errstate(all="ignore"):
        assert_close(actual[:, 0], x**exponent, rtol=4e-16)
