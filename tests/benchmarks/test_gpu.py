"""The run as a whole, of numbers made up here; and its one sentence where there is no GPU."""

import json
import subprocess
import sys
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import gpu
import numpy as np
import pytest
from gpu import arguments, report_path, run
from harness.gpu_device import complaint, device, one_line, run_rounds, warmed
from harness.gpu_latency import microseconds
from harness.gpu_peers import GpuContestant, absence
from harness.gpu_rows import ROWS, Budget, Case
from harness.report import case_report, case_text, summary

import tensorweaver as tw
from tests.architecture.source import ROOT

CASE = Case(ROWS["mse"], "float32", "value_and_grad")
TIMES = {"tensorweaver cuda": 2.0, "torch": 5.0, "jax": 4.0, "memcpy": 1.8}
ROLES = {"tensorweaver cuda": "ours", "memcpy": "memcpy"}


class Watch:
    """Says how long a contestant takes, and notes who was timed."""

    def __init__(self):
        self.timed = []

    def milliseconds(self, contestant):
        self.timed.append(contestant.name)
        return TIMES[contestant.name]


def contestant(name, result=None):
    return GpuContestant(name, lambda: result, lambda found: found, ROLES.get(name, "peer"))


def test_everybody_is_timed_in_turn():
    watch = Watch()
    ticks = count()
    entrants = [contestant(name) for name in TIMES]
    rounds = run_rounds(watch.milliseconds, entrants, 4.5, lambda: float(next(ticks)))
    assert len(rounds) == 9
    assert len(watch.timed) == 9 * 4
    assert {tuple(sorted(watch.timed[i : i + 4])) for i in range(0, 36, 4)} == {
        tuple(sorted(TIMES))
    }
    assert len({watch.timed[i] for i in range(0, 36, 4)}) == 4


def test_no_time_still_gives_five_rounds_and_much_time_fifty():
    entrants = [contestant(name) for name in TIMES]
    assert len(run_rounds(Watch().milliseconds, entrants, 0)) == 5
    assert len(run_rounds(Watch().milliseconds, entrants, 1e6)) == 50


def test_a_peer_for_whom_no_memory_is_left_is_absent_and_we_are_not():
    def milliseconds(contestant):
        raise MemoryError(f"out of memory for {contestant.name}\nsee there")

    absent: dict[str, str] = {}
    assert warmed(milliseconds, [contestant("torch")], absent) == []
    assert absent == {"torch": "MemoryError: out of memory for torch"}
    with pytest.raises(MemoryError):
        warmed(milliseconds, [contestant("tensorweaver cuda")], absent)
    entrants = [contestant(name) for name in TIMES]
    assert warmed(Watch().milliseconds, entrants, absent) == entrants


def test_the_report_has_ratios_and_the_share_of_the_bandwidth():
    entrants = [contestant(name) for name in TIMES]
    memory = {"tensorweaver cuda": {"call": 0.25}}
    rounds = run_rounds(Watch().milliseconds, entrants, 0)
    found = case_report(CASE, entrants, rounds, {"liger": "has no such loss"}, memory)
    line = found["contestants"]["tensorweaver cuda"]
    assert found["best_peer"] == "jax"
    assert line["best_peer_over_ours"] == 2.0
    assert line["memcpy_fraction"] == 0.9
    assert line["extra_memory_mib"] == {"call": 0.25}
    assert "liger: has no such loss" in case_text(found)
    (group,) = summary([found])
    assert (group["dtype"], group["minimum"]) == ("float32", 2.0)
    assert json.loads(json.dumps(found)) == found


# ------------------------------------------------------------------------------ the whole run
def test_cases_that_do_not_fit_or_come_too_late_are_named(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(gpu, "Budget", partial(Budget, clock=lambda: now[0]))
    cases = [
        Case(ROWS["ce_16384x131072"], "float32", "value"),
        Case(ROWS["mse"], "float32", "value"),
        Case(ROWS["mse"], "bfloat16", "value"),
    ]
    kept: list[dict] = []
    shares: list[float] = []

    def measured(case, seconds):
        shares.append(seconds)
        now[0] += 60
        return {"row": case.row.name}, ["a wrong number"]

    left_out, wrong = run(cases, 60.0, measured, lambda: 6 << 30, kept.append)
    assert kept == [{"row": "mse"}]
    assert shares == [30.0]
    assert wrong == ["a wrong number"]
    assert left_out["ce_16384x131072 float32 value"].startswith("needs 10.0 GiB of the device's")
    assert left_out["mse bfloat16 value"] == "the 60 seconds of the run were over"


def test_what_fails_in_one_case_does_not_end_the_run():
    cases = [Case(ROWS[name], "float32", "value") for name in ("mse", "bce_with_logits")]
    kept: list[dict] = []

    def measured(case, seconds):
        if case.row.name == "mse":
            raise RuntimeError("CUDA_ERROR_LAUNCH_FAILED\n...")
        return {"row": case.row.name}, []

    left_out, wrong = run(cases, 60.0, measured, lambda: 80 << 30, kept.append)
    assert kept == [{"row": "bce_with_logits"}]
    assert wrong == ["mse float32 value: RuntimeError: CUDA_ERROR_LAUNCH_FAILED"]
    assert left_out == {}


def test_a_report_in_a_folder_is_named_after_the_device(tmp_path):
    assert report_path(tmp_path, "NVIDIA H200").name == "gpu-nvidia-h200.json"
    assert report_path(tmp_path / "mine.json", "NVIDIA H200").name == "mine.json"


def test_the_command_line_knows_its_words(capsys):
    assert arguments(["--rows", "mse", "--peers", ""]).rows == ["mse"]
    with pytest.raises(SystemExit):
        arguments(["--rows", "hinge"])
    assert "unknown: hinge; known are mse" in capsys.readouterr().err


def test_an_error_is_one_line():
    assert one_line(MemoryError("out of memory\nat line 3")) == "MemoryError: out of memory"


def test_where_there_is_no_gpu_it_says_so_in_one_sentence():
    if "cupy" in tw.available_backends():
        pytest.skip("there is a GPU")
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--quick"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("benchmarks/gpu.py measures a GPU through CuPy: backend ")
    assert finished.stderr.count("\n") == 1


# ------------------------------------------------------------------------------ its parts
@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ((0.5, [1.0, 2.0]), ""),
        ((0.5001, [1.0, 2.0]), "the loss is 0.5001 instead of 0.5"),
        ((float("nan"), [1.0, 2.0]), "the loss is nan"),
        ((0.5, [1.0, 2.1]), "1 gradients are wrong, the first"),
        ((0.5, [1.0, float("nan")]), "1 gradients are wrong, the first"),
        ((0.5, [1.0]), "the first gradients are (1,)"),
    ],
)
def test_wrong_numbers_are_found(result, problem):
    loss, gradient = result
    numbers: Any = SimpleNamespace(loss=0.5, gradient=np.asarray([1.0, 2.0]))
    entrant = contestant("tensorweaver cuda", (loss, np.asarray(gradient)))
    found = complaint(entrant, CASE, numbers)
    assert (found or "").startswith(problem)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_others_may_round_to_bfloat16_and_we_may_not(dtype):
    case = Case(ROWS["mse"], dtype, "value")
    numbers: Any = SimpleNamespace(loss=0.5, gradient=None)
    assert complaint(contestant("tensorweaver cuda", (0.501, None)), case, numbers) is not None
    theirs = complaint(contestant("torch", (0.501, None)), case, numbers)
    assert (theirs is None) == (dtype == "bfloat16")


def test_latency_until_a_call_returns_and_until_it_is_done():
    now = [0.0]

    def call():
        now[0] += 20e-6

    def wait():
        now[0] += 5e-6

    entrant = GpuContestant("tensorweaver cuda", call, lambda found: found)
    found = microseconds(entrant, wait, 0, lambda: now[0])
    assert found == {"to_return": [20.0] * 3, "to_completion": [25.0] * 3}


def test_who_is_absent_and_why(monkeypatch):
    monkeypatch.setattr("harness.gpu_peers.find_spec", lambda name: name != "optax" or None)
    assert absence("liger", CASE) == "has no such loss"
    assert absence("jax", CASE) == "optax is not installed"
    assert absence("cupy", CASE) is None


def test_the_device_tells_its_name():
    properties = {"name": b"NVIDIA H200", "multiProcessorCount": 132, "totalGlobalMem": 3 << 29}
    runtime = SimpleNamespace(
        getDevice=lambda: 0,
        getDeviceProperties=lambda number: properties,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13010,
    )
    found = device(SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert (found["name"], found["memory_gib"]) == ("NVIDIA H200", 1.5)
    assert (found["cuda_of_driver"], found["cuda_of_cupy"]) == (13000, 13010)
