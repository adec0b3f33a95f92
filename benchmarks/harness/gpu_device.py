"""The device through CuPy: what it is, numbers on it, and how long a call takes there."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.gpu_rows import Case, chunks, right_numbers
from harness.measure import Round

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.gpu_peers import GpuContestant

__all__ = [
    "Numbers",
    "Stopwatch",
    "complaint",
    "device",
    "draw",
    "extra_mebibytes",
    "free_bytes",
    "one_line",
    "run_rounds",
    "warmed",
]

DRIVER = Path("/proc/driver/nvidia/version")
MIB = 1 << 20
#: Written before every call: what the caches hold is gone, and the host is ahead of the device.
FLUSHED_BYTES = 1 << 30
WARM_UP, FEWEST_ROUNDS, MOST_ROUNDS = 2, 5, 50
#: The relative errors of a loss and of a gradient, and what of its largest element counts as 0.
#: Other libraries may round to bfloat16 on the way.
TOLERANCES = {
    ("float32", "ours"): (1e-5, 1e-4, 1e-6),
    ("float32", "peer"): (1e-4, 1e-4, 1e-6),
    ("bfloat16", "ours"): (1e-4, 1e-2, 1e-4),
    ("bfloat16", "peer"): (2e-2, 1e-1, 1e-2),
}


# ---------------------------------------------------------------------------------- the device
def device(cupy: Any) -> dict[str, Any]:
    """The current device, and what drives it."""
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(runtime.getDevice())
    line = DRIVER.read_text().splitlines()[0] if DRIVER.exists() else None
    return {
        "name": properties["name"].decode(),
        "multiprocessors": properties["multiProcessorCount"],
        "memory_gib": round(properties["totalGlobalMem"] / 2**30, 1),
        "driver": line,
        "cuda_of_driver": runtime.driverGetVersion(),
        "cuda_of_cupy": runtime.runtimeGetVersion(),
    }


def let_go(cupy: Any) -> None:
    """Give memory that nobody holds back to the device, so that the next library finds it."""
    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_bytes(cupy: Any) -> int:
    """What is free on the device once everybody has let go."""
    let_go(cupy)
    return int(cupy.cuda.runtime.memGetInfo()[0])


# --------------------------------------------------------------------------------- the numbers
class Numbers:
    """The arrays of a case as CuPy has them, and the right loss and first gradients."""

    def __init__(self, cupy: Any, case: Case) -> None:
        self.arrays = draw(cupy, case)
        loss, gradient = right_numbers(cupy, case, self.arrays, exact(cupy))
        self.loss = loss
        self.first = next(chunks(case.shape))
        self.gradient = gradient.get() if case.wants_gradient else None


def exact(cupy: Any) -> Callable[[Any], Any]:
    """CuPy's arrays in float64, also those of bfloat16, by their bits."""

    def wide(array: Any) -> Any:
        if array.dtype.name != "bfloat16":
            return array.astype(cupy.float64)
        bits = array.view(cupy.uint16).astype(cupy.uint32) << cupy.uint32(16)
        return bits.view(cupy.float32).astype(cupy.float64)

    return wide


def narrow(cupy: Any, array: Any, dtype: str) -> Any:
    """Finite float32 in the dtype, rounded to nearest."""
    if dtype != "bfloat16":
        return array
    import ml_dtypes

    bits = (array.view(cupy.uint32) + cupy.uint32(1 << 15)) >> cupy.uint32(16)
    return bits.astype(cupy.uint16).view(ml_dtypes.bfloat16)


def draw(cupy: Any, case: Case) -> tuple[Any, Any]:
    """Predictions and targets, drawn on the device a chunk at a time."""
    rng = cupy.random.default_rng(0)

    def filled(numbers: Callable[..., Any]) -> Any:
        first = narrow(cupy, numbers((1,), dtype=cupy.float32), case.dtype)
        array = cupy.empty(case.shape, first.dtype)
        for part in chunks(case.shape):
            piece = array[part]
            fresh = narrow(cupy, numbers((piece.size,), dtype=cupy.float32), case.dtype)
            piece[...] = fresh.reshape(piece.shape)
        return array

    predictions = filled(rng.standard_normal)
    if case.labelled:
        return predictions, rng.integers(0, case.shape[1], case.shape[0])
    return predictions, filled(rng.standard_normal if case.row.name == "mse" else rng.random)


def complaint(contestant: GpuContestant, case: Case, numbers: Numbers) -> str | None:
    """What is wrong with the numbers of a contestant; None if nothing.

    The loss counts every element, the gradient those of the first chunk.
    """
    contestant.prepare()
    loss, gradient = contestant.read(contestant.call())
    role = "peer" if contestant.role == "peer" else "ours"
    of_loss, relative, of_largest = TOLERANCES[case.dtype, role]
    if not abs(float(loss) - numbers.loss) <= of_loss * abs(numbers.loss):
        return f"the loss is {float(loss)!r} instead of {numbers.loss!r}"
    expected = numbers.gradient
    if expected is None:
        return None
    if gradient is None or gradient.shape != expected.shape:
        return f"the first gradients are {getattr(gradient, 'shape', None)}"
    absolute = of_largest * float(np.max(np.abs(expected)))
    wrong = ~np.isclose(gradient, expected, rtol=relative, atol=absolute)
    if wrong.any():
        place = int(np.argmax(wrong))
        found, wanted = gradient.reshape(-1)[place], expected.reshape(-1)[place]
        return f"{wrong.sum()} gradients are wrong, the first {found!r} instead of {wanted!r}"
    return None


# ----------------------------------------------------------------------------------- the time
class Stopwatch:
    """Times calls on CUDA's default stream, which CuPy and PyTorch share, by events.

    A gibibyte is written before each call, so that nothing is left in the caches, and the host has
    queued the call before the device comes to it. Who has streams of his own, as JAX, waits for the
    result, and is timed by the host's clock.
    """

    def __init__(self, cupy: Any) -> None:
        self.cuda = cupy.cuda
        self.flushed = cupy.zeros(FLUSHED_BYTES, cupy.uint8)
        self.start, self.end = cupy.cuda.Event(), cupy.cuda.Event()

    def milliseconds(self, contestant: GpuContestant) -> float:
        """The time of one call; its result is gone afterwards."""
        contestant.prepare()
        self.cuda.runtime.deviceSynchronize()
        self.flushed.fill(1)
        if contestant.waits:
            self.cuda.runtime.deviceSynchronize()
            before = time.perf_counter()
            result = contestant.call()
            elapsed = (time.perf_counter() - before) * 1e3
        else:
            self.start.record()
            result = contestant.call()
            self.end.record()
            self.end.synchronize()
            elapsed = self.cuda.get_elapsed_time(self.start, self.end)
        del result
        return float(elapsed)


def warmed(
    milliseconds: Callable[[GpuContestant], float],
    contestants: Sequence[GpuContestant],
    absent: dict[str, str],
) -> list[GpuContestant]:
    """Those who run a few times beside all others; of a peer that fails, the reason in `absent`."""
    found = list(contestants)
    for _ in range(WARM_UP):
        for contestant in tuple(found):
            try:
                milliseconds(contestant)
            except Exception as error:
                if contestant.role != "peer":
                    raise
                found.remove(contestant)
                absent[contestant.name] = one_line(error)
    return found


def one_line(error: Exception) -> str:
    """An error as a reason."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def run_rounds(
    milliseconds: Callable[[GpuContestant], float],
    contestants: Sequence[GpuContestant],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Round]:
    """Rounds in which everybody runs once, each round begun by another, as many as the time lets.

    Nobody has to be warmed up: see `warmed`.
    """
    found: list[Round] = []
    end = clock() + seconds
    for number in range(MOST_ROUNDS):
        first = number % len(contestants)
        turn = (*contestants[first:], *contestants[:first])
        found.append(Round({c.name: milliseconds(c) for c in turn}, None))
        if len(found) >= FEWEST_ROUNDS and clock() >= end:
            break
    return found


# --------------------------------------------------------------------------------- the memory
def extra_mebibytes(cupy: Any, contestant: GpuContestant, gradient_bytes: int) -> float:
    """The peak of a call over what was held before it, less a new gradient, in MiB.

    CuPy's pool, emptied, holds after a call what was used at its peak; PyTorch keeps count.
    """
    contestant.prepare()
    let_go(cupy)
    pool = cupy.get_default_memory_pool()
    torch = contestant.torch
    if torch is not None:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        contestant.call()
        peak = torch.cuda.max_memory_allocated()
    else:
        before = pool.total_bytes()
        contestant.call()
        peak = pool.total_bytes()
    return round(float(max(peak - before - gradient_bytes, 0)) / MIB, 2)
