"""What a call of TensorWeaver needs in memory beyond its inputs and its gradient.

Each case has a process of its own, in which nothing else raises the peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tensorweaver as tw
from harness.peers import ENGINES, set_engine
from harness.rows import DTYPES, MODES, ROWS, Case, Row

__all__ = ["extra_memory"]

FOLDER = Path(__file__).parents[1]
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
#: Written to RESET, it makes the peak what is resident now.
RESET_PEAK = "5"
#: Arrays from this size on go back to the system when they are freed, as large ones always do; the
#: allocator otherwise keeps some, and the next call's would not show.
RETURNED_BYTES = 1 << 16
MIB = 1 << 20


def extra_memory(case: Case, engine: str, *, quick: bool) -> dict[str, Any]:
    """MiB beyond inputs and gradients: `first_call` with what is compiled, `call` later ones."""
    path = os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "MALLOC_MMAP_THRESHOLD_": str(RETURNED_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(RETURNED_BYTES),
    }
    arguments = [case.row.name, case.dtype, case.mode, engine, *(["--quick"] if quick else [])]
    finished = subprocess.run(  # noqa: S603 - this interpreter, on names from our tables
        [sys.executable, "-m", "harness.memory", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return dict(json.loads(finished.stdout))


# ---------------------------------------------------------------------------- inside that process
def peak_and_resident() -> tuple[int, int]:
    """Bytes at the peak and now; where the system does not tell the second, the first twice."""
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        kibibytes = (int(lines[key].split()[0]) for key in ("VmHWM", "VmRSS"))
        peak, resident = (number << 10 for number in kibibytes)
        return peak, resident
    import resource

    unit = 1 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak, peak


def reset_peak() -> None:
    """Forget the peak, where the system can."""
    if RESET.exists():
        RESET.write_text(RESET_PEAK)


def draw(row: Row, dtype: str, *, quick: bool) -> tuple[np.ndarray, ...]:
    """The inputs of a row."""
    return row.formulas.draw(np.random.default_rng(0), row.shape_for(quick=quick), dtype)


def measured(row: Row, dtype: str, mode: str, *, quick: bool) -> dict[str, float]:
    """The peaks of the first call and of a later one, over the inputs being in memory.

    A call on small arrays comes before, for what any call would load; what a call on the large ones
    keeps for the next counts as its own.
    """
    loss = getattr(tw, row.formulas.ours)
    call = partial(
        loss.value_and_grad if mode == "value_and_grad" else loss, **row.formulas.options
    )
    call(*draw(row, dtype, quick=True))
    arrays = draw(row, dtype, quick=quick)
    by = row.formulas.wrt if mode == "value_and_grad" else ()
    gradients = sum(arrays[place].nbytes for place in by)
    _, before = peak_and_resident()
    found = {}
    for name in ("first_call", "call"):
        reset_peak()
        call(*arrays)
        peak, _ = peak_and_resident()
        found[name] = round(max(peak - before - gradients, 0) / MIB, 2)
    return found


def main() -> None:
    """Measure one case and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("dtype", choices=DTYPES)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    set_engine(given.engine)
    print(json.dumps(measured(ROWS[given.row], given.dtype, given.mode, quick=given.quick)))


if __name__ == "__main__":
    main()
