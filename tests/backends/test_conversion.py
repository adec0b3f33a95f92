"""Arrays in and out of each library: values, dtypes, devices, and what is not copied or cut."""

import sys

import numpy as np
import pytest

import tensorweaver.backends.backend as backend_file
from tensorweaver.backends import BACKENDS
from tensorweaver.backends.backend import DTYPE_NAMES
from tensorweaver.errors import DTypeError, ShapeError

PACKAGES = {
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax",
    "dask": "dask.array",
    "strict": "array_api_strict",
}
VALUES = np.asarray([[1.5, -2.0, 0.25], [0.0, 8.0, -0.5]], dtype=np.float32)


def library(name):
    pytest.importorskip(PACKAGES[name])
    return BACKENDS[name]


@pytest.fixture(params=PACKAGES)
def lib(request):
    return library(request.param)


def check(lib, array, expected, dtype):
    """`array` belongs to `lib` and has that dtype and those values, shape included."""
    assert lib.owns(type(array))
    assert lib.dtype_name(array.dtype) == dtype
    host = lib.to_numpy(array)
    assert type(host) is np.ndarray
    assert host.dtype.name == dtype
    np.testing.assert_array_equal(host, expected, strict=True)


# ---------------------------------------------------------------------------------- every pair
@pytest.mark.parametrize("source", PACKAGES)
def test_numbers_survive_the_way_from_any_library_to_any(lib, source):
    given = library(source).asarray(VALUES)
    check(lib, lib.asarray(given), VALUES, "float32")


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float64", "float32"])
@pytest.mark.parametrize("source", ["numpy", "torch", "jax"])
def test_dtypes_survive_the_way_from_any_library_to_any(lib, source, dtype, monkeypatch):
    if "jax" in (lib.name, source):
        jax = pytest.importorskip("jax")
        if dtype == "float64" and not jax.config.jax_enable_x64:
            pytest.skip("JAX runs with 32 bits")
    expected = np.asarray([[0, 1], [1, 3]]).astype(dtype)
    given = library(source).asarray(expected)
    check(lib, lib.asarray(given), expected, dtype)


def test_what_is_right_is_not_copied(lib):
    array = lib.asarray(VALUES)
    assert lib.asarray(array) is array
    assert lib.asarray(array, "float32") is array
    assert lib.asarray(array, array.dtype, lib.device(array)) is array
    assert lib.astype(array, "float32") is array


def test_numbers_and_lists_take_the_default_dtypes(lib):
    info = lib.namespace().__array_namespace_info__().default_dtypes()
    assert lib.asarray(0.5).dtype == info["real floating"]
    assert lib.asarray([[0.5, 1]]).dtype == info["real floating"]
    assert lib.asarray([1, 2]).dtype == info["integral"]
    assert lib.dtype_name(lib.asarray([True, False]).dtype) == "bool"
    assert lib.asarray(3).shape == ()
    assert lib.asarray([]).shape == (0,)


def test_dtype_may_be_given_by_name_or_as_the_librarys_own(lib):
    check(lib, lib.asarray([1, 2], "float32"), np.asarray([1, 2], np.float32), "float32")
    own = lib.dtype("int32")
    check(lib, lib.asarray(VALUES, own), VALUES.astype(np.int32), "int32")


def test_what_offers_array_is_read_and_keeps_its_dtype(lib):
    class Column:
        dtype = np.dtype("float32")

        def __array__(self, dtype=None, copy=None):
            return VALUES[0]

    check(lib, lib.asarray(Column()), VALUES[0], "float32")


@pytest.mark.parametrize(
    "value", [None, "text", b"raw", {"a": 1}, {1, 2}, ["a", "b"], [1, None], object(), [2**70]]
)
def test_what_is_no_number_is_refused(lib, value):
    with pytest.raises(DTypeError):
        lib.asarray(value)


def test_ragged_lists_are_refused(lib):
    with pytest.raises(ShapeError, match="rows of equal length, got a ragged list"):
        lib.asarray([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(VALUES[::-1, ::-1], id="backward"),
        pytest.param(np.broadcast_to(VALUES[0], (4, 3)), id="read-only"),
        pytest.param(VALUES.astype(">f4"), id="foreign byte order"),
        pytest.param(VALUES[:, ::2], id="strided"),
        pytest.param(VALUES[:0], id="empty"),
        pytest.param(np.asarray(np.float32(3)), id="0-d"),
    ],
)
def test_memory_layout_does_not_matter(lib, host):
    expected = host if lib.name == "numpy" else host.astype(np.float32)
    np.testing.assert_array_equal(lib.to_numpy(lib.asarray(host)), expected, strict=True)


# ---------------------------------------------------------------------------------- dtypes
@pytest.mark.parametrize("name", sorted(DTYPE_NAMES))
def test_names_of_dtypes_round_trip(lib, name):
    if lib.name == "strict" and name in ("float16", "bfloat16"):
        with pytest.raises(DTypeError, match=f"array-api-strict has no dtype {name}"):
            lib.dtype(name)
        return
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes")
    if (
        lib.name == "jax"
        and not sys.modules["jax"].config.jax_enable_x64
        and ("64" in name or "128" in name)
    ):
        pytest.skip("JAX runs with 32 bits")
    assert lib.dtype_name(lib.dtype(name)) == name
    assert lib.dtype_name(lib.astype(lib.asarray([0, 1]), name).dtype) == name


def test_unknown_names_of_dtypes_are_refused(lib):
    for wrong in ("float33", "f4", "double", "nn", ""):
        with pytest.raises(DTypeError, match=f"unknown dtype {wrong!r}"):
            lib.dtype(wrong)


def test_bfloat16_without_ml_dtypes_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backend_file, "installed", lambda _: False)
    with pytest.raises(DTypeError, match="pip install ml_dtypes"):
        BACKENDS["numpy"].dtype("bfloat16")


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("source", ["numpy", "torch", "jax"])
def test_bfloat16_survives_the_way(source, target):
    pytest.importorskip("ml_dtypes")
    given = library(source).asarray(VALUES, "bfloat16")
    received = library(target).asarray(given)
    assert library(target).dtype_name(received.dtype) == "bfloat16"
    host = library(target).to_numpy(received)
    np.testing.assert_array_equal(host.astype(np.float32), VALUES, strict=True)


def test_torch_bfloat16_comes_out_as_float32_without_ml_dtypes(monkeypatch):
    lib = library("torch")
    monkeypatch.setattr("tensorweaver.backends.torch.installed", lambda _: False)
    host = lib.to_numpy(lib.asarray(VALUES, "bfloat16"))
    np.testing.assert_array_equal(host, VALUES, strict=True)


def test_dtype_that_a_library_lacks_is_refused_in_words():
    wide = np.ones(2, np.longdouble)
    for name in ("torch", "strict"):
        with pytest.raises(DTypeError, match=f"{BACKENDS[name].label} has no dtype"):
            library(name).asarray(wide)
