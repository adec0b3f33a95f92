"""Telling PyTorch a kernel's derivatives: `backward`, double backward and `torch.func` then use
them.

Without this PyTorch would differentiate through the kernel's operations: a confident row would lose
its gradient to `p - 1`, and branches not taken would leak NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends.importing import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.backends.execution import Derivatives

__all__ = ["with_derivatives"]


def with_derivatives(value: Callable[..., Any], derivatives: Derivatives) -> Callable[..., Any]:
    """`value` as an autograd function whose backward multiplies by the slopes, themselves
    differentiable.
    """
    torch = load("torch")

    def slopes(inputs: Sequence[Any], wrt: tuple[int, ...]) -> dict[int, Any]:
        found = slopes_of(wrt, derivatives)(*inputs)
        return dict(zip(wrt, found, strict=True))

    class Woven(torch.autograd.Function):  # type: ignore[misc, name-defined]
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Any) -> Any:
            return value(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> tuple[Any, ...]:
            wanted = active(ctx.needs_input_grad, derivatives)
            by_place = slopes(ctx.saved_tensors, wanted)
            return tuple(
                times(cotangent, by_place[place]) if place in by_place else None
                for place in range(len(ctx.needs_input_grad))
            )

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            inputs = ctx.saved_tensors
            wanted = tuple(place for place in derivatives.positions if tangents[place] is not None)
            total: Any = 0.0
            for place, slope in slopes(inputs, wanted).items():
                term = slope * tangents[place]
                axis = derivatives.sums[derivatives.positions.index(place)]
                total = total + (term if axis is None else torch.sum(term, dim=axis, keepdim=True))
            return total

    applied: Callable[..., Any] = Woven.apply
    return applied


def slopes_of(wrt: tuple[int, ...], derivatives: Derivatives) -> Callable[..., tuple[Any, ...]]:
    """The derivative by the inputs in `wrt`, as a function that knows its own derivative."""
    torch = load("torch")

    def like(values: Any, inputs: Sequence[Any], places: tuple[int, ...]) -> tuple[Any, ...]:
        return tuple(
            v.expand(inputs[i].shape)
            if isinstance(v, torch.Tensor)
            else torch.full_like(inputs[i], v)
            for v, i in zip(values, places, strict=True)
        )

    class Slopes(torch.autograd.Function):  # type: ignore[misc, name-defined]
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Any) -> tuple[Any, ...]:
            return like(derivatives.slopes(wrt)(*inputs), inputs, wrt)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
            # The second derivative is symmetric: times a cotangent is times a tangent.
            inputs = ctx.saved_tensors
            wanted = active(ctx.needs_input_grad, derivatives)
            changes = derivatives.product(wrt, wanted)(*inputs, *cotangents)
            by_place = dict(zip(wanted, like(changes, inputs, wanted), strict=True))
            return tuple(by_place.get(place) for place in range(len(inputs)))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> tuple[Any, ...]:
            inputs = ctx.saved_tensors
            along = tuple(place for place in derivatives.positions if tangents[place] is not None)
            changes = derivatives.product(along, wrt)(
                *inputs, *(tangents[place] for place in along)
            )
            return like(changes, inputs, wrt)

    applied: Callable[..., tuple[Any, ...]] = Slopes.apply
    return applied


def active(needed: Sequence[bool], derivatives: Derivatives) -> tuple[int, ...]:
    return tuple(place for place in derivatives.positions if needed[place])


def times(cotangent: Any, slope: Any) -> Any:
    """Their product, where a cotangent of 0 stays 0 beside an infinite slope."""
    torch = load("torch")
    return torch.where(cotangent == 0, torch.zeros_like(slope), cotangent * slope)
