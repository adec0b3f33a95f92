"""Kernels compile for GPUs without one, and what they take is told."""

import pytest

from tests.helpers.cuda_on_cpu import ARCHITECTURES, CompileError, compile_for, compiling
from tests.helpers.cuda_on_cpu.compiling import Resources, resources_of, section_sizes
from tests.helpers.cuda_on_cpu.specimens import RIGHT, kernel

SPILLING = """
extern "C" __global__ void __launch_bounds__(1024, 2) spilling(float* out, int count)
{
    float kept[60];
#pragma unroll
    for (int i = 0; i < 60; ++i) kept[i] = out[i * 1024 + threadIdx.x];
    for (int turn = 0; turn < count; ++turn)
#pragma unroll
        for (int i = 0; i < 60; ++i) kept[i] = kept[i] * kept[(i + 1) % 60] + kept[(i + 7) % 60];
#pragma unroll
    for (int i = 0; i < 60; ++i) out[i * 1024 + threadIdx.x] = kept[i];
}
"""


@pytest.fixture(params=["nvrtc", "nvcc"])
def compiler(request, monkeypatch):
    """Have the compiler that is named; skips where it is not here."""
    if request.param == "nvcc":
        monkeypatch.setattr(compiling, "nvrtc", lambda: None)
    elif compiling.nvrtc() is None:
        pytest.skip("NVRTC is not here: pip install nvidia-cuda-nvrtc")
    compile_for.cache_clear()
    yield request.param
    compile_for.cache_clear()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", RIGHT)
def test_what_runs_on_the_cpu_compiles_for_a_gpu(name, architecture):
    compilation = compile_for(RIGHT[name], architecture)
    assert compilation.cubin.startswith(b"\x7fELF")
    assert compilation.warnings == []
    taken = compilation.resources[name]
    assert 6 <= taken.registers <= 40
    assert (taken.spill_stores, taken.spill_loads, taken.local) == (0, 0, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_a_kernel_takes(compiler, architecture):
    found = compile_for(RIGHT["histogram"], architecture).resources["histogram"]
    assert found.shared == 16 * 64 * 4
    # The three arguments lie behind what the system keeps there.
    assert found.constant == {"sm_80": 0x160, "sm_90": 0x210}[architecture] + 8 + 8 + 4
    both = compile_for(RIGHT["widen"], architecture).resources
    assert sorted(both) == ["narrow", "widen"]
    assert {each.shared for each in both.values()} == {0}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_spills_are_found(compiler, architecture):
    found = compile_for(SPILLING, architecture).resources["spilling"]
    assert found.registers <= 32
    assert min(found.spill_stores, found.spill_loads, found.local) >= 4 * 28


def test_an_array_that_is_indexed_lies_in_local_memory(compiler):
    body = """
    float values[16];
    for (int i = 0; i < 16; ++i) values[i] = out[i];
    for (int i = 0; i < 16; ++i) out[i] = values[(int)out[i] & 15];
    """
    found = compile_for(kernel("indexed", body), "sm_90").resources["indexed"]
    assert (found.local, found.spill_stores) == (64, 0)


def test_a_text_that_is_not_cuda_is_refused(compiler):
    with pytest.raises(CompileError, match=r"kernels\.cu\(4\).*lacking"):
        compile_for(kernel("b", "lacking();"), "sm_80")
    with pytest.raises(CompileError, match=r"sm_12|gpu-architecture"):
        compile_for(kernel("b", ""), "sm_12")


def test_no_header_can_be_included():
    if compiling.nvrtc() is None:
        pytest.skip("NVRTC is not here: pip install nvidia-cuda-nvrtc")
    with pytest.raises(CompileError, match=r"math\.h"):
        compile_for(kernel("b", "", before="#include <math.h>"), "sm_90")


def test_warnings_are_told(compiler):
    warnings = compile_for(kernel("b", "int never = 1;"), "sm_90").warnings
    assert len(warnings) == 1
    assert "never" in warnings[0]


def test_options_reach_the_compiler(compiler):
    source = kernel("b", "out[0] = out[1] * out[2] + NUMBER;")
    assert compile_for(source, "sm_90", "-DNUMBER=1").cubin != (
        compile_for(source, "sm_90", "-DNUMBER=1", "-fmad=false").cubin
    )


def test_without_a_compiler_it_skips_or_fails_on_demand(monkeypatch):
    monkeypatch.setattr(compiling, "nvrtc", lambda: None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("TENSORWEAVER_REQUIRE_CUDA_ON_CPU", raising=False)
    monkeypatch.delenv("CI", raising=False)
    source = kernel("nowhere", "")
    with pytest.raises(pytest.skip.Exception, match="by NVRTC or nvcc, and neither is here"):
        compile_for(source, "sm_90")
    monkeypatch.setenv("TENSORWEAVER_REQUIRE_CUDA_ON_CPU", "1")
    with pytest.raises(pytest.fail.Exception, match="by NVRTC or nvcc, and neither is here"):
        compile_for(source, "sm_90")


REPORT = """
ptxas info    : Compiling entry function 'one' for 'sm_80'
ptxas info    : Function properties for one
ptxas         .     256 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Function properties for _Z6calledv
ptxas         .     16 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 1024 bytes smem, 372 bytes cmem[0]
ptxas info    : Compiling entry function 'two' for 'sm_80'
ptxas info    : Function properties for two
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers, 352 bytes cmem[0], 16 bytes cmem[2]
"""


def test_the_report_is_read():
    sizes = {".nv.constant0.one": 372, ".nv.constant0.two": 352, ".nv.constant2.two": 16}
    assert resources_of(REPORT, sizes) == {
        "one": Resources(40, 20, 20, 1024, 372, 256),
        "two": Resources(8, 0, 0, 0, 368, 0),
    }


def test_sections_are_those_of_the_file(compiler):
    sizes = section_sizes(compile_for(RIGHT["histogram"], "sm_80").cubin)
    assert {".text.histogram", ".nv.constant0.histogram", ".nv.info.histogram"} <= set(sizes)
    assert sizes[".text.histogram"] % 128 == 0
