"""How kernels reach CuPy, told by a CuPy made of NumPy that notes what it is asked."""

from types import SimpleNamespace

import numpy as np
import pytest

import tensorweaver as tw
import tensorweaver.backends.cupy_launcher as launcher_file
from tensorweaver.backends import BACKENDS
from tensorweaver.backends.cupy_launcher import OPTIONS, CuPyLauncher, CuPyModule
from tests.helpers.arrays import numpy_bfloat16

TEXT = 'extern "C" __global__ void fill(float *x) {}'


class FakeCuPy:
    """Notes modules, kernels and launches; device 1 is the current one."""

    def __init__(self):
        self.modules = []
        self.launches = []
        self.entered: list[int] = []
        runtime = SimpleNamespace(getDevice=lambda: 1)
        self.cuda = SimpleNamespace(runtime=runtime, Device=self.entered.append)
        self.empty = np.empty

    def RawModule(self, **options):  # noqa: N802 - CuPy's name
        self.modules.append(options)

        def get_function(name):
            return lambda *launch: self.launches.append((name, *launch))

        return SimpleNamespace(get_function=get_function)


@pytest.fixture
def cupy(monkeypatch):
    fake = FakeCuPy()
    known = {"cupy": fake, "ml_dtypes": SimpleNamespace(bfloat16=numpy_bfloat16())}
    monkeypatch.setattr(launcher_file, "load", known.__getitem__)
    return fake


def test_a_text_is_compiled_by_nvrtc_with_the_options_that_the_tests_use(cupy):
    CuPyModule(TEXT)
    assert cupy.modules == [{"code": TEXT, "options": OPTIONS, "backend": "nvrtc"}]


def test_a_text_is_one_module(cupy):
    launcher = CuPyLauncher()
    text = TEXT + "// once"
    assert launcher.compile(text) is launcher.compile(text)
    assert len(cupy.modules) == 1


def test_a_kernel_is_launched_with_its_arguments(cupy):
    x = np.zeros(3)
    module = CuPyModule(TEXT)
    module.launch("fill", (2,), (64,), [x, np.int64(3)])
    module.launch("fill", (1,), (32,), [x])
    assert [launch[:3] for launch in cupy.launches] == [
        ("fill", (2,), (64,)),
        ("fill", (1,), (32,)),
    ]
    assert cupy.launches[0][3] == (x, np.int64(3))
    assert list(module.kernels) == ["fill"]


def test_another_device_is_entered_and_the_current_one_is_not(cupy):
    launcher = CuPyLauncher()
    with launcher.at(1):
        assert cupy.entered == []
    launcher.at(0)
    assert cupy.entered == [0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.usefixtures("cupy")
def test_memory_has_the_dtype(dtype):
    array = CuPyLauncher().empty((2, 3), dtype)
    assert (array.shape, array.dtype.name) == ((2, 3), dtype)


def test_an_address_is_that_of_the_first_number():
    array = SimpleNamespace(data=SimpleNamespace(ptr=4096))
    assert CuPyLauncher().address(array) == 4096


def test_cupy_computes_by_kernels():
    backend = BACKENDS["cupy"]
    assert backend.engine == "cuda"
    assert isinstance(backend.launcher(), CuPyLauncher)
    assert backend.device_key(SimpleNamespace(device=SimpleNamespace(id=3))) == 3


def test_other_libraries_have_no_launcher():
    with pytest.raises(NotImplementedError):
        tw.get_backend("numpy").launcher()
