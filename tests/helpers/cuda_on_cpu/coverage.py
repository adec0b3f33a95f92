"""Which lines of kernels have run, by gcov."""

import json
import subprocess
from collections import Counter
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


def coverage_of(place):
    """The coverage of the kernels built in a folder, by every process."""
    tool = Path(compiler()).with_name(Path(compiler()).name.replace("g++", "gcov"))
    command = [str(tool), "--json-format", "--branch-probabilities", "--stdout", "kernels.o"]
    answer = subprocess.run(command, cwd=place, check=True, capture_output=True).stdout
    counts: Counter[int] = Counter()
    branches: Counter[tuple[int, int]] = Counter()
    for file in json.loads(answer)["files"]:
        if file["file"] == "kernels.cu":
            for line in file["lines"]:  # a template's come once for each of its instances
                number = line["line_number"]
                counts[number] += line["count"]
                for place_in_line, branch in enumerate(line["branches"]):
                    branches[number, place_in_line] += branch["count"]
    texts = source_in(place).splitlines()
    missed = {number for number, count in counts.items() if not count}
    untaken = {number for (number, _), count in branches.items() if not count}

    def named(numbers):
        return [Line(number, texts[number - 1]) for number in sorted(numbers)]

    return Coverage(len(counts), named(missed), named(untaken - missed))


def coverage_of_run():
    """The coverage of all covered kernels that this run has built, by their sources."""
    links = [path for path in folder().glob("kernels-*") if path.is_symlink()]
    places = [link.resolve() for link in sorted(links) if (link / "kernels.gcno").exists()]
    return {source_in(place): coverage_of(place) for place in places}
