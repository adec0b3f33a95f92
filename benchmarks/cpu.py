"""What a loss costs on the processor, next to what other libraries take for it.

    python benchmarks/cpu.py [--quick] [--rows mse,ce_8192x1000] [--dtypes float32]
        [--peers torch,jax] [--engines llvm] [--output benchmarks/results/cpu.json]

Everybody runs in one process, in turn, each once a round; the medians over the rounds count, and
the result is the time of the best peer over ours. Rounds in which other processes took our cores
are left out, and a case with hardly any other round is marked as disturbed: measure on an idle
machine. `memcpy` copies as many bytes as a case must move at least, in the same rounds. Every
result is compared with plain NumPy in float64 before anything is timed. Everybody allocates what
they return, and pays for fresh pages; `out=` is TensorWeaver with a gradient array given, and
scikit-learn always has its own.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.check import complaint
from harness.measure import Contestant, cores, rounds_that_fit, run_rounds
from harness.memory import extra_memory
from harness.peers import COMPILERS, ENGINES, PEERS, AbsentError, memcpy, ours, peer, set_engine
from harness.report import case_report, case_text, heading, summary, summary_text, write
from harness.rows import DTYPES, MODES, ROWS, Case, make_case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PACKAGES = (
    "tensorweaver",
    "numpy",
    "llvmlite",
    "torch",
    "jax",
    "jaxlib",
    "optax",
    "scikit-learn",
)
#: What the rounds of a case may take; and where other processes take our cores, to get quiet ones.
SECONDS, PATIENCE = 10.0, 30.0
#: Compiling takes seconds, a process as well: in a quick run the first cases have to do.
QUICK_CASES = 2


def listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    """A comma list of known names, as an argument's type."""

    def names(text: str) -> list[str]:
        wanted = [name for name in text.split(",") if name]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            message = f"unknown: {', '.join(unknown)}; known are {', '.join(known)}"
            raise argparse.ArgumentTypeError(message)
        return wanted

    return names


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small arrays, one round: does it run")
    for name, known, default in (
        ("rows", tuple(ROWS), tuple(ROWS)),
        ("dtypes", DTYPES, DTYPES),
        ("peers", tuple(PEERS), tuple(PEERS)),
        ("engines", ENGINES, COMPILERS),
    ):
        several = f"a comma list of {', '.join(known)}; by default {', '.join(default)}"
        parser.add_argument(f"--{name}", type=listed(known), default=list(default), help=several)
    parser.add_argument("--output", type=Path, help="also write the result there, as JSON")
    return parser.parse_args()


def entrants(
    case: Case, engines: Sequence[str], peers: Sequence[str]
) -> tuple[list[Contestant], dict[str, str], list[str]]:
    """Who takes part in a case, who does not and why, and what of ours computes wrong numbers."""
    found: list[Contestant] = []
    absent: dict[str, str] = {}
    wrong: list[str] = []
    arrays = case.copies

    def enter(contestant: Contestant) -> None:
        problem = complaint(contestant, case)
        if problem is None:
            found.append(contestant)
            return
        absent[contestant.name] = f"wrong numbers: {problem}"
        if contestant.role != "peer":
            wrong.append(f"{case.row.name} {case.dtype} {case.mode}, {contestant.name}: {problem}")

    for engine in engines:
        try:
            for contestant in ours(case, engine, arrays):
                enter(contestant)
        except AbsentError as error:
            absent[f"tensorweaver {engine}"] = str(error)
    for name in peers:
        try:
            enter(peer(name, case))
        except AbsentError as error:
            absent[name] = str(error)
    return found, absent, wrong


def measure(
    case: Case, given: argparse.Namespace, pool: ThreadPoolExecutor, *, thorough: bool
) -> tuple[dict[str, Any], list[str]]:
    """The report of a case, and what of ours computes wrong numbers.

    What is not `thorough` leaves out compiling PyTorch's loss and measuring memory.
    """
    peers = [name for name in given.peers if thorough or name != "compile"]
    found, absent, wrong = entrants(case, given.engines, peers)
    if peers != given.peers:
        absent["compile"] = "left out of a quick run"
    contestants = [*found, memcpy(case, pool)]
    memory = {}
    if thorough:
        for engine in given.engines:
            name = f"tensorweaver {engine}"
            if any(contestant.name == name for contestant in found):
                memory[name] = extra_memory(case, engine, quick=given.quick)
    number = 1 if given.quick else rounds_that_fit(contestants, SECONDS)
    rounds = run_rounds(contestants, number, 0 if given.quick else PATIENCE)
    return case_report(case, contestants, rounds, absent, memory), wrong


def main() -> int:
    """Measure, print tables, and write the report if asked; 1 if we compute wrong numbers."""
    given = arguments()
    report = {**heading("cpu", PACKAGES), "quick": given.quick, "summary": [], "rows": []}
    wrong: list[str] = []
    with ThreadPoolExecutor(cores()) as pool:
        cases = itertools.product(given.rows, given.dtypes, MODES)
        for number, (row, dtype, mode) in enumerate(cases):
            case = make_case(ROWS[row], dtype, mode, quick=given.quick)
            thorough = number < QUICK_CASES or not given.quick
            found, problems = measure(case, given, pool, thorough=thorough)
            wrong += problems
            print(case_text(found), end="\n\n", flush=True)
            report["rows"].append(found)
            report["summary"] = summary(report["rows"])
            if given.output:  # after every case, so that a long run may be stopped
                write(report, given.output)
            del case
            gc.collect()
    set_engine(None)
    print(summary_text(report["summary"]))
    if wrong:
        print("Wrong numbers:", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
