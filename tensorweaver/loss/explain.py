"""The computation step by step, as the formula names its steps."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tensorweaver.backends import get_backend
from tensorweaver.compiler.compile import weave, weave_cuda, weave_fused
from tensorweaver.compiler.engines import ENGINES, engine_named
from tensorweaver.compiler.graph import Graph, Level
from tensorweaver.compiler.kernel import Setting
from tensorweaver.compiler.schedule import Output
from tensorweaver.errors import BackendError, BackendUnavailableError
from tensorweaver.loss.composed_plan import ComposedPlan
from tensorweaver.loss.options import chosen_options
from tensorweaver.loss.variant import VariantKey, variant_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tensorweaver.backends import Backend
    from tensorweaver.compiler.graph import Node
    from tensorweaver.loss.formula import Formula
    from tensorweaver.loss.plan import Plan

__all__ = ["source", "steps", "text"]

LONGEST_SHOWN = 12


def steps(plan: Plan | ComposedPlan, arrays: Sequence[Any]) -> dict[str, Any]:
    """Name -> array: the arguments, every step that the formula gives a name, the reduced loss."""
    if isinstance(plan, ComposedPlan):
        return plan.steps(arrays)
    inputs = plan.let_in(arrays)
    graph = plan.variant.value
    named = {
        node: name
        for node, name in graph.names.items()
        if graph.uses(node) and node.level > Level.SCALAR and node.name != "input"
    }
    names = unique_names(list(plan.ports), named)
    nodes = [*dict.fromkeys([*named, graph.outputs[0]])]
    kernel = weave(Graph(graph.inputs, tuple(nodes), graph.names), plan.setting)
    with plan.backend.quiet():
        results = kernel(*inputs, plan.frame.classes)
    results = results if isinstance(results, tuple) else (results,)
    copy = plan.backend.writable_copy
    given = [array for array in arrays if array is not None]
    found = {name: copy(array) for name, array in zip(plan.ports, given, strict=True)}
    for node, result in zip(nodes, results, strict=True):
        own = copy(result) if any(result is array for array in inputs) else result
        found[names[node] if node in names else free("loss", found)] = plan.frame.leave(own)
    reduction = plan.question.reduction
    last = "losses" if reduction == "none" else reduction
    found[free(f"loss ({last})" if last in found else last, found)] = plan.value(arrays)
    return found


def unique_names(arguments: Sequence[str], named: Mapping[Node, str]) -> dict[Node, str]:
    """The steps' names; a local variable that is called like an argument gets a prime."""
    names: dict[Node, str] = {}
    for node, name in named.items():
        names[node] = free(name, (*arguments, *names.values()))
    return names


def free(name: str, taken: Collection[str]) -> str:
    """The name, with primes until nothing else has it."""
    while name in taken:
        name += "'"
    return name


def text(plan: Plan | ComposedPlan, arrays: Sequence[Any]) -> str:
    """The steps as lines `name = numbers`, aligned."""
    found = steps(plan, arrays)
    width = max(map(len, found))
    lines = [f"{plan.formula.name}({', '.join(plan.ports)})"]
    for name, array in found.items():
        host = plan.backend.to_numpy(array)
        shown = str(host.tolist()) if host.size <= LONGEST_SHOWN else " ".join(str(host).split())
        lines.append(f"  {name:<{width}} = {shown}")
    return "\n".join(lines)


def source(formula: Formula, where: str, options: Mapping[str, Any]) -> str:
    """The text of the kernel for value and gradient in float32, as a backend or engine runs it; of
    a composed formula its own.
    """
    if formula.composed:
        return inspect.getsource(formula.function)
    roles = tuple(
        None
        if name in formula.array_options
        else "label"
        if formula.roles.get(name) == "target"
        else formula.roles.get(name, "element")
        for name in formula.array_names
    )
    for name in options:
        if name not in formula.options:
            message = f"{formula.name}: source() has no option {name!r}"
            raise TypeError(message)
    chosen = chosen_options(formula, options)
    key = VariantKey(roles, weighted=False, masked=False, poisoned=False, options=chosen)
    variant = variant_of(formula, key)
    wrt = formula.differentiable
    engine = engine_named(where)
    if engine in {None, "interpret"}:
        backend = backend_named("numpy" if engine else where)
        setting = Setting(backend, "float32", backend.label_dtype())
        return variant.kernel(setting, "value_and_gradient", wrt).source
    gradients = (Output(variant.nodes[name].level) for name in wrt)
    outputs = (Output(variant.level, total=True), *gradients)
    graph = variant.graph("value_and_gradient", wrt)
    if engine == "cuda":
        return weave_cuda(graph, outputs, "float32", rowwise=formula.rowwise).source
    return weave_fused(graph, outputs, engine, "float32", rowwise=formula.rowwise).source


def backend_named(name: str) -> Backend:
    """The backend of that name; the error for another names the engines too."""
    try:
        return get_backend(name)
    except BackendUnavailableError:
        raise
    except BackendError as error:
        engines = " and ".join(map(repr, ENGINES[1:]))
        message = f"source(): {error}; the engines of NumPy arrays are {engines}"
        raise BackendError(message) from None
