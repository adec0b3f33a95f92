"""The text of a kernel for one block: every step on elements in memory that is handed to it."""

import re

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler.block_function import BlockFunction
from tensorweaver.compiler.blocks import BlockKernel
from tensorweaver.compiler.compile import prepare, trace_formula
from tensorweaver.compiler.emit_blocks import emit_blocks
from tensorweaver.compiler.graph import Graph, Level, constant, input_node, operation
from tensorweaver.compiler.schedule import Output
from tensorweaver.compiler.trace import ROW_SIZE
from tensorweaver.loss.options import chosen_options
from tensorweaver.loss.variant import VariantKey, variant_of
from tests.compiler.formulas import FORMULAS, LABELS, X, Y
from tests.helpers.compare import assert_close

TOTAL = Output(Level.SCALAR, total=True)
ELEMENT = Output(Level.ELEMENT)
ROW = Output(Level.ROW)


def graph_of(call, kind, wrt, **options):
    loss, roles = call
    key = VariantKey(roles, False, False, False, chosen_options(loss.formula, options))
    return prepare(variant_of(loss.formula, key).graph(kind, wrt))


MSE = (tw.mse_loss, ("element", "element"))
BCE = (tw.binary_cross_entropy_with_logits_loss, ("element", "element", None, None))
CROSS_ENTROPY = (tw.cross_entropy_loss, ("element", "label", None))


def test_the_text_of_the_mean_squared_error():
    graph = graph_of(MSE, "value_and_gradient", ("predictions",))
    assert emit_blocks(graph, (TOTAL, ELEMENT)).source == (
        "def kernel(predictions, targets, row_size, seed, real_0, result_1):\n"
        "    subtract(predictions, targets, out=result_1)  # difference\n"
        "    square(result_1, out=real_0)  # squared\n"
        "    total_0 = total(real_0)\n"
        "    multiply(2.0 * seed, result_1, out=result_1)\n"
        "    return (total_0,)\n"
    )


def test_the_gradient_of_cross_entropy_is_computed_where_it_belongs():
    graph = graph_of(CROSS_ENTROPY, "value_and_gradient", ("logits",), ignore_index=None)
    text = emit_blocks(graph, (TOTAL, ELEMENT))
    assert dict(text.buffers) == {"boolean_0": "boolean"}
    assert "exp(result_1, out=result_1)" in text.source
    assert "take_along_axis(logits, places_0)" in text.source


@pytest.mark.parametrize(
    ("loss", "kind", "wrt", "options", "real", "boolean"),
    [
        (MSE, "value", (), {}, 1, 0),
        (MSE, "value_and_gradient", ("predictions", "targets"), {}, 1, 0),
        (CROSS_ENTROPY, "value", (), {"ignore_index": None}, 1, 1),
        (CROSS_ENTROPY, "hessian_diagonal", ("logits",), {"ignore_index": None}, 2, 1),
    ],
)
def test_no_more_memory_than_needed(loss, kind, wrt, options, real, boolean):
    graph = graph_of(loss, kind, wrt, **options)
    outputs = {"value": (TOTAL,), "hessian_diagonal": (ELEMENT,)}.get(kind)
    text = emit_blocks(graph, outputs or (TOTAL, *[ELEMENT] * len(wrt)))
    kinds = list(text.buffers.values())
    assert (kinds.count("real"), kinds.count("boolean")) == (real, boolean)


def test_a_chain_of_any_length_works_in_one_place():
    node = X
    for _ in range(50):
        node = operation("sin", operation("add", node, Y))
    text = emit_blocks(Graph((X, Y), (node,)), (ELEMENT,))
    assert not text.buffers
    assert text.source.count("out=result_0") == 100


@pytest.mark.parametrize("name", ["less", "less_equal", "greater", "greater_equal"])
def test_a_number_turned_round_is_compared_as_it_is(name):
    graph = Graph(
        (X,), (operation("as_real", operation(name, operation("negative", X), constant(0.0))),)
    )
    graph = prepare(graph)
    assert "negative" not in emit_blocks(graph, (ELEMENT,)).source
    x = np.asarray([-1.5, -0.0, 0.0, 2.0, np.nan, np.inf])
    result = np.empty(6)
    BlockKernel(graph, (ELEMENT,), "float64", rowwise=False)((6,), 1, [x], [], [result])
    assert_close(result, np.asarray(getattr(np, name)(-x, 0.0), np.float64), ulp=0)


def test_names_of_memory_and_functions_stay_free():
    names = ("real_0", "total", "result_0", "copy_where", "out")
    inputs = tuple(input_node(name) for name in names)
    value = inputs[0]
    for other in inputs[1:]:
        value = operation("add", operation("exp", value), operation("sin", other))
    graph = Graph(inputs, (value,), {value: "result_0", value.arguments[0]: "real_0"})
    kernel = BlockKernel(graph, (ELEMENT,), "float64", rowwise=False)
    arrays = [np.asarray([0.25 * (i + 1), -0.5]) for i in range(len(names))]
    expected = arrays[0]
    for array in arrays[1:]:
        expected = np.exp(expected) + np.sin(array)
    result = np.empty(2)
    kernel((2,), 1, arrays, [], [result])
    assert_close(result, expected, ulp=1)


def put(base, value):
    return operation("put_along_axis", base, LABELS, constant(value))


@pytest.mark.parametrize("form", ["input", "output", "read before", "read later", "row"])
def test_writing_in_place_never_touches_what_others_read(form):
    terms = operation("exp", X)
    outputs = {
        "input": (put(X, 0.0),),
        "output": (put(terms, 0.0), terms),
        "read before": (operation("add", operation("sum", terms), put(terms, 0.0)),),
        "read later": (operation("multiply", put(terms, 0.0), terms),),
        "row": (put(operation("sum", terms), 0.0),),
    }[form]
    graph = Graph((X, LABELS, ROW_SIZE), outputs)
    kernel = BlockKernel(graph, (ELEMENT,) * len(outputs), "float64", rowwise=True)
    x = np.asarray([[0.0, 1.0], [2.0, 3.0]])
    x.flags.writeable = False
    e = np.exp(x)
    zeroed = np.asarray([[1.0, 0.0], [0.0, 1.0]])
    expected = {
        "input": (x * zeroed,),
        "output": (e * zeroed, e),
        "read before": (e.sum(axis=1, keepdims=True) + e * zeroed,),
        "read later": (e * zeroed * e,),
        "row": (e.sum(axis=1, keepdims=True) * zeroed,),
    }[form]
    results = [np.empty((2, 2)) for _ in outputs]
    kernel((2,), 2, [x, np.asarray([1, 0])], [], results)
    for actual, wanted in zip(results, expected, strict=True):
        assert_close(actual, wanted, ulp=1)


A, B = operation("exp", X), operation("sin", Y)
CONDITION = operation("less", X, Y)
WHERE = operation("where", CONDITION, A, B)
SELECTIONS = {
    "both die": (WHERE,),
    "the first lives": (operation("add", WHERE, A),),
    "the second lives": (operation("add", WHERE, B),),
    "all live": (operation("add", operation("add", WHERE, A), B),),
    "the condition lives": (
        operation("where", CONDITION, operation("where", CONDITION, A, constant(2.0)), B),
    ),
    "numbers": (operation("where", CONDITION, constant(1.0), constant(0.0)),),
    "other numbers": (operation("where", CONDITION, constant(-0.0), constant(3.0)),),
    "first of a number": (operation("where", CONDITION, constant(-2.0), B),),
    "second of a number": (operation("where", CONDITION, A, constant(float("inf"))),),
    "an input": (operation("where", CONDITION, X, A),),
    "booleans": (
        operation(
            "as_real",
            operation("where", CONDITION, operation("less", A, B), operation("isnan", B)),
        ),
    ),
    "the condition is a branch": (
        operation("as_real", operation("where", CONDITION, CONDITION, operation("less", A, B))),
    ),
    "twice the same output": (WHERE, WHERE),
    "an output of an output": (WHERE, operation("square", WHERE)),
}


def evaluate(node, values):
    """What a graph means, node by node."""
    if node.name == "input":
        return values[node]
    if node.is_constant:
        return node.value
    arguments = [evaluate(argument, values) for argument in node.arguments]
    if node.name == "as_real":
        return np.asarray(arguments[0], np.float64)
    return getattr(np, node.name)(*arguments)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("name", SELECTIONS)
def test_selections_for_every_life_of_their_operands(name, density, rng):
    outputs = SELECTIONS[name]
    y = rng.normal(size=500)
    x = np.where(rng.random(500) < density, y - 1.0, y + 1.0)
    x[::100] = np.nan
    results = [np.empty(500) for _ in outputs]
    kernel = BlockKernel(
        Graph((X, Y), outputs), (ELEMENT,) * len(outputs), "float64", rowwise=False
    )
    kernel((500,), 1, [x, y], [], results)
    for node, result in zip(outputs, results, strict=True):
        expected = np.broadcast_to(evaluate(node, {X: x, Y: y}), (500,))
        assert_close(result, expected, ulp=0)
        assert np.array_equal(np.signbit(result), np.signbit(expected))


def test_a_total_counts_every_element_of_its_level():
    row = input_node("r", Level.ROW)
    outputs = (
        operation("spread", operation("square", row)),
        operation("square", row),
        row,
        operation("add", X, row),
        operation("as_real", constant(True)),
    )
    graph = Graph((X, row, ROW_SIZE), outputs)
    kernel = BlockKernel(graph, (TOTAL,) * 5, "float64", rowwise=True)
    x, r = np.arange(6.0).reshape(3, 2), np.asarray([1.0, 2.0, 3.0])
    assert kernel((3,), 2, [x, r], [], []) == [28.0, 14.0, 6.0, 27.0, 1.0]


def test_numbers_of_the_call_stay_python_numbers():
    """A NumPy number of double precision would turn single precision into double."""
    seed = input_node("seed", Level.SCALAR)
    value = operation("multiply", X, operation("exp", seed))
    kernel = BlockKernel(Graph((X, seed), (value,)), (ELEMENT,), "float32", rowwise=False)
    x = np.asarray([1.5, -3.0], np.float32)
    result = np.empty(2, np.float32)
    kernel((2,), 1, [x], [0.75], [result])
    assert_close(result, x * np.float32(np.exp(0.75)), ulp=0)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_step_makes_an_array_of_elements(formula):
    function, inputs = FORMULAS[formula]
    graph = prepare(trace_formula(function, inputs))
    text = emit_blocks(graph, tuple(Output(node.level) for node in graph.outputs)).source
    rows = set(re.findall(r"^    (\w+) = ", text, re.MULTILINE))
    written = set(re.findall(r"out=(\w+)\)", text))
    assert written
    assert all(name.startswith(("real_", "boolean_", "result_")) for name in written)
    assert not rows & written


def test_every_text_is_bound_to_functions_that_exist():
    for loss, kind, wrt in [(MSE, "value", ()), (BCE, "gradient", ("logits",))]:
        graph = graph_of(loss, kind, wrt)
        function = BlockFunction(graph, (TOTAL if kind == "value" else ELEMENT,), np.dtype("f4"))
        called = set(function.along.__code__.co_names)
        assert called <= set(function.along.__globals__)
