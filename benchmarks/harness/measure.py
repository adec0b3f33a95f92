"""Run contestants in turn, in one process, and say how long each takes."""

from __future__ import annotations

import gc
import os
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "Contestant",
    "Round",
    "cores",
    "milliseconds",
    "quartiles",
    "rounds_that_fit",
    "run_rounds",
    "that_count",
]

FEWEST_ROUNDS, MOST_ROUNDS = 5, 40
#: Seconds to wait at a time, at most how often, and the processor time that counts as none.
STEP, STEPS, IDLE = 0.002, 50, 0.0002
#: So many idle steps in a row: the system counts a thread's time only when its clock ticks.
IDLE_STEPS = 4
#: Cores kept busy by others that spoil a round.
DISTURBED = 0.2
STATISTICS = Path("/proc/stat")


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Contestant:
    """Somebody who computes a case.

    Attributes
    ----------
    call
        What is timed.
    read
        From what the call returns to the loss and the gradients, as NumPy.
    role
        `ours`, `ours_out` (a gradient into memory that is there already), `peer`, or `memcpy`.
    prepare
        What has to be done before a call, untimed.
    note
        What the report says about it.
    """

    name: str
    call: Callable[[], Any]
    read: Callable[[Any], tuple[Any, Any]]
    role: str = "peer"
    prepare: Callable[[], object] = nothing
    note: str = ""


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quartiles(values: Sequence[float]) -> list[float]:
    """The quartiles, the median in the middle."""
    if len(values) == 1:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


@contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection inside."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """Wait until the threads of whoever ran last no longer spin for more work."""
    idle = 0
    for _ in range(STEPS):
        before = time.process_time()
        time.sleep(STEP)
        idle = idle + 1 if time.process_time() - before < IDLE else 0
        if idle == IDLE_STEPS:
            return


def milliseconds(contestant: Contestant) -> float:
    """The time of one call; its result is gone afterwards."""
    contestant.prepare()
    settle()
    start = time.perf_counter()
    result = contestant.call()
    elapsed = time.perf_counter() - start
    del result
    return elapsed * 1e3


def rounds_that_fit(contestants: Sequence[Contestant], seconds: float) -> int:
    """How many rounds fit into a time, judged by a round that also warms everybody up."""
    for contestant in contestants:
        milliseconds(contestant)
    start = time.perf_counter()
    for contestant in contestants:
        milliseconds(contestant)
    one_round = time.perf_counter() - start
    return min(max(int(seconds / one_round), FEWEST_ROUNDS), MOST_ROUNDS)


# --------------------------------------------------------------------------------------- the rounds
@dataclass(frozen=True)
class Round:
    """The milliseconds of each contestant, and how many of our cores other processes kept busy.

    OpenMP's threads wait for each other at every step. Where another process takes one of their
    cores they may become twenty times slower, and whoever does without them hardly at all: such a
    round says nothing about anybody.
    """

    times: dict[str, float]
    others: float | None

    @property
    def quiet(self) -> bool:
        """Whether the cores were ours alone, as far as the system tells."""
        return self.others is None or self.others < DISTURBED


def run_round(contestants: Sequence[Contestant]) -> Round:
    """Call each contestant once."""
    before, own, start = busy_seconds(), time.process_time(), time.perf_counter()
    with without_collection():
        times = {contestant.name: milliseconds(contestant) for contestant in contestants}
    own, elapsed = time.process_time() - own, time.perf_counter() - start
    after = busy_seconds()
    if before is None or after is None:
        return Round(times, None)
    return Round(times, max(after - before - own, 0.0) / elapsed)


def busy_seconds() -> float | None:
    """What all processes, and other guests of a host, have used of our cores; None if unknown."""
    if not STATISTICS.exists():
        return None
    lines = (line.split() for line in STATISTICS.read_text().splitlines())
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = 0
    for name, *counts in lines:
        if name in ours:
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, counts[:8])
            ticks += user + nice + system + interrupts + soft + stolen
    return ticks / os.sysconf("SC_CLK_TCK")


def run_rounds(contestants: Sequence[Contestant], rounds: int, patience: float) -> list[Round]:
    """Rounds that each begin with another contestant.

    Where hardly any of them is quiet, more follow, as long as all take no more than `patience`
    seconds.
    """
    found: list[Round] = []
    end = time.perf_counter() + patience
    while len(found) < rounds or (not enough(found) and time.perf_counter() < end):
        first = len(found) % len(contestants)
        found.append(run_round((*contestants[first:], *contestants[:first])))
    return found


def enough(rounds: Sequence[Round]) -> bool:
    """Whether there are quiet rounds to go by."""
    return sum(each.quiet for each in rounds) >= min(FEWEST_ROUNDS, len(rounds))


def that_count(rounds: Sequence[Round]) -> list[Round]:
    """The quiet rounds; all of them where hardly any is."""
    return [each for each in rounds if each.quiet] if enough(rounds) else list(rounds)
