"""Labels are looked at inside the kernel: strangers among them are found, whatever came before."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.loss.fused_plan import FusedPlan
from tests.helpers.compare import assert_close

SHAPES = {"few classes": (40, 5), "classes": (40, 300), "a large array": (5000, 20)}


@pytest.fixture(autouse=True)
def unknown():
    """No plan of an earlier test is there."""
    tw.cross_entropy_loss.forget()


@pytest.fixture(params=SHAPES)
def arrays(request, rng):
    rows, classes = SHAPES[request.param]
    x = rng.standard_normal((rows, classes)).astype("float32")
    return x, rng.integers(0, classes, rows)


CALLS: dict[str, Any] = {
    "value": tw.cross_entropy_loss,
    "value and gradient": tw.cross_entropy_loss.value_and_grad,
    "gradient": tw.cross_entropy_loss.grad,
}


def with_label(labels, place, label):
    changed = labels.copy()
    changed[place] = label
    return changed


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("bad", [-1, "classes", 2**40, -(2**60)])
def test_a_stranger_is_named_at_the_first_call_and_later(name, bad, arrays, engine):
    x, labels = arrays
    bad = x.shape[1] if bad == "classes" else bad
    call = CALLS[name]
    for known in (False, True):
        if known:
            call(x, labels)
        with pytest.raises(tw.LabelError, match=rf"targets\[7\] is {bad}, but the"):
            call(x, with_label(labels, 7, bad))
    call(x, labels)


def test_nothing_is_written_where_a_label_is_bad(arrays, engine):
    x, labels = arrays
    out = np.full_like(x, 7)
    tw.cross_entropy_loss.value_and_grad(x, labels)
    with pytest.raises(tw.LabelError):
        tw.cross_entropy_loss.value_and_grad(x, with_label(labels, 3, -1), out=out)
    assert (out == 7).all()


def test_strided_rows_too_long_to_copy(engine, rng):
    x = rng.standard_normal((2, 2 << 18)).astype("float32")[:, ::2]
    labels = np.array([1, x.shape[1] - 1])
    value, gradient = tw.cross_entropy_loss.value_and_grad(x, labels)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    for bad in (x.shape[1], -5):
        with pytest.raises(tw.LabelError, match=rf"targets\[1\] is {bad}"):
            tw.cross_entropy_loss.value_and_grad(x, with_label(labels, 1, bad))
        with pytest.raises(tw.LabelError, match=rf"targets\[1\] is {bad}"):
            tw.cross_entropy_loss(x, with_label(labels, 1, bad))


@pytest.mark.parametrize("name", ["value", "value and gradient"])
def test_labels_to_ignore(name, arrays, engine):
    x, labels = arrays
    call = CALLS[name]
    some = with_label(labels, slice(0, 10), -100)
    expected = call(x[10:].copy(), labels[10:])
    for _ in range(3):
        found = call(x, some)
        if name == "value":
            assert_close(found, expected)
        else:
            assert_close(found[0], expected[0])
            assert not found[1][:10].any()
            assert_close(found[1][10:], expected[1])
        again = call(x, labels)
        assert (again if name == "value" else again[0]) == tw.cross_entropy_loss(x, labels)


def test_where_labels_are_ignored_nothing_is_computed_twice(arrays, engine, monkeypatch):
    x, labels = arrays
    runs = []
    original = FusedPlan.compute

    def counted(self, kernel, *arguments):
        runs.append(kernel)
        return original(self, kernel, *arguments)

    def kernels(labels):
        runs.clear()
        tw.cross_entropy_loss.value_and_grad(x, labels)
        return len(runs)

    monkeypatch.setattr(FusedPlan, "compute", counted)
    some = with_label(labels, 0, -100)
    assert kernels(labels) == 1
    in_vain = engine == "llvm"  # labels were taken for classes
    assert kernels(some) == in_vain + 2  # the count and the gradient
    assert kernels(some) == 2
    assert kernels(labels) == 1


# ------------------------------------------------------------------------- the short way
def test_the_short_way_is_for_arrays_that_lie_like_those_seen_first(engine, rng):
    x = rng.standard_normal((40, 10)).astype("float32")
    labels = rng.integers(0, 5, 40)
    expected = tw.cross_entropy_loss(x[:, :5].copy(), labels)
    assert len(tw.cross_entropy_loss.shortcuts) == 1
    read_only = x[:, :5].copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"." + x[:, :5].tobytes(), "float32", offset=1).reshape(40, 5)
    for other in (x[:, :5], np.asfortranarray(x[:, :5]), read_only, unaligned):
        assert tw.cross_entropy_loss(other, labels) == expected
    assert tw.cross_entropy_loss(read_only, np.repeat(labels, 2)[::2]) == expected
    assert len(tw.cross_entropy_loss.shortcuts) == 1


def test_the_short_way_is_that_of_the_chosen_engine(rng):
    x, labels = rng.standard_normal((40, 5)).astype("float32"), rng.integers(0, 5, 40)
    for name in ("interpret", "blocks", "interpret", None):
        tw.set_engine(name)
        tw.cross_entropy_loss(x, labels)
    chosen = [key[0] for key in tw.cross_entropy_loss.shortcuts]
    assert chosen == ["interpret", "blocks", None]


@pytest.mark.parametrize("other", [[0, 1], (0, 1), np.array([0, 1], "uint8"), np.array([0.5, 1])])
def test_what_is_no_pair_of_known_arrays_goes_the_long_way(other, engine):
    x = np.array([[1.0, 2.0], [3.0, 0.0]], "float32")
    expected = tw.mse_loss(x, np.array([[0.0, 0.0], [1.0, 1.0]], "float32"))
    assert tw.mse_loss(x, [[0.0, 0.0], [1.0, 1.0]]) == expected
    labels = np.asarray(other)
    if labels.dtype.kind == "f":
        with pytest.raises(tw.TensorWeaverError, match="cross_entropy_loss"):
            tw.cross_entropy_loss(x, other)
    else:
        value = tw.cross_entropy_loss(x, labels.astype("int64"))
        assert tw.cross_entropy_loss(x, other) == value
