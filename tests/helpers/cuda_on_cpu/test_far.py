"""Arrays with strides beyond 32 bits are arrays like any other, and kernels may take them."""

import gc
import mmap
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tests.helpers.compare import assert_close
from tests.helpers.cuda_on_cpu import KernelError, compile_on_cpu, far_apart
from tests.helpers.cuda_on_cpu.specimens import kernel

FAR = 5 * 2**30

NEGATE = kernel(
    "negate",
    "int i = threadIdx.x;\nout[i * step] = -given[i * step];",
    "const float* given, float* out, {integer} step",
)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", ml_dtypes.bfloat16])
@pytest.mark.parametrize("strides", [(FAR, 8), (8, FAR), (-FAR, 8), (2**36, -(2**33)), (FAR, 0)])
def test_the_values_are_there(dtype, strides):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    if 0 in strides:
        values[...] = values[:, :1]
    array = far_apart(values, strides)
    assert array.strides == strides
    assert array.dtype == values.dtype
    assert array.tolist() == values.tolist()
    array += values
    assert array.tolist() == (values + values).tolist()


@pytest.mark.parametrize("values", [np.float32(3), np.zeros((0, 2)), np.zeros((2, 0))])
def test_few_or_no_elements(values):
    assert_close(far_apart(values, (FAR,) * np.ndim(values)), np.asarray(values))


def test_the_addresses_are_given_back():
    def mapped():
        text = Path("/proc/self/statm").read_text(encoding="ascii")
        return int(text.split()[0]) * mmap.PAGESIZE

    before = mapped()
    array = far_apart(np.ones(3), (2**40,))
    view = array[1:]
    del array
    gc.collect()
    assert view.tolist() == [1, 1]
    assert mapped() - before > 2**40
    del view
    gc.collect()
    assert mapped() - before < 2**40


@pytest.mark.parametrize("checked", [False, True])
def test_a_kernel_that_counts_in_64_bits_reaches_them(checked):
    given = far_apart(np.array([1, 2, 3], np.float32), (FAR,))
    out = far_apart(np.zeros(3, np.float32), (FAR,))
    module = compile_on_cpu(NEGATE.replace("{integer}", "long long"), checked=checked)
    module.launch("negate", (1,), (3,), (given, out, np.int64(FAR // 4)))
    assert_close(out, np.array([-1, -2, -3], np.float32), rtol=0)


@pytest.mark.parametrize("checked", [False, True])
def test_a_kernel_that_counts_in_32_bits_is_found_out(checked):
    given = far_apart(np.array([1, 2, 3], np.float32), (FAR,))
    out = far_apart(np.zeros(3, np.float32), (FAR,))
    source = NEGATE.replace("{integer}", "unsigned int")
    module = compile_on_cpu(source, checked=checked)
    with pytest.raises(KernelError, match=r"thread \(\d, 0, 0\): (an access to|it reads)"):
        module.launch("negate", (1,), (4,), (given, out, np.uint32(FAR // 4)))
