"""Which backends the tests run on, and the fixtures through which a test meets them.

A test that takes `backend`, `xp`, `to_array` or `to_numpy` runs once for every backend chosen by
`--backend` (repeatable, or a comma list) or by `TENSORWEAVER_TEST_BACKENDS`; without either, on
NumPy. `--engine` chooses who computes losses of NumPy arrays. A backend that this machine lacks
skips its tests with the library's own reason; `--require-backend` makes them fail instead.
"""

import functools
import os
import random
import re
import shutil
import sys
import tempfile
import zlib

import hypothesis
import numpy as np
import pytest

from tests.helpers.arrays import LIBRARIES, make_array, to_host

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
CUDA = "cuda"
#: How a file names them, or all of them.
FRAMEWORKS = re.compile(r"\b(torch|jax|dask|optax|BACKENDS|LIBRARIES)\b")
SEED = pytest.StashKey[int]()
BACKENDS = pytest.StashKey[tuple[str, ...]]()

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "default")

# Before anything imports JAX: the tests compare in float64. Subprocesses inherit it.
os.environ.setdefault("JAX_ENABLE_X64", "1")


# -------------------------------------------------------------------------------- options
def pytest_addoption(parser):
    group = parser.getgroup("tensorweaver")
    group.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"backend to test, repeatable or a comma list, out of {', '.join(LIBRARIES)}",
    )
    group.addoption(
        "--require-backend",
        action="store_true",
        help="fail where a chosen backend cannot be used, instead of skipping",
    )
    group.addoption(
        "--engine",
        metavar="NAME",
        help="who computes losses of NumPy arrays; see tensorweaver.set_engine. cuda: the kernels "
        "for GPUs, run on the CPU, with NumPy arrays in the place of a GPU's",
    )
    group.addoption(
        "--one-in",
        type=int,
        default=1,
        metavar="N",
        help="run one in N of the tests, the same ones every time, and all that are marked `whole`",
    )
    group.addoption(
        "--seed", type=int, help="seed of the rng fixture; random without it, 0 where CI=true"
    )


def pytest_configure(config):
    if config.option.seed is None:
        config.option.seed = 0 if IN_CI else random.SystemRandom().randrange(2**32)
    config.stash[SEED] = config.option.seed
    config.stash[BACKENDS] = chosen_backends(config.option.backend)
    if config.option.engine and config.option.engine != CUDA:
        os.environ["TENSORWEAVER_ENGINE"] = config.option.engine
    if "TENSORWEAVER_CACHE" not in os.environ:  # the user's own stays as it is
        folder = tempfile.mkdtemp(prefix="tensorweaver-tests-")
        os.environ["TENSORWEAVER_CACHE"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def chosen_backends(options):
    """The names from the command line, else the environment, else NumPy; each once, in order."""
    listed = options or [os.environ.get("TENSORWEAVER_TEST_BACKENDS") or "numpy"]
    names = tuple(dict.fromkeys(name.strip() for text in listed for name in text.split(",")))
    unknown = [name for name in names if name not in LIBRARIES]
    if unknown:
        message = f"--backend {', '.join(unknown)}: unknown, choose from {', '.join(LIBRARIES)}"
        raise pytest.UsageError(message)
    return names


def pytest_report_header(config):
    backends = ", ".join(config.stash[BACKENDS])
    engine = os.environ.get("TENSORWEAVER_ENGINE", "of each call's choice")
    if config.option.engine == CUDA:
        engine = "cuda, run on the CPU"
    seed = config.stash[SEED]
    return f"tensorweaver: backends {backends}; engine {engine}; repeat with --seed {seed}"


# -------------------------------------------------------------------------------- collection
def pytest_generate_tests(metafunc):
    if "backend" in metafunc.fixturenames:
        names = metafunc.config.stash[BACKENDS]
        marks = {"cupy": [pytest.mark.gpu]}
        parameters = [
            pytest.param(name, marks=[pytest.mark.matrix, *marks.get(name, [])]) for name in names
        ]
        metafunc.parametrize("backend", parameters, indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    number = config.option.one_in
    left_out = {
        item
        for item in items
        if zlib.crc32(item.name.encode()) % number and not item.get_closest_marker("whole")
    }
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.path.name.startswith("test_") and names_frameworks(item.path):
            item.add_marker(pytest.mark.frameworks)


@functools.cache
def names_frameworks(path):
    """Whether a file of tests may need one of the libraries that the suite does without."""
    return FRAMEWORKS.search(path.read_text(encoding="utf-8")) is not None


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        skip_unless_usable("cupy", item.config)


def skip_unless_usable(name, config):
    """Skip the running test with the library's own reason.

    Under `--require-backend` it fails instead, where the backend was chosen.
    """
    import tensorweaver

    try:
        tensorweaver.get_backend(name)
    except tensorweaver.BackendUnavailableError as error:
        if config.option.require_backend and name in config.stash[BACKENDS]:
            pytest.fail(f"--require-backend: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "rng" in getattr(item, "fixturenames", ()):
        report.sections.append(("seed", f"repeat with --seed {item.config.stash[SEED]}"))
    return report


# -------------------------------------------------------------------------------- fixtures
# Those of the matrix have session scope, so that hypothesis tests may use them.
@pytest.fixture(scope="session")
def backend(request):
    """The name of the backend under test."""
    skip_unless_usable(request.param, request.config)
    return request.param


@pytest.fixture(scope="session")
def xp(backend):
    """The array API namespace of the backend under test."""
    import tensorweaver

    return tensorweaver.get_backend(backend).namespace()


@pytest.fixture(scope="session")
def to_array(backend):
    """`to_array(value, dtype=None)` makes an array of the backend under test, see `make_array`."""

    def convert(value, dtype=None, *, writable=False):
        return make_array(backend, value, dtype, writable=writable)

    return convert


@pytest.fixture(scope="session")
def to_numpy(backend):
    """`to_numpy(array)` copies an array or a Tensor of the backend under test to the host."""
    return to_host


@pytest.fixture(scope="session", autouse=True)
def kernels_on_the_cpu(request):
    """Under `--engine cuda` the launcher that computes losses of NumPy arrays, else None."""
    if request.config.option.engine != CUDA:
        yield None
        return
    from tests.helpers.cuda_engine import Launcher, computes_numpy

    with pytest.MonkeyPatch.context() as patch:
        launcher = Launcher()
        computes_numpy(patch, launcher)
        yield launcher


@pytest.fixture
def rng(request):
    """A NumPy generator of this test's own: the same for the same seed, whatever else runs."""
    return np.random.default_rng(
        [request.config.stash[SEED], zlib.crc32(request.node.nodeid.encode())]
    )


@pytest.fixture(autouse=True)
def choices_are_restored():
    """A test that sets the process-wide backend, engine or number of threads leaves no trace."""
    yield
    if "tensorweaver" in sys.modules:
        for choose in ("set_backend", "set_engine", "set_num_threads"):
            restore = getattr(sys.modules["tensorweaver"], choose, None)
            if restore is not None:
                restore(None)
