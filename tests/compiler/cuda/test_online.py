"""Which sums are added up in the pass that finds their maximum, told by their form alone."""

import math

import pytest

from tensorweaver.compiler.cuda.online import online_pass
from tensorweaver.compiler.graph import Graph, Level, constant, input_node, operation
from tensorweaver.compiler.schedule import CLASS_INDEX, Output, schedule
from tensorweaver.compiler.trace import ROW_SIZE
from tests.compiler.test_schedule import graph_of

X, W = input_node("x"), input_node("w")
LABELS = input_node("labels", Level.ROW, "integral")
ZERO, ONE = constant(0.0), constant(1.0)
MAXIMUM = operation("max", X)
SHIFTED = operation(
    "where", operation("equal", X, constant(math.inf)), ZERO, operation("subtract", X, MAXIMUM)
)
DECAY = operation("exp", SHIFTED)
LARGEST = operation("equal", SHIFTED, ZERO)
AT_LABEL = operation("equal", CLASS_INDEX, LABELS)


def found(*terms):
    """The rule for rows whose sums of these terms are wanted."""
    outputs = tuple(operation("sum", term) for term in terms)
    graph = Graph((X, W, LABELS, ROW_SIZE), outputs)
    wanted = (Output(Level.ROW),) * len(outputs)
    return online_pass(schedule(graph, wanted, keep=False), 0, stores=False)


@pytest.mark.parametrize(
    ("term", "kind"),
    [
        (DECAY, "scaled"),
        (operation("exp", operation("subtract", X, MAXIMUM)), "scaled"),
        (operation("where", AT_LABEL, ZERO, DECAY), "scaled"),
        (operation("where", LARGEST, ZERO, DECAY), "smaller"),
        (operation("where", LARGEST, ONE, ZERO), "largest"),
        (operation("where", LARGEST, W, ZERO), "largest"),
        (operation("where", LARGEST, ZERO, W), "others"),
    ],
)
def test_a_sum_follows_its_maximum(term, kind):
    online = found(term)
    assert online is not None
    assert online.maximum is MAXIMUM
    assert list(online.sums.values()) == [kind]


@pytest.mark.parametrize(
    "term",
    [
        operation("multiply", DECAY, W),  # an infinite weight of nothing is NaN
        operation("subtract", X, MAXIMUM),
        operation("exp", operation("subtract", W, MAXIMUM)),
        operation("exp", operation("negative", operation("subtract", X, MAXIMUM))),
        operation("where", LARGEST, DECAY, ZERO),
        operation("where", LARGEST, ONE, DECAY),
        operation("where", operation("less", SHIFTED, ONE), ZERO, DECAY),
    ],
)
def test_other_sums_wait_for_the_maximum(term):
    assert found(term) is None


def test_one_that_waits_keeps_all():
    assert found(DECAY, operation("subtract", X, MAXIMUM)) is None


def test_a_smallest_is_no_maximum():
    smallest = operation("min", X)
    assert found(operation("exp", operation("subtract", X, smallest))) is None


def test_a_sum_that_needs_another_row_value_waits():
    total = operation("spread", operation("sum", W))
    assert found(operation("where", operation("less", total, W), ZERO, DECAY)) is None


@pytest.mark.parametrize(("name", "passes"), [("ce", 2), ("nll", 1)])
def test_losses_of_labels_read_their_rows_that_often(name, passes):
    graph, outputs = graph_of(name, "value_and_gradient")
    plan = schedule(graph, outputs, keep=False)
    joined = online_pass(plan, 0, stores=True)
    assert len(plan.passes) - (joined is not None) == passes


def test_the_pass_that_stores_joins_no_other():
    graph = Graph((X, ROW_SIZE), (operation("sum", DECAY), DECAY))
    plan = schedule(graph, (Output(Level.ROW), Output(Level.ELEMENT)), keep=False)
    assert len(plan.passes) == 2
    assert online_pass(plan, 0, stores=True) is None
