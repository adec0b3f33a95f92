"""The kernels' text: which form suits which rows, and what it says."""

import hashlib
import itertools
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler.compile import prepare
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.llvm.engine import (
    CLASSES_TOGETHER,
    MOST_KEPT,
    ROWS_TOGETHER,
    LLVMKernel,
)
from tensorweaver.compiler.llvm.kernels import NAME, Arrangement, Pointwise
from tensorweaver.compiler.llvm.rows import CLASSES_ACROSS, AcrossRows, AlongClasses
from tensorweaver.compiler.schedule import Output
from tensorweaver.loss.options import chosen_options
from tensorweaver.loss.variant import VariantKey, variant_of
from tests.loss.cases import CASES

TOTAL = Output(Level.SCALAR, total=True)


def kernel(name, kind="value_and_gradient", dtype="float32"):
    """The kernel of a case, whose value is summed up and whose gradient is filled."""
    case = CASES[name]
    formula = case.loss.formula
    given = dict(zip(formula.arguments, case.arrays, strict=True)) | case.options
    plain = {k: v for k, v in case.options.items() if not isinstance(v, np.ndarray)}
    roles: Any = tuple(
        None if n not in given else "element" if given[n].dtype.kind == "f" else "label"
        for n in formula.array_names
    )
    key = VariantKey(roles, False, False, False, chosen_options(formula, plain))
    wrt = () if kind == "value" else formula.arguments[:1]
    graph = prepare(variant_of(formula, key).graph(kind, wrt))
    outputs = (TOTAL, Output(Level.ELEMENT))[: len(graph.outputs)]
    return LLVMKernel(graph, outputs, dtype, rowwise=formula.rowwise)


# ------------------------------------------------------------------------- which form
@pytest.mark.parametrize("classes", [1, 24, 25, 10**6])
def test_elements_have_one_form(classes):
    assert kernel("mse").form(classes) == (Pointwise,)


@pytest.mark.parametrize(
    ("classes", "form"),
    [
        (1, (AcrossRows,)),
        (CLASSES_ACROSS, (AcrossRows,)),
        (CLASSES_ACROSS + 1, (AlongClasses, ROWS_TOGETHER, True)),
        (CLASSES_TOGETHER, (AlongClasses, ROWS_TOGETHER, True)),
        (CLASSES_TOGETHER + 1, (AlongClasses, 1, True)),
        (MOST_KEPT // 4, (AlongClasses, 1, True)),
        (MOST_KEPT // 4 + 1, (AlongClasses, 1, False)),
    ],
)
def test_the_form_of_rows_by_their_classes(classes, form):
    found = kernel("ce")
    assert found.kept == 1
    assert found.form(classes) == form


def test_what_is_kept_is_counted_in_bytes():
    wide = kernel("ce", dtype="float64")
    assert wide.form(MOST_KEPT // 8) == (AlongClasses, 1, True)
    assert wide.form(MOST_KEPT // 8 + 1) == (AlongClasses, 1, False)
    assert (wide.scratch(100).dtype, wide.scratch(100).size) == (np.float64, 100 * ROWS_TOGETHER)
    assert wide.scratch(MOST_KEPT // 8 + 1) is None
    assert wide.scratch(CLASSES_ACROSS) is None


@pytest.mark.parametrize("classes", [2, 25, 10**6])
def test_rows_of_which_only_labels_are_read_have_one_form(classes):
    found = kernel("nll", "value")
    assert not found.schedule.passes
    assert found.form(classes) == (AcrossRows,)


# ------------------------------------------------------------------------- what it says
SIZES = {"across": 8, "along": 100, "along, one row": 2000, "along, nothing kept": 10**6}


def texts(name, dtype="float32", kind="value_and_gradient"):
    """The kernel's text in every form that it can have."""
    found = kernel(name, kind, dtype)
    classes = SIZES.values() if found.rowwise else [1]
    return [found.writer(count).write() for count in classes]


@pytest.mark.parametrize(("name", "dtype"), list(itertools.product(CASES, ["float32", "float64"])))
def test_the_text_is_what_llvm_reads(name, dtype):
    llvm = pytest.importorskip("llvmlite.binding")
    for kind in ("value", "value_and_gradient"):
        for text in texts(name, dtype, kind):
            module = llvm.parse_assembly(text)
            module.verify()
            public = [f.name for f in module.functions if not f.is_declaration]
            assert public[0] == NAME


FAST = re.compile(r"\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b")


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_reordered_for_speed(name):
    assert not [line for text in texts(name) for line in text.splitlines() if FAST.search(line)]


@pytest.mark.parametrize("name", ["mse", "ce, all"])
def test_the_text_is_the_same_every_time(name):
    assert texts(name) == texts(name)


def test_the_text_is_the_same_in_every_process():
    code = (
        "import hashlib, tensorweaver as tw\n"
        "text = tw.cross_entropy_loss.source('llvm') + tw.huber_loss.source('llvm')\n"
        "print(hashlib.blake2b(text.encode()).hexdigest())\n"
    )
    found = subprocess.run(
        [sys.executable, "-R", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    own = tw.cross_entropy_loss.source("llvm") + tw.huber_loss.source("llvm")
    assert found.stdout.strip() == hashlib.blake2b(own.encode()).hexdigest()


KEPT_NAMES = {"start", "place", "difference", "squared"}

MSE = """\
%0 = add i64 %start, %place
%1 = getelementptr float, ptr %2, i64 %0
%3 = load <32 x float>, ptr %1, align 4
%4 = getelementptr float, ptr %5, i64 %0
%6 = load <32 x float>, ptr %4, align 4
%difference = fsub <32 x float> %6, %3
%squared = fmul <32 x float> %difference, %difference
%7 = fptrunc double %8 to float
%9 = insertelement <32 x float> poison, float %7, i64 0
%10 = shufflevector <32 x float> %9, <32 x float> poison, <32 x i32> zeroinitializer
%11 = fmul <32 x float> %10, %difference
%12 = fpext <32 x float> %squared to <32 x double>
%13 = shufflevector <32 x double> %12, <32 x double> poison, <16 x i32> <0 to 15>
%14 = shufflevector <32 x double> %12, <32 x double> poison, <16 x i32> <16 to 31>
%15 = fadd <16 x double> %13, %14
%16 = shufflevector <16 x double> %15, <16 x double> poison, <8 x i32> <0 to 7>
%17 = shufflevector <16 x double> %15, <16 x double> poison, <8 x i32> <8 to 15>
%18 = fadd <8 x double> %16, %17
%19 = shufflevector <8 x double> %18, <8 x double> poison, <4 x i32> <0 to 3>
%20 = shufflevector <8 x double> %18, <8 x double> poison, <4 x i32> <4 to 7>
%21 = fadd <4 x double> %19, %20
%22 = load <4 x double>, ptr %23
%24 = fadd <4 x double> %22, %21
store <4 x double> %24, ptr %23
%25 = getelementptr float, ptr %26, i64 %0
store <32 x float> %11, ptr %25, align 4
%27 = add i64 %place, 32
"""
"""One vector of elements: read the targets and the predictions, add the squares, write the slopes.
"""


def renumbered(text):
    """The values numbered as they come, but for the steps that the formula names, and no list of
    lanes in full.
    """
    numbers: dict[str, int] = {}

    def number(found):
        name = found[1]
        return found[0] if name in KEPT_NAMES else f"%{numbers.setdefault(name, len(numbers))}"

    text = re.sub(r"<i32 (\d+), (?:i32 \d+, )*i32 (\d+)>", r"<\1 to \2>", text)
    lines = (re.sub(r"%([\w.]+)", number, line.strip()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if not line.startswith("br "))


def test_the_loop_of_a_squared_error_and_its_gradient():
    text = kernel("mse").writer(1).write()
    parameters = "ptr %next, i64 %stop, i64 %step, ptr %totals, ptr %words, ptr %scratch"
    assert text.startswith(f"define void @{NAME}({parameters})")
    assert "define internal void @block(i64 %start, i64 %stop, ptr %totals, ptr %words, " in text
    assert renumbered(text.split("place.body:\n")[1].split("place.done:\n")[0]) == MSE


@pytest.mark.parametrize(
    ("size", "loop", "texts"), [("across", "class", 2), ("along, one row", "r", 1)]
)
def test_cross_entropy_walks_its_rows_three_times(size, loop, texts):
    """Once more for the last rows, where a vector holds one of each."""
    text = kernel("ce").writer(SIZES[size]).write()
    assert len(re.findall(rf"^{loop}\.head(?:\.\d+)?:$", text, re.MULTILINE)) == 3 * texts


@pytest.mark.parametrize("known", [0, 5])
def test_few_classes_are_known_where_rows_are_close(known):
    """Then whole vectors of rows are read and written lane by lane, at known addresses."""
    text = kernel("ce").writer(5, Arrangement(classes=known)).write()
    assert ("%row_size = load" in text) == (not known)
    whole = text.split("row.body:\n")[1].split("row.done:\n")[0]
    assert "masked" not in whole.replace("llvm.masked.gather.v32f32.v32p0(<32 x ptr>", "", 1)
    assert whole.count("store float ") == 32


def test_exponentials_are_computed_once_where_they_are_kept():
    kept = kernel("ce").writer(SIZES["along, one row"]).write()
    again = kernel("ce").writer(SIZES["along, nothing kept"]).write()

    def calls(text):
        return len(re.findall(r"call <32 x float> @(?:tw\.)?decay\.v32f32", text))

    assert 0 < calls(kept) < calls(again)
    assert "ptr %scratch, i64" in kept
    assert "ptr %scratch, i64" not in again


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_source_is_the_text_for_long_rows(dtype):
    found = kernel("ce", dtype=dtype)
    assert found.source == found.writer(2 * CLASSES_TOGETHER).write()
    assert tw.cross_entropy_loss.source("llvm").startswith(f"define void @{NAME}(")
