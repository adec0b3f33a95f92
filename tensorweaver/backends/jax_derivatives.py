"""Telling JAX a kernel's derivatives: `jax.grad`, `jax.hessian` and `jax.jvp` then use them, to any
order.

Without this JAX would differentiate through the kernel's operations, with its own slopes at kinks
(`abs` has slope 1 at 0) and with NaN from branches not taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.backends.importing import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.backends.execution import Derivatives

__all__ = ["with_derivatives"]


def with_derivatives(value: Callable[..., Any], derivatives: Derivatives) -> Callable[..., Any]:
    """`value` as a function whose tangents are `sum(slope * tangent)`, the slopes in turn knowing
    their own.
    """
    jax = load("jax")
    woven = jax.custom_jvp(value)

    def rule(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        output = woven(*inputs)
        active = perturbed(tangents, derivatives.positions)
        slopes = slopes_of(active, derivatives)(*inputs)
        total = load("jax.numpy").zeros_like(output)
        for slope, place in zip(slopes, active, strict=True):
            total = total + summed(slope * tangents[place], place, derivatives)
        return output, total

    woven.defjvp(rule, symbolic_zeros=True)
    return woven  # type: ignore[no-any-return]


def slopes_of(wrt: tuple[int, ...], derivatives: Derivatives) -> Callable[..., tuple[Any, ...]]:
    """The derivative by the inputs in `wrt`, which knows its own derivative."""
    jnp = load("jax.numpy")

    def like_inputs(values: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            jnp.broadcast_to(jnp.asarray(v, inputs[i].dtype), inputs[i].shape)
            for v, i in zip(values, wrt, strict=True)
        )

    def slopes(*inputs: Any) -> tuple[Any, ...]:
        return like_inputs(derivatives.slopes(wrt)(*inputs), inputs)

    known = load("jax").custom_jvp(slopes)

    def rule(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        along = perturbed(tangents, derivatives.positions)
        product = derivatives.product(along, wrt)
        changes = product(*inputs, *(tangents[place] for place in along))
        return known(*inputs), like_inputs(changes, inputs)

    known.defjvp(rule, symbolic_zeros=True)
    return known  # type: ignore[no-any-return]


def perturbed(tangents: tuple[Any, ...], positions: Any) -> tuple[int, ...]:
    """The real-valued inputs that are being differentiated by."""
    zero = load("jax.custom_derivatives").SymbolicZero
    return tuple(place for place in positions if not isinstance(tangents[place], zero))


def summed(term: Any, place: int, derivatives: Derivatives) -> Any:
    axis = derivatives.sums[derivatives.positions.index(place)]
    return term if axis is None else load("jax.numpy").sum(term, axis=axis, keepdims=True)
