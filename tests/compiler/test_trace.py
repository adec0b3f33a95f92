"""A formula is called once on stand-ins, which say what they cannot do."""

import numpy as np
import pytest

from tensorweaver.backends import array_namespace
from tensorweaver.compiler.graph import Level, input_node, topological
from tensorweaver.compiler.trace import trace
from tensorweaver.errors import TraceError
from tests.compiler.formulas import LABELS, ROW_VALUE, X, Y


def names(graph):
    return [node.name for node in topological(graph.outputs)]


def test_steps_keep_the_formulas_names():
    def formula(x, y):
        difference = x - y
        squared = difference**2
        return squared * 1.0

    graph = trace(formula, [X, Y])
    assert sorted(graph.names.values()) == ["difference", "squared"]


def test_the_profiler_that_was_there_comes_back():
    import sys

    def profiler(frame, event, argument):
        return None

    sys.setprofile(profiler)
    try:
        trace(lambda x: x + 1.0, [X])
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_a_profiler_written_in_c_comes_back():
    import cProfile

    profiler = cProfile.Profile()
    profiler.enable()
    try:
        trace(lambda x: x + 1.0, [X])
        sorted([2, 1])
    finally:
        profiler.disable()
    assert any("sorted" in str(entry.code) for entry in profiler.getstats())


@pytest.mark.parametrize(
    ("formula", "hint"),
    [
        (lambda x: x if x > 0 else -x, "xp.where"),
        (lambda x: x * float(x), "xp.where"),
        (lambda x: x[0], "no shape, length or index"),
        (lambda x: x / len(x), "no shape, length or index"),
        (lambda x: x / x.shape[0], "no shape, length or index"),
        (lambda x: array_namespace(x).sum(x), "write axis=-1"),
        (lambda x: array_namespace(x).sum(x, axis=0), "write axis=-1"),
        (lambda x: x - array_namespace(x).max(x, axis=-1), "keepdims=True"),
        (lambda x: array_namespace(x).softmax(array_namespace(x).sum(x, axis=-1)), "every class"),
        (lambda x: array_namespace(x).maximum(x, "0"), "numbers and its own arguments, got str"),
    ],
)
def test_what_a_formula_cannot_do_is_said(formula, hint):
    with pytest.raises(TraceError, match=hint):
        trace(formula, [X])


def test_an_unknown_function_suggests_its_neighbour():
    with pytest.raises(
        AttributeError, match=r"cannot use xp\.log_softmaxx; did you mean log_softmax"
    ):
        trace(lambda x: array_namespace(x).log_softmaxx(x), [X])


def test_numpy_functions_do_not_swallow_a_traced_value():
    with pytest.raises(TypeError):
        trace(np.exp, [X])


def test_numbers_on_either_side():
    graph = trace(lambda x: 2 / (1 - x) ** 2 + np.float64(3.0) * x, [X])
    assert graph.outputs[0].level is Level.ELEMENT
    assert "pow" in names(graph)


def test_booleans_take_part_in_arithmetic_as_numbers():
    graph = trace(lambda x, y: (x > y) * x, [X, Y])
    assert "as_real" in names(graph)


def test_labels_are_integers_and_become_real_on_request():
    def formula(x, labels):
        xp = array_namespace(x)
        assert xp.isdtype(labels.dtype, "integral")
        assert not xp.isdtype(labels.dtype, ("real floating", "bool"))
        return x - xp.astype(labels, x.dtype)

    assert trace(formula, [X, LABELS]).outputs[0].kind == "real"


def test_a_row_value_sums_to_itself():
    graph = trace(lambda r: array_namespace(r).sum(r, axis=-1, keepdims=True), [ROW_VALUE])
    assert graph.outputs == (ROW_VALUE,)


def test_squeezed_and_expanded_row_values_line_up_again():
    def formula(x):
        xp = array_namespace(x)
        total = xp.squeeze(xp.sum(x, axis=-1, keepdims=True), axis=-1)
        return x / xp.expand_dims(total, axis=-1)

    assert trace(formula, [X]).outputs[0].level is Level.ELEMENT


def test_mean_variance_and_clip_are_compositions():
    def formula(x):
        xp = array_namespace(x)
        return xp.clip(x, -1.0, 1.0) * xp.var(x, axis=-1, keepdims=True) + xp.pi

    assert {"maximum", "minimum", "sum"} <= set(names(trace(formula, [X])))


def test_integers_do_not_become_floats_where_labels_are_compared():
    graph = trace(lambda labels: labels == 3, [LABELS])
    assert graph.outputs[0].arguments[1].value == 3
    assert isinstance(graph.outputs[0].arguments[1].value, int)


def test_a_scalar_input_stays_a_scalar():
    s = input_node("s", Level.SCALAR)
    assert trace(lambda s: s * 2.0, [s]).outputs[0].level is Level.SCALAR
