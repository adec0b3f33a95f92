"""Which lines of kernels have run, by gcov."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.helpers.cuda_on_cpu.building import compiler, folder

__all__ = ["Coverage", "Line", "coverage_of", "coverage_of_run"]


class Line(NamedTuple):
    """A line of a kernel's text, counted from 1."""

    number: int
    text: str


class Coverage(NamedTuple):
    """How many lines have code, and those of them that never ran."""

    count: int
    missed: list[Line]


def coverage_of(place):
    """The coverage of the kernels built in a folder, by every process that has saved its counts."""
    tool = Path(compiler()).with_name(Path(compiler()).name.replace("g++", "gcov"))
    command = [str(tool), "--json-format", "--stdout", "kernels.o"]
    answer = subprocess.run(command, cwd=place, check=True, capture_output=True).stdout
    counts = {}
    for file in json.loads(answer)["files"]:
        if file["file"] != "kernels.cu":
            continue
        for line in file["lines"]:  # a template's come once for each of its instances
            number = line["line_number"]
            counts[number] = counts.get(number, 0) + line["count"]
    texts = (place / "kernels.cu").read_text(encoding="utf-8").splitlines()
    missed = [Line(number, texts[number - 1]) for number, count in counts.items() if not count]
    return Coverage(len(counts), sorted(missed))


def coverage_of_run():
    """The coverage of all covered kernels that this run has built, by their texts.

    A process saves its counts when it ends, and for a module whose coverage is asked for.
    """
    links = [path for path in folder().glob("kernels-*") if path.is_symlink()]
    places = [link.resolve() for link in sorted(links) if (link / "kernels.gcno").exists()]
    return {
        (place / "kernels.cu").read_text(encoding="utf-8"): coverage_of(place) for place in places
    }
