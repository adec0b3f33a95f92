"""Under `use_validation(True)` a number outside its domain is refused, with its name and place."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.battery.select import of
from tests.battery.test_laws import several

BAD = {
    "probability": (1.5, "must be from 0 to 1"),
    "nonnegative": (-1.0, "must be 0 or more"),
    "positive": (0.0, "must be more than 0"),
    "sign": (0.0, "must be -1 or 1"),
    "count": (2.5, "must be a whole number, 0 or more"),
}


@of(lambda case: case.loss.formula.domains and case.id == case.specimen.title)
def test_what_is_outside_its_domain_is_refused(case, random):
    arrays, options = case.draw(random)
    names = case.loss.formula.arguments
    with tw.use_validation(True):
        expected = case.loss(*arrays, **options)
    assert expected == case.loss(*arrays, **options)
    for name, domain in case.loss.formula.domains.items():
        number, complaint = BAD[domain]
        place = names.index(name)
        spoilt = [a.copy() for a in arrays]
        index = (1,) * spoilt[place].ndim
        spoilt[place][index] = number
        told = f"{case.loss.formula.name}: {name}.{', '.join('1' * len(index))}. is {number}, "
        for ask in (case.loss, case.loss.grad, case.loss.hessian_diag):
            with (
                tw.use_validation(True),
                pytest.raises(tw.ArgumentError, match=told + "but " + complaint),
            ):
                ask(*spoilt, **options)
        case.loss(*spoilt, **options)  # not looked at unless asked to
        spoilt[place][index] = np.nan  # never hidden, never refused
        with tw.use_validation(True):
            value, gradient = case.loss.value_and_grad(*spoilt, **options)
        assert np.isnan(value)
        assert any(np.isnan(g).any() for g in several(gradient))


def test_what_is_left_out_may_hold_anything():
    kept = np.asarray([True, False])
    with tw.use_validation(True):
        value = tw.binary_cross_entropy_loss([0.5, 7.0], [1.0, 0.0], where=kept)
    assert value == np.log(2)


@pytest.mark.parametrize(("domains", "error", "message"), [
    ({"predictions": "percent"}, ValueError, "the domain of predictions must be one of"),
    ({"weight": "positive"}, TypeError, "weight is no array; it has no domain"),
])  # fmt: skip
def test_a_domain_that_nobody_knows_is_refused(domains, error, message):
    def formula(predictions):
        return predictions

    with pytest.raises(error, match=message):
        tw.pointwise(domains=domains)(formula)


def test_on_the_backend(to_array, backend):
    logits, targets = to_array([0.5, 1.0]), to_array([0.5, -0.25])
    with tw.use_validation(True):
        if backend == "dask":  # has no numbers yet, and stays lazy
            found = tw.binary_cross_entropy_with_logits_loss(logits, targets)
            assert type(found).__module__.startswith("dask")
            return
        with pytest.raises(tw.ArgumentError, match=r"targets.1. is -0.25"):
            tw.binary_cross_entropy_with_logits_loss(logits, targets)
