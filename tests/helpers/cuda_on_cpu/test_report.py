"""The plugin tells what lines of kernels a run has reached, and fails where they are too few."""

import subprocess
import sys

import pytest

from tests.helpers.cuda_on_cpu.building import leave_to_its_session
from tests.helpers.cuda_on_cpu.coverage import Coverage, Line
from tests.helpers.cuda_on_cpu.report import SHOWN, lines_of

SUITE = '''
import numpy as np
import pytest
from tests.helpers.cuda_on_cpu import compile_on_cpu
from tests.helpers.cuda_on_cpu.specimens import kernel

SOURCE = kernel("half", """
    if (out[0] > 0)
        out[0] = 1;
    else
        out[0] = -1;
    """)

@pytest.mark.parametrize("number", [{numbers}])
def test_launches(number):
    out = np.array([number], np.float32)
    compile_on_cpu(SOURCE).launch("half", (1,), (1,), (out,))
    assert abs(out[0]) == 1
'''


@pytest.fixture
def pytest_on_suite(tmp_path, pytestconfig, monkeypatch):
    """A function that runs pytest with the plugin on SUITE with some numbers."""
    leave_to_its_session()
    monkeypatch.delenv("TENSORWEAVER_CACHE", raising=False)

    def run(numbers, *arguments):
        (tmp_path / "test_suite.py").write_text(SUITE.format(numbers=numbers), encoding="utf-8")
        plugins = ["-p", "tests.conftest", "-p", "tests.helpers.cuda_on_cpu.report"]
        command = [sys.executable, "-m", "pytest", *plugins, "-p", "no:cacheprovider"]
        options = ["-c", str(pytestconfig.inipath), f"--rootdir={tmp_path}"]
        finished = subprocess.run(
            [*command, *options, *arguments, str(tmp_path)],
            cwd=pytestconfig.rootpath,
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.returncode, finished.stdout

    return run


def test_too_few_lines_fail(pytest_on_suite):
    code, output = pytest_on_suite("1", "--least-kernel-lines", "90")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "1 texts with 5 lines of code, 80.00 % of which ran" in output
    assert "fewer than the 90 % asked for" in output
    assert "     1 out[0] = -1;" in output
    assert "1 passed" in output


def test_the_workers_counts_are_added_up(pytest_on_suite):
    code, output = pytest_on_suite("1, -1, 2, -2", "--least-kernel-lines", "100", "-n", "2")
    assert code == pytest.ExitCode.OK
    assert "1 texts with 5 lines of code, 100.00 % of which ran" in output
    assert "never" not in output


def test_the_commonest_lines_are_shown():
    many = [Line(number, f"  line {number};") for number in range(SHOWN + 2)]
    found = {
        "one": Coverage(100, many, [Line(1, "if (a)")]),
        "two": Coverage(60, many[-1:], []),
    }
    told = list(lines_of(found, 99))
    assert told[:4] == [
        "2 texts with 160 lines of code, 79.38 % of which ran",
        "that is fewer than the 99 % asked for",
        "never ran, with the number of times:",
        f"     2 line {SHOWN + 1};",
    ]
    assert told[3 + SHOWN :] == [
        "       and 2 others",
        "never went both ways, with the number of times:",
        "     1 if (a)",
    ]
