"""What one call on a small array costs, next to PyTorch eager in the same process.

    python benchmarks/latency.py [--quick] [--output benchmarks/results/latency.json]

Each row runs TensorWeaver and PyTorch in turn, many short rounds each; a round's time is that of
its calls divided by their number. The median over the rounds counts, and the ratio of the medians
is the result: absolute times depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from harness.measure import quartiles
from harness.report import heading, write

import tensorweaver as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS, CLASSES = 32, 10


def cases() -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Name, our call, PyTorch's call."""
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(0)
    predictions, targets = (rng.normal(size=(ROWS, CLASSES)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, CLASSES, ROWS)
    torch_predictions, torch_targets = torch.tensor(predictions), torch.tensor(targets)
    torch_labels = torch.tensor(labels)

    def with_gradient(function: Callable[..., Any], other: Any) -> Any:
        leaf = torch_predictions.detach().requires_grad_()
        loss = function(leaf, other)
        loss.backward()
        return loss, leaf.grad

    yield (
        "mse_loss",
        lambda: tw.mse_loss(predictions, targets),
        lambda: functional.mse_loss(torch_predictions, torch_targets),
    )
    yield (
        "mse_loss.value_and_grad",
        lambda: tw.mse_loss.value_and_grad(predictions, targets),
        lambda: with_gradient(functional.mse_loss, torch_targets),
    )
    yield (
        "cross_entropy_loss",
        lambda: tw.cross_entropy_loss(predictions, labels),
        lambda: functional.cross_entropy(torch_predictions, torch_labels),
    )
    yield (
        "cross_entropy_loss.value_and_grad",
        lambda: tw.cross_entropy_loss.value_and_grad(predictions, labels),
        lambda: with_gradient(functional.cross_entropy, torch_labels),
    )


def measure(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, calls: int) -> Any:
    """Median microseconds a call of both, their spread, and the ratio."""
    for function in (ours, theirs):
        for _ in range(calls):
            function()
    times: dict[str, list[float]] = {"tensorweaver": [], "torch": []}
    for _ in range(rounds):
        for name, function in (("tensorweaver", ours), ("torch", theirs)):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            times[name].append((time.perf_counter() - start) / calls * 1e6)
    spread = {name: quartiles(values) for name, values in times.items()}
    medians = {name: middle for name, (_, middle, _) in spread.items()}
    return {
        "microseconds": {name: round(value, 2) for name, value in medians.items()},
        "quartiles": {name: [round(q, 2) for q in values] for name, values in spread.items()},
        "ratio": round(medians["tensorweaver"] / medians["torch"], 3),
    }


def main() -> None:
    """Measure, print a table, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs")
    parser.add_argument("--output", type=Path, help="also write the result there, as JSON")
    arguments = parser.parse_args()
    rounds, calls = (3, 20) if arguments.quick else (60, 500)
    found = {}
    print(f"{ROWS} x {CLASSES} float32, one call     tensorweaver us   torch us   ratio")
    for name, ours, theirs in cases():
        found[name] = row = measure(ours, theirs, rounds, calls)
        ours_us, theirs_us = row["microseconds"].values()
        print(f"{name:<36} {ours_us:>12.1f} {theirs_us:>10.1f} {row['ratio']:>7.2f}")
    if arguments.output:
        report = {
            **heading("latency", ("tensorweaver", "numpy", "torch")),
            "shape": [ROWS, CLASSES],
            "dtype": "float32",
            "rows": found,
        }
        write(report, arguments.output)


if __name__ == "__main__":
    main()
