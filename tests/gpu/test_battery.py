"""The battery reaches every form of kernel, and sees wrong numbers; run on the CPU here."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.gpu.battery import DTYPES, calls, run
from tests.helpers.cuda_engine import computed_by_kernels

FORMS = {"pointwise", "staged_rows", "resident_rows", "rows", "apart_rows", "finish"}


def test_every_form_of_kernel_runs():
    with computed_by_kernels() as launcher:
        for call in calls("float32"):
            call.loss.value_and_grad(*map(call.view, call.arrays), **call.options)
    assert set(launcher.launches) >= FORMS


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_right(dtype):
    computed = []

    def to_host(array):
        computed.append(array)
        return array

    tw.set_engine("interpret")
    assert run(dtype, np.copy, to_host) == []
    assert len(computed) == 2 * len(list(calls(dtype)))


def test_wrong_numbers_are_named():
    found = run("float32", np.copy, lambda array: array + 0.1)
    assert len(found) == len(list(calls("float32")))
    assert found[0] == "float32, elements 1"
