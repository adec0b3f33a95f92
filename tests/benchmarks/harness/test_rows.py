"""What is measured on the processor: the plain NumPy that everybody is compared with."""

from functools import partial

import numpy as np
import pytest
from harness.check import complaint
from harness.measure import Contestant
from harness.peers import as_numpy
from harness.rows import ROWS, Row, make_case

import tensorweaver as tw

SMALL = 7


def small(row):
    """The row with a few elements along every axis."""
    return Row(row.name, row.formulas, tuple(min(size, SMALL) for size in row.shape))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("mode", ["value", "value_and_grad"])
def test_ours_computes_what_plain_numpy_does(name, mode):
    case = make_case(small(ROWS[name]), "float64", mode, quick=True)
    loss = getattr(tw, case.formulas.ours)
    function = loss.value_and_grad if case.wants_gradient else loss
    call = partial(function, *case.arrays, **case.formulas.options)
    assert complaint(Contestant("ours", call, as_numpy, "ours"), case) is None


@pytest.mark.parametrize("name", ROWS)
def test_the_gradients_are_by_what_the_loss_differentiates(name):
    row = small(ROWS[name])
    formula = getattr(tw, row.formulas.ours).formula
    arguments = [formula.arguments[place] for place in row.formulas.wrt]
    assert tuple(arguments) == formula.differentiable
    case = make_case(row, "float32", "value_and_grad", quick=True)
    assert [g.shape for g in case.gradients] == [array.shape for array in case.by]


@pytest.mark.parametrize("name", ROWS)
def test_a_quick_run_is_small(name):
    shape = ROWS[name].shape_for(quick=True)
    assert max(shape) <= 500
    assert np.prod(shape) <= 500**2 * 32


def test_the_fewest_bytes_of_several_gradients():
    shape = ROWS["gaussian_nll"].shape_for(quick=True)
    case = make_case(ROWS["gaussian_nll"], "float32", "value_and_grad", quick=True)
    assert case.bytes_moved == 5 * 4 * np.prod(shape)


def test_wrong_numbers_are_found():
    case = make_case(small(ROWS["gaussian_nll"]), "float64", "value_and_grad", quick=True)
    by_mean, by_variance = case.gradients

    def said(loss, gradients):
        return complaint(Contestant("theirs", lambda: (loss, gradients), as_numpy), case)

    assert said(case.loss, (by_mean, by_variance)) is None
    assert said(case.loss, by_mean) == "there are 1 gradients instead of 2"
    assert said(case.loss, (by_variance, by_mean)).startswith("7 gradients are wrong")
    assert said(case.loss, (by_mean, by_variance[:2])) == "the gradient is float64[2]"
    assert said(2 * case.loss, (by_mean, by_variance)).startswith("the loss is")
