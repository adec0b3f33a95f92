"""Comparing a loss's derivatives with finite differences of its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.backends import arrange, get_backend
from tensorweaver.errors import TensorWeaverError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.loss import Loss

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

    All computation is in float64 on NumPy, whatever the arrays are. At a kink a difference quotient
    means nothing: keep the inputs away from kinks by more than `step`.

    Parameters
    ----------
    loss
        One of this package's losses or your own, made by `pointwise` or `rowwise`.
    *arrays, **options
        As for calling it.
    wrt
        The argument to differentiate by; the loss's first differentiable input by default.
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
    name = loss.one(wrt)
    host = [to_float64(array) for array in arrays]
    options = {
        key: to_float64(value) if hasattr(value, "shape") else value
        for key, value in options.items()
    }
    place = loss.formula.arguments.index(name)
    vector = np.cos(np.arange(host[place].size, dtype=np.float64)).reshape(host[place].shape)

    def at(x: Any) -> list[Any]:
        return [*host[:place], x, *host[place + 1 :]]

    def value(x: Any) -> Any:
        return np.sum(loss(*at(x), **options))

    def gradient(x: Any) -> Any:
        return loss.grad(*at(x), wrt=name, **options)

    x = host[place]
    along_vector = quotient(lambda t: gradient(x + t * vector), step)
    compared = (
        ("gradient", gradient(x), by_elements(value, x, step, whole=True)),
        (
            "hessian_diag",
            loss.hessian_diag(*at(x), wrt=name, **options),
            by_elements(gradient, x, step),
        ),
        ("hvp", loss.hvp(*at(x), vector, wrt=name, **options), along_vector),
    )
    largest = [
        compare(loss, what, actual, expected, tolerance) for what, actual, expected in compared
    ]
    return GradientCheck(*largest)


def to_float64(array: Any) -> Any:
    """The numbers on the host; labels stay integers."""
    backend, (arranged,) = arrange([array], ["array"])
    host = backend.to_numpy(arranged)
    return get_backend("numpy").astype(host, "float64") if host.dtype.kind not in "biu" else host


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
    off = np.abs(actual - expected) / (1 + np.abs(expected))
    if off.size == 0:
        return 0.0
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    if not off[worst] <= tolerance:
        where = ", ".join(str(int(i)) for i in worst)
        message = (
            f"{loss.formula.name}.{what}[{where}] is {float(actual[worst])!r}, "
            f"but finite differences give {float(expected[worst])!r} "
            f"(off by {float(off[worst]):.1e}, allowed {tolerance:.1e})"
        )
        raise GradientMismatchError(message)
    return float(off[worst])
