"""The cases of the battery, one a test."""

import zlib

import numpy as np
import pytest

from tests.battery.select import chosen, dtypes_of
from tests.battery.specimen import cases

SEED = 20240229


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames and "peer" not in metafunc.fixturenames:
        found = chosen(metafunc.function, cases())
        if hasattr(metafunc.function, "dtypes"):
            named = [
                pytest.param(case, dtype, id=f"{case.id}-{dtype}")
                for case in found
                for dtype in dtypes_of(metafunc.function, case)
            ]
            metafunc.parametrize(("case", "dtype"), named)
        else:
            metafunc.parametrize("case", [pytest.param(case, id=case.id) for case in found])


@pytest.fixture
def random(request):
    """The same numbers on every run, other ones for each test."""
    name = request.node.nodeid.rpartition("::")[2]
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


@pytest.fixture(autouse=True)
def numpy_may_warn_inside_dask(request):
    """Dask computes its chunks with NumPy after the library has returned, infinities included."""
    if "backend" in request.fixturenames and request.getfixturevalue("backend") == "dask":
        with np.errstate(all="ignore"):
            yield
    else:
        yield
