"""Recording, walking back, and what is refused."""

import asyncio
import copy
import gc
import math
import pickle
import threading
import weakref

import numpy as np
import pytest

from tensorweaver.errors import ArgumentError, BackendError, DTypeError, ShapeError
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import is_grad_enabled, no_grad
from tests.helpers.compare import assert_close


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


def test_only_what_depends_on_a_tracked_tensor_is_recorded():
    x, c = leaf(1.0, 2.0), Tensor([3.0, 4.0])
    assert (x * c).requires_grad
    assert not (c * c).requires_grad
    assert not (x > c).requires_grad
    assert not x.detach().requires_grad
    assert not x.argmax().requires_grad


def test_gradients_accumulate_until_forgotten():
    x = leaf(1.0, 2.0)
    (x * 3.0).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    assert first.tolist() == [3.0, 3.0]
    x.zero_grad()
    assert x.grad is None


def test_gradients_of_two_leaves_share_no_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward()
    x.grad *= 100.0
    assert y.grad.tolist() == [1.0, 1.0]


def test_a_gradient_may_be_written_to():
    x = leaf(1.0, 2.0)
    x.sum().backward()
    x.grad -= 1.0
    assert x.grad.tolist() == [0.0, 0.0]


def test_a_value_used_twice_collects_both_ways():
    x = leaf(3.0)
    y = x * x
    (y * y + y).sum().backward()
    assert x.grad.tolist() == [4 * 27.0 + 6.0]


def test_broadcast_gradients_have_the_shape_of_their_leaf():
    a = Tensor(np.ones((3, 1)), requires_grad=True)
    b = Tensor(np.full((4,), 2.0), requires_grad=True)
    c = Tensor(5.0, requires_grad=True)
    (a * b * c).sum().backward()
    assert_close(a.grad, np.full((3, 1), 40.0))
    assert_close(b.grad, np.full((4,), 15.0))
    assert_close(c.grad, np.array(24.0))


def test_an_empty_axis_broadcasts_to_a_zero_gradient():
    a = Tensor(np.ones((1, 3)), requires_grad=True)
    (a * Tensor(np.ones((0, 3)))).sum().backward()
    assert_close(a.grad, np.zeros((1, 3)))


def test_mixed_dtypes_give_each_leaf_its_own():
    single = Tensor(np.ones(2, np.float32), requires_grad=True)
    double = Tensor(np.ones(2), requires_grad=True)
    (single * double).sum().backward()
    assert single.grad.dtype == np.float32
    assert double.grad.dtype == np.float64


def test_backward_of_a_leaf_itself():
    x = leaf(2.0)
    x.backward()
    assert x.grad.tolist() == [1.0]


def test_backward_takes_a_gradient():
    x = leaf(1.0, 2.0)
    y = x * x
    y.backward(Tensor([10.0, 100.0]))
    assert x.grad.tolist() == [20.0, 400.0]
    (x * x).backward([1.0, 1.0])
    assert x.grad.tolist() == [22.0, 404.0]


def test_steps_give_a_leaf_a_zero_gradient():
    x = leaf(1.5, -2.5)
    y = leaf(1.0, 1.0)
    (Tensor.__array_namespace__(x).floor(x) * y).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    assert y.grad.tolist() == [1.0, -3.0]


def test_second_backward_is_refused_with_the_remedy():
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(ArgumentError, match="retain_graph=True"):
        y.backward()
    assert x.grad.tolist() == [2.0]


def test_a_part_of_a_freed_graph_is_refused_and_changes_nothing():
    x = leaf(1.0)
    shared = x * x
    shared.sum().backward()
    with pytest.raises(ArgumentError, match="freed"):
        (shared * x).sum().backward()
    assert x.grad.tolist() == [2.0]


def test_retain_graph():
    x = leaf(1.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0]


def test_refusals():
    x = leaf(1.0, 2.0)
    with pytest.raises(ShapeError, match=r"shape \(2,\) needs a gradient"):
        (x * 2).backward()
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\), the tensor \(2,\)"):
        (x * 2).backward([1.0, 1.0, 1.0])
    with pytest.raises(BackendError, match="gradient is a PyTorch array"):
        (x * 2).backward(pytest.importorskip("torch").ones(2))
    with pytest.raises(ArgumentError, match="requires_grad=True"):
        Tensor([1.0]).sum().backward()
    with pytest.raises(DTypeError, match="floating-point"):
        Tensor([1, 2], requires_grad=True)
    with pytest.raises(DTypeError, match="complex"):
        Tensor([1j], requires_grad=True)
    with pytest.raises(ArgumentError, match="detach"):
        (x * 2).requires_grad = False


def test_requires_grad_may_be_switched_on_a_leaf():
    x = Tensor([1.0])
    x.requires_grad = True
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0]
    x.requires_grad = False
    assert not (x * 2).requires_grad


# ------------------------------------------------------------ depth
def test_a_chain_of_ten_thousand_steps():
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y + x * 1e-4
    y.sum().backward()
    assert_close(x.grad, np.array([2.0]), rtol=1e-9)


def test_a_long_chain_is_collected_without_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(200_000):
        y = y * 1.0
    watched = weakref.ref(y)
    del y
    gc.collect()
    assert watched() is None


def test_the_graph_is_freed_by_backward():
    x = leaf(1.0)
    y = x * 2.0
    watched = weakref.ref(y)
    z = y.sum()
    del y
    assert watched() is not None
    z.backward()
    assert watched() is None


def test_the_order_of_additions_is_fixed():
    def gradient():
        x = leaf(0.1, 0.7)
        parts = [x * factor for factor in (1e-9, 1.0, 1e9, math.pi, 1 / 3)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part * total
        total.sum().backward()
        return x.grad.tobytes()

    assert len({gradient() for _ in range(20)}) == 1


# ------------------------------------------------------------ no_grad
def test_no_grad_blocks_and_functions():
    x = leaf(1.0)
    with no_grad():
        assert not is_grad_enabled()
        assert not (x * 2).requires_grad
        with no_grad():
            pass
        assert not is_grad_enabled()
    assert is_grad_enabled()

    @no_grad()
    def double(value):
        return value * 2

    assert not double(x).requires_grad
    assert not double(x).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), no_grad():
        _ = 1 / 0
    assert is_grad_enabled()


def test_no_grad_does_not_disturb_other_threads():
    x = leaf(1.0)
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def quiet():
        with no_grad():
            inside.set()
            leave.wait(10)
            seen.append((x * 2).requires_grad)

    thread = threading.Thread(target=quiet)
    thread.start()
    assert inside.wait(10)
    assert (x * 2).requires_grad
    leave.set()
    thread.join()
    assert seen == [False]


def test_no_grad_does_not_disturb_other_tasks():
    x = leaf(1.0)

    async def quiet(entered):
        with no_grad():
            entered.set()
            await asyncio.sleep(0.01)
            return (x * 2).requires_grad

    async def loud(entered):
        await entered.wait()
        return (x * 2).requires_grad

    async def both():
        entered = asyncio.Event()
        return await asyncio.gather(quiet(entered), loud(entered))

    assert asyncio.run(both()) == [False, True]


# ------------------------------------------------------------ steps of one's own
def test_record(to_array):
    x = Tensor(to_array([1.0, 2.0]), requires_grad=True)
    scale = Tensor(to_array([3.0]), requires_grad=True)
    y = Tensor.record(x.data * 5.0, [x, scale], lambda g: (g * 5.0, None))
    assert isinstance(y, Tensor)
    y.sum().backward()
    assert_close(x.grad, [5.0, 5.0], like=x.data)
    assert_close(scale.grad, [0.0], like=scale.data)


def test_record_fits_shapes_and_dtypes():
    x = Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    y = Tensor.record(np.ones((3, 2)), [x], lambda g: [g])
    y.sum().backward()
    assert_close(x.grad, np.full((1, 2), 3.0, np.float32))
    x.zero_grad()
    Tensor.record(np.ones(()), [x], lambda _: [2.0]).backward()
    assert_close(x.grad, np.full((1, 2), 2.0, np.float32))


def test_record_without_need_records_nothing():
    x = Tensor([1.0])
    assert not Tensor.record(x.data, [x], lambda g: [g]).requires_grad
    with no_grad():
        assert not Tensor.record(x.data, [leaf(1.0)], lambda g: [g]).requires_grad
    with pytest.raises(DTypeError, match="list"):
        Tensor.record([1.0], [x], lambda g: [g])


# ------------------------------------------------------------ data
def test_data_is_assigned_in_place_of_the_old(to_array):
    w = Tensor(to_array([1.0, 2.0], writable=True), requires_grad=True)
    (w * w).sum().backward()
    w.data = w.data - 0.5 * w.grad
    assert_close(w.data, [0.0, 0.0], dtype="float64")
    assert w.requires_grad


def test_data_of_no_axes_stays_an_array():
    w = Tensor(1.0, requires_grad=True)
    (w * 3).backward()
    w.data -= 0.1 * w.grad
    assert isinstance(w.data, np.ndarray)
    assert isinstance(w.grad, np.ndarray)
    assert_close(w.data, np.array(0.7))


def test_data_keeps_shape_library_and_dtype():
    torch = pytest.importorskip("torch")
    w = Tensor(np.ones(2, np.float32))
    with pytest.raises(ShapeError, match=r"\(2,\), got \(3,\)"):
        w.data = np.ones(3)
    with pytest.raises(BackendError, match="NumPy"):
        w.data = torch.ones(2)
    w.data = np.zeros(2)
    assert w.data.dtype == np.float32


def test_copies_and_pickles_are_leaves():
    x = leaf(1.0)
    x.grad = np.array([7.0])
    y = x * 2
    unpickled = pickle.loads(pickle.dumps(y))  # noqa: S301 - our own bytes
    for copied in (copy.deepcopy(y), unpickled):
        assert copied.data.tolist() == [2.0]
        (copied * 3).sum().backward()
        assert copied.grad.tolist() == [3.0]
    twin = copy.deepcopy(x)
    assert twin.grad.tolist() == [7.0]
    assert twin.data is not x.data


def test_moving_to_another_library_and_back():
    pytest.importorskip("torch")
    x = leaf(1.0, 2.0)
    there = x.to("torch")
    assert there.backend == "torch"
    assert there.requires_grad
    (there * there).sum().to("numpy").backward()
    assert_close(x.grad, np.array([2.0, 4.0]))
    assert x.to("numpy") is x


def test_torch_autograd_is_not_involved():
    torch = pytest.importorskip("torch")
    source = torch.tensor([2.0], requires_grad=True)
    x = Tensor(source, requires_grad=True)
    (x * x).sum().backward()
    assert source.grad is None
    assert x.grad.tolist() == [4.0]
    assert not x.grad.requires_grad
