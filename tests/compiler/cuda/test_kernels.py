"""Kernels run on the CPU: every size, dtype and layout against NumPy's own functions."""

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.backends import BACKENDS
from tensorweaver.compiler.cuda import ways
from tests.helpers.arrays import numpy_bfloat16
from tests.helpers.compare import assert_close
from tests.helpers.cuda_engine import Launcher, computed_by_kernels
from tests.helpers.cuda_on_cpu import far_apart
from tests.loss.cases import CASES
from tests.loss.engines.calls import (
    KINDS,
    REAL_DTYPES,
    ask,
    assert_agree,
    bits,
    in_dtype,
    tiled,
)

ODD = (1, 31, 33, 255, 257)
LONG = 40_000


def rows(rng, count, classes, dtype="float32"):
    """Logits and labels."""
    target = numpy_bfloat16() if dtype == "bfloat16" else np.dtype(dtype)
    return (3 * rng.normal(size=(count, classes))).astype(target), rng.integers(0, classes, count)


def by_numpy(loss, arrays, options=None, kind="value and gradient"):
    """The answer of NumPy's functions, one after the other."""
    tw.set_engine("interpret")
    return ask(kind, loss, arrays, dict(options or {}))


def by_kernels(loss, arrays, options=None, kind="value and gradient", launcher=None):
    """The answer of the kernels."""
    with computed_by_kernels(launcher):
        return ask(kind, loss, arrays, dict(options or {}))


# ------------------------------------------------------------------------------ what is computed
def test_the_kernels_really_run(rng):
    with computed_by_kernels() as launcher:
        tw.mse_loss.value_and_grad(*rng.normal(size=(2, 100)))
        assert launcher.launches == {"pointwise": 1}
        tw.cross_entropy_loss.value_and_grad(*rows(rng, 300, 200))
    assert launcher.launches == {"pointwise": 1, "resident_rows": 1, "finish": 1}
    assert len(launcher.modules) == 2


def test_what_a_mean_counts_is_counted_where_the_losses_are_added_up(rng):
    logits, labels = rows(rng, 300, 200)
    labels[::3] = -100
    few, mask = logits[0], np.arange(200) % 7 != 0
    wanted = [by_numpy(tw.cross_entropy_loss, [logits, labels], kind="mean")]
    wanted.append(by_numpy(tw.mse_loss, [few, 2 * few], {"where": mask}, kind="mean"))
    wanted.append(by_numpy(tw.mse_loss, [few, 2 * few], {"where": ~mask & mask}, kind="mean"))
    with computed_by_kernels() as launcher:
        found = [tw.cross_entropy_loss(logits, labels)]
        assert launcher.launches == {"resident_rows": 1, "finish": 2}
        found.append(tw.mse_loss(few, 2 * few, where=mask))
        assert launcher.launches == {"resident_rows": 1, "finish": 2, "pointwise": 1}
        found.append(tw.mse_loss(few, 2 * few, where=~mask & mask))
    for got, (want,) in zip(found, wanted, strict=True):
        assert_close(got, want, rtol=1e-6)
    assert found[-1] == 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_and_all_that_is_asked_of_it(name, kind):
    case = CASES[name]
    arrays, options = tiled(case, "float32", 111)  # whole vectors, an end, and several blocks
    expected = by_numpy(case.loss, arrays, options, kind)
    assert_agree(by_kernels(case.loss, arrays, options, kind), expected, ulp=8.0, steps=8.0)


@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize("classes", [*ODD, LONG])
def test_odd_sizes_of_rows_in_every_dtype(classes, dtype, rng):
    arrays = rows(rng, 3, classes, dtype)
    expected = by_numpy(tw.cross_entropy_loss, arrays)
    assert_agree(by_kernels(tw.cross_entropy_loss, arrays), expected, ulp=8.0)


@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize("count", [*ODD, 5000])
def test_odd_numbers_of_elements_in_every_dtype(count, dtype, rng):
    target = numpy_bfloat16() if dtype == "bfloat16" else np.dtype(dtype)
    pair = rng.normal(size=(2, count)).astype(target)
    assert_agree(by_kernels(tw.huber_loss, pair), by_numpy(tw.huber_loss, pair))


@pytest.mark.parametrize("classes", [1, 10, 257])
def test_no_rows(classes):
    empty = np.zeros((0, classes), np.float32), np.zeros(0, int)
    value, gradient = by_kernels(tw.cross_entropy_loss, empty)
    assert value == 0
    assert gradient.shape == (0, classes)


@pytest.mark.parametrize("classes", [7, 257, LONG])
@pytest.mark.parametrize("targets", ["labels", "probabilities"])
def test_hostile_rows(classes, targets, rng):
    logits, labels = rows(rng, 8, classes)
    for row, value in enumerate((np.inf, -np.inf, np.nan, 3e38, -3e38, 1e4)):
        logits[row, rng.integers(0, classes, 3)] = value
    logits[6] = -np.inf
    logits[7] = np.linspace(-100, 100, classes)
    given = labels if targets == "labels" else (0.5 + rng.random(logits.shape)).astype(np.float32)
    expected = by_numpy(tw.cross_entropy_loss, (logits, given), {"reduction": "none"})
    found = by_kernels(tw.cross_entropy_loss, (logits, given), {"reduction": "none"})
    assert_agree(found, expected, ulp=16.0, steps=8.0)


# ------------------------------------------------------------------------------ short rows
@pytest.fixture
def staged(monkeypatch):
    """However few the rows, they go through shared memory if they can."""
    monkeypatch.setattr(ways, "STAGED_ROWS", 1)


@pytest.mark.usefixtures("staged")
@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize(("count", "classes"), [(33, 2), (257, 7), (128, 10), (300, 16)])
def test_short_rows_through_shared_memory(count, classes, dtype, rng):
    arrays = rows(rng, count, classes, dtype)
    arrays[1][::7] = -100
    expected = by_numpy(tw.cross_entropy_loss, arrays)
    launcher = Launcher(order=2, checked=True)
    found = by_kernels(tw.cross_entropy_loss, arrays, launcher=launcher)
    assert_agree(found, expected, ulp=8.0)
    too_many = (classes, dtype) == (16, "float64")  # for a thread's registers
    assert launcher.launches["staged_rows"] == (0 if too_many else 1)


@pytest.mark.usefixtures("staged")
def test_short_rows_of_two_arrays(rng):
    pair = list((0.1 + rng.random((2, 70, 10))).astype(np.float32))
    assert_agree(by_kernels(tw.kl_div_loss, pair), by_numpy(tw.kl_div_loss, pair), ulp=8.0)


@pytest.mark.usefixtures("staged")
def test_hostile_short_rows(rng):
    logits, labels = rows(rng, 40, 10)
    for row, value in enumerate((np.inf, -np.inf, np.nan, 3e38, -3e38, 1e4)):
        logits[row, rng.integers(0, 10, 3)] = value
    logits[6] = -np.inf
    logits[7] = np.linspace(-100, 100, 10)
    options = {"reduction": "none"}
    expected = by_numpy(tw.cross_entropy_loss, (logits, labels), options)
    found = by_kernels(tw.cross_entropy_loss, (logits, labels), options)
    assert_agree(found, expected, ulp=16.0, steps=8.0)


@pytest.mark.usefixtures("staged")
def test_short_rows_give_way_to_their_gradient(rng):
    logits, labels = rows(rng, 100, 10)
    expected = by_kernels(tw.cross_entropy_loss, (logits, labels))
    with computed_by_kernels(Launcher(order=3)):
        value, gradient = tw.cross_entropy_loss.value_and_grad(logits, labels, out=logits)
    assert bits([value, gradient]) == bits(expected)


# ------------------------------------------------------------------------------ where it lies
@pytest.mark.parametrize("classes", [7, 257, LONG])
@pytest.mark.parametrize("dtype", REAL_DTYPES)
def test_the_gradient_may_take_the_place_of_the_logits(classes, dtype, rng):
    logits, labels = rows(rng, 5, classes, dtype)
    expected = by_kernels(tw.cross_entropy_loss, (logits, labels))
    with computed_by_kernels(Launcher(order=3)):
        value, gradient = tw.cross_entropy_loss.value_and_grad(logits, labels, out=logits)
    assert gradient is logits
    assert bits([value, gradient]) == bits(expected)


def test_the_gradient_by_labels_alone_may_too(rng):
    logits, labels = rows(rng, 5, 257)
    losses = tw.nll_loss(logits.copy(), labels, reduction="none")
    for order in range(4):
        spoilt = logits.copy()
        with computed_by_kernels(Launcher(order=order)):
            value, _ = tw.nll_loss.value_and_grad(spoilt, labels, reduction="none", out=spoilt)
        assert_close(value, losses)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: x[:, 1:],
        lambda x: x[:, ::3],
        lambda x: x[::-1, ::-1],
        np.asfortranarray,
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: x.astype(">f4"),
    ],
)
@pytest.mark.parametrize("loss", [tw.kl_div_loss, tw.mse_loss])
def test_every_layout(view, loss, rng):
    pair = (0.1 + rng.random((2, 40, 33))).astype(np.float32)
    arrays = [view(pair[0]), view(pair[1]).copy()]
    assert_agree(by_kernels(loss, arrays), by_numpy(loss, arrays))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_every_axis(axis, rng):
    logits = rng.normal(size=(5, 6, 7, 8))[::2, ::2].astype(np.float32)
    labels = rng.integers(0, logits.shape[axis], np.delete(logits.shape, axis))
    options = {"axis": axis}
    expected = by_numpy(tw.cross_entropy_loss, (logits, labels), options)
    assert_agree(by_kernels(tw.cross_entropy_loss, (logits, labels), options), expected, ulp=8.0)


def test_more_axes_than_a_launch_has(rng):
    x = rng.normal(size=(6, 6, 6, 6, 6, 6))[::2, ::2, ::2, ::2, ::2, ::2]
    y = np.zeros(x.shape)
    with computed_by_kernels() as launcher:
        found = ask("value and gradient", tw.mse_loss, (x, y), {})
    assert_agree(found, by_numpy(tw.mse_loss, (x, y)))
    assert launcher.launches == {"apart_rows": 9, "finish": 1}


@pytest.mark.parametrize("strides", [((1 << 33) + 8, 4), (4, (1 << 33) + 8), (-(1 << 32), 1 << 34)])
def test_strides_beyond_32_bits(strides, rng):
    logits, labels = rows(rng, 4, 5)
    far = far_apart(logits, strides)
    expected = by_numpy(tw.cross_entropy_loss, (logits, labels))
    with computed_by_kernels():
        value, gradient = tw.cross_entropy_loss.value_and_grad(far, labels, out=far)
    assert_agree([value, gradient.copy()], expected, ulp=8.0)


# ------------------------------------------------------------------------------ threads
@pytest.mark.parametrize("classes", [10, 257, LONG])
def test_the_order_of_threads_changes_no_bit(classes, rng):
    arrays = rows(rng, 20, classes)
    straight = bits(by_kernels(tw.cross_entropy_loss, arrays))
    for order in range(3):
        shuffled = by_kernels(tw.cross_entropy_loss, arrays, launcher=Launcher(order=order))
        assert bits(shuffled) == straight


@pytest.mark.parametrize("name", ["huber", "ce", "ce, weight", "kl", "nll"])
@pytest.mark.parametrize("columns", [4, 257])
def test_no_thread_touches_what_is_not_its_own(name, columns, rng):
    case = CASES[name]
    arrays, options = in_dtype(case, "float32")
    wide = [np.resize(a, (a.shape[0], columns)) if a.ndim == 2 else a for a in arrays]
    more = {k: np.resize(v, columns) for k, v in options.items() if isinstance(v, np.ndarray)}
    launcher = Launcher(order=1, checked=True)
    found = by_kernels(case.loss, wide, {**options, **more}, launcher=launcher)
    assert_agree(found, by_numpy(case.loss, wide, {**options, **more}), ulp=8.0)


# ------------------------------------------------------------------------------ labels
@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "uint8"])
def test_labels_of_every_integer(dtype, rng):
    logits, labels = rows(rng, 30, 200)
    expected = by_numpy(tw.cross_entropy_loss, (logits, labels))
    found = by_kernels(tw.cross_entropy_loss, (logits, labels.astype(dtype)))
    assert_agree(found, expected, ulp=8.0)


@pytest.mark.parametrize("classes", [10, 257, LONG])
@pytest.mark.parametrize("bad", [-1, None, 1 << 40, -(1 << 62)])
def test_a_label_out_of_range_that_nobody_looks_at_is_nan(classes, bad, rng, monkeypatch):
    monkeypatch.setattr(BACKENDS["numpy"], "visible", lambda array: False, raising=False)
    logits, labels = rows(rng, 6, classes)
    labels[2] = classes if bad is None else bad
    labels[4] = -100
    with computed_by_kernels(Launcher(order=0)):
        losses, gradient = tw.cross_entropy_loss.value_and_grad(logits, labels, reduction="none")
    assert np.flatnonzero(np.isnan(losses)).tolist() == [2]
    assert np.flatnonzero(np.isnan(gradient).any(axis=1)).tolist() == [2]
    assert losses[4] == 0
    assert not gradient[4].any()
