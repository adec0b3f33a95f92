"""What one call on a small array costs the host, and when the device is done with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from harness.gpu_device import Numbers, one_line
from harness.gpu_peers import ours, peer
from harness.gpu_rows import ROWS, Case
from harness.measure import quartiles
from harness.peers import AbsentError
from harness.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.gpu_peers import GpuContestant

__all__ = ["SHAPE", "latency", "microseconds"]

SHAPE = (32, 10)
#: Calls of a round: fewer than the device's queue holds, so that no call waits for room in it.
CALLS, WARM_UP = 50, 100
FEWEST_ROUNDS, MOST_ROUNDS = 5, 200


def microseconds(
    contestant: GpuContestant,
    wait: Callable[[], object],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """The quartiles over rounds of the time of a call until it returns, and until it is done."""
    for _ in range(WARM_UP):
        contestant.prepare()
        contestant.call()
    returned: list[float] = []
    done: list[float] = []
    end = clock() + seconds
    while len(done) < FEWEST_ROUNDS or (len(done) < MOST_ROUNDS and clock() < end):
        wait()
        start = clock()
        for _ in range(CALLS):
            contestant.call()
        returned.append((clock() - start) / CALLS * 1e6)
        wait()
        start = clock()
        for _ in range(CALLS):
            contestant.call()
            wait()
        done.append((clock() - start) / CALLS * 1e6)
    spread = {"to_return": quartiles(returned), "to_completion": quartiles(done)}
    return {name: [round(value, 2) for value in values] for name, values in spread.items()}


def latency(cupy: Any, peers: Sequence[str], seconds: float) -> dict[str, Any]:
    """By loss and contestant, in microseconds: value and gradient of float32."""
    found: dict[str, Any] = {"shape": list(SHAPE), "unit": "us", "quartiles": {}, "absent": {}}
    rows = [Row(name, ROWS[name].formulas, SHAPE) for name in ("mse", "ce_1048576x10")]
    each = seconds / (len(rows) * (len(peers) + 2))
    print(f"{SHAPE[0]} x {SHAPE[1]} float32, value and gradient   us to return  to completion")
    for row in rows:
        case = Case(row, "float32", "value_and_grad")
        numbers = Numbers(cupy, case)
        contestants: list[GpuContestant] = list(ours(case, numbers, cupy))
        for name in peers:
            try:
                contestant = peer(name, case, numbers, cupy)
                contestant.call()
            except AbsentError as error:
                found["absent"][name] = str(error)
            except Exception as error:  # noqa: BLE001 - what a peer cannot do
                found["absent"][name] = one_line(error)
            else:
                contestants.append(contestant)
        lines = found["quartiles"][case.formulas.ours] = {}
        for contestant in contestants:
            times = microseconds(contestant, cupy.cuda.runtime.deviceSynchronize, each)
            lines[contestant.name] = times
            medians = [values[1] for values in times.values()]
            name = f"{case.formulas.ours}, {contestant.name}"
            print(f"  {name:<45}{medians[0]:>12.1f}{medians[1]:>15.1f}")
    return found
