"""A plugin of pytest: which lines of kernels a run reaches, told at its end.

`python -m pytest -p tests.helpers.cuda_on_cpu.report --least-kernel-lines 90 …` counts in every
kernel that the tests compile for the CPU, and fails where fewer lines than so many percent ran.
"""

import os
from collections import Counter

import pytest

from tests.helpers.cuda_on_cpu.coverage import coverage_of_run

__all__ = ["lines_of"]

FOUND = pytest.StashKey[dict]()
#: So many lines that never ran are shown, those of most kernels first.
SHOWN = 30


def pytest_addoption(parser):
    parser.addoption(
        "--least-kernel-lines",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="fail where fewer of the lines of CUDA kernels ran on the CPU",
    )


def pytest_configure(config):
    before = os.environ.get("TENSORWEAVER_COVER_KERNELS")
    os.environ["TENSORWEAVER_COVER_KERNELS"] = "1"  # for the workers of pytest-xdist as well
    if before is None:
        config.add_cleanup(lambda: os.environ.pop("TENSORWEAVER_COVER_KERNELS"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    config = session.config
    if hasattr(config, "workerinput"):  # the run is told of once, by who has the workers
        return
    config.stash[FOUND] = found = coverage_of_run()
    if exitstatus == pytest.ExitCode.OK and percent(found) < config.option.least_kernel_lines:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("lines of CUDA kernels, run on the CPU")
    least = config.option.least_kernel_lines
    for line in lines_of(config.stash[FOUND], least):
        terminalreporter.write_line(line)


def percent(found):
    """The share of lines that ran."""
    lines = sum(coverage.lines for coverage in found.values())
    missed = sum(len(coverage.missed) for coverage in found.values())
    return 100 * (lines - missed) / max(lines, 1)


def lines_of(found, least=0.0):
    """The report on coverages by their sources."""
    lines = sum(coverage.lines for coverage in found.values())
    share = percent(found)
    yield f"{len(found)} texts with {lines} lines of code, {share:.2f} % of which ran"
    if share < least:
        yield f"that is fewer than the {least:g} % asked for"
    for what, places in (
        ("never ran", [coverage.missed for coverage in found.values()]),
        ("never went both ways", [coverage.one_sided for coverage in found.values()]),
    ):
        texts = Counter(line.text.strip() for missed in places for line in missed)
        if texts:
            yield f"{what}, with the number of times:"
        for text, count in texts.most_common(SHOWN):
            yield f"{count:6d} {text}"
        if len(texts) > SHOWN:
            yield f"       and {len(texts) - SHOWN} others"
