"""On Dask building a loss and its derivatives computes nothing, however the arrays are cut."""

import itertools

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, ROWS, convert, labels, logits

dask = pytest.importorskip("dask")
dask_array = pytest.importorskip("dask.array")

CUTS = {
    "whole": ((ROWS,), (CLASSES,)),
    "rows": ((2, 3), (CLASSES,)),
    "classes": ((ROWS,), (3, 1)),
    "both": ((1, 4), (2, 2)),
    "single": ((1,) * ROWS, (1,) * CLASSES),
}


@pytest.fixture
def computations():
    """A scheduler that refuses to work and counts how often it was asked."""
    asked = []

    def refuse(graph, keys, **_):
        asked.append(keys)
        pytest.fail("something was computed while the loss was being built")

    with dask.config.set(scheduler=refuse):
        yield asked


def cut(array, cuts):
    """The array in pieces: of the classes alone where it has one number a class."""
    if array.ndim == 1:
        return dask_array.from_array(array, chunks=(cuts[1 if len(array) == CLASSES else 0],))
    return dask_array.from_array(array, chunks=cuts)


def build(case, cuts):
    """The value and every derivative, lazily."""
    arrays, options = convert(case, lambda array: cut(array, cuts))
    vector = cut(np.cos(case.arrays[0]), cuts)
    value, gradient = case.loss.value_and_grad(*arrays, **options)
    return {
        "value": value,
        "gradient": gradient,
        "losses": case.loss(*arrays, reduction="none", **options),
        "hessian_diag": case.loss.hessian_diag(*arrays, **options),
        "hvp": case.loss.hvp(*arrays, vector, **options),
    }


def expected(case):
    """The same, from NumPy."""
    value, gradient = case.loss.value_and_grad(*case.arrays, **case.options)
    return {
        "value": value,
        "gradient": gradient,
        "losses": case.loss(*case.arrays, reduction="none", **case.options),
        "hessian_diag": case.loss.hessian_diag(*case.arrays, **case.options),
        "hvp": case.loss.hvp(*case.arrays, np.cos(case.arrays[0]), **case.options),
    }


@pytest.mark.parametrize("name", CASES)
def test_building_computes_nothing(name, computations):
    built = build(CASES[name], CUTS["both"])
    assert all(isinstance(array, dask_array.Array) for array in built.values())
    assert computations == []


#: Every loss is cut along both axes, and one of each kind in every way.
ANY_CUT = [*itertools.product(["mse", "bce of logits, weights", "ce, all", "nll, all"], CUTS)]
ANY_CUT += [(name, "both") for name in CASES if (name, "both") not in ANY_CUT]


@pytest.mark.parametrize(("name", "cuts"), ANY_CUT)
def test_any_cut_gives_the_numbers_of_numpy(name, cuts):
    built = build(CASES[name], CUTS[cuts])
    wanted = expected(CASES[name])
    computed = dict(zip(built, dask.compute(*built.values(), scheduler="sync"), strict=True))
    for what, ours in computed.items():
        assert_close(np.asarray(ours), np.asarray(wanted[what]), rtol=1e-12, atol=1e-15)
        assert built[what].shape == np.shape(ours)
        assert built[what].dtype == ours.dtype


def test_the_refusing_scheduler_refuses(computations):
    with pytest.raises(pytest.fail.Exception, match="something was computed"):
        dask_array.ones(3).compute()
    assert len(computations) == 1


def test_full_hessian_and_class_axis_in_front(computations):
    turned = cut(logits.T.copy(), (CUTS["both"][1], CUTS["both"][0]))
    rows = dask_array.from_array(labels, chunks=(CUTS["both"][0],))
    blocks = tw.cross_entropy_loss.hessian(turned, rows, axis=0)
    assert blocks.shape == (ROWS, CLASSES, CLASSES)
    assert computations == []
    with dask.config.set(scheduler="sync"):
        found = blocks.compute()
    assert_close(found, tw.cross_entropy_loss.hessian(logits, labels), rtol=1e-12, atol=1e-16)


def test_masks_and_weights_are_lazy_too(computations):
    kept = dask_array.from_array(np.asarray([True, False, True, True, False]), chunks=2)
    weight = dask_array.from_array(np.asarray([1.0, 2.0, 0.0, 4.0, 5.0]), chunks=3)
    poisoned = logits.copy()
    poisoned[1] = np.nan
    x = cut(poisoned, CUTS["both"])
    y = dask_array.from_array(labels, chunks=2)
    built = tw.cross_entropy_loss.value_and_grad(x, y, sample_weight=weight, where=kept)
    assert computations == []
    found = dask.compute(*built, scheduler="sync")
    keep = np.asarray([0, 3])
    value, gradient = tw.cross_entropy_loss.value_and_grad(
        logits[keep], labels[keep], sample_weight=np.asarray([1.0, 4.0])
    )
    whole = np.zeros(logits.shape)
    whole[keep] = gradient
    assert_close(np.asarray(found[0]), np.asarray(value), rtol=1e-13)
    assert_close(found[1], whole, rtol=1e-12, atol=1e-16)


def test_bad_labels_poison_their_row():
    bad = labels.copy()
    bad[2] = CLASSES
    losses = tw.cross_entropy_loss(
        cut(logits, CUTS["rows"]), dask_array.from_array(bad), reduction="none"
    )
    assert np.isnan(losses.compute(scheduler="sync")).tolist() == [False, False, True, False, False]
