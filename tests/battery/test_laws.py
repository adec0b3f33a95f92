"""What holds for every loss, and what its specimen says of it."""

import copy
import pickle

import numpy as np
import pytest

import tensorweaver as tw
from tests.battery.select import of, once_a_loss
from tests.helpers.compare import assert_close

COUNTS = np.asarray([2, 0, 1, 3, 1])
KEPT = COUNTS > 0


def law(name):
    """The cases whose specimen says so."""
    return of(lambda case: name in case.specimen.laws)


def row_options(case, options, chosen):
    """The options with the arrays that have rows cut down to `chosen`."""
    return {
        name: value[chosen]
        if name in case.specimen.arrays and case.specimen.arrays[name].level != "class"
        else value
        for name, value in options.items()
    }


@of(lambda case: case.specimen.rows_are_independent and not case.with_arrays)
def test_whole_weights_are_repeated_rows(case, random):
    arrays, options = case.draw(random)
    repeated = np.repeat(np.arange(len(COUNTS)), COUNTS)
    for reduction in ("mean", "sum"):
        value, gradient = case.loss.value_and_grad(
            *arrays, sample_weight=COUNTS.astype(float), reduction=reduction, **options
        )
        want, by_rows = case.loss.value_and_grad(
            *case.specimen.rows(arrays, repeated), reduction=reduction, **options
        )
        assert_close(value, want, rtol=1e-12, atol=1e-15)
        for got, found, axis in zip(
            several(gradient), several(by_rows), axes_by(case), strict=True
        ):
            expected = np.zeros_like(got)
            np.add.at(np.moveaxis(expected, axis, 0), repeated, np.moveaxis(found, axis, 0))
            assert_close(got, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("how", ["sample_weight", "where"])
@of(lambda case: case.specimen.rows_are_independent and not case.with_arrays)
def test_what_does_not_count_is_removed_even_over_nan(case, how, random):
    arrays, options = case.draw(random)
    poisoned = [a.copy() for a in arrays]
    for place, draw in enumerate(case.specimen.draws):
        if draw.real and poisoned[place].dtype.kind == "f":
            axis = (case.specimen.row_axes or (0,) * len(arrays))[place]
            np.moveaxis(poisoned[place], axis, 0)[~KEPT] = np.nan
            break
    mask = KEPT if how == "where" else KEPT.astype(float)
    value, gradient = case.loss.value_and_grad(*poisoned, **{how: mask}, **options)
    kept = case.specimen.rows(arrays, np.flatnonzero(KEPT))
    want, by_rows = case.loss.value_and_grad(*kept, **options)
    assert_close(value, want, rtol=1e-12, atol=1e-15)
    for got, found, axis in zip(several(gradient), several(by_rows), axes_by(case), strict=True):
        expected = np.zeros_like(got)
        np.moveaxis(expected, axis, 0)[KEPT] = np.moveaxis(found, axis, 0)
        assert_close(got, expected, rtol=1e-11, atol=1e-14)


def axes_by(case):
    """Of each argument that there is a gradient by, the axis that counts the losses."""
    formula = case.loss.formula
    axes = case.specimen.row_axes or (0,) * len(formula.arguments)
    return [axes[formula.arguments.index(name)] for name in formula.differentiable]


def several(gradient):
    return gradient if isinstance(gradient, tuple) else (gradient,)


def test_reductions_and_their_gradients_agree(case, random):
    arrays, options = case.draw(random)
    losses = case.loss(*arrays, reduction="none", **options)
    total, mean = (case.loss(*arrays, reduction=r, **options) for r in ("sum", "mean"))
    assert_close(total, np.sum(losses), rtol=1e-12, atol=1e-14)
    by_sum = case.loss.grad(*arrays, reduction="sum", **options)
    by_none = case.loss.grad(*arrays, reduction="none", **options)
    value, by_mean = case.loss.value_and_grad(*arrays, **options)
    assert_close(value, mean, rtol=1e-13)
    for a, b, c in zip(*map(several, (by_sum, by_none, by_mean)), strict=True):
        assert a.shape == arrays[0].shape or len(several(by_sum)) > 1
        assert_close(a, b, rtol=1e-13, atol=1e-300)
        if np.any(np.abs(a) > 1e-9):  # one factor makes the one of the other
            place = np.unravel_index(np.argmax(np.abs(a)), a.shape)
            assert_close(c, a * (c[place] / a[place]), rtol=1e-10, atol=1e-13)


def test_derivatives_agree_with_differences(case, random):
    arrays, options = case.draw(random)
    for name in case.loss.formula.differentiable:
        if name in case.specimen.stopped:
            continue
        check = tw.check_gradient(case.loss, *arrays, wrt=name, tolerance=2e-6, **options)
        assert check.gradient < 2e-6


@of(lambda case: case.second)
def test_the_second_derivative_is_there(case, random):
    arrays, options = case.draw(random)
    assert np.any(case.loss.hessian_diag(*arrays, **options) != 0)


@once_a_loss
def test_tensors_give_the_same(case, random):
    arrays, options = case.draw(random)
    names = case.loss.formula.arguments
    wrt = case.loss.formula.differentiable
    tensors = [
        tw.Tensor(a, requires_grad=True) if name in wrt else a
        for name, a in zip(names, arrays, strict=True)
    ]
    found = case.loss(*tensors, **options)
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    assert_close(found.numpy(), value, rtol=1e-14)
    found.backward()
    chosen = [t for name, t in zip(names, tensors, strict=True) if name in wrt]
    for tensor, want in zip(chosen, several(gradient), strict=True):
        assert_close(tensor.grad, want, rtol=1e-12, atol=1e-15)


@law("nonnegative")
def test_it_is_never_negative(case, random):
    for _ in range(5):
        arrays, options = case.draw(random)
        assert np.all(case.loss(*arrays, reduction="none", **options) >= 0)


def test_it_keeps_to_its_bounds(case, random):
    least, most = case.specimen.bounds
    arrays, options = case.draw(random)
    losses = case.loss(*arrays, reduction="none", **options)
    assert np.all(np.isfinite(losses))
    assert least <= losses.min()
    assert losses.max() <= most


@law("zero_at_target")
def test_the_best_prediction_costs_nothing(case, random):
    arrays, options = case.draw(random)
    value, gradient = case.loss.value_and_grad(arrays[1].copy(), *arrays[1:], **options)
    assert value == 0
    assert np.all(several(gradient)[0] == 0)


@law("symmetric")
def test_it_is_symmetric(case, random):
    (a, b, *rest), options = case.draw(random)
    ways = (case.loss(*pair, *rest, reduction="none", **options) for pair in ((a, b), (b, a)))
    assert_close(*ways, rtol=1e-14)


@law("convex")
def test_it_is_convex(case, random):
    (a, *rest), options = case.draw(random)
    (b, *_), _ = case.draw(random)
    middle, at_a, at_b = (
        case.loss(x, *rest, reduction="none", **options) for x in ((a + b) / 2, a, b)
    )
    assert np.all(middle <= (at_a + at_b) / 2 + 1e-12 * (1 + np.abs(at_a) + np.abs(at_b)))


@law("shift_invariant")
def test_adding_to_all_logits_changes_nothing(case, random):
    (a, *rest), options = case.draw(random)
    moved = a + random.normal(size=(*a.shape[:-1], 1))
    assert_close(
        case.loss(moved, *rest, **options), case.loss(a, *rest, **options), rtol=1e-11, atol=1e-13
    )


@of(lambda case: case.id == case.specimen.name)
def test_it_pickles_and_says_who_it_is(case):
    assert pickle.loads(pickle.dumps(case.loss)) is case.loss  # noqa: S301 - our own
    assert copy.deepcopy(case.loss) is case.loss
    name = case.specimen.name
    assert name.endswith("_loss")
    assert tw.get_loss(name) is tw.get_loss(name.removesuffix("_loss")) is case.loss
    assert getattr(tw, name) is case.loss


def test_every_loss_is_registered():
    from tests.battery.specimen import SPECIMENS, load

    load()
    assert sorted({specimen.name for specimen in SPECIMENS.values()}) == tw.losses.names()
