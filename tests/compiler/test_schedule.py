"""The passes of a graph: how many, what each reduces and keeps, and what labels become."""

import itertools
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler.compile import prepare
from tensorweaver.compiler.graph import Graph, Level, constant, input_node, operation, topological
from tensorweaver.compiler.schedule import CLASS_INDEX, Output, by_index, schedule
from tensorweaver.loss.options import chosen_options
from tensorweaver.loss.variant import VariantKey, variant_of
from tests.compiler.formulas import FORMULAS
from tests.loss.cases import CASES

TOTAL = Output(Level.SCALAR, total=True)
KINDS = ("value", "value_and_gradient", "hessian_diagonal")
X, LABELS = input_node("x"), input_node("labels", Level.ROW, "integral")


def graph_of(name, kind):
    """A case's prepared graph, and what becomes of its outputs."""
    case = CASES[name]
    formula = case.loss.formula
    given = dict(zip(formula.arguments, case.arrays, strict=True)) | case.options
    plain = {k: v for k, v in case.options.items() if not isinstance(v, np.ndarray)}
    roles: Any = tuple(
        None if n not in given else "element" if given[n].dtype.kind == "f" else "label"
        for n in formula.array_names
    )
    key = VariantKey(roles, False, False, False, chosen_options(formula, plain))
    variant = variant_of(formula, key)
    graph = prepare(variant.graph(kind, () if kind == "value" else formula.arguments[:1]))
    filled = Output(Level.ELEMENT)
    outputs = {
        "value": (TOTAL,),
        "value_and_gradient": (TOTAL, filled),
        "hessian_diagonal": (filled,),
    }[kind]
    return graph, outputs


def planned(name, kind, *, keep=True):
    return schedule(*graph_of(name, kind), keep=keep)


BOTH = list(itertools.product(CASES, KINDS))
EVERY = list(itertools.product(CASES, KINDS, (True, False)))


@pytest.mark.parametrize(("name", "kind", "keep"), EVERY)
def test_every_reduction_and_row_value_has_one_place(name, kind, keep):
    plan = planned(name, kind, keep=keep)
    reductions = [node for step in plan.passes for node in step.reductions]
    rows = [*plan.rows, *(node for step in plan.passes for node in step.rows)]
    wanted = [node for node in plan.order if node.level is Level.ROW and node.arguments]
    assert sorted(map(id, reductions + rows)) == sorted(map(id, wanted))
    assert {node.name for node in reductions} <= {"sum", "max", "min", "prod"}
    assert not {node.name for node in rows} & {"sum", "max", "min", "prod"}


@pytest.mark.parametrize(("name", "kind", "keep"), EVERY)
def test_what_a_pass_needs_is_known_by_then(name, kind, keep):
    plan = planned(name, kind, keep=keep)
    known = {node for node in plan.order if not node.arguments or node.level is Level.SCALAR}

    def computable(node):
        return node in known or (
            (node.level is Level.ELEMENT or node.name == "take_along_axis")
            and all(computable(argument) for argument in node.arguments)
        )

    def learn(rows):
        for node in rows:
            assert all(computable(argument) for argument in node.arguments), node
            known.add(node)

    learn(plan.rows)
    for step in plan.passes:
        elements = {node.arguments[0] for node in step.reductions} | set(step.kept)
        assert all(computable(element) for element in elements)
        known.update(step.reductions)
        learn(step.rows)
    assert all(computable(output) for output in plan.graph.outputs)


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_nothing_is_kept_unless_asked_and_only_once(name, kind):
    assert not any(step.kept for step in planned(name, kind, keep=False).passes)
    plan = planned(name, kind)
    kept = [node for step in plan.passes for node in step.kept]
    assert len(kept) == len(set(kept))
    assert all(node.level is Level.ELEMENT and node.kind == "real" for node in kept)
    assert not plan.passes or not plan.passes[-1].kept


@pytest.mark.parametrize(("name", "kind"), BOTH)
def test_labels_are_places(name, kind):
    plan = planned(name, kind)
    assert not any(node.name == "put_along_axis" for node in plan.order)
    for node in plan.order:
        if node.name == "take_along_axis":
            element = node.arguments[0]
            assert (element.arguments[0] if element.name == "as_real" else element).name == "input"
    uses_index = any(node is CLASS_INDEX for node in plan.order)
    assert (CLASS_INDEX in plan.graph.inputs) == uses_index


@pytest.mark.parametrize(
    ("name", "kind", "passes"),
    [
        ("mse", "value", 1),
        ("mse", "value_and_gradient", 1),
        ("bce of logits", "value_and_gradient", 1),
        ("ce", "value", 2),
        ("ce", "value_and_gradient", 3),
        ("ce, probabilities", "value", 3),
        ("ce, probabilities", "value_and_gradient", 3),
        ("nll", "value", 0),
        ("nll", "value_and_gradient", 1),
    ],
)
def test_how_often_rows_are_walked(name, kind, passes):
    assert len(planned(name, kind).passes) == passes


def test_cross_entropy_keeps_its_exponentials():
    plan = planned("ce", "value_and_gradient")
    first, second, third = plan.passes
    assert [node.name for node in first.reductions] == ["max"]
    assert {node.name for node in second.reductions} == {"sum"}
    assert third.reductions == ()
    (kept,) = second.kept
    assert "exp" in {node.name for node in topological([kept])}
    assert [node.value for node in first.inputs] == ["logits"]
    assert third.inputs == ()
    again = planned("ce", "value_and_gradient", keep=False).passes[-1]
    assert [node.value for node in again.inputs] == ["logits"]


def test_what_is_cheap_is_computed_again():
    @tw.rowwise
    def centred(x, y):
        xp = tw.array_namespace(x, y)
        return ((x - y) - xp.mean(x - y, axis=-1, keepdims=True)) ** 2

    key = VariantKey(("element", "element"), False, False, False, ())
    graph = prepare(variant_of(centred.formula, key).graph("value"))
    plan = schedule(graph, (Output(Level.ELEMENT),))
    assert len(plan.passes) == 2
    assert not any(step.kept for step in plan.passes)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_same_graph_has_the_same_schedule(name):
    from tensorweaver.compiler.compile import trace_formula

    formula, inputs = FORMULAS[name]
    graph = prepare(trace_formula(formula, inputs))
    outputs = tuple(Output(node.level) for node in graph.outputs)
    assert schedule(graph, outputs) == schedule(graph, outputs)


# ------------------------------------------------------------------------- labels by index
def test_an_element_at_its_label_is_computed_there_alone():
    inside = operation("exp", operation("subtract", X, constant(1.0)))
    taken = operation("take_along_axis", inside, LABELS)
    (found,) = by_index(Graph((X, LABELS), (taken,), {})).outputs
    at_label = operation("take_along_axis", X, LABELS)
    assert found is operation("exp", operation("subtract", at_label, constant(1.0)))


def test_an_element_put_at_a_label_is_chosen_by_its_place():
    put = operation("put_along_axis", X, LABELS, constant(2.0))
    found = by_index(Graph((X, LABELS), (put,), {}))
    here = operation("equal", CLASS_INDEX, LABELS)
    assert found.outputs == (operation("where", here, constant(2.0), X),)
    assert found.inputs == (X, LABELS, CLASS_INDEX)


def test_what_is_put_at_a_label_is_found_there():
    put = operation("put_along_axis", operation("exp", X), LABELS, constant(2.0))
    taken = operation("take_along_axis", put, LABELS)
    (found,) = by_index(Graph((X, LABELS), (taken,), {})).outputs
    assert found is constant(2.0)
    assert len(topological([found])) == 1
