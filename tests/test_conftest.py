"""The test options do what they say, seen from outside by running pytest on a small suite."""

import re
import subprocess
import sys
import zlib

import pytest

from tests.helpers.cuda_on_cpu.building import compiler

SUITE = """
import numpy as np
import pytest

def test_matrix(backend, to_array, to_numpy):
    print("BACKEND", backend, to_numpy(to_array([1.0, 2.0])).tolist())

def test_random(rng):
    print("DRAW", rng.integers(10**9))

def test_fails(rng):
    pytest.fail("on purpose")

def test_engine(kernels_on_the_cpu):
    import tensorweaver as tw

    assert tw.huber_loss(np.zeros(3), np.ones(3)) == 0.5
    launcher = kernels_on_the_cpu
    print("KERNELS", None if launcher is None else launcher.launches.total())
"""


@pytest.fixture
def pytest_on_suite(tmp_path, pytestconfig, monkeypatch):
    """A function that runs pytest on SUITE under this conftest and returns exit code and output."""
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    monkeypatch.delenv("TENSORWEAVER_TEST_BACKENDS", raising=False)

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
        options = ["-c", str(pytestconfig.inipath), f"--rootdir={tmp_path}", "-rA", "-s"]
        finished = subprocess.run(
            [*command, *options, *arguments, str(tmp_path)],
            cwd=pytestconfig.rootpath,
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.returncode, finished.stdout + finished.stderr

    return run


def drawn(output):
    return [line.split("DRAW ")[1] for line in output.splitlines() if "DRAW" in line]


def test_backends_are_chosen_by_option_or_environment(pytest_on_suite, monkeypatch):
    _, output = pytest_on_suite("--backend", "numpy,strict", "--backend", "strict")
    assert output.count("BACKEND numpy [1.0, 2.0]") == output.count("BACKEND strict [1.0, 2.0]") > 0
    monkeypatch.setenv("TENSORWEAVER_TEST_BACKENDS", "strict")
    _, output = pytest_on_suite()
    assert "BACKEND strict" in output
    assert "BACKEND numpy" not in output


def test_an_unknown_backend_is_refused(pytest_on_suite):
    code, output = pytest_on_suite("--backend", "nympy")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "nympy: unknown, choose from numpy, cupy" in output


def test_a_missing_backend_skips_with_its_reason_or_fails_on_demand(pytest_on_suite):
    import tensorweaver

    try:
        tensorweaver.get_backend("cupy")
    except tensorweaver.BackendUnavailableError as error:
        reason = str(error).splitlines()[0][:60]
    else:
        pytest.skip("CuPy works here")
    _, output = pytest_on_suite("--backend", "cupy", "-k", "matrix")
    assert "1 skipped" in output
    assert reason in " ".join(output.split())
    code, output = pytest_on_suite("--backend", "cupy", "-k", "matrix", "--require-backend")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "--require-backend: " in output


def test_the_matrix_marker_selects_what_depends_on_the_backend(pytest_on_suite):
    code, output = pytest_on_suite("-m", "matrix")
    assert code == pytest.ExitCode.OK
    assert "1 passed, 3 deselected" in output


def test_files_that_name_a_framework_are_marked(pytest_on_suite, tmp_path):
    library = "xatpo"[::-1]  # this file itself names none
    (tmp_path / "test_other.py").write_text(f"def test_{library}():\n    {library!r}\n", "utf-8")
    code, output = pytest_on_suite("-m", "frameworks")
    assert code == pytest.ExitCode.OK
    assert "1 passed, 4 deselected" in output


def test_one_in_some_is_a_part_that_the_names_decide(pytest_on_suite):
    names = ["test_matrix[numpy]", "test_random", "test_fails", "test_engine"]
    chosen = [name for name in names if not zlib.crc32(name.encode()) % 3]
    assert 0 < len(chosen) < len(names)
    _, output = pytest_on_suite("--one-in", "3")
    assert f"{len(names) - len(chosen)} deselected" in output
    ran = re.findall(r"^(?:PASSED|FAILED) \S+::(\S+)", output, re.MULTILINE)
    assert sorted(ran) == sorted(chosen)


def test_the_seed_decides_the_numbers_and_is_printed_on_failure(pytest_on_suite):
    _, first = pytest_on_suite("--seed", "7")
    _, again = pytest_on_suite("--seed", "7", "-k", "random")
    _, other = pytest_on_suite("--seed", "8")
    assert drawn(first)[0] == drawn(again)[0] != drawn(other)[0]
    assert first.count("repeat with --seed 7") == 2  # in the header and below the failure


def test_kernels_for_gpus_compute_where_they_are_chosen(pytest_on_suite):
    compiler()  # skips where there is none
    _, output = pytest_on_suite("--engine", "cuda", "-k", "engine")
    assert "engine cuda, run on the CPU" in output
    assert "KERNELS 1" in output
    _, output = pytest_on_suite("-k", "engine")
    assert "KERNELS None" in output
