"""Compiled kernels are kept on disk, loaded by the next process, and compiled again if spoiled."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler import cache

pytest.importorskip("llvmlite")

from tensorweaver.compiler.llvm import jit  # after the library is known to be there

TEXT = """
define void @kernel(
    ptr %next, i64 %stop, i64 %step, ptr %totals, ptr %words, ptr %scratch
) {{
entry:
  %wide = sitofp i64 %stop to double
  %sum = fadd double %wide, {number}
  store double %sum, ptr %totals
  ret void
}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of this test's own, and no function remembered from another test."""
    place = tmp_path / "cache"
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(place))
    jit.compile_text.cache_clear()
    yield place
    jit.compile_text.cache_clear()


@pytest.fixture
def compilations(monkeypatch):
    """The texts that are compiled and not loaded."""
    found = []
    original = jit.machine_code

    def watched(text, machine):
        found.append(text)
        return original(text, machine)

    monkeypatch.setattr(jit, "machine_code", watched)
    return found


def text_of(number):
    return TEXT.format(number=f"{float(number):e}")


def result(function):
    total = ctypes.c_double()
    function(None, 3, 3, ctypes.addressof(total), None, None)
    return total.value


def compile_anew(number):
    """As a new process would."""
    jit.compile_text.cache_clear()
    return result(jit.compile_text(text_of(number), "kernel"))


def files(folder):
    return sorted(folder.glob("*.code"))


# ------------------------------------------------------------------------- hits and misses
def test_a_text_is_compiled_once_and_then_remembered(compilations):
    first = jit.compile_text(text_of(4), "kernel")
    assert jit.compile_text(text_of(4), "kernel") is first
    assert result(first) == 7.0
    assert compilations == [text_of(4)]


def test_what_another_process_compiled_is_loaded(folder, compilations):
    assert compile_anew(4) == 7.0
    assert len(files(folder)) == 1
    assert compile_anew(4) == 7.0
    assert compilations == [text_of(4)]


def test_another_text_is_another_function(folder, compilations):
    assert [compile_anew(number) for number in (4, 5, 4, 5)] == [7.0, 8.0, 7.0, 8.0]
    assert compilations == [text_of(4), text_of(5)]
    assert len(files(folder)) == 2


@pytest.mark.parametrize("field", jit.Machine._fields)
def test_code_for_another_machine_is_not_used(field, compilations, monkeypatch):
    keys = []
    original = cache.load

    def watched(key):
        keys.append(key)
        return original(key)

    monkeypatch.setattr(cache, "load", watched)
    compile_anew(4)
    own = getattr(jit.host(), field)
    (key,) = keys
    assert text_of(4) in key
    assert original(key) is not None
    assert original(key.replace(own, own + " of another kind")) is None


@pytest.mark.parametrize("value", ["off", ""])
def test_without_a_cache_everything_is_compiled(value, folder, compilations, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, value)
    assert [compile_anew(4) for _ in range(2)] == [7.0, 7.0]
    assert len(compilations) == 2
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, compilations, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(tmp_path / "file" / "cache"))
    assert [compile_anew(4) for _ in range(2)] == [7.0, 7.0]
    assert len(compilations) == 2


# ------------------------------------------------------------------------- spoiled files
SPOIL = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "another byte in the code": lambda content: content[:-9] + b"\xff" + content[-8:],
    "another byte in the header": lambda content: b"T" + content[1:],
    "something else": lambda content: b"#!/bin/sh\n" * 100,
    "more at the end": lambda content: content + b"\0",
}


@pytest.mark.parametrize("how", SPOIL)
def test_a_spoiled_file_is_compiled_again(how, folder, compilations):
    compile_anew(4)
    (path,) = files(folder)
    whole = path.read_bytes()
    path.write_bytes(SPOIL[how](whole))
    assert compile_anew(4) == 7.0
    assert len(compilations) == 2
    assert len(files(folder)) == 1
    assert compile_anew(4) == 7.0
    assert len(compilations) == 2


def test_a_file_of_another_kernel_is_compiled_again(folder, compilations):
    compile_anew(4)
    (first,) = files(folder)
    compile_anew(5)
    (second,) = set(files(folder)) - {first}
    first.write_bytes(second.read_bytes())
    assert compile_anew(4) == 7.0
    assert compilations == [text_of(4), text_of(5), text_of(4)]


def test_a_file_without_the_function_is_compiled_again(monkeypatch, compilations):
    keys = []
    load = cache.load

    def watched(key):
        keys.append(key)
        return load(key)

    monkeypatch.setattr(cache, "load", watched)
    compile_anew(4)
    other = jit.machine_code(text_of(4).replace("@kernel", "@other"), jit.host())
    cache.store(keys[0], other)
    assert compile_anew(4) == 7.0
    assert compilations.count(text_of(4)) == 2


# ------------------------------------------------------------------------- errors
def test_a_text_without_the_function_is_an_error_and_no_crash():
    with pytest.raises(RuntimeError, match="LLVM compiled no function 'absent'"):
        jit.compile_text(text_of(4), "absent")


def test_a_wrong_text_is_an_error_that_quotes_llvm():
    with pytest.raises(RuntimeError, match="expected top-level entity"):
        jit.compile_text("this is no program", "kernel")


# ------------------------------------------------------------------------- losses
STARTS = """
import sys, numpy as np, tensorweaver as tw
from tensorweaver.compiler.llvm import jit
compiled = []
original = jit.machine_code
jit.machine_code = lambda text, machine: compiled.append(text) or original(text, machine)
tw.set_engine("llvm")
x = np.linspace(0.1, 0.9, 5000, dtype="float32").reshape(100, 50)
for loss, targets in ((tw.mse_loss, x[::-1]), (tw.cross_entropy_loss, np.arange(100) % 50)):
    value, gradient = loss.value_and_grad(x, targets)
    print(value.tobytes().hex(), gradient.tobytes().hex()[:999])
print(len(compiled))
"""


def test_a_warm_start_compiles_nothing(folder):
    def start():
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", STARTS],
            capture_output=True,
            text=True,
            check=True,
            env=dict(os.environ),
            timeout=60,
        )
        *numbers, compiled = run.stdout.splitlines()
        return numbers, int(compiled)

    cold, compiled = start()
    assert compiled == len(files(folder)) > 1
    assert start() == (cold, 0)
    for path in files(folder):
        path.write_bytes(path.read_bytes()[:-1])
    assert start() == (cold, compiled)
    assert start() == (cold, 0)


def test_a_new_loss_is_loaded_too(compilations):
    def formula(x, y):
        return (x - y) ** 4

    x = np.linspace(0, 1, 7)
    tw.set_engine("llvm")
    try:
        first = tw.pointwise(formula).value_and_grad(x, x[::-1])
        count = len(compilations)
        assert count > 0
        jit.compile_text.cache_clear()
        second = tw.pointwise(formula).value_and_grad(x, x[::-1])
    finally:
        tw.set_engine(None)
    assert len(compilations) == count
    assert [each.tobytes() for each in first] == [each.tobytes() for each in second]
