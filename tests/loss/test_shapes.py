"""Class axes, ranks, broadcasting, `wrt`, `out`; and nobody's arguments are written to."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.arrays import library_of, make_array, to_host
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, convert, labels, logits

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = [((3,), 0), ((5, 3), 1), ((3, 5), 0), ((2, 3, 4), 1), ((2, 3, 4), -2), ((3, 2, 2, 2), 0)]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_any_class_axis_is_the_last_one_moved(shape, axis, kind, to_array, rng):
    x = rng.normal(size=shape)
    weight = np.asarray([0.5, 1.0, 2.0])
    if kind == "labels":
        y = np.asarray(rng.integers(0, 3, size=tuple(np.delete(shape, axis))))
        y_last = y
    else:
        y = np.exp(rng.normal(size=shape))
        y_last = np.moveaxis(y, axis, -1)
    options = {"weight": to_array(weight), "label_smoothing": 0.1}
    given = to_array(x), to_array(y)
    value, gradient = tw.cross_entropy_loss.value_and_grad(*given, axis=axis, **options)
    last = np.ascontiguousarray(np.moveaxis(x, axis, -1)), y_last
    options["weight"] = weight
    expected = tw.cross_entropy_loss.value_and_grad(*last, **options)
    assert_close(value, expected[0], like=given[0], rtol=1e-13)
    turned = np.moveaxis(expected[1], -1, axis)
    assert_close(gradient, turned, like=given[0], of="gradient", atol=1e-16)
    options["weight"] = to_array(weight)
    blocks = tw.cross_entropy_loss.hessian(*given, axis=axis, **options)
    options["weight"] = weight
    expected = tw.cross_entropy_loss.hessian(*last, **options)
    assert_close(blocks, expected, like=given[0], of="hessian", atol=1e-16)
    losses = tw.cross_entropy_loss(*given, axis=axis, reduction="none")
    assert losses.shape == tuple(np.delete(shape, axis))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (1, 1), (), (4, 1, 3), (2, 3)])
def test_targets_broadcast_and_their_gradient_is_summed_back(shape, to_array, rng):
    x, y = rng.normal(size=(4, 2, 3)), rng.normal(size=shape)
    for loss in (tw.mse_loss, tw.huber_loss):
        value, (by_x, by_y) = loss.value_and_grad(
            to_array(x), to_array(y), wrt=("predictions", "targets")
        )
        wide = np.broadcast_to(y, x.shape).copy()
        expected, (by_x_wide, by_y_wide) = loss.value_and_grad(
            x, wide, wrt=("predictions", "targets")
        )
        assert_close(value, expected, like=to_array(x), rtol=1e-14)
        assert_close(by_x, by_x_wide, like=to_array(x), of="gradient")
        padded = (1,) * (3 - len(shape)) + shape
        axes = tuple(i for i in range(3) if padded[i] == 1)
        summed = np.sum(by_y_wide, axis=axes, keepdims=True).reshape(shape)
        assert_close(by_y, summed, like=to_array(x), of="gradient", atol=1e-15)


def test_wrt_a_name_gives_an_array_and_a_tuple_a_tuple(to_array):
    x, y = to_array([1.0, 2.0]), to_array([0.0, 4.0])
    assert_close(tw.mse_loss.grad(x, y, wrt="targets"), [-1.0, 2.0], like=x)
    (only,) = tw.mse_loss.grad(x, y, wrt=("targets",))
    assert_close(only, [-1.0, 2.0], like=x)
    both = tw.mse_loss.grad(x, y, wrt=("targets", "predictions"))
    assert isinstance(both, tuple)
    assert_close(both[0], [-1.0, 2.0], like=x)
    assert_close(both[1], [1.0, -2.0], like=x)


def test_arguments_may_be_given_by_name(to_array):
    x, y = to_array([1.0, 2.0]), to_array([0.0, 4.0])
    assert_close(tw.mse_loss(predictions=x, targets=y), tw.mse_loss(x, y), rtol=0.0)
    assert_close(tw.mse_loss(x, targets=y), tw.mse_loss(x, y), rtol=0.0)


# --------------------------------------------------------------------- out=
def test_the_gradient_is_written_where_it_is_wanted(backend, to_array):
    if backend in {"jax", "dask"}:
        with pytest.raises(tw.ArgumentError, match="cannot be written to"):
            tw.mse_loss.grad(to_array([1.0]), to_array([0.0]), out=to_array([0.0]))
        return
    for case in CASES.values():
        arrays, options = convert(case, to_array)
        expected = case.loss.grad(*arrays, **options)
        out = make_array(backend, np.full(case.arrays[0].shape, 7.0), writable=True)
        assert case.loss.grad(*arrays, out=out, **options) is out
        assert_close(out, expected, rtol=0.0)
        own = make_array(backend, case.arrays[0], writable=True)
        value, gradient = case.loss.value_and_grad(own, *arrays[1:], out=own, **options)
        assert gradient is own
        assert_close(own, expected, rtol=0.0)
        assert_close(value, case.loss(*arrays, **options), rtol=1e-14)


def test_out_for_several_gradients():
    x, y = np.asarray([1.0, 2.0]), np.asarray([0.0, 4.0])
    outs = np.empty(2), np.empty(2)
    found = tw.mse_loss.grad(x, y, wrt=("predictions", "targets"), out=outs)
    assert found[0] is outs[0]
    assert outs[0].tolist() == [1.0, -2.0]
    assert outs[1].tolist() == [-1.0, 2.0]


def test_out_may_be_a_view():
    x, y = np.asarray([[1.0, 9.0], [2.0, 9.0]]), np.asarray([0.0, 4.0])
    tw.mse_loss.grad(x[:, 0], y, out=x[:, 0])
    assert x.tolist() == [[1.0, 9.0], [-2.0, 9.0]]


BAD_OUTS = {
    "shape": (np.zeros(3), tw.ShapeError, r"out has shape \(3,\), the gradient \(2,\)"),
    "dtype": (np.zeros(2, np.float32), tw.DTypeError, "out has dtype float32, the gradient"),
    "list": ([0.0, 0.0], tw.DTypeError, "out must be a numpy array, got list"),
    "several": ((np.zeros(2), np.zeros(3)), tw.ShapeError, r"out has shape \(3,\)"),
    "too few": ((np.zeros(2),), tw.ArgumentError, "out must hold 2 arrays, got 1"),
}


@pytest.mark.parametrize("name", BAD_OUTS)
def test_a_wrong_out_is_refused_and_not_touched(name):
    out, error, message = BAD_OUTS[name]
    wrt = ("predictions", "targets") if isinstance(out, tuple) else None
    with pytest.raises(error, match=message):
        tw.mse_loss.grad(np.asarray([1.0, 2.0]), np.asarray([0.0, 0.0]), wrt=wrt, out=out)
    for array in out if isinstance(out, tuple) else (out,):
        assert not np.any(array)


def test_a_read_only_out_is_refused():
    out = make_array("numpy", [0.0, 0.0])
    with pytest.raises(tw.ArgumentError, match="read-only"):
        tw.mse_loss.grad(np.asarray([1.0, 2.0]), np.asarray([0.0, 0.0]), out=out)
    with pytest.raises(tw.ArgumentError, match="read-only"):
        tw.mse_loss.grad(out, np.asarray([1.0, 2.0]), out=out)


# --------------------------------------------------------------------- inputs are not written
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_inputs_are_never_written(name, reduction, backend, to_array):
    case = CASES[name]
    arrays, options = convert(case, lambda array: make_array(backend, array, writable=True))
    weight = make_array(backend, np.asarray([1.0, 0.0, 2.0, 3.0, 1.0]), writable=True)
    kept = make_array(backend, np.asarray([True, True, False, True, True]), writable=True)
    everything = [*arrays, weight, kept, *(o for o in options.values() if library_of(o))]
    before = [to_host(array).tobytes() for array in everything]
    given = {"sample_weight": weight, "where": kept, "reduction": reduction, **options}
    results = [
        case.loss(*arrays, **given),
        case.loss.grad(*arrays, **given),
        *case.loss.value_and_grad(*arrays, **given),
        case.loss.hessian_diag(*arrays, **given),
        case.loss.hvp(*arrays, arrays[0], **given),
        *case.loss.steps(*arrays, **given).values(),
    ]
    for result in results:
        to_host(result)
    assert [to_host(array).tobytes() for array in everything] == before


@pytest.mark.parametrize("name", CASES)
def test_results_share_no_memory_with_inputs(name):
    case = CASES[name]
    value, gradient = case.loss.value_and_grad(*case.arrays, reduction="none", **case.options)
    for array in case.arrays:
        assert not np.shares_memory(value, array)
        assert not np.shares_memory(gradient, array)
    gradient[...] = 0.0  # a broadcast result could not be written to


@pytest.mark.parametrize("layout", ["reversed", "strided", "fortran", "offset"])
def test_any_memory_layout(layout):
    views: dict[str, Callable[[Any], Any]] = {
        "reversed": lambda a: a[::-1, ::-1],
        "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
        "fortran": np.asfortranarray,
        "offset": lambda a: np.pad(a, 1)[1:-1, 1:-1],
    }
    view = views[layout](logits)
    plain = np.ascontiguousarray(view)
    for smoothing in (0.0, 0.1):
        options: dict[str, Any] = {"label_smoothing": smoothing}
        found = tw.cross_entropy_loss.value_and_grad(view, labels, **options)
        expected = tw.cross_entropy_loss.value_and_grad(plain, labels, **options)
        assert_close(found[0], expected[0], rtol=1e-15)
        assert_close(found[1], expected[1], rtol=1e-13, atol=1e-17)
    turned = np.asfortranarray(logits.T)
    found = tw.cross_entropy_loss.grad(turned, labels, axis=0)
    assert_close(found.T, tw.cross_entropy_loss.grad(logits, labels), rtol=1e-13, atol=1e-17)
    assert found.shape == (CLASSES, len(labels))
