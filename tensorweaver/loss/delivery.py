"""How results leave a loss: one or several, as Tensors or arrays, new or written into `out`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.errors import ArgumentError
from tensorweaver.loss.arguments import check_out
from tensorweaver.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorweaver.loss.plan import Plan

__all__ = ["as_given", "deliver", "raw", "targets_of"]


def deliver(
    gradients: list[Any],
    wrt: Any,
    out: Any,
    targets: tuple[Any, ...],
    plan: Plan,
    tensors: Sequence[Any] | None,
) -> Any:
    """The gradients as they were asked for: one or a tuple, new or written into `out`.

    `targets` is `out` as arrays of the plan's library.
    """
    single = is_single(wrt, gradients)
    if out is not None:
        for target, gradient in zip(targets, gradients, strict=True):
            if target is not gradient:
                plan.backend.write(target, gradient)
        return out if single else tuple(out)
    delivered = [as_given(gradient, tensors) for gradient in gradients]
    return delivered[0] if single else tuple(delivered)


def targets_of(
    loss: str, out: Any, wrt: Any, names: tuple[str, ...], plan: Plan, values: Sequence[Any]
) -> tuple[Any, ...]:
    """The arrays that gradients are to be written into, checked; none without `out`."""
    if out is None:
        return ()
    targets = (out,) if is_single(wrt, names) else tuple(out)
    if len(targets) != len(names):
        message = f"{loss}: out must hold {len(names)} arrays, got {len(targets)}"
        raise ArgumentError(message)
    if len({id(raw(target)) for target in targets}) < len(targets):
        message = f"{loss}: out holds the same array twice"
        raise ArgumentError(message)
    given = dict(zip(plan.ports, (v for v in values if v is not None), strict=True))
    found = tuple(plan.backend.as_target(raw(target)) for target in targets)
    for target, name in zip(found, names, strict=True):
        check_out(loss, target, plan.backend, given[name])
    return found


def raw(value: Any) -> Any:
    """An array out of its Tensor."""
    return value.data if isinstance(value, Tensor) else value


def is_single(wrt: Any, names: Sequence[Any]) -> bool:
    """Whether one gradient is meant, and not a tuple of one."""
    return isinstance(wrt, str) or (wrt is None and len(names) == 1)


def as_given(array: Any, tensors: Sequence[Any] | None) -> Any:
    """A Tensor where a Tensor was among the arguments."""
    return array if tensors is None else Tensor(array)
