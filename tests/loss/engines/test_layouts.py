"""Arrays may lie in memory as they like; what is read stays as it was."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler.tiles import SMALLEST
from tests.loss.cases import CASES
from tests.loss.engines.calls import assert_agree, bits, computed_by, tiled

ASKED = ["mse", "bce of logits, weights", "ce", "ce, all", "ce, probabilities, all", "nll, all"]


def every_second(array):
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 77, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def every_second_row(array):
    wide = np.full((2 * array.shape[0], *array.shape[1:]), 77, array.dtype)
    wide[1::2] = array
    return wide[1::2]


def columns_of_wider(array):
    wide = np.full((*array.shape[:-1], array.shape[-1] + 3), 77, array.dtype)
    wide[..., 1:-2] = array
    return wide[..., 1:-2]


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS: dict[str, Callable[..., Any]] = {
    "every second": every_second,
    "every second row": every_second_row,
    "columns of a wider array": columns_of_wider,
    "last row first": lambda array: array[::-1].copy()[::-1],
    "last class first": lambda array: array[..., ::-1].copy()[..., ::-1],
    "all backwards": lambda array: np.flip(np.flip(array).copy()),
    "fortran": np.asfortranarray,
    "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "unaligned": unaligned,
    "read-only": read_only,
    "fortran, byte-swapped": lambda array: np.asfortranarray(
        array.astype(array.dtype.newbyteorder())
    ),
}


def map_arrays(function, arrays, options):
    """Every array in another form."""
    more = {k: function(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    return [function(array) for array in arrays], more


def results(case, arrays, options):
    """What is compared: value, gradient, losses, curvature."""
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    losses = case.loss(*arrays, reduction="none", **options)
    return [value, gradient, losses, case.loss.hessian_diag(*arrays, **options)]


def memory_of(arrays, options):
    given = [*arrays, *(v for v in options.values() if isinstance(v, np.ndarray))]
    return [array.tobytes() for array in given]


@pytest.mark.parametrize("times", [9, 3000])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ASKED)
def test_arrays_in_any_form(name, form, times, engine):
    case = CASES[name]
    arrays, options = tiled(case, "float32", times)
    expected = results(case, arrays, options)
    arrays, options = map_arrays(FORMS[form], arrays, options)
    before = memory_of(arrays, options)
    found = results(case, arrays, options)
    assert_agree(found, expected, ulp=2, steps=2)
    assert memory_of(arrays, options) == before


@pytest.mark.parametrize("shape", [(3, 1100), (9, 40), (1, 1 << 17)])
@pytest.mark.parametrize("form", FORMS)
def test_rows_of_any_length_in_any_form(form, shape, engine, rng):
    case = CASES["ce"]
    x = rng.normal(size=shape).astype(np.float32)
    labels = rng.integers(0, shape[1], shape[0])
    expected = results(case, [x, labels], {})
    arrays, _ = map_arrays(FORMS[form], [x, labels], {})
    assert_agree(results(case, arrays, {}), expected, ulp=2, steps=2)


@pytest.mark.parametrize("name", ASKED)
def test_each_array_in_a_form_of_its_own(name, engine):
    case = CASES[name]
    arrays, options = tiled(case, "float64", 11)
    expected = results(case, arrays, options)
    forms = list(FORMS.values())
    for start in range(len(forms)):
        chosen = iter(forms[start:] + forms[:start])
        mixed, more = map_arrays(lambda array, c=chosen: next(c)(array), arrays, options)
        assert_agree(results(case, mixed, more), expected, ulp=2, steps=2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_transposed_arrays(axis, engine, rng):
    x, t = rng.normal(size=(2, 30, 40, 50))
    order = [(1, 0, 2), (2, 1, 0), (1, 2, 0)][axis]
    with computed_by("interpret"):
        expected = tw.mse_loss.value_and_grad(x, t)
    found = tw.mse_loss.value_and_grad(x.transpose(order), t.transpose(order))
    assert_agree(found, [expected[0], expected[1].transpose(order)])
    labels = np.argmax(t, axis=axis)
    with computed_by("interpret"):
        expected = tw.cross_entropy_loss.value_and_grad(x, labels, axis=axis)
    found = tw.cross_entropy_loss.value_and_grad(
        np.moveaxis(x, axis, -1), np.ascontiguousarray(labels)
    )
    assert_agree(found, [expected[0], np.moveaxis(expected[1], axis, -1)], steps=4)


@pytest.mark.parametrize("shape", [(64, 1), (1, 70), (1, 1)])
def test_broadcast_views(shape, engine, rng):
    x = rng.normal(size=(64, 70))
    small = rng.random(shape)
    view = np.broadcast_to(small, x.shape)
    for loss in (tw.mse_loss, tw.cross_entropy_loss):
        expected = loss.value_and_grad(x, view.copy())
        assert_agree(loss.value_and_grad(x, view), expected, ulp=2, steps=2)
        expected = loss.value_and_grad(view.copy(), x)
        assert_agree(loss.value_and_grad(view, x), expected, ulp=2, steps=2)
    assert small.shape == shape


def test_files_in_memory(tmp_path, engine, rng):
    x = rng.normal(size=(3000, 11)).astype(np.float32)
    labels = rng.integers(0, 11, 3000)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "labels.npy", labels)
    mapped = [np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("x", "labels")]
    found = tw.cross_entropy_loss.value_and_grad(*mapped)
    assert bits(found) == bits(tw.cross_entropy_loss.value_and_grad(x, labels))
    assert type(found[1]) is np.ndarray


# ------------------------------------------------------------------------- where results go
OUT = {n: form for n, form in FORMS.items() if n != "read-only" and "byte-swapped" not in n}


@pytest.mark.parametrize("form", OUT)
@pytest.mark.parametrize("name", ASKED)
def test_gradients_are_written_into_arrays_of_any_form(name, form, engine):
    case = CASES[name]
    arrays, options = tiled(case, "float32", 3001)
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    out = OUT[form](np.full(gradient.shape, np.nan, np.float32))
    wide = out.base if out.base is not None and out.base.dtype == out.dtype else None
    around = None if wide is None else np.count_nonzero(wide == 77)
    found = case.loss.value_and_grad(*arrays, out=out, **options)
    assert found[1] is out
    assert_agree([found[0], np.ascontiguousarray(out)], [value, gradient], ulp=2, steps=2)
    assert around is None or np.count_nonzero(wide == 77) == around
    out[...] = 0
    assert case.loss.grad(*arrays, out=out, **options) is out
    assert_agree([np.ascontiguousarray(out)], [gradient], ulp=2, steps=2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", ASKED)
def test_gradients_take_the_place_of_the_predictions(name, dtype, engine):
    case = CASES[name]
    for times in (3, 3001):
        arrays, options = tiled(case, dtype, times)
        expected = case.loss.value_and_grad(*arrays, **options)
        own = arrays[0].copy()
        found = case.loss.value_and_grad(own, *arrays[1:], out=own, **options)
        assert_agree(found[:1], expected[:1], ulp=4)
        assert bits(found[1:]) == bits(expected[1:])


@pytest.mark.parametrize("form", ["every second", "fortran", "all backwards", "byte-swapped"])
def test_gradients_take_the_place_of_predictions_in_any_form(form, engine, rng):
    for loss in (tw.mse_loss, tw.cross_entropy_loss):
        x, t = rng.normal(size=(5001, 9)), rng.random((5001, 9))
        expected = loss.value_and_grad(x, t)
        own = FORMS[form](x)
        found = loss.value_and_grad(own, t, out=own)
        assert_agree([found[0], np.array(own, float)], expected, ulp=2, steps=2)


@pytest.mark.parametrize("shift", [1, 3, 40, 70, 30_000])
def test_gradients_overlap_the_predictions(shift, engine, rng):
    count = 3 * SMALLEST + 7
    for at in (0, shift):
        memory = rng.normal(size=count + shift)
        x, out = memory[at : at + count], memory[shift - at : shift - at + count]
        t = rng.normal(size=count)
        expected = tw.mse_loss.value_and_grad(x.copy(), t)
        found = tw.mse_loss.value_and_grad(x, t, out=out)
        assert_agree(found[:1], expected[:1])
        assert bits([out]) == bits(expected[1:])


@pytest.mark.parametrize("classes", [5, 40, 1100])
def test_gradients_overlap_rows_of_predictions(classes, engine, rng):
    rows = 4 * SMALLEST // classes
    labels = rng.integers(0, classes, rows)
    for at in (0, 1):
        memory = rng.normal(size=(rows + 1, classes)).astype(np.float32)
        x, out = memory[at : at + rows], memory[1 - at : 1 - at + rows]
        expected = tw.cross_entropy_loss.value_and_grad(x.copy(), labels)
        found = tw.cross_entropy_loss.value_and_grad(x, labels, out=out)
        assert_agree(found[:1], expected[:1])
        assert bits([out]) == bits(expected[1:])


def test_gradients_take_the_place_of_the_targets(engine, rng):
    for loss in (tw.mse_loss, tw.cross_entropy_loss):
        x, t = rng.normal(size=(5001, 9)), rng.random((5001, 9))
        expected = loss.value_and_grad(x, t)
        found = loss.value_and_grad(x, t, out=t)
        assert_agree(found[:1], expected[:1])
        assert bits([t]) == bits(expected[1:])
        x, t = rng.normal(size=(500, 9)), rng.random((500, 9))
        expected = loss.value_and_grad(x, t, wrt=("targets", *loss.formula.differentiable))
        loss.value_and_grad(x, t, wrt=("targets", *loss.formula.differentiable), out=(x, t))
        assert bits([x, t]) == bits(expected[1])


def test_predictions_are_targets_too(engine, rng):
    x = rng.random((5001, 9))
    expected = tw.cross_entropy_loss.value_and_grad(x, x.copy())
    assert bits(tw.cross_entropy_loss.value_and_grad(x, x)) == bits(expected)
    found = tw.cross_entropy_loss.value_and_grad(x, x, out=x)
    assert_agree(found[:1], expected[:1])
    assert bits([x]) == bits(expected[1:])


# ------------------------------------------------------------------------- nothing is copied
@pytest.fixture
def copies(monkeypatch):
    """The shapes of what an engine copies, on the way in or out; what kernels do is not counted."""
    found = []
    original = np.copyto

    def watched(target, source, *arguments, **options):
        if "where" not in options and np.size(source) > 1:
            found.append(np.shape(source))
        original(target, source, *arguments, **options)

    monkeypatch.setattr(np, "copyto", watched)
    return found


def test_a_copy_is_noticed(copies, engine, rng):
    x = rng.normal(size=(300, 200))
    tw.cross_entropy_loss.grad(every_second(x), x)
    assert copies


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", [tw.mse_loss, tw.huber_loss, tw.cross_entropy_loss])
def test_contiguous_arrays_are_used_where_they_lie(loss, dtype, copies, engine, rng):
    x = rng.normal(size=(1000, 100)).astype(dtype)  # fewer classes are turned by blocks
    for targets in (rng.random(x.shape).astype(dtype), rng.integers(0, 100, 1000)):
        if loss.formula.rowwise or targets.shape == x.shape:
            loss.value_and_grad(x, targets)
            loss(x, targets)
            loss.hessian_diag(x, targets)
    assert copies == []


def test_columns_of_a_wider_array_and_fortran_order_are_used_where_they_lie(copies, engine, rng):
    x, t = rng.normal(size=(2, 300, 200))
    tw.cross_entropy_loss(columns_of_wider(x), columns_of_wider(t))
    tw.mse_loss.value_and_grad(np.asfortranarray(x), np.asfortranarray(t))
    assert copies == []


def test_one_block_of_a_strided_array_is_copied_at_a_time(engine):
    x = np.zeros((2, 1 << 21), np.float32)[:, ::2]
    tw.mse_loss(x, x)
    tracemalloc.start()
    tw.mse_loss(x, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes // 4
