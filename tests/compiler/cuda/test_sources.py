"""Kernels compiled for GPUs without one: what every form takes, and what the text says."""

import subprocess
import sys

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.backends.cupy_launcher import OPTIONS
from tensorweaver.compiler.compile import weave_cuda
from tensorweaver.compiler.cuda.engine import CudaKernel
from tensorweaver.compiler.cuda.form import staged_form
from tensorweaver.compiler.graph import Graph, Level, Node, input_node, operation
from tensorweaver.compiler.schedule import Output
from tensorweaver.errors import ArgumentError
from tests.compiler.test_schedule import graph_of
from tests.helpers.cuda_on_cpu import ARCHITECTURES, CompileError, compile_for
from tests.loss.cases import CASES

POINTWISE = ("mse", "huber", "bce of logits")
ROWS = ("ce", "ce, smoothing", "ce, probabilities", "nll")
REGISTERS = 65536
"""Of a multiprocessor."""


def kernel_of(name, dtype="float32", kind="value_and_gradient"):
    """A case's kernel."""
    graph, outputs = graph_of(name, kind)
    return weave_cuda(graph, outputs, dtype, rowwise=CASES[name].loss.formula.rowwise)


def memory_of(kernel, dtype):
    """The arrays' dtypes, where real numbers are of that one."""
    inputs = [
        dtype if node.kind == "real" else kernel.dtype_of(node).name for node in kernel.arrays
    ]
    return [*inputs, *[dtype] * len(kernel.filled)]


def compiled(kernel, classes, dtype, architecture):
    """The form that suits rows of so many classes, and what its kernels take."""
    memory = memory_of(kernel, dtype)
    form = kernel.form(classes, memory)
    found = compile_for(kernel.text(form, memory), architecture, *OPTIONS)
    assert found.warnings == []
    return form, found.resources


def check(form, resources):
    """Nothing is spilled, and no array of a thread's lies in memory."""
    kernel = resources[form.writer.entry]
    assert (kernel.spill_stores, kernel.spill_loads, kernel.local) == (0, 0, 0)
    assert kernel.registers * form.shape.threads <= REGISTERS
    return kernel


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("name", POINTWISE)
def test_elements_leave_registers_for_half_of_all_threads(name, dtype, architecture):
    kernel = kernel_of(name, "float64" if dtype == "float64" else "float32")
    form, resources = compiled(kernel, 1, dtype, architecture)
    assert check(form, resources).registers <= 64  # of 2048 threads 1024


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("classes", [10, 100, 1000, 1 << 20])
def test_cross_entropy_stays_in_registers(classes, dtype, architecture):
    kernel = kernel_of("ce", "float64" if dtype == "float64" else "float32")
    form, resources = compiled(kernel, classes, dtype, architecture)
    check(form, resources)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("classes", [7, 10, 16])
@pytest.mark.parametrize("name", ROWS)
def test_short_rows_fit_a_thread(name, classes, dtype):
    kernel = kernel_of(name, "float64" if dtype == "float64" else "float32")
    form = staged_form(kernel.keeping, classes, kernel.dtype)
    if form is None:
        pytest.skip("more than a thread holds: these rows are read otherwise")
    memory = memory_of(kernel, dtype)
    found = compile_for(kernel.text(form, memory), "sm_90", *OPTIONS)
    assert found.warnings == []
    assert check(form, found.resources).shared <= 48 * 1024


@pytest.mark.parametrize("classes", [10, 1000, 1 << 20])
@pytest.mark.parametrize("name", ROWS)
def test_rows_stay_in_registers(name, classes):
    form, resources = compiled(kernel_of(name), classes, "float32", "sm_90")
    check(form, resources)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("name", ["huber", "bce of logits", "ce"])
def test_older_gpus_find_no_instruction_that_they_lack(name, dtype):
    kernel = kernel_of(name, "float64" if dtype == "float64" else "float32")
    memory = memory_of(kernel, dtype)
    for classes in (10, 1000, 1 << 20) if kernel.rowwise else (1,):
        form = kernel.form(classes, memory)
        text = kernel.text(form, memory)
        found = compile_for(text, "sm_75", *OPTIONS)
        assert found.warnings == []
        assert found.resources[form.writer.entry].registers * form.shape.threads <= REGISTERS


def test_the_text_of_older_gpus_is_not_that_of_newer_ones():
    kernel = kernel_of("ce")
    memory = memory_of(kernel, "float32")
    text = kernel.text(kernel.form(1000, memory), memory)
    newer = text.replace("__CUDA_ARCH__ >= 800", "__CUDA_ARCH__ >= 700")
    with pytest.raises(CompileError, match=r"requires \.target sm_80"):
        compile_for(newer, "sm_75", *OPTIONS)


# ------------------------------------------------------------------------------ the text
def test_the_text_names_the_steps_of_the_formula():
    text = tw.huber_loss.source("cuda", delta=2.0)
    assert "const real difference = predictions - targets;" in text
    assert 'extern "C" __global__ void __launch_bounds__(256) pointwise(' in text
    assert "2.0f" in text


def test_long_rows_are_read_forwards_and_then_backwards():
    text = kernel_of("ce").source
    first, second = text.split("// pass 1: max, sum")[1].split("// pass 3: results")
    assert "start -= hand" not in first
    assert second.count("start -= hand") == 1


def test_the_text_needs_neither_gpu_nor_cupy():
    code = (
        "import sys; sys.modules['cupy'] = None\n"
        "import tensorweaver as tw; print(tw.cross_entropy_loss.source('cuda'))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found == tw.cross_entropy_loss.source("cuda") + "\n"


def test_the_text_does_not_depend_on_the_hash_seed():
    code = "import tensorweaver as tw; print(hash(tw.cross_entropy_loss.source('cuda')))"
    texts = set()
    for seed in ("1", "2", "3"):
        command = [sys.executable, "-c", code.replace("hash(", "(")]
        environment = {"PYTHONHASHSEED": seed, "PATH": ""}
        finished = subprocess.run(command, capture_output=True, check=True, env=environment)
        texts.add(finished.stdout)
    assert len(texts) == 1


def test_no_atomics_and_no_fast_mathematics():
    for name in (*POINTWISE, *ROWS):
        text = kernel_of(name).source
        assert "atomic" not in text
        assert "__expf" not in text
    assert not any("fast" in option for option in OPTIONS)


def test_common_losses_and_dtypes_need_few_texts():
    texts = set()
    for name in ("mse", "bce of logits", "ce"):
        for dtype in ("float32", "bfloat16"):
            kernel = kernel_of(name)
            memory = memory_of(kernel, dtype)
            for classes in (10, 1000, 128256) if kernel.rowwise else (1,):
                texts.add(kernel.text(kernel.form(classes, memory), memory))
    assert len(texts) <= 12


WORDS = "exp expf float real load Pack maximum place rows u sum threadIdx result_array inside"


@pytest.mark.parametrize("classes", [10, 1 << 20])
def test_a_formula_may_use_the_words_of_the_text(classes):
    """All at once: a compiler names the word that it cannot do with."""
    arguments, outputs = [], []
    names: dict[Node, str] = {}
    for word in WORDS.split():
        argument = input_node(word)
        local = operation("exp", argument)
        total = operation("sum", operation("multiply", local, input_node("targets")))
        arguments.append(argument)
        outputs += [total, local]
        names |= {local: word, total: word}
    graph = Graph((*arguments, input_node("targets")), tuple(outputs), names)
    wanted = (Output(Level.SCALAR, total=True), Output(Level.ELEMENT)) * len(arguments)
    compiled(CudaKernel(graph, wanted, "float32", rowwise=True), classes, "float32", "sm_90")


def test_the_engine_of_other_arrays_is_not_chosen():
    with pytest.raises(ArgumentError, match="CuPy arrays, always"):
        tw.set_engine("cuda")
    assert tw.mse_loss.engine(np.zeros(3), np.zeros(3)).name != "cuda"
