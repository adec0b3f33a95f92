"""What the first call of a new process costs: with nothing compiled yet, and with a filled cache.

    python benchmarks/first_call.py [--quick] [--output benchmarks/results/first_call.json]

Each number is of a process of its own: from before the call, with TensorWeaver and NumPy imported,
to its result. It holds tracing, loading the compiler library, and compiling or loading the kernel.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.report import heading, write

PROGRAM = """
import time, numpy as np, tensorweaver as tw
rng = np.random.default_rng(0)
logits = rng.normal(size=(1000, 100)).astype("float32")
labels = rng.integers(0, 100, 1000)
targets = rng.normal(size=(1000, 100)).astype("float32")
start = time.perf_counter()
{call}
print((time.perf_counter() - start) * 1e3)
"""
CALLS = {
    "mse_loss": "tw.mse_loss(logits, targets)",
    "mse_loss.value_and_grad": "tw.mse_loss.value_and_grad(logits, targets)",
    "cross_entropy_loss.value_and_grad": "tw.cross_entropy_loss.value_and_grad(logits, labels)",
}
PACKAGES = ("tensorweaver", "numpy", "llvmlite")


def milliseconds(call: str, cache: str) -> float:
    """The call's time in a new process."""
    command = [sys.executable, "-c", PROGRAM.format(call=call)]
    environment = {**os.environ, "TENSORWEAVER_CACHE": cache}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - our own text
    return float(done.stdout)


def measure(call: str, rounds: int) -> dict[str, float]:
    """Medians over processes."""
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(milliseconds(call, cache))
            warm.append(milliseconds(call, cache))
    return {
        "cold_ms": round(statistics.median(cold), 1),
        "warm_ms": round(statistics.median(warm), 1),
        "slowest_warm_ms": round(max(warm), 1),
    }


def main() -> None:
    """Measure, print a table, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one process each")
    parser.add_argument("--output", type=Path, help="also write the result there, as JSON")
    arguments = parser.parse_args()
    found = {}
    print("first call in a new process           cold ms   warm ms   slowest warm")
    for name, call in CALLS.items():
        found[name] = row = measure(call, 1 if arguments.quick else 9)
        cold, warm, slowest = row.values()
        print(f"{name:<36} {cold:>8.0f} {warm:>9.0f} {slowest:>14.0f}")
    if arguments.output:
        write({**heading("first_call", PACKAGES), "rows": found}, arguments.output)


if __name__ == "__main__":
    main()
