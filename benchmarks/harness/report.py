"""What a benchmark says: where it ran, its rows, and what they come to."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import TYPE_CHECKING, Any

from harness.measure import cores, quartiles, that_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness import gpu_rows
    from harness.measure import Contestant, Round
    from harness.rows import Case

__all__ = ["case_report", "case_text", "heading", "machine", "summary", "summary_text", "write"]

CPUINFO = Path("/proc/cpuinfo")
DIGITS = 4


# ----------------------------------------------------------------------------------- where and what
def processor() -> str:
    """The model of the processor."""
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """The machine, the part of it that this process may use, and what else keeps it busy."""
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "affinity": cores(),
        "load_average": load,
        "platform": platform.system(),
        "python": platform.python_version(),
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """The versions of the packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def heading(benchmark: str, packages: Sequence[str]) -> dict[str, Any]:
    """What every report begins with."""
    return {
        "benchmark": benchmark,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": shlex.join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]]),
        "machine": machine(),
        "versions": versions(packages),
    }


def write(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(report, indent=2) + "\n")


# ----------------------------------------------------------------------------------------- one case
def case_report(
    case: Case | gpu_rows.Case,
    contestants: Sequence[Contestant],
    rounds: Sequence[Round],
    absent: dict[str, str],
    memory: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """What was found out about a case."""
    counted = that_count(rounds)
    spread = {c.name: quartiles([each.times[c.name] for each in counted]) for c in contestants}
    medians = {name: middle for name, (_, middle, _) in spread.items()}
    peers = [c.name for c in contestants if c.role == "peer"]
    best = min(peers, key=medians.__getitem__, default=None)
    found: dict[str, dict[str, Any]] = {}
    for contestant in contestants:
        name = contestant.name
        found[name] = line = {
            "role": contestant.role,
            "median_ms": round(medians[name], DIGITS),
            "quartiles_ms": [round(value, DIGITS) for value in spread[name]],
        }
        if contestant.note:
            line["note"] = contestant.note
        if contestant.role in {"ours", "ours_out"}:
            line["memcpy_fraction"] = round(medians["memcpy"] / medians[name], DIGITS)
            if best is not None:
                line["best_peer_over_ours"] = round(medians[best] / medians[name], DIGITS)
        if name in memory:
            line["extra_memory_mib"] = memory[name]
    return {
        "row": case.row.name,
        "loss": case.formulas.ours,
        "shape": list(case.shape),
        "dtype": case.dtype,
        "mode": case.mode,
        "rounds": len(counted),
        "rounds_left_out": len(rounds) - len(counted),
        "disturbed": not all(each.quiet for each in counted),
        "cores_busy_with_others": mean_of(each.others for each in counted),
        "best_peer": best,
        "contestants": found,
        "absent": absent,
    }


def mean_of(numbers: Iterable[float | None]) -> float | None:
    """The mean of what is known."""
    known = [number for number in numbers if number is not None]
    return round(fmean(known), DIGITS) if known else None


def case_text(found: dict[str, Any]) -> str:
    """The case as a table."""
    shape = " x ".join(f"{size:,}" for size in found["shape"])
    title = f"{found['row']} ({shape}) {found['dtype']} {found['mode']}, {found['rounds']} rounds"
    heads = f"  {'':<24}{'median ms':>11}{'quartiles':>21}{'peer/ours':>11}{'memcpy':>8}{'MiB':>8}"
    lines = [title, heads]
    if found["disturbed"] and found["rounds"] > 1:
        busy = found["cores_busy_with_others"]
        lines.insert(1, f"  DISTURBED: other processes kept {busy:.1f} cores busy; measure again")

    def cell(number: float | None, form: str, width: int) -> str:
        return f"{'' if number is None else format(number, form):>{width}}"

    for name, line in found["contestants"].items():
        low, middle, high = line["quartiles_ms"]
        cells = (
            f"  {name:<24}{middle:>11.3f}{f'{low:.3f} .. {high:.3f}':>21}"
            + cell(line.get("best_peer_over_ours"), ".2f", 11)
            + cell(line.get("memcpy_fraction"), ".0%", 8)
            + cell(line.get("extra_memory_mib", {}).get("call"), ".1f", 8)
        )
        note = "best peer" if name == found["best_peer"] else ""
        notes = "; ".join(filter(None, (note, line.get("note"))))
        lines.append(f"{cells}  {notes}".rstrip())
    lines += [f"  {name}: {reason}" for name, reason in found["absent"].items()]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------- all of it
def our_ratios(found: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Our contestants of a case and how many times faster they are than the best peer."""
    for name, line in found["contestants"].items():
        if line["role"] == "ours" and "best_peer_over_ours" in line:
            yield name, line["best_peer_over_ours"]


def summary(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By contestant of ours, dtype and mode: how many times faster than the best peer."""
    groups: dict[tuple[str, str, str], dict[str, float]] = {}
    disturbed = {(c["row"], c["dtype"], c["mode"]) for c in cases if c["disturbed"]}
    for found in cases:
        for name, ratio in our_ratios(found):
            groups.setdefault((name, found["dtype"], found["mode"]), {})[found["row"]] = ratio
    return [
        {
            "contestant": name,
            "dtype": dtype,
            "mode": mode,
            "rows": len(ratios),
            "geometric_mean": round(geometric_mean(ratios.values()), DIGITS),
            "minimum": min(ratios.values()),
            "slower_than_best_peer": [row for row, ratio in ratios.items() if ratio < 1],
            "disturbed": [row for row in ratios if (row, dtype, mode) in disturbed],
        }
        for (name, dtype, mode), ratios in groups.items()
    ]


def summary_text(groups: Sequence[dict[str, Any]]) -> str:
    """The summary as a table."""
    lines = ["Time of the best peer over ours", f"  {'':<48}{'rows':>5}{'mean':>8}{'least':>8}"]
    for group in groups:
        name = f"{group['contestant']} {group['dtype']} {group['mode']}"
        cells = f"{group['rows']:>5}{group['geometric_mean']:>8.2f}{group['minimum']:>8.2f}"
        lines.append(f"  {name:<48}{cells}")
        lines += [
            f"    {what.replace('_', ' ')}: {', '.join(group[what])}"
            for what in ("slower_than_best_peer", "disturbed")
            if group[what]
        ]
    return "\n".join(lines)
