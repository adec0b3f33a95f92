"""Second derivatives of a planned call: Hessian-vector products, and what is built of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from tensorweaver.compiler.differentiate import NoDiagonalError
from tensorweaver.compiler.graph import Level
from tensorweaver.errors import ArgumentError, ShapeError
from tensorweaver.loss.composed_plan import ComposedPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.loss.plan import Plan

__all__ = ["hessian", "hessian_diagonal", "hessian_product"]


def hessian_product(
    plan: Plan | ComposedPlan, name: str, arrays: Sequence[Any], vector: Any
) -> Any:
    """The Hessian of the reduced loss by the argument `name`, times `vector`."""
    if isinstance(plan, ComposedPlan):
        return plan.hessian_product(name, arrays, vector)
    check_divisor(plan, name)
    return plan.second_derivative("hessian_product", name, arrays, vector)


def hessian_diagonal(plan: Plan | ComposedPlan, name: str, arrays: Sequence[Any]) -> Any:
    """The second derivative of the reduced loss by each element."""
    if isinstance(plan, ComposedPlan):
        return plan.hessian_diagonal(name, arrays)
    check_divisor(plan, name)
    port = plan.ports[name]
    if plan.variant.nodes[name].level is Level.ROW:  # one number a row, and rows are not coupled
        return hessian_product(plan, name, arrays, one_a_row(plan, name))
    if plan.formula.rowwise and port.small[plan.frame.axis] != port.large[plan.frame.axis]:
        refuse_shape(plan, name)
    try:
        return plan.second_derivative("hessian_diagonal", name, arrays)
    except NoDiagonalError:
        return diagonal_from_products(plan, name, arrays)


def hessian(plan: Plan | ComposedPlan, name: str, arrays: Sequence[Any]) -> Any:
    """The Hessian of each row, classes by classes, from one product a class."""
    if isinstance(plan, ComposedPlan):
        message = (
            f"{plan.formula.name} couples whatever its formula compares: "
            f"take hvp(...) by {name}, a product at a time"
        )
        raise ArgumentError(message)
    xp = plan.backend.namespace()
    columns = [
        xp.moveaxis(hessian_product(plan, name, arrays, basis(plan, name, k)), plan.frame.axis, -1)
        for k in range(plan.frame.classes)
    ]
    return xp.stack(columns, axis=-1)


def diagonal_from_products(plan: Plan, name: str, arrays: Sequence[Any]) -> Any:
    """One product a class, for a formula whose diagonal has no closed form."""
    xp = plan.backend.namespace()
    total: Any = 0.0
    for k in range(plan.frame.classes):
        unit = basis(plan, name, k)
        total = total + xp.where(unit != 0, hessian_product(plan, name, arrays, unit), unit)
    return total


def basis(plan: Plan, name: str, k: int) -> Any:
    """One at class `k` of every row, zero elsewhere."""
    described, frame, backend = plan.ports[name].described, plan.frame, plan.backend
    if described.shape != frame.full:
        refuse_shape(plan, name)
    xp = backend.namespace()
    device = {} if plan.question.device is None else {"device": plan.question.device}
    shape = [1] * len(frame.full)
    shape[frame.axis] = frame.classes
    places = xp.reshape(xp.arange(frame.classes, **device), tuple(shape))
    return xp.broadcast_to(backend.astype(places == k, described.dtype), described.shape)


def one_a_row(plan: Plan, name: str) -> Any:
    """One for every row."""
    xp, described = plan.backend.namespace(), plan.ports[name].described
    device = {} if plan.question.device is None else {"device": plan.question.device}
    return plan.backend.astype(xp.ones(described.shape, **device), described.dtype)


def refuse_shape(plan: Plan, name: str) -> NoReturn:
    """An argument that stands for several elements of a row couples them."""
    message = (
        f"{plan.formula.name}: the Hessian by {name} needs {name} in the shape {plan.frame.full} "
        f"of {plan.formula.arguments[0]}, got {plan.ports[name].described.shape}"
    )
    raise ShapeError(message)


def check_divisor(plan: Plan, name: str) -> None:
    """Second derivatives are those of a sum with a fixed divisor."""
    if plan.divisor_moves((name,)):
        message = (
            f"{plan.formula.name}: the mean divides by something that depends on {name}; "
            'for its second derivatives take reduction="sum"'
        )
        raise ArgumentError(message)
