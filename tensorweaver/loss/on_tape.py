"""A woven loss done anew on Tensors, step by step: for derivatives of its derivatives.

What a loss leaves on a tape is one step, whose way back is a kernel. Where that way back has to be
recorded itself, the loss's own graph is run on Tensors instead.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.compile import prepare
from tensorweaver.compiler.emit_python import emit_python
from tensorweaver.loss.composed_plan import ComposedPlan, mean_of
from tensorweaver.primitives import VOCABULARY
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.namespace import tensor_namespace
from tensorweaver.tensor.tape import gradients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tensorweaver.backends import Backend
    from tensorweaver.loss.plan import Plan
    from tensorweaver.loss.port import Port

__all__ = ["recorded_pullback"]


def recorded_pullback(
    plan: Plan | ComposedPlan,
    parents: Mapping[str, Tensor],
    values: Sequence[Any],
    cotangent: Tensor,
) -> list[Tensor | None]:
    """The cotangents of the parents as Tensors that can be walked back from."""
    if isinstance(plan, ComposedPlan):
        given = plan.tensors(values)
        given.update({name: parent.astype(plan.dtype) for name, parent in parents.items()})
        result = plan.reduced(given, twice=True)
    else:
        result = done_anew(plan, parents, values)
    return gradients(result, cotangent, list(parents.values()))


def done_anew(plan: Plan, parents: Mapping[str, Tensor], values: Sequence[Any]) -> Tensor:
    """The reduced loss, with every step of it on the tape."""
    given = [value for value in values if value is not None]
    inputs = [
        enter(port, parents[name]) if name in parents else constant(plan, port.enter(array))
        for (name, port), array in zip(plan.ports.items(), given, strict=True)
    ]
    frame = plan.frame
    losses = run(plan, "value", inputs)
    xp = losses.__array_namespace__()
    kept = frame.kept(frame.losses)
    if frame.moved:
        kept = (*kept[: frame.axis], *kept[frame.axis + 1 :], kept[frame.axis])
    losses = xp.broadcast_to(losses, kept)
    if plan.question.reduction == "none":
        if frame.moved:
            losses = xp.moveaxis(losses, -1, frame.axis)
        return xp.reshape(losses, frame.losses)
    total = xp.sum(losses)
    if plan.divisor is not None:
        return total / plan.divisor if plan.divisor else total * 0.0
    return mean_of(total, xp.sum(xp.broadcast_to(run(plan, "count", inputs), kept)))


def constant(plan: Plan, array: Any) -> Tensor:
    return Tensor.wrap(array, plan.backend)


def enter(port: Port, tensor: Tensor) -> Tensor:
    """An argument as a kernel takes it, on the tape."""
    xp = tensor.__array_namespace__()
    inside = xp.astype(tensor, port.dtype, copy=False)
    if port.small != inside.shape:
        inside = xp.reshape(inside, port.small)
    if port.large != port.small:
        inside = xp.broadcast_to(inside, port.large)
    return xp.moveaxis(inside, port.frame.axis, -1) if port.frame.moved else inside


def run(plan: Plan, kind: str, inputs: Sequence[Tensor]) -> Tensor:
    """One of the loss's graphs on Tensors."""
    text = emit_python(prepare(plan.variant.graph(kind)))
    axis = plan.frame.kernel_axis
    functions: dict[str, Any] = dict(functions_of(plan.backend, plan.dtype, axis))
    dtypes = {"real": plan.dtype, "integral": plan.label_dtype or "int64", "boolean": "bool"}
    for name, (value, of) in text.constants.items():
        number = plan.backend.asarray(value, dtypes[of], plan.question.device)
        functions[name] = constant(plan, number)
    exec(text.source, functions)  # noqa: S102 - our own text, written by emit_python
    result = functions["kernel"](*inputs, plan.frame.classes)
    return inputs[0].__array_namespace__().asarray(result)


@lru_cache(maxsize=64)
def functions_of(home: Backend, dtype: str, axis: int) -> dict[str, Callable[..., Any]]:
    """What each name of a text means on Tensors."""
    xp = tensor_namespace(Tensor, home)
    table: dict[str, Callable[..., Any]] = {
        name: getattr(xp, name)
        for name, primitive in VOCABULARY.items()
        if primitive.kind in {"elementwise", "predicate"}
    }
    for name in ("sum", "max", "min", "prod"):
        table[name] = partial(getattr(xp, name), axis=axis, keepdims=True)
    table["as_real"] = lambda x: xp.astype(x, dtype)
    table["spread"] = lambda x: x
    table["places"] = lambda labels, _row_size: labels
    table["take_along_axis"] = partial(xp.take_along_axis, axis=axis)
    table["put_along_axis"] = lambda x, labels, value, _row_size: xp.put_along_axis(
        x, labels, value, axis=axis
    )
    table["put_in_place"] = table["put_along_axis"]
    return table
