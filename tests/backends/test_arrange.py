"""Arrays decide: which library, device and dtype the arguments of one call come to have."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tensorweaver.backends import BACKENDS, arrange, use_backend
from tensorweaver.errors import BackendError, DTypeError, ShapeError

NAMES = ("predictions", "targets", "weight")


def arranged(*values, backend=None):
    return arrange(values, NAMES[: len(values)], backend)


def names_of(home, arrays):
    return [home.dtype_name(array.dtype) for array in arrays]


def test_arrays_of_one_library_come_back_themselves():
    first, second = np.ones(2, np.float32), np.ones(2)
    home, (one, two) = arranged(first, second)
    assert home is BACKENDS["numpy"]
    assert one is first
    assert two is second


def test_none_stays_none():
    home, arrays = arranged(np.ones(2), None, None)
    assert home is BACKENDS["numpy"]
    assert arrays[1:] == [None, None]


@pytest.mark.parametrize("name", ["torch", "jax", "strict", "dask"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_take_library_and_dtype_of_the_array_beside_them(name, dtype):
    pytest.importorskip({"strict": "array_api_strict", "dask": "dask.array"}.get(name, name))
    lib = BACKENDS[name]
    array = lib.asarray(np.ones(2), dtype)
    for position in range(2):
        values = [[0.5, 1.5], 2.5]
        values.insert(position, array)
        home, arrays = arranged(*values)
        assert home is lib
        assert names_of(lib, arrays) == [lib.dtype_name(array.dtype)] * 3
        assert arrays[position] is array
    np.testing.assert_array_equal(lib.to_numpy(arrays[0]), [0.5, 1.5])


def test_the_first_floating_array_decides():
    whole, half, double = np.ones(2, np.int8), np.ones(2, np.float16), np.ones(2)
    assert arrange([0.5, whole, half, double], "abcd")[1][0].dtype == np.float16
    assert arrange([whole, double, half, 0.5], "abcd")[1][3].dtype == np.float64
    assert arrange([whole, 0.5], "ab")[1][1].dtype == np.float64


def test_bfloat16_is_a_floating_dtype_to_follow():
    torch = pytest.importorskip("torch")
    _, arrays = arranged(torch.ones(2, dtype=torch.bfloat16), [0.5, 0.25])
    assert arrays[1].dtype == torch.bfloat16


def test_integers_and_booleans_stay_what_they_are():
    home, arrays = arranged(np.ones(2, np.float32), [1, 0], [True, False])
    assert names_of(home, arrays) == ["float32", "int64", "bool"]


def test_lists_alone_go_to_the_default_backend_in_its_default_dtype():
    torch = pytest.importorskip("torch")
    home, arrays = arranged([0.5, 1.0], 2)
    assert home is BACKENDS["numpy"]
    assert names_of(home, arrays) == ["float64", "int64"]
    with use_backend("torch"):
        home, arrays = arranged([0.5, 1.0], 2)
    assert home is BACKENDS["torch"]
    assert [array.dtype for array in arrays] == [torch.float32, torch.int64]


@pytest.mark.parametrize("single", [np.float64(0.5), np.asarray(0.5)])
def test_single_numbers_of_numpy_follow_like_python_numbers(single):
    torch = pytest.importorskip("torch")
    home, arrays = arranged(single, torch.ones(2))
    assert home is BACKENDS["torch"]
    assert arrays[0].dtype == torch.float32
    assert arrays[0].item() == 0.5
    home, arrays = arranged(single, np.ones(2, np.float32))
    assert names_of(home, arrays) == ["float64", "float32"]


def test_what_offers_array_follows_but_keeps_its_dtype_where_nothing_decides():
    torch = pytest.importorskip("torch")

    class Column:
        dtype = np.dtype("float64")

        def __array__(self, dtype=None, copy=None):
            return np.asarray([0.5, 1.0])

    home, arrays = arranged(torch.ones(2), Column())
    assert home is BACKENDS["torch"]
    assert arrays[1].dtype == torch.float32
    assert arranged(torch.ones(2, dtype=torch.int32), Column())[1][1].dtype == torch.float64
    assert arranged(Column())[1][0].tolist() == [0.5, 1.0]


# ---------------------------------------------------------------------------------- devices
def test_lists_go_to_the_device_of_the_arrays():
    strict = pytest.importorskip("array_api_strict")
    there = strict.Device("device1")
    array = strict.ones(2, device=there)
    home, arrays = arranged([0.5, 1.0], array, 3)
    assert home is BACKENDS["strict"]
    assert [item.device for item in arrays] == [there] * 3
    assert arrays[1] is array
    small = strict.ones(2, dtype=strict.int32, device=strict.Device("no_x64"))
    assert names_of(home, arranged(small, [0.5], [1])[1]) == ["int32", "float32", "int32"]


def test_lists_go_to_the_device_of_torch_tensors():
    torch = pytest.importorskip("torch")
    _, arrays = arranged(torch.ones(2, device="meta"), [0.5, 1.0], torch.tensor(2.0))
    assert [array.device.type for array in arrays] == ["meta"] * 3


def test_two_devices_are_an_error_with_and_without_backend():
    strict = pytest.importorskip("array_api_strict")
    pair = strict.ones(2), strict.ones(2, device=strict.Device("device1"))
    for backend in (None, "strict"):
        with pytest.raises(BackendError, match=r"mixed devices: predictions is on .*targets is on"):
            arranged(*pair, backend=backend)


def test_backend_keeps_the_device_of_arrays_already_there():
    strict = pytest.importorskip("array_api_strict")
    there = strict.Device("device2")
    array = strict.ones(2, device=there)
    _, arrays = arranged(np.ones(2), array, [1.0], backend="strict")
    assert arrays[1] is array
    assert [item.device for item in arrays] == [there] * 3


def test_jax_tracers_follow_nobody_and_lists_follow_them():
    jax = pytest.importorskip("jax")

    @jax.jit
    def formula(x):
        home, (one, two, three) = arranged(x, [0.5, 1.0], jax.numpy.ones(2))
        assert home is BACKENDS["jax"]
        assert one is x
        return (one * two + three).astype("float32")

    single = jax.numpy.asarray([1.0, 2.0], dtype="float32")
    assert formula(single).tolist() == [1.5, 3.0]
    elsewhere = jax.device_put(single, jax.devices()[0])
    assert arranged(elsewhere, single)[1][0] is elsewhere


# ---------------------------------------------------------------------------------- backend=
@pytest.mark.parametrize("name", ["numpy", "torch", "jax", "strict", "dask"])
def test_backend_moves_everything(name):
    torch = pytest.importorskip("torch")
    pytest.importorskip({"strict": "array_api_strict", "dask": "dask.array"}.get(name, name))
    whole = torch.asarray([1, 2])
    home, arrays = arranged(np.ones(2, np.float32), whole, [0.5, 1.0], backend=name)
    assert home is BACKENDS[name]
    assert all(home.owns(type(array)) for array in arrays)
    assert names_of(home, arrays)[::2] == ["float32", "float32"]
    np.testing.assert_array_equal(home.to_numpy(arrays[1]), [1, 2])


def test_backend_must_be_a_known_name():
    with pytest.raises(BackendError, match='did you mean "torch"'):
        arranged(np.ones(2), backend="pytorch")


# ---------------------------------------------------------------------------------- errors
def test_mixture_without_backend_is_an_error_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(BackendError, match="predictions is a NumPy array, targets is a PyTorch"):
        arranged(np.ones(2), torch.ones(2))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ([[1.0], [1.0, 2.0]], ShapeError, "targets: expected rows of equal length"),
        ("text", DTypeError, "targets: expected an array, a number or a nested list of numbers"),
        ({"a": 1}, DTypeError, "targets: .*got dict"),
        (["a"], DTypeError, "targets: expected numbers, got a list"),
        (
            np.asarray(["a"]),
            DTypeError,
            "targets: expected numbers, got a NumPy array of dtype <U1",
        ),
    ],
)
def test_bad_values_are_errors_by_name(value, error, text):
    with pytest.raises(error, match=text):
        arranged(np.ones(2), value)


def test_arrays_of_unknown_libraries_are_not_converted_in_silence():
    class Foreign:
        def __array_namespace__(self, api_version=None):
            return np

        def __array__(self, dtype=None, copy=None):
            return np.ones(2)

    with pytest.raises(BackendError, match=r"targets: .*Foreign is an array of a library without"):
        arranged(np.ones(2), Foreign())


def test_names_must_match_the_values():
    with pytest.raises(ValueError, match="shorter"):
        arrange([np.ones(2), np.ones(2)], ["predictions"])


def test_jax_brings_uncommitted_and_sharded_arrays_together_itself():
    pytest.importorskip("jax")
    code = (
        "import jax, numpy as np\n"
        "from jax.sharding import NamedSharding, PartitionSpec\n"
        "from tensorweaver.backends import arrange\n"
        "from tensorweaver.errors import BackendError\n"
        "first, second = jax.devices()\n"
        "free, here = jax.numpy.ones(2), jax.device_put(np.ones(2), first)\n"
        "there = jax.device_put(np.ones(2), second)\n"
        "print([x.device.id for x in arrange([free, there, [1.0]], 'abc')[1]])\n"
        "try: arrange([here, there], 'ab')\n"
        "except BackendError as error: print(str(error).startswith('mixed devices: a is on'))\n"
        "mesh = jax.make_mesh((2,), ('i',))\n"
        "both = jax.device_put(np.ones(2), NamedSharding(mesh, PartitionSpec('i')))\n"
        "print(arrange([both, free, 0.5], 'abc')[1][0] is both)\n"
    )
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    environment["JAX_PLATFORMS"] = "cpu"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert run.stdout.splitlines() == ["[1, 1, 1]", "True", "True"], run.stderr
