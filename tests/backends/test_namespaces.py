"""The functions that a formula computes with: the library's, unless an array speaks for itself."""

import numpy as np
import pytest

from tensorweaver.backends import (
    BACKENDS,
    array_namespace,
    available_backends,
    backend_of,
    get_backend,
)
from tensorweaver.errors import BackendError

LIBRARIES = sorted(set(available_backends()) - {"cupy"})


def make(name):
    return get_backend(name).asarray([1.0, 2.0])


@pytest.mark.parametrize("name", LIBRARIES)
def test_namespace_is_the_librarys(name):
    xp = array_namespace(make(name), 1.0, None)
    assert xp is BACKENDS[name].namespace()
    assert backend_of(xp.asarray([1.0])) is BACKENDS[name]


class Speaking:
    """Stands for a Tensor, or for what traces a formula."""

    def __array_namespace__(self, api_version=None):
        return np.linalg


def test_what_speaks_for_itself_wins_over_arrays_beside_it():
    assert array_namespace(np.ones(2), Speaking()) is np.linalg
    assert array_namespace(Speaking(), make("strict")) is np.linalg
    assert backend_of(Speaking(), np.ones(2)) is BACKENDS["numpy"]


def test_namespace_of_mixed_arrays_is_an_error():
    with pytest.raises(BackendError, match="mixed arrays"):
        array_namespace(np.ones(2), make("strict"))
