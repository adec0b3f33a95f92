"""The one comparison of this test suite, and the one table of how close is close."""

from typing import NamedTuple

import numpy as np

from tests.helpers.arrays import device_of, dtype_name, library_of, to_host

__all__ = ["PRECISION", "Precision", "assert_close", "spacing"]


class Precision(NamedTuple):
    """What a floating dtype can hold, and the relative error allowed by default."""

    epsilon: float
    smallest: float
    value: float
    gradient: float
    hessian: float


# The columns: epsilon, smallest subnormal, and the relative error of value, gradient, hessian.
PRECISION = {
    "float64": Precision(2.0**-52, 2.0**-1074, 1e-14, 1e-12, 1e-10),
    "float32": Precision(2.0**-23, 2.0**-149, 2e-6, 1e-5, 1e-4),
    "float16": Precision(2.0**-10, 2.0**-24, 2e-3, 1e-2, 1e-1),
    "bfloat16": Precision(2.0**-7, 2.0**-133, 1.6e-2, 8e-2, 8e-1),
}


def assert_close(
    actual, expected, *, like=None, dtype=None, of="value", rtol=None, ulp=None, atol=0.0
):
    """Raise AssertionError unless `actual` is the array that was expected, up to rounding.

    Library, device, dtype and shape are compared first, then the values. They are those of `like`
    where it is given (an input of the loss, say), else those of `expected` where it is an array;
    `dtype` names another dtype. Expected values may be an array of any library, numbers, nested
    lists, or mpmath numbers, which are compared exactly.

    The error allowed in an element is `atol + rtol * |expected| + ulp * spacing(expected)`, spacing
    in the dtype of `actual`. With neither `rtol` nor `ulp`, `rtol` is PRECISION's column `of`:
    "value", "gradient" or "hessian". NaN equals NaN, an infinity equals itself, and what is too big
    for the dtype is expected as an infinity. Integers and booleans are compared exactly.
    """
    __tracebackhide__ = True
    model = like if like is not None else expected
    if library_of(model) is not None and dtype_name(model) != "object":
        hint = "" if like is not None else "; for expected values of another library pass like="
        assert_same("library", library_of(actual), library_of(model), hint)
        assert_same("device", device_of(actual), device_of(model))
        dtype = dtype or dtype_name(model)
    if dtype is not None:
        assert_same("dtype", dtype_name(actual), dtype)
    host, truth = to_host(actual), to_host(expected)
    assert_same("shape", tuple(host.shape), tuple(truth.shape))
    kind = dtype_name(actual) if hasattr(actual, "dtype") else "float64"
    if kind not in PRECISION:
        assert_none(host != truth, host, truth, "differ")
        return
    if rtol is None:
        rtol = getattr(PRECISION[kind], of) if ulp is None else 0.0
    assert_values(host, truth, kind, rtol=rtol, ulp=ulp or 0.0, atol=atol)


def assert_values(host, truth, kind, *, rtol, ulp, atol):
    """Compare floats, exactly where `truth` holds mpmath numbers."""
    __tracebackhide__ = True
    host = host.astype(np.float64)
    rounded = truth.astype(np.float64)
    if kind != "float64":  # beyond half a step over the largest number
        top = 2.0 ** (15 if kind == "float16" else 127)
        beyond = np.abs(rounded) >= (2.0 - PRECISION[kind].epsilon / 2) * top
        rounded = np.where(beyond, np.copysign(np.inf, rounded), rounded)
    finite = np.isfinite(rounded) & np.isfinite(host)
    same = (host == rounded) | (np.isnan(host) & np.isnan(rounded))
    assert_none(~finite & ~same, host, truth, "are not the same infinity or NaN")
    error = np.zeros(host.shape)
    if truth.dtype == object:
        exact = host[finite].astype(object) - truth[finite]
    else:
        exact = host[finite] - rounded[finite]
    error[finite] = np.abs(exact).astype(np.float64)
    size = np.abs(np.where(finite, rounded, 0.0))
    allowed = atol + rtol * size + ulp * spacing(size, kind)
    worst = np.max(error / spacing(size, kind), initial=0.0)
    assert_none(
        error > allowed, host, truth, f"differ by more than allowed, at worst {worst:.3g} ulp"
    )


def spacing(size, kind):
    """The distance between neighbouring numbers of a dtype at magnitude `size`."""
    _, exponent = np.frexp(size)
    steps = np.where(size == 0, 0.0, np.ldexp(PRECISION[kind].epsilon, exponent - 1))
    return np.maximum(steps, PRECISION[kind].smallest)


def assert_same(what, actual, expected, hint=""):
    __tracebackhide__ = True
    if actual != expected:
        message = f"{what}: got {actual}, expected {expected}{hint}"
        raise AssertionError(message)


def assert_none(bad, actual, expected, complaint):
    """Raise with the number of bad elements and the first of them."""
    __tracebackhide__ = True
    bad = np.asarray(bad)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        message = (
            f"{int(bad.sum())} of {bad.size} elements {complaint}; first at {where}: "
            f"got {actual[where]!r}, expected {expected[where]!r}"
        )
        raise AssertionError(message)
