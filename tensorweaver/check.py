"""Comparing a loss's derivatives with finite differences of its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.backends import arrange
from tensorweaver.errors import ArgumentError, TensorWeaverError
from tensorweaver.loss import Loss
from tensorweaver.loss.binding import bind
from tensorweaver.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["GradientCheck", "GradientMismatchError", "check_gradient"]


class GradientMismatchError(TensorWeaverError, AssertionError):
    """A derivative and the finite differences of its function part."""


class GradientCheck(NamedTuple):
    """The largest differences found, relative to `1 + abs(difference quotient)`."""

    gradient: float
    hessian_diagonal: float
    hessian_product: float


def check_gradient(
    loss: Loss,
    *arrays: Any,
    wrt: str | None = None,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    **options: Any,
) -> GradientCheck:
    """Compare gradient, Hessian diagonal and Hessian-vector product with central differences
    of fourth order.

    All computation is in float64 on NumPy, whatever the arrays and `backend` are. At a kink a
    difference quotient means nothing: keep the inputs away from kinks by more than `step`. By
    weights that a mean divides by, the second derivatives are compared for `reduction="sum"`.

    Parameters
    ----------
    loss
        One of this package's losses or your own, made by `pointwise` or `rowwise`.
    *arrays, **options
        As for calling it.
    wrt
        The argument to differentiate by, which may be an option that is an array, such as
        `sample_weight`; the loss's first differentiable input by default.
    step
        The distance between the points of a difference quotient.
    tolerance
        The largest difference that passes, relative to `1 + abs(difference quotient)`.

    Returns
    -------
    GradientCheck
        The largest differences found.

    Raises
    ------
    GradientMismatchError
        With the derivative, the place and both numbers.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> tw.check_gradient(tw.huber_loss, [0.3, 2.5], [0.0, 0.0], delta=2.0).gradient < 1e-9
    True
    """
    if not isinstance(loss, Loss):
        message = f"check_gradient: loss must be a loss, such as tw.mse_loss, got {loss!r}"
        raise ArgumentError(message)
    name = loss.one(wrt)
    given, options = on_host(loss, arrays, options)
    loss.grad(**given, wrt=name, **options)  # refuses what cannot be differentiated
    x = given.pop(name)
    vector = np.cos(np.arange(x.size, dtype=np.float64)).reshape(x.shape)

    def value(x: Any) -> Any:
        return np.sum(loss(**given, **{name: x}, **options))

    def gradient(x: Any, options: Any = options) -> Any:
        return loss.grad(**given, **{name: x}, wrt=name, **options)

    twice = for_second_derivatives(loss, name, {**given, name: x}, options)

    def slope(x: Any) -> Any:
        return gradient(x, twice)

    at_x = {**given, name: x, **twice}
    along_vector = quotient(lambda t: slope(x + t * vector), step)
    compared = (
        ("gradient", gradient(x), by_elements(value, x, step, whole=True)),
        ("hessian_diag", loss.hessian_diag(**at_x, wrt=name), by_elements(slope, x, step)),
        ("hvp", loss.hvp(vector, **at_x, wrt=name), along_vector),
    )
    largest = [
        compare(loss, what, actual, expected, tolerance) for what, actual, expected in compared
    ]
    return GradientCheck(*largest)


def to_float64(name: str, value: Any) -> Any:
    """The numbers on the host; labels stay integers, masks booleans."""
    raw = value.data if isinstance(value, Tensor) else value
    numpy, (host,) = arrange([raw], [name], "numpy")
    return host if host.dtype.kind in "biu" else numpy.astype(host, "float64")


def on_host(
    loss: Loss, arrays: tuple[Any, ...], options: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays by name, and the other options, all as NumPy has them."""
    names = (*loss.formula.array_options, "sample_weight", "where")
    given = dict(zip(loss.formula.arguments, bind(loss.formula, arrays, options), strict=True))
    given |= {key: options[key] for key in names if options.get(key) is not None}
    rest = {key: options[key] for key in options if key not in {*names, "backend"}}
    numbers = {key: value for key, value in rest.items() if hasattr(value, "shape")}
    on_numpy = {key: to_float64(key, value) for key, value in {**given, **numbers}.items()}
    return {key: on_numpy.pop(key) for key in given}, {**rest, **on_numpy}


def for_second_derivatives(
    loss: Loss, name: str, arrays: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """The options; a sum instead of a mean whose divisor moves with the argument `name`."""
    plan, _, _ = loss.open((), {**arrays, **options})
    return {**options, "reduction": "sum"} if plan.divisor_moves((name,)) else options


def quotient(function: Callable[[float], Any], step: float) -> Any:
    """The derivative of `function` at 0 by central differences of fourth order."""
    near = function(step) - function(-step)
    far = function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def by_elements(function: Callable[[Any], Any], x: Any, step: float, *, whole: bool = False) -> Any:
    """The difference quotient of `function` by each element: of all of it, or of the element in its
    place.
    """
    quotients = np.empty(x.shape)
    for place in np.ndindex(x.shape):

        def moved(t: float, place: tuple[int, ...] = place) -> Any:
            there = x.copy()
            there[place] += t
            found = function(there)
            return found if whole else found[place]

        quotients[place] = quotient(moved, step)
    return quotients


def compare(loss: Loss, what: str, actual: Any, expected: Any, tolerance: float) -> float:
    with np.errstate(invalid="ignore"):  # infinities that agree or not: NaN, which is reported
        off = np.abs(actual - expected) / (1 + np.abs(expected))
    if off.size == 0:
        return 0.0
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    if not off[worst] <= tolerance:
        place = f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""
        found, wanted = float(actual[worst]), float(expected[worst])
        message = (
            f"{loss.formula.name}.{what}{place} is {found!r}, "
            f"but finite differences give {wanted!r} "
            f"(off by {float(off[worst]):.1e}, allowed {tolerance:.1e})"
        )
        if np.isnan(found) and np.isnan(wanted):
            message = f"{loss.formula.name}.{what}{place} is nan, and so are finite differences"
        raise GradientMismatchError(message)
    return float(off[worst])
