"""Operations that move elements about, the running sum, and the matrix product.

Their cotangents move the same way back. What broadcasting had spread is summed by whoever applies a
rule, so the rule of `broadcast_to`, and that of a matrix product over a batch, need not.
"""

from __future__ import annotations

from typing import Any

from tensorweaver.primitives.primitive import Primitive, Rule

__all__ = ["SHAPING"]


def permute_back(xp: Any, g: Any, out: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    order = tuple(axis % len(axes) for axis in axes)
    return xp.permute_dims(g, tuple(order.index(axis) for axis in range(len(order))))


def roll_back(xp: Any, g: Any, out: Any, x: Any, *, shift: Any, axis: Any = None) -> Any:
    back = tuple(-step for step in shift) if isinstance(shift, tuple) else -shift
    return xp.roll(g, back, axis=axis)


def sum_of_later(
    xp: Any, g: Any, out: Any, x: Any, *, axis: int | None = None, include_initial: bool = False
) -> Any:
    """Every element is part of its own and all later sums."""
    axis = 0 if axis is None else axis % x.ndim
    if include_initial:
        g = g[(*[slice(None)] * axis, slice(1, None), ...)]
    backwards = xp.flip(g, axis=axis)
    return xp.flip(xp.cumulative_sum(backwards, axis=axis), axis=axis)


def as_matrices(xp: Any, g: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """A vector on the left is a row, one on the right a column; the product then lacks those axes."""
    if y.ndim == 1:
        g, y = xp.expand_dims(g, axis=-1), xp.expand_dims(y, axis=-1)
    if x.ndim == 1:
        g, x = xp.expand_dims(g, axis=-2), xp.expand_dims(x, axis=-2)
    return g, x, y


def matmul_by_left(xp: Any, g: Any, out: Any, x: Any, y: Any) -> Any:
    rows, _, columns = as_matrices(xp, g, x, y)
    share = xp.matmul(rows, xp.matrix_transpose(columns))
    return xp.squeeze(share, axis=-2) if x.ndim == 1 else share


def matmul_by_right(xp: Any, g: Any, out: Any, x: Any, y: Any) -> Any:
    columns, rows, _ = as_matrices(xp, g, x, y)
    share = xp.matmul(xp.matrix_transpose(rows), columns)
    return xp.squeeze(share, axis=-1) if y.ndim == 1 else share


def row(name: str, *rules: Rule) -> Primitive:
    return Primitive(name, rules, kind="shape")


# fmt: off
SHAPING: tuple[Primitive, ...] = (
    row("reshape",          lambda xp, g, out, x, *, shape: xp.reshape(g, x.shape)),
    row("expand_dims",      lambda xp, g, out, x, *, axis=0: xp.reshape(g, x.shape)),
    row("squeeze",          lambda xp, g, out, x, *, axis: xp.reshape(g, x.shape)),
    row("broadcast_to",     lambda xp, g, out, x, *, shape: g),
    row("permute_dims",     permute_back),
    row("matrix_transpose", lambda xp, g, out, x: xp.matrix_transpose(g)),
    row("flip",             lambda xp, g, out, x, *, axis=None: xp.flip(g, axis=axis)),
    row("roll",             roll_back),
    row("tril",             lambda xp, g, out, x, *, k=0: xp.tril(g, k=k)),
    row("triu",             lambda xp, g, out, x, *, k=0: xp.triu(g, k=k)),
    row("cumulative_sum",   sum_of_later),
    row("matmul",           matmul_by_left, matmul_by_right),
)
# fmt: on
