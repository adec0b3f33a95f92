"""Nodes are interned, walks are iterative and ordered, and `verify` knows a malformed graph."""

import gc
import threading

import pytest

from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    NumberKind,
    constant,
    input_node,
    is_decay,
    is_log1p_of_decay,
    operation,
    topological,
    verify,
)
from tensorweaver.errors import TraceError

X = input_node("x")
Y = input_node("y")
ROW = input_node("r", Level.ROW)


def test_equal_nodes_are_one_object():
    assert operation("add", X, Y) is operation("add", X, Y)
    assert operation("add", X, Y) is not operation("add", Y, X)
    assert constant(2.0) is constant(2.0)


@pytest.mark.parametrize(
    ("a", "b"), [(0.0, -0.0), (1, 1.0), (True, 1), (float("nan"), float("inf"))]
)
def test_constants_that_compare_equal_or_odd_stay_apart(a, b):
    assert constant(a) is not constant(b)
    assert constant(float("nan")) is constant(float("nan"))


def test_interning_holds_between_threads():
    made: list[Node | None] = [None] * 16
    barrier = threading.Barrier(16)

    def make(place):
        barrier.wait()
        node = X
        for _ in range(200):
            node = operation("add", operation("multiply", node, Y), X)
        made[place] = node

    threads = [threading.Thread(target=make, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(node is made[0] for node in made)


def test_a_deep_chain_is_walked_and_freed_without_recursion():
    node = X
    for _ in range(100_000):
        node = operation("sin", node)
    assert len(topological([node])) == 100_001
    del node
    gc.collect()


def test_arguments_come_first_and_the_order_is_the_graphs_own():
    shared = operation("exp", X)
    total = operation("add", operation("multiply", shared, Y), shared)
    order = topological([total])
    assert order == topological([total])
    places = {node: i for i, node in enumerate(order)}
    assert all(places[a] < places[node] for node in order for a in node.arguments)
    assert len(order) == len(set(order)) == 5


@pytest.mark.parametrize(
    ("name", "arguments", "level"),
    [
        ("add", (X, ROW), Level.ELEMENT),
        ("add", (ROW, constant(1.0)), Level.ROW),
        ("sum", (X,), Level.ROW),
        ("softmax", (X,), Level.ELEMENT),
        ("put_along_axis", (X, ROW, ROW), Level.ELEMENT),
    ],
)
def test_levels(name, arguments, level):
    assert operation(name, *arguments).level is level


def test_numbers_beside_reals_become_real():
    node = operation("multiply", X, constant(2))
    assert node.arguments[1] is constant(2.0)


def test_a_row_operation_needs_elements():
    with pytest.raises(TraceError, match="softmax needs a value for every class"):
        operation("softmax", ROW)


def malformed():
    real: NumberKind = "real"
    yield "no operation", Node("frobnicate", (X,), None, Level.ELEMENT, real)
    yield "has 1 arguments", Node("add", (X,), None, Level.ELEMENT, real)
    yield "has level ROW", Node("add", (X, Y), None, Level.ROW, real)
    yield "has kind boolean", Node("add", (X, Y), None, Level.ELEMENT, "boolean")
    yield "holds no number", Node("constant", (), "two", Level.SCALAR, real)
    yield "not among the graph's inputs", input_node("stranger")


@pytest.mark.parametrize(("fault", "node"), list(malformed()), ids=lambda value: str(value)[:24])
def test_verify_names_the_fault(fault, node):
    with pytest.raises(TraceError, match=fault):
        verify(Graph((X, Y), (node,)))


def test_verify_accepts_a_well_formed_graph():
    graph = Graph((X, Y), (operation("sum", operation("multiply", X, Y)),))
    verify(graph)
    assert [node.name for node in topological(graph.outputs)][-1] == "sum"


def test_a_graph_prints_one_line_a_node():
    text = str(Graph((X, Y), (operation("add", X, constant(0.5)),)))
    assert text == (
        "%0 = input('x') : element\n"
        "%1 = constant(0.5) : scalar\n"
        "%2 = add(%0, %1) : element\n"
        "return %2"
    )


def exponential(node):
    return operation("exp", node)


def from_maximum(node, of):
    return operation("subtract", node, operation("max", of))


SIZE = operation("negative", operation("abs", X))
INFINITE = operation("equal", X, constant(float("inf")))


@pytest.mark.parametrize(
    "exponent",
    [SIZE, from_maximum(X, X), operation("where", INFINITE, constant(0.0), from_maximum(X, X))],
)
def test_a_decay_is_the_exponential_of_what_is_never_above_0(exponent):
    assert is_decay(exponential(exponent))
    assert is_log1p_of_decay(operation("log1p", exponential(exponent)))
    assert not is_log1p_of_decay(operation("log", exponential(exponent)))


@pytest.mark.parametrize(
    "exponent",
    [
        X,
        operation("abs", X),
        operation("negative", X),
        from_maximum(X, Y),
        operation("subtract", operation("max", X), X),
        operation("where", INFINITE, constant(1.0), SIZE),
        operation("where", INFINITE, constant(float("nan")), SIZE),
        operation("where", INFINITE, X, SIZE),
        operation("where", INFINITE, constant(0.0), X),
    ],
)
def test_what_may_be_above_0_is_no_decay(exponent):
    assert not is_decay(exponential(exponent))
    assert not is_decay(exponent)
