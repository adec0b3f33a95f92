"""The text of a kernel: the same in every process, and careful with memory."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.backends import BACKENDS, get_backend
from tensorweaver.compiler import compile as weaving
from tensorweaver.compiler.emit_python import emit_python
from tensorweaver.compiler.graph import Graph, constant, operation
from tensorweaver.compiler.interpret import functions_of
from tensorweaver.compiler.trace import APPLY
from tensorweaver.primitives import VOCABULARY
from tests.compiler.formulas import FORMULAS, LABELS, X, Y
from tests.compiler.test_passes import CASES, graph_of
from tests.helpers.compare import assert_close

PROGRAM = """
import tensorweaver as tw
for loss in (tw.mse_loss, tw.huber_loss, tw.binary_cross_entropy_with_logits_loss, tw.kl_div_loss):
    print(loss.source())
print(tw.cross_entropy_loss.source(label_smoothing=0.1))
"""


def source_under(seed):
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_the_text_is_the_same_in_every_process_and_for_every_hash_seed():
    first, *others = [source_under(seed) for seed in (0, 1, 42)]
    assert first.count("def kernel(") == 5
    assert all(other == first for other in others)


def test_the_text_of_the_mean_squared_error():
    assert tw.mse_loss.source() == (
        "def kernel(predictions, targets, row_size, seed):\n"
        "    difference = (predictions - targets)\n"
        "    return square(difference), ((2.0 * seed) * difference)\n"
    )


def test_a_value_used_twice_is_computed_once_and_freed_after_its_last_use():
    shared = operation("exp", X)
    late = operation("sin", operation("cos", operation("multiply", shared, shared)))
    deep = late
    for _ in range(20):
        deep = operation("tanh", operation("add", deep, Y))
    text = emit_python(Graph((X, Y), (deep,))).source
    assert text.count("exp(") == 1
    assert text.index("del v") < text.rindex("tanh(")


def test_a_deep_chain_compiles_and_runs():
    node = X
    for _ in range(10_000):
        node = operation("sin", operation("add", node, constant(0.125)))
    graph = Graph((X,), (node,))
    kernel = weaving.weave(graph, weaving.Setting(get_backend("numpy"), "float64"))
    expected = x = np.asarray([0.5, -0.25])
    for _ in range(10_000):
        expected = np.sin(expected + 0.125)
    assert_close(kernel(x), expected, ulp=0)


def put(base, value):
    return operation("put_along_axis", base, LABELS, constant(value))


@pytest.mark.parametrize("form", ["input", "output", "read before", "read later"])
def test_writing_in_place_never_touches_what_others_read(form):
    terms = operation("exp", X)
    outputs = {
        "input": (put(X, 0.0),),
        "output": (put(terms, 0.0), terms),
        "read before": (operation("add", operation("sum", terms), put(terms, 0.0)),),
        "read later": (operation("multiply", put(terms, 0.0), terms),),
    }[form]
    graph = Graph((X, LABELS, weaving.trace_formula(lambda x: x, [X]).inputs[-1]), outputs)
    kernel = weaving.weave(graph, weaving.Setting(get_backend("numpy"), "float64", "int64"))
    x = np.asarray([[0.0, 1.0], [2.0, 3.0]])
    x.flags.writeable = False
    labels = np.asarray([[1], [0]])
    e = np.exp(x)
    zeroed = np.asarray([[1.0, 0.0], [0.0, 1.0]])
    expected = {
        "input": (x * zeroed,),
        "output": (e * zeroed, e),
        "read before": (e.sum(axis=1, keepdims=True) + e * zeroed,),
        "read later": (e * zeroed * e,),
    }[form]
    results = kernel(x, labels, 2)
    results = results if isinstance(results, tuple) else (results,)
    for actual, wanted in zip(results, expected, strict=True):
        assert_close(actual, wanted, ulp=1)


@pytest.mark.parametrize("formula", FORMULAS)
def test_numbers_are_rendered_without_losing_a_digit(formula):
    function, inputs = FORMULAS[formula]
    graph = weaving.prepare(weaving.trace_formula(function, inputs))
    text = emit_python(graph)
    rendered = text.source + repr(dict(text.constants))
    for node in graph.outputs:
        for inner in [*node.arguments, node]:
            if inner.is_constant:
                assert repr(inner.value) in rendered


@pytest.mark.parametrize("name", BACKENDS)
def test_every_library_has_what_kernels_call(name):
    """Without running anything, so that CuPy is held to it on machines without a GPU."""
    library = BACKENDS[name]
    pytest.importorskip(library.package)
    for formula, kind in CASES:
        kernel = weaving.weave(
            graph_of(formula, kind), weaving.Setting(library, "float32", "int64")
        )
        called = set(kernel.run.__code__.co_names)
        assert called <= set(kernel.run.__globals__), (formula, kind)
    table = functions_of(library, "float32", -1)
    basic = {row.name for row in VOCABULARY.values() if row.formula is None and row.kind in APPLY}
    assert basic <= set(table)
