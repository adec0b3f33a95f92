"""Whose array is it, which libraries are there, and what is said where one is missing."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tensorweaver.backends import (
    BACKENDS,
    array_namespace,
    available_backends,
    backend_of,
    get_backend,
)
from tensorweaver.backends.backend import LIBRARY_OF, Libraries
from tensorweaver.errors import BackendError, BackendUnavailableError

NAMES = ("predictions", "targets")


def make(name):
    """One small float array of the library; skips where it is not installed."""
    if name == "numpy":
        return np.asarray([1.0, 2.0])
    if name == "strict":
        return pytest.importorskip("array_api_strict").asarray([1.0, 2.0])
    if name == "torch":
        return pytest.importorskip("torch").tensor([1.0, 2.0])
    if name == "jax":
        return pytest.importorskip("jax").numpy.asarray([1.0, 2.0])
    return pytest.importorskip("dask.array").from_array(np.asarray([1.0, 2.0]))


LIBRARIES = ("numpy", "torch", "jax", "dask", "strict")


# ---------------------------------------------------------------------------------- recognition
@pytest.mark.parametrize("name", LIBRARIES)
def test_array_is_recognised_as_its_librarys_own(name):
    array = make(name)
    owners = [backend.name for backend in BACKENDS.values() if backend.owns(type(array))]
    assert owners == [name]
    assert backend_of(array) is BACKENDS[name]
    assert backend_of([1.0], array, 2, None) is BACKENDS[name]


def test_cupy_class_is_recognised_without_a_gpu():
    cupy = pytest.importorskip("cupy")
    assert BACKENDS["cupy"].owns(cupy.ndarray)


@pytest.mark.parametrize("value", [1, 2.0, True, None, [1.0], (1, 2), "text", {"a": 1}, object()])
def test_plain_values_belong_to_nobody(value):
    assert backend_of(value) is None
    assert backend_of(value, np.ones(2)) is BACKENDS["numpy"]


def test_no_values_have_no_backend():
    assert backend_of() is None


def test_subclasses_belong_to_the_library_of_their_base():
    torch = pytest.importorskip("torch")

    class Special(np.ndarray):
        pass

    assert backend_of(np.ones(2).view(Special)) is BACKENDS["numpy"]
    assert backend_of(torch.nn.Parameter(torch.ones(2))) is BACKENDS["torch"]


def test_numpy_scalars_are_numpy():
    assert backend_of(np.float32(3)) is BACKENDS["numpy"]
    assert backend_of(np.float32(3), np.ones(2)) is BACKENDS["numpy"]


def test_jax_tracers_are_jax_under_every_transformation():
    jax = pytest.importorskip("jax")
    seen = []

    def formula(x):
        seen.append(backend_of(x, 1.0))
        assert array_namespace(x) is jax.numpy
        return x.sum()

    jax.jit(formula)(jax.numpy.ones(3))
    jax.grad(formula)(jax.numpy.ones(3))
    jax.vmap(formula)(jax.numpy.ones((2, 3)))
    assert seen == [BACKENDS["jax"]] * 3


def test_memory_of_classes_is_bounded_and_right_after_it_was_cleared():
    libraries = Libraries()
    for position in range(libraries.limit + 5):
        assert libraries[type(f"Class{position}", (), {})] is None
        assert len(libraries) <= libraries.limit
    assert libraries[np.ndarray] is BACKENDS["numpy"]


def test_recognition_asks_a_class_once(monkeypatch):
    asked = []
    backend = BACKENDS["strict"]

    def owns(_, cls):
        asked.append(cls)
        return False

    monkeypatch.setattr(type(backend), "owns", owns)
    fresh = type("Fresh", (), {})
    assert backend_of(fresh(), fresh()) is None
    assert backend_of(fresh()) is None
    assert asked == [fresh]
    LIBRARY_OF.pop(fresh)


# ---------------------------------------------------------------------------------- mixtures
@pytest.mark.parametrize("name", ["torch", "jax", "dask", "strict"])
def test_two_libraries_are_an_error_that_names_both_and_the_remedy(name):
    with pytest.raises(BackendError) as caught:
        backend_of(np.ones(2), make(name), names=NAMES)
    text = str(caught.value)
    assert "predictions is a NumPy array" in text
    article = "an" if name == "strict" else "a"
    assert f"targets is {article} {BACKENDS[name].label} array" in text
    assert f'pass backend="numpy" or backend="{name}" to move both' in text


def test_without_names_arguments_are_counted_from_one():
    with pytest.raises(BackendError, match=r"argument 1 is a NumPy array, argument 3 is a PyTorch"):
        backend_of(np.ones(2), [1], make("torch"))


@pytest.mark.parametrize("single", [np.float64(3.0), np.asarray(3.0)])
@pytest.mark.parametrize("name", ["torch", "jax", "dask", "strict"])
def test_single_numbers_of_numpy_are_no_mixture(name, single):
    array = make(name)
    assert backend_of(single, array) is BACKENDS[name]
    assert backend_of(array, single) is BACKENDS[name]


def test_a_single_number_hides_no_real_mixture():
    with pytest.raises(BackendError, match="argument 2 is a NumPy array, argument 3 is a PyTorch"):
        backend_of(np.float64(3.0), np.ones(2), make("torch"))


def test_two_devices_of_one_library_are_an_error_that_names_both():
    strict = pytest.importorskip("array_api_strict")
    here = strict.asarray([1.0])
    there = strict.asarray([1.0], device=strict.Device("device1"))
    with pytest.raises(BackendError, match=r"predictions is on .*CPU.*, targets is on .*device1"):
        backend_of(here, there, names=NAMES)
    assert backend_of(there, there) is BACKENDS["strict"]


def test_torch_numbers_on_the_cpu_mix_with_any_device():
    torch = pytest.importorskip("torch")
    there = torch.ones(2, device="meta")
    assert backend_of(torch.tensor(1.0), there) is BACKENDS["torch"]
    with pytest.raises(BackendError, match="argument 1 is on cpu, argument 2 is on meta"):
        backend_of(torch.ones(2), there)


# ---------------------------------------------------------------------------------- names
def test_order_of_backends_is_fixed():
    assert tuple(BACKENDS) == ("numpy", "cupy", "torch", "jax", "dask", "strict")
    assert all(backend.name == name for name, backend in BACKENDS.items())


def test_get_backend_gives_the_one_instance():
    assert get_backend("numpy") is BACKENDS["numpy"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("cupi", "cupy"), ("CuPy", "cupy"), ("pytorch", "torch"), ("NUMPY", "numpy")],
)
def test_unknown_name_lists_the_known_and_suggests(wrong, right):
    with pytest.raises(BackendError, match=f'did you mean "{right}"') as caught:
        get_backend(wrong)
    assert "numpy, cupy, torch, jax, dask, strict" in str(caught.value)
    assert not isinstance(caught.value, BackendUnavailableError)


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(BackendError, match=r"known are .*strict$"):
        get_backend("tensorflow-serving")


def hide(monkeypatch, package):
    monkeypatch.delitem(sys.modules, package, raising=False)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "tensorweaver.backends.importing.find_spec",
        lambda name: None if name == package else found(name),
    )


@pytest.mark.parametrize(
    ("name", "package", "remedy"),
    [
        ("torch", "torch", "pip install torch"),
        ("jax", "jax", "pip install jax"),
        ("dask", "dask", 'pip install "tensorweaver[dask]"'),
        ("strict", "array_api_strict", "pip install array-api-strict"),
        ("cupy", "cupy", 'pip install "tensorweaver[cuda13]" (or "tensorweaver[cuda12]"'),
    ],
)
def test_missing_library_says_what_to_install(monkeypatch, name, package, remedy):
    hide(monkeypatch, package)
    with pytest.raises(BackendUnavailableError, match="is not installed") as caught:
        get_backend(name)
    assert remedy in str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert name not in available_backends()
    assert "numpy" in available_backends()


def test_available_backends_are_usable_ones_in_order():
    names = available_backends()
    assert names[0] == "numpy"
    assert list(names) == [name for name in BACKENDS if name in names]
    for name in names:
        assert get_backend(name).namespace().asarray([1.0]).shape == (1,)


# ---------------------------------------------------------------------------------- start-up
def test_importing_loads_numpy_and_the_compatibility_layer_at_most():
    check = (
        "import sys\n"
        "import tensorweaver.backends as b\n"
        "b.backend_of(b.arrange([[1.0], 2], ['a', 'b'])[1][0])\n"
        "b.array_namespace(1.0)\n"
        "heavy = 'torch jax jaxlib cupy dask array_api_strict'.split()\n"
        "heavy += 'numba scipy pandas matplotlib'.split()\n"
        "heavy += ['array_api_compat.torch', 'array_api_compat.cupy', 'array_api_compat.dask']\n"
        "print(sorted(name for name in heavy if name in sys.modules))\n"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
