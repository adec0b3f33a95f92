"""What a GPU is told of NumPy's memory, by a CuPy that notes it."""

import mmap
from types import SimpleNamespace

import numpy as np
import pytest

import tensorweaver.backends.cupy_launcher as launcher_file
from tests.helpers import cuda_engine, cuda_on_gpu
from tests.helpers.cuda_on_cpu import far_apart
from tests.helpers.cuda_on_gpu import GpuModule, pages

PAGE = mmap.PAGESIZE


class Noted:
    """CuPy's runtime and kernels, as far as they are asked here."""

    def __init__(self, fails=()):
        self.events: list[tuple] = []
        runtime = SimpleNamespace(
            hostRegister=lambda start, size, flags: self.events.append(("register", start, size)),
            hostUnregister=lambda start: self.events.append(("unregister", start)),
            deviceSynchronize=lambda: self.events.append(("wait",)),
        )
        self.cuda = SimpleNamespace(runtime=runtime)
        self.fails = fails

    def RawModule(self, **options):  # noqa: N802 - CuPy's name
        return SimpleNamespace(get_function=lambda name: self.kernel)

    def kernel(self, grid, block, arguments):
        if self.fails:
            raise self.fails
        self.events.append(("launch", arguments))


@pytest.fixture
def noted(monkeypatch):
    fake = Noted()
    for file in (launcher_file, cuda_on_gpu):
        monkeypatch.setattr(file, "load", lambda _: fake)
    return fake


def test_arrays_on_one_page_are_registered_once_and_let_go_after_the_wait(noted):
    both = np.zeros(2)
    GpuModule("text").launch("sum", (1,), (32,), [both[:1], both[1:], np.int64(1)], order=3)
    kinds = [event[0] for event in noted.events]
    assert kinds == ["register", "launch", "wait", "unregister"]
    first, second, count = noted.events[1][1]
    assert (first, second) == (both.ctypes.data, both.ctypes.data + 8)
    assert first.dtype == np.uint64
    assert count == 1


def test_memory_is_let_go_where_a_launch_fails(noted):
    noted.fails = ValueError("too many threads")
    with pytest.raises(ValueError, match="too many"):
        GpuModule("text").launch("sum", (1,), (32,), [np.zeros(1)])
    assert [event[0] for event in noted.events] == ["register", "unregister"]


def test_pages_hold_every_number():
    x = np.zeros((7, 1000))
    for view in (x, x[::-1, ::2], x[3:4, 10:20], np.broadcast_to(x[:1, :1], (5, 5))):
        ((start, size),) = pages([view])
        low, high = np.lib.array_utils.byte_bounds(view)
        assert start % PAGE == size % PAGE == 0
        assert start <= low < high <= start + size < high + PAGE
    assert pages([x[:0]]) == []
    assert len(pages([x, np.zeros(1 << 20)])) in {1, 2}


def test_what_lies_too_far_apart_is_skipped():
    far = far_apart(np.zeros((2, 2), np.float32), ((1 << 33) + 8, 4))
    with pytest.raises(pytest.skip.Exception, match="reaches over"):
        pages([far])


def test_the_engine_takes_the_gpu_where_the_environment_says_so(noted, monkeypatch):
    monkeypatch.setenv("TENSORWEAVER_TEST_KERNELS", "gpu")
    found = cuda_engine.Launcher().compile("text of a kernel")
    assert isinstance(found.module, GpuModule)
