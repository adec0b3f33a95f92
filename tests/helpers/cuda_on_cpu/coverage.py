"""Which lines of kernels have run, by gcov."""

import json
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.helpers.cuda_on_cpu.building import compiler, folder, source_in

__all__ = ["Coverage", "Line", "coverage_of", "coverage_of_run"]


class Line(NamedTuple):
    """A line of a kernel's text, counted from 1."""

    number: int
    text: str


class Coverage(NamedTuple):
    """How many lines have code, which of them never ran, and which ran without one of its branches.

    A line has the branches of every template's instance; where one of them took a branch, it is
    taken.
    """

    lines: int
    missed: list[Line]
    one_sided: list[Line]


def coverage_of(*places):
    """The coverage of one text as it is built in some folders, by every process."""
    counts: Counter[int] = Counter()
    branches: Counter[tuple[int, int]] = Counter()
    for line in (line for place in places for line in lines_in(place)):
        number = line["line_number"]  # comes once for each instance of a template
        counts[number] += line["count"]
        for branch, ways in enumerate(line["branches"]):
            branches[number, branch] += ways["count"]
    texts = source_in(places[0]).splitlines()
    missed = {number for number, count in counts.items() if not count}
    untaken = {number for (number, _), count in branches.items() if not count}

    def named(numbers):
        return [Line(number, texts[number - 1]) for number in sorted(numbers)]

    return Coverage(len(counts), named(missed), named(untaken - missed))


def lines_in(place):
    """What gcov says of the lines of the text that is built in a folder."""
    tool = Path(compiler()).with_name(Path(compiler()).name.replace("g++", "gcov"))
    command = [str(tool), "--json-format", "--branch-probabilities", "--stdout", "kernels.o"]
    answer = subprocess.run(command, cwd=place, check=True, capture_output=True).stdout
    files = json.loads(answer)["files"]
    return [line for file in files if file["file"] == "kernels.cu" for line in file["lines"]]


def coverage_of_run():
    """The coverage of all covered kernels that this run has built, by their sources."""
    places = defaultdict(list)
    for link in sorted(folder().glob("kernels-*")):
        if link.is_symlink() and (link / "kernels.gcno").exists():
            places[source_in(link)].append(link.resolve())
    return {source: coverage_of(*built) for source, built in places.items()}
