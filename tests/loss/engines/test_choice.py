"""Who computes: by size, by library, by what is installed, and by what the user says."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler import engines
from tensorweaver.compiler.engines import (
    BLOCKS_FROM,
    LLVM_FROM,
    Engine,
    engine_for,
    fused_kernels,
)
from tensorweaver.errors import ArgumentError, BackendUnavailableError
from tests.loss.engines.calls import bits


@pytest.fixture(params=[True, False], ids=["with llvmlite", "without llvmlite"])
def installed(request, monkeypatch):
    """Whether llvmlite can be found."""
    monkeypatch.setattr(engines, "has_llvmlite", lambda: request.param)
    return request.param


def pair(count):
    return np.zeros(count, np.float32), np.ones(count, np.float32)


def rows(count, classes):
    return np.zeros((count, classes)), np.zeros(count, int)


def test_elements_are_counted(installed):
    start = LLVM_FROM["pointwise"] if installed else BLOCKS_FROM
    lacking = "" if installed else ", and llvmlite is not installed"
    few = tw.mse_loss.engine(*pair(start - 1))
    assert few == ("interpret", f"{start - 1:,} elements, fewer than {start:,}{lacking}")
    many = tw.mse_loss.engine(*pair(start))
    name = "llvm" if installed else "blocks"
    assert many == (name, f"{start:,} elements, {start:,} or more{lacking}")
    assert str(many) == f"{many.name}: {many.reason}"
    assert isinstance(many, Engine)


def test_elements_of_rows_are_counted(installed):
    start = LLVM_FROM["rowwise"] if installed else BLOCKS_FROM
    assert tw.cross_entropy_loss.engine(*rows(start // 4 - 1, 4)).name == "interpret"
    found = tw.cross_entropy_loss.engine(*rows(start // 4, 4), reduction="sum")
    assert found.name == ("llvm" if installed else "blocks")
    assert f"{start:,} elements" in found.reason
    moved = np.zeros((4, start // 4)), np.zeros(start // 4, int)
    assert tw.cross_entropy_loss.engine(*moved, axis=0) == found


def test_no_elements_are_few(installed):
    assert tw.mse_loss.engine(*pair(0)).name == "interpret"
    assert tw.mse_loss.engine(np.float32(1), 2.0).name == "interpret"
    assert tw.mse_loss.engine([1.0, 2.0], [2.0, 3.0]).name == "interpret"


def test_predictions_decide_not_what_broadcasts():
    x = np.zeros((1000, 1000))
    assert tw.mse_loss.engine(x, 0.0) == tw.mse_loss.engine(x, x)


def test_tensors_are_computed_as_their_arrays():
    x = np.zeros(1 << 20)
    assert tw.mse_loss.engine(tw.Tensor(x), x) == tw.mse_loss.engine(x, x)


def test_other_libraries_run_their_own_functions():
    strict = pytest.importorskip("array_api_strict")
    x = strict.zeros((1 << 17,))
    expected = ("interpret", "strict runs its own functions")
    assert tw.mse_loss.engine(x, x) == expected
    tw.set_engine("blocks")
    assert tw.mse_loss.engine(x, x) == expected
    assert tw.mse_loss(x, x) == 0.0


def test_arrays_that_are_moved_are_computed_there():
    pytest.importorskip("array_api_strict")
    found = tw.mse_loss.engine(*pair(1 << 20), backend="strict")
    assert found.name == "interpret"


# ------------------------------------------------------------------------- set_engine
@pytest.mark.parametrize("name", ["interpret", "blocks", "llvm"])
def test_the_choice_holds_whatever_the_size(name):
    if name == "llvm":
        pytest.importorskip("llvmlite")
    tw.set_engine(name)
    for count in (0, 1, 1 << 18):
        assert tw.mse_loss.engine(*pair(count)) == (name, "chosen by set_engine")


def test_numba_is_another_name_of_llvm():
    pytest.importorskip("llvmlite")
    tw.set_engine("numba")
    assert tw.mse_loss.engine(*pair(3)).name == "llvm"
    assert tw.mse_loss.source("numba") == tw.mse_loss.source("llvm")


def test_none_lets_each_call_choose_again():
    x, t = pair(3)
    before = tw.mse_loss.engine(x, t)
    tw.set_engine("blocks")
    assert tw.mse_loss(x, t) == 1.0
    assert tw.mse_loss.engine(x, t) != before
    tw.set_engine(None)
    assert tw.mse_loss.engine(x, t) == before


def test_plans_made_before_are_not_used_after(monkeypatch):
    ran = []
    kernels = fused_kernels("blocks")
    original = kernels.run

    def run(self, *arguments):
        ran.append(self.engine)
        return original(self, *arguments)

    monkeypatch.setattr(kernels, "run", run)
    x, t = pair(5)
    for name, times in (("interpret", 0), ("blocks", 1), ("interpret", 1), ("blocks", 2)):
        tw.set_engine(name)
        assert tw.mse_loss(x, t) == 1.0
        assert len(ran) == times


@pytest.mark.parametrize("name", ["LLVM", "numpy", "block", "", " llvm"])
def test_unknown_names_are_errors_and_change_nothing(name):
    tw.set_engine("blocks")
    with pytest.raises(ArgumentError, match=r"unknown engine .* choose one of 'interpret'"):
        tw.set_engine(name)
    assert tw.mse_loss.engine(*pair(1)).name == "blocks"


@pytest.mark.parametrize("name", [1, True, b"llvm", ["llvm"]])
def test_what_is_no_name_is_an_error(name):
    with pytest.raises(ArgumentError, match=f"by its name, got {type(name).__name__}"):
        tw.set_engine(name)


@pytest.mark.parametrize("name", ["llvm", "numba"])
def test_without_llvmlite_it_cannot_be_chosen(name, monkeypatch):
    monkeypatch.setattr(engines, "has_llvmlite", lambda: False)
    with pytest.raises(BackendUnavailableError, match=rf"'{name}' needs llvmlite: .*; pip install"):
        tw.set_engine(name)
    assert tw.mse_loss.engine(*pair(1)).name == "interpret"


def test_small_arrays_do_not_import_llvmlite():
    code = (
        "import sys, numpy as np, tensorweaver as tw\n"
        "print(tw.mse_loss(np.zeros(99), np.ones(99)))\n"
        "print('llvmlite' in sys.modules)\n"
    )
    assert in_a_process(code).split() == ["1.0", "False"]


def test_a_text_of_nobody_names_who_has_one():
    with pytest.raises(tw.BackendError, match=r"'lvm': known are numpy.*'blocks' and 'llvm'"):
        tw.mse_loss.source("lvm")


@pytest.fixture
def asked_anew():
    """llvmlite is judged again, and once more after the test."""
    engines.fault_of_llvmlite.cache_clear()
    yield
    engines.fault_of_llvmlite.cache_clear()


@pytest.mark.usefixtures("asked_anew")
def test_an_llvmlite_that_is_too_old_is_not_used(monkeypatch):
    binding = pytest.importorskip("llvmlite.binding")
    monkeypatch.setattr(binding, "llvm_version_info", (15, 0, 7))
    engine = engine_for(tw.get_backend("numpy"), 1 << 20, rowwise=False)
    assert engine.name == "blocks"
    assert "brings LLVM 15.0.7, older than 20" in engine.reason
    with pytest.raises(BackendUnavailableError, match=r"LLVM 15\.0\.7, older than 20; pip install"):
        tw.set_engine("llvm")


@pytest.mark.usefixtures("asked_anew")
def test_a_broken_llvmlite_is_not_used(monkeypatch):
    pytest.importorskip("llvmlite.binding")
    monkeypatch.delattr(sys.modules["llvmlite"], "binding")
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    engine = engine_for(tw.get_backend("numpy"), 1 << 20, rowwise=False)
    assert engine.name == "blocks"
    assert "llvmlite cannot be loaded" in engine.reason


# ------------------------------------------------------------------------- the environment
def in_a_process(code, **variables):
    """What a new interpreter prints."""
    environment = {k: v for k, v in os.environ.items() if k != engines.ENVIRONMENT_VARIABLE}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment | variables,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


ENGINE_OF_THREE = (
    "import numpy as np, tensorweaver as tw\n"
    "x = np.arange(3.0)\n"
    "try: print(tw.mse_loss.engine(x, x), '|', tw.mse_loss(x, x + 1))\n"
    "except tw.TensorWeaverError as error: print(type(error).__name__, error)\n"
    "tw.set_engine('interpret')\n"
    "print(tw.mse_loss.engine(x, x))\n"
)


@pytest.mark.parametrize("name", ["interpret", "blocks", "llvm", "numba"])
def test_the_environment_chooses(name):
    if name in {"llvm", "numba"}:
        pytest.importorskip("llvmlite")
    first, second = in_a_process(ENGINE_OF_THREE, TENSORWEAVER_ENGINE=name).splitlines()
    engine = "llvm" if name == "numba" else name
    assert first == f"{engine}: chosen by TENSORWEAVER_ENGINE | 1.0"
    assert second == "interpret: chosen by set_engine"


def test_an_empty_environment_chooses_nothing():
    first, _ = in_a_process(ENGINE_OF_THREE, TENSORWEAVER_ENGINE="").splitlines()
    assert first.startswith("interpret: 3 elements, fewer than")


def test_a_bad_environment_is_an_error_at_first_use():
    first, second = in_a_process(ENGINE_OF_THREE, TENSORWEAVER_ENGINE="gpu").splitlines()
    assert first.startswith("ArgumentError ")
    assert "environment variable TENSORWEAVER_ENGINE=gpu: unknown engine 'gpu'" in first
    assert second == "interpret: chosen by set_engine"


def test_an_environment_that_asks_for_what_is_missing(monkeypatch):
    monkeypatch.setattr(engines, "has_llvmlite", lambda: False)
    monkeypatch.setattr(engines.process, "environment", "llvm")
    x, t = pair(7)
    with pytest.raises(BackendUnavailableError, match=r"ENGINE=llvm: .*needs llvmlite"):
        tw.mse_loss.engine(x, t)
    tw.set_engine("blocks")
    assert tw.mse_loss.engine(x, t).name == "blocks"


def test_without_llvmlite_large_arrays_are_computed_in_blocks():
    code = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "import importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'llvmlite' else found(name, *more)\n"
        "import numpy as np, tensorweaver as tw\n"
        "x = np.arange(100_000.0)\n"
        "print(tw.mse_loss.engine(x, x).name, tw.mse_loss(x, x + 1))\n"
        "try: tw.set_engine('llvm')\n"
        "except tw.BackendUnavailableError as error: print(error)\n"
    )
    first, second = in_a_process(code).splitlines()
    assert first == "blocks 1.0"
    assert second.startswith("the engine 'llvm' needs llvmlite: llvmlite is not installed; pip ")


def test_every_engine_gives_the_same_whole_numbers():
    x, t = np.arange(99.0), np.arange(99.0)[::-1]
    found = []
    for name in ("interpret", "blocks", *(["llvm"] if engines.has_llvmlite() else [])):
        tw.set_engine(name)
        found.append(bits(tw.l1_loss.value_and_grad(x, t, reduction="sum")))
    assert found == found[:1] * len(found)
