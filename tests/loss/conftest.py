"""What all tests of losses share."""

import warnings

import pytest


@pytest.fixture(autouse=True)
def numpy_may_warn_inside_dask(request):
    """Dask computes its chunks with NumPy after the library has returned, infinities included."""
    with warnings.catch_warnings():
        if "backend" in request.fixturenames and request.getfixturevalue("backend") == "dask":
            warnings.simplefilter("ignore", RuntimeWarning)
        yield
