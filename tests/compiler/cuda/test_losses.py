"""Every loss of the library as CUDA C: its text, and what NVRTC makes of it."""

import pytest

from tensorweaver.backends.cupy_launcher import OPTIONS
from tests.battery.select import THOROUGH
from tests.battery.specimen import cases
from tests.helpers.cuda_on_cpu import compile_for

#: Cannot be written without an array, of which `source` takes none.
LACKING = {"multi_quantile_loss"}
WOVEN = [
    case for case in cases() if not case.loss.formula.composed and case.specimen.name not in LACKING
]
#: The first set of options of each specimen: every loss and form of targets. A usual run takes one
#: in six, for all of them take minutes; `TENSORWEAVER_TEST_THOROUGH=1` asks for all.
FIRST = list({case.specimen.title: case for case in reversed(WOVEN)}.values())[::-1]
if not THOROUGH:
    FIRST = FIRST[::6]


def text_of(case):
    """The text with the options that are no arrays."""
    known = case.loss.formula.options
    return case.loss.source("cuda", **{k: v for k, v in case.options.items() if k in known})


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in WOVEN])
def test_every_loss_has_a_text(case):
    text = text_of(case)
    assert "__global__ void" in text
    assert "finish(" in text


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in FIRST])
def test_every_loss_is_compiled_for_a_gpu(case):
    found = compile_for(text_of(case), "sm_80", *OPTIONS)
    assert found.warnings == []
    kernels = {name: kernel for name, kernel in found.resources.items() if name != "finish"}
    assert kernels
    for kernel in kernels.values():
        assert kernel.registers > 0
