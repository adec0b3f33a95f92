"""What a loss costs on a GPU, next to what other libraries take for it.

    python benchmarks/gpu.py [--quick] [--rows mse,ce_8192x32768] [--dtypes bfloat16]
        [--modes value] [--peers torch,jax] [--seconds 320] [--output benchmarks/results]

Everybody runs in one process, in turn, each once a round, timed by CUDA's events with cold caches;
the medians over the rounds count, and the result is the time of the best peer over ours. `memcpy`
copies on the device, in the same rounds, as many bytes as a case must move at least: its time over
ours is the share of the bandwidth that is used. Before anything is timed its loss is compared with
one in float64 over all elements, and its gradient over the first millions. Memory is what a call
takes at its peak beyond a new gradient. At last one call on 32 x 10: until it returns, and until
the device is done.

A whole run keeps to its seconds: cases for which none are left are named in the report. `--output`
is a file, or a folder, in which the file is named after the device.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpu import listed
from harness.gpu_device import (
    Numbers,
    Stopwatch,
    complaint,
    device,
    extra_mebibytes,
    free_bytes,
    one_line,
    run_rounds,
    warmed,
)
from harness.gpu_latency import latency
from harness.gpu_peers import PEERS, copy_on_device, ours, peer
from harness.gpu_rows import DTYPES, MODES, ROWS, Budget, Case, plan, slug
from harness.peers import AbsentError
from harness.report import case_report, case_text, heading, summary, summary_text, write

import tensorweaver as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.gpu_peers import GpuContestant

PACKAGES = (
    "tensorweaver",
    "numpy",
    "cupy-cuda13x",
    "cupy-cuda12x",
    "torch",
    "triton",
    "liger-kernel",
    "jax",
    "jaxlib",
    "optax",
)
#: What a whole run may take, what of it is kept for the latency, and the least that is worth it.
SECONDS, LATENCY_SECONDS, LEAST_SECONDS = 320.0, 15.0, 1.0
#: Timing takes this part of a case's seconds; compiling and checking take the rest.
TIMED = 0.4


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small arrays, to see that it runs")
    for name, known in (
        ("rows", tuple(ROWS)),
        ("dtypes", DTYPES),
        ("modes", MODES),
        ("peers", tuple(PEERS)),
    ):
        several = f"a comma list of {', '.join(known)}; by default all"
        parser.add_argument(f"--{name}", type=listed(known), default=list(known), help=several)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="what all of it may take")
    parser.add_argument("--output", type=Path, help="a file for the report as JSON, or a folder")
    return parser.parse_args(given)


def report_path(output: Path, name: str) -> Path:
    """Where the report goes: in a folder, under the device's name."""
    return output / f"gpu-{slug(name)}.json" if output.is_dir() else output


def entrants(
    case: Case, numbers: Numbers, peers: Sequence[str], cupy: Any
) -> tuple[list[GpuContestant], dict[str, str], list[str]]:
    """Who takes part in a case, who does not and why, and what of ours computes wrong numbers."""
    found: list[GpuContestant] = []
    absent: dict[str, str] = {}
    wrong: list[str] = []
    for contestant in ours(case, numbers, cupy):
        problem = complaint(contestant, case, numbers)
        if problem is None:
            found.append(contestant)
        else:
            absent[contestant.name] = f"wrong numbers: {problem}"
            wrong.append(f"{case.name}, {contestant.name}: {problem}")
    for name in peers:
        try:
            contestant = peer(name, case, numbers, cupy)
            problem = complaint(contestant, case, numbers)
        except AbsentError as error:
            absent[name] = str(error)
        except Exception as error:  # noqa: BLE001 - out of memory, or what a peer cannot do
            absent[name] = one_line(error)
        else:
            if problem is None:
                found.append(contestant)
            else:
                absent[name] = f"wrong numbers: {problem}"
    return found, absent, wrong


def measure(
    case: Case, peers: Sequence[str], seconds: float, cupy: Any
) -> tuple[dict[str, Any], list[str]]:
    """The report of a case, and what of ours computes wrong numbers."""
    numbers = Numbers(cupy, case)
    found, absent, wrong = entrants(case, numbers, peers, cupy)
    memory = {
        contestant.name: {
            # What is written into memory that is there already has no new gradient.
            "call": extra_mebibytes(
                cupy, contestant, 0 if contestant.role == "ours_out" else case.gradient_bytes
            )
        }
        for contestant in found
        if not contestant.waits  # JAX keeps no such count on all its devices
    }
    milliseconds = Stopwatch(cupy).milliseconds
    contestants = warmed(milliseconds, [*found, copy_on_device(case, cupy)], absent)
    rounds = run_rounds(milliseconds, contestants, seconds * TIMED)
    return case_report(case, contestants, rounds, absent, memory), wrong


def run(
    cases: Sequence[Case],
    seconds: float,
    measured: Callable[[Case, float], tuple[dict[str, Any], list[str]]],
    free: Callable[[], int],
    keep: Callable[[dict[str, Any]], None],
) -> tuple[dict[str, str], list[str]]:
    """Measure case by case within the seconds: who is left out and why, and the wrong numbers."""
    budget = Budget(seconds, len(cases))
    left_out: dict[str, str] = {}
    wrong: list[str] = []
    for case in cases:
        share = budget.share()
        if budget.left < LEAST_SECONDS:
            left_out[case.name] = f"the {seconds:.0f} seconds of the run were over"
            continue
        reason = case.left_out(free())
        if reason is not None:
            left_out[case.name] = reason
            continue
        try:
            found, problems = measured(case, share)
        except Exception as error:  # noqa: BLE001 - what is measured already is worth a report
            wrong.append(f"{case.name}: {one_line(error)}")
            continue
        wrong += problems
        keep(found)
    return left_out, wrong


def main() -> int:
    """Measure, print tables, and write the report if asked; 1 if any of ours is wrong or fails."""
    given = arguments()
    try:
        tw.get_backend("cupy")
    except tw.BackendUnavailableError as error:
        sys.exit(f"benchmarks/gpu.py measures a GPU through CuPy: {error}")
    import cupy

    where = device(cupy)
    report: dict[str, Any] = {
        **heading("gpu", PACKAGES),
        "device": where,
        "quick": given.quick,
        "summary": [],
        "rows": [],
        "left_out": {},
        "latency": {},
    }

    def keep(found: dict[str, Any]) -> None:
        print(case_text(found), end="\n\n", flush=True)
        report["rows"].append(found)
        report["summary"] = summary(report["rows"])
        if given.output:  # after every case, so that a long run may be stopped
            write(report, report_path(given.output, where["name"]))

    print(f"{where['name']}, {where['memory_gib']} GiB\n")
    cases = plan(given.rows, given.dtypes, given.modes, quick=given.quick)
    report["left_out"], wrong = run(
        cases,
        given.seconds - LATENCY_SECONDS,
        lambda case, seconds: measure(case, given.peers, seconds, cupy),
        lambda: free_bytes(cupy),
        keep,
    )
    report["wrong"] = wrong
    report["latency"] = latency(cupy, given.peers, LATENCY_SECONDS)
    if given.output:
        write(report, report_path(given.output, where["name"]))
    print(summary_text(report["summary"]))
    for name, reason in report["left_out"].items():
        print(f"  {name}: left out, {reason}")
    if wrong:
        print("Wrong, or not computed:", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
