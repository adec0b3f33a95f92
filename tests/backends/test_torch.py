"""PyTorch: the tape, and tensors that hold no numbers."""

import numpy as np
import pytest

from tensorweaver.backends import BACKENDS, available_backends
from tensorweaver.errors import BackendError


def test_torch_tape_is_kept_inside_and_cut_on_leaving():
    torch = pytest.importorskip("torch")
    lib = BACKENDS["torch"]
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    assert lib.asarray(leaf) is leaf
    lib.astype(leaf, "float64").sum().backward()
    assert leaf.grad.tolist() == [1.0, 1.0]
    assert not lib.stop_gradient(leaf).requires_grad
    np.testing.assert_array_equal(lib.to_numpy(leaf * 2), [2.0, 4.0])
    for name in set(available_backends()) - {"torch", "cupy"}:
        moved = BACKENDS[name].asarray(leaf)
        np.testing.assert_array_equal(BACKENDS[name].to_numpy(moved), [1.0, 2.0])


def test_torch_concrete_only_for_plain_cpu_tensors():
    torch = pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode

    lib = BACKENDS["torch"]
    special = type("Special", (torch.Tensor,), {})
    assert lib.concrete(torch.ones(2, requires_grad=True))
    assert lib.concrete(torch.nn.Parameter(torch.ones(2)))
    with FakeTensorMode():
        fake = torch.ones(2)
    abstract = [fake, torch.ones(2, device="meta")]
    for array in [*abstract, torch.ones(2).as_subclass(special)]:
        assert not lib.concrete(array)
    for array in abstract:
        with pytest.raises(BackendError, match="no numbers that could leave PyTorch"):
            BACKENDS["numpy"].asarray(array)


def test_torch_wrappers_of_transformations_stay_inside():
    torch = pytest.importorskip("torch")
    lib = BACKENDS["torch"]
    seen = []

    def formula(x):
        seen.append(lib.concrete(x))
        with pytest.raises(BackendError, match="no numbers that could leave PyTorch"):
            lib.to_numpy(x)
        return lib.astype(lib.asarray(x), "float64").sum()

    torch.func.vmap(formula)(torch.ones(2, 3))
    torch.func.grad(formula)(torch.ones(3))
    assert seen == [False, False]
