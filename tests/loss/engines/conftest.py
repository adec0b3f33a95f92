"""What the tests of the engines share: one engine after another, and a clean slate after each."""

import pytest

import tensorweaver as tw
from tensorweaver.compiler import engines, parallel
from tests.loss.engines.calls import ENGINES


@pytest.fixture(autouse=True)
def choices_are_taken_back(monkeypatch):
    """No test sees another's choice of an engine or of a number of threads."""
    monkeypatch.setattr(engines.process, "environment", None)
    yield
    tw.set_engine(None)
    parallel.set_num_threads(None)


@pytest.fixture(params=ENGINES)
def engine(request):
    """The name of an engine that works block by block, chosen for the whole test."""
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    tw.set_engine(request.param)
    return request.param


@pytest.fixture
def threads():
    """`threads(n)` chooses how many threads compute; the choice is taken back."""
    return parallel.set_num_threads
