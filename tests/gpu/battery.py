"""Every form of kernel on small arrays, in a script of its own for compute-sanitizer.

    compute-sanitizer --tool memcheck python tests/gpu/battery.py

Each array has an allocation of its own there: an access outside of it is one outside of any.
"""

import sys
from typing import Any, NamedTuple

import numpy as np

import tensorweaver as tw
from tensorweaver.compiler.cuda.ways import STAGED_ROWS

__all__ = ["DTYPES", "calls", "run"]

DTYPES = ("float16", "bfloat16", "float32", "float64")
#: Rows and classes: less than a vector, a warp, a block, what registers hold, and more than that.
SHAPES = ((1, 1), (33, 7), (5, 31), (3, 257), (2, 4099), (2, 40_001))
COUNTS = (1, 255, 4097)
TOLERANCES = {"float16": 1e-2, "bfloat16": 5e-2, "float32": 1e-4, "float64": 1e-10}


class Call(NamedTuple):
    """What to call: a loss of views of arrays; `in_place`, the gradient replaces the first."""

    name: str
    loss: Any
    arrays: tuple
    options: dict
    in_place: bool = False
    view: Any = lambda array: array


def calls(dtype):
    """The calls of one dtype."""
    rng = np.random.default_rng(0)
    kind = in_numpy(dtype)

    def normal(*shape):
        return rng.normal(size=shape).astype(kind)

    for count in COUNTS:
        pair = normal(count), normal(count)
        yield Call(f"elements {count}", tw.huber_loss, pair, {})
        yield Call(f"elements {count} in place", tw.mse_loss, pair, {}, in_place=True)
    pair = normal(40, 66), normal(40, 66)
    yield Call("elements apart", tw.huber_loss, pair, {}, view=lambda array: array[::2, ::3])
    for rows, classes in SHAPES:
        name = f"rows {rows} x {classes}"
        logits, labels = normal(rows, classes), rng.integers(0, classes, rows)
        loss, pair = tw.cross_entropy_loss, (logits, labels)
        yield Call(name, loss, pair, {})
        yield Call(f"{name} in place", loss, pair, {}, in_place=True)
        yield Call(f"{name} each", loss, pair, {"reduction": "none"})
        yield Call(f"{name} backwards", loss, pair, {}, view=lambda array: array[::-1])
        ignored = np.where(np.arange(rows) % 2 == 0, labels, -100)
        yield Call(f"{name} ignored", loss, (logits, ignored), {})
    many = normal(STAGED_ROWS, 3), rng.integers(0, 3, STAGED_ROWS)
    yield Call("many short rows", tw.cross_entropy_loss, many, {})
    images = normal(3, 5, 4, 4), rng.integers(0, 5, (3, 4, 4))
    yield Call("classes between rows", tw.cross_entropy_loss, images, {"axis": 1})


def in_numpy(dtype):
    """NumPy's dtype of that name."""
    if dtype != "bfloat16":
        return np.dtype(dtype)
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def run(dtype, to_device, to_host):
    """Make every call on a device's arrays, next to the same on NumPy's; the wrong ones by name."""
    wrong = []
    for call in calls(dtype):
        both = call.loss.value_and_grad
        expected = both(*map(call.view, call.arrays), **call.options)
        given = [call.view(to_device(array)) for array in call.arrays]
        found = both(*given, out=given[0] if call.in_place else None, **call.options)
        limit = TOLERANCES[dtype]
        for ours, right in zip(found, expected, strict=True):
            close = np.allclose(
                np.asarray(to_host(ours), np.float64),
                np.asarray(right, np.float64),
                rtol=limit,
                atol=limit * float(np.max(np.abs(np.asarray(right, np.float64)))),
            )
            if not close:
                wrong.append(f"{dtype}, {call.name}")
                break
    return wrong


def main():
    """Run all of it on CuPy; 1 if a number is wrong."""
    import cupy

    tw.get_backend("cupy")
    cupy.cuda.set_allocator(None)
    wrong = [name for dtype in DTYPES for name in run(dtype, cupy.asarray, lambda a: a.get())]
    cupy.cuda.runtime.deviceSynchronize()
    sys.stderr.writelines(f"wrong numbers: {name}\n" for name in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
