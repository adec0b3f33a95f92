"""Lines of kernels that never ran are found, in a module and in a whole run."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tests.helpers.cuda_on_cpu import KernelError, compile_on_cpu
from tests.helpers.cuda_on_cpu.building import leave_to_its_session
from tests.helpers.cuda_on_cpu.specimens import kernel

BRANCHES = """
template <class T> __device__ T choose(T x)
{
    if (x < 0)
        return -x;
    return x > 100 ? T(100) : x;
}

extern "C" __global__ void branches(float* out, int count)
{
    if (threadIdx.x >= count) return;
    out[threadIdx.x] = choose(out[threadIdx.x]);
    if (count > 8) {
        __syncthreads();
        out[threadIdx.x] = 0;
    }
    out[threadIdx.x] += choose(5.0);
}
"""


def missed(coverage):
    return [line.text.strip() for line in coverage.missed]


def one_sided(coverage):
    return [line.text.strip() for line in coverage.one_sided]


def launch(module, numbers, threads=4):
    out = np.array(numbers, np.float32)
    module.launch("branches", (1,), (threads,), (out, np.int32(out.size)))


@pytest.mark.parametrize("checked", [False, True])
def test_lines_count_once_they_ran(checked):
    # Of this run's own: what is built is kept with its counts, as long as the folder is.
    source = f"{BRANCHES}// {os.urandom(8).hex()}"
    module = compile_on_cpu(source, covered=True, checked=checked)
    untouched = module.coverage()
    assert len(untouched.missed) == untouched.lines == 11
    assert untouched.one_sided == []
    launch(module, [1.0, 2.0])
    first = module.coverage()
    assert missed(first) == ["return -x;", "__syncthreads();", "out[threadIdx.x] = 0;"]
    assert one_sided(first) == [
        "if (x < 0)",
        "return x > 100 ? T(100) : x;",
        "if (count > 8) {",
    ]
    launch(module, [-1.0, 200.0, 1.0])
    assert missed(module.coverage()) == missed(first)[1:]
    assert one_sided(module.coverage()) == ["if (count > 8) {"]
    assert module.coverage() == module.coverage()
    launch(module, [-1.0] * 9, threads=9)
    assert module.coverage() == (11, [], [])


def test_only_a_covered_module_counts():
    with pytest.raises(KernelError, match="covered=True"):
        compile_on_cpu(BRANCHES, covered=False).coverage()


PROCESS = """
    import sys
    import numpy as np
    from tests.helpers.cuda_on_cpu import compile_on_cpu
    module = compile_on_cpu(sys.argv[1], covered=True, checked=sys.argv[2] == "checked")
    module.launch("shared", (1,), (1,), (np.array([sys.argv[-1]], np.float32),))
"""
SUMMARY = """
    import sys
    from tests.helpers.cuda_on_cpu.coverage import coverage_of_run
    ((source, coverage),) = coverage_of_run().items()
    assert source == sys.argv[1]
    print([line.number for line in coverage.missed])
"""


def test_a_run_counts_what_all_of_its_processes_do(tmp_path, pytestconfig):
    leave_to_its_session()
    environment = {**os.environ, "TENSORWEAVER_CACHE": str(tmp_path)}
    source = kernel("shared", "if (out[0] > 0)\n    out[0] = 1;\nelse\n    out[0] = -1;")

    def run(program, *arguments):
        command = [sys.executable, "-c", textwrap.dedent(program), source, *arguments]
        finished = subprocess.run(
            command,
            cwd=pytestconfig.rootpath,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return finished.stdout.strip()

    run(PROCESS, "3")
    assert run(SUMMARY) == "[7]"
    run(PROCESS, "2")
    assert run(SUMMARY) == "[7]"
    assert len(list((tmp_path / "cuda-on-cpu").glob("kernels-*"))) == 2  # built once, and its link
    run(PROCESS, "checked", "-3")  # built in another way, of the same text
    assert run(SUMMARY) == "[]"
    assert len(list((tmp_path / "cuda-on-cpu").glob("kernels-*"))) == 4


def test_a_run_counts_by_itself_where_that_is_asked_for(monkeypatch):
    monkeypatch.setenv("TENSORWEAVER_COVER_KERNELS", "1")
    source = kernel("asked", "")
    assert compile_on_cpu(source).covered
    assert not compile_on_cpu(source, fused=True).covered
    monkeypatch.delenv("TENSORWEAVER_COVER_KERNELS")
    assert not compile_on_cpu(kernel("unasked", "")).covered
