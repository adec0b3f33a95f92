"""A number outside its domain is refused, with its name and place, wherever it counts."""

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
ENGINES = ("interpret", "blocks", "llvm")


@of(lambda case: case.loss.formula.domains and case.id == case.specimen.title)
def test_what_is_outside_its_domain_is_refused(case, random):
    arrays, options = case.draw(random)
    names = case.loss.formula.arguments
    for name, domain in case.loss.formula.domains.items():
        number, complaint = BAD[domain]
        place = names.index(name)
        spoilt = [a.copy() for a in arrays]
        index = (1,) * spoilt[place].ndim
        spoilt[place][index] = number
        told = f"{case.loss.formula.name}: {name}.{', '.join('1' * len(index))}. is {number}, "
        before = [a.copy() for a in spoilt]
        for ask in (case.loss, case.loss.grad, case.loss.value_and_grad, case.loss.hessian_diag):
            with pytest.raises(tw.ArgumentError, match=told + "but " + complaint):
                ask(*spoilt, **options)
        for array, kept in zip(spoilt, before, strict=True):
            np.testing.assert_array_equal(array, kept)
        spoilt[place][index] = np.nan  # never hidden, never refused
        value, gradient = case.loss.value_and_grad(*spoilt, **options)
        assert np.isnan(value)
        assert any(np.isnan(g).any() for g in several(gradient))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [5, 20_000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_every_engine_looks(engine, size, dtype):
    tw.set_engine(engine)
    loss = tw.binary_cross_entropy_with_logits_loss
    logits, targets = np.zeros(size, dtype), np.full(size, 0.5, dtype)
    targets[4] = 1 + 2**-20  # what rounding does to labels that are mixed
    assert loss(logits, targets) == pytest.approx(np.log(2), rel=1e-6)
    targets[3] = -0.25
    for ask in (loss, loss.value_and_grad, loss.grad):
        for _ in range(2):
            with pytest.raises(tw.ArgumentError, match=r"targets\[3\] is -0.25"):
                ask(logits, targets)
    kept = np.arange(size) != 3
    for left in ({"where": kept}, {"sample_weight": kept.astype(float)}):
        assert loss(logits, targets, **left) == pytest.approx(np.log(2), rel=1e-6)
    with pytest.raises(tw.ArgumentError, match=r"targets\[3\] is -0.25"):
        loss(logits, targets, sample_weight=np.ones(size))
    with pytest.raises(tw.ArgumentError, match=r"targets\[3\] is -0.25"):
        loss(logits, targets, where=np.arange(size) != 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_masks_are_looked_at(engine):
    tw.set_engine(engine)
    probabilities, targets = np.full((3000, 4), 0.5), np.ones((3000, 4))
    targets[2999, 2] = 3.0
    with pytest.raises(tw.ArgumentError, match=r"dice_loss: targets\[2999, 2\] is 3.0"):
        tw.dice_loss(probabilities, targets)
    with pytest.raises(tw.ArgumentError, match=r"dice_loss: targets\[2, 2999\] is 3.0"):
        tw.dice_loss(probabilities.T, targets.T, axis=0)
    kept = np.arange(3000) < 2999
    assert tw.dice_loss(probabilities, targets, where=kept) > 0


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_first_of_many_is_named_whoever_finds_it(threads, dtype):
    tw.set_num_threads(threads)
    targets = np.zeros((500, 1000), dtype)  # more than all parts that are looked at at once
    targets[[499, 321, 322], [0, 7, 3]] = 2.0
    with pytest.raises(tw.ArgumentError, match=r"targets\[321, 7\] is 2.0"):
        tw.binary_cross_entropy_loss.grad(np.full_like(targets, 0.5), targets)


def test_out_is_not_touched():
    out = np.full(3, 7.0)
    with pytest.raises(tw.ArgumentError, match=r"targets\[2\] is 2.0"):
        tw.binary_cross_entropy_loss.grad([0.5] * 3, [0.0, 1.0, 2.0], out=out)
    assert out.tolist() == [7.0] * 3


@pytest.mark.parametrize(("domains", "error", "message"), [
    ({"predictions": "percent"}, ValueError, "the domain of predictions must be one of"),
    ({"weight": "positive"}, TypeError, "weight is no array; it has no domain"),
])  # fmt: skip
def test_a_domain_that_nobody_knows_is_refused(domains, error, message):
    def formula(predictions):
        return predictions

    with pytest.raises(error, match=message):
        tw.pointwise(domains=domains)(formula)


@pytest.mark.parametrize("domain", sorted(BAD))
def test_a_loss_of_ones_own_has_domains(domain):
    @tw.pointwise(domains={"targets": domain})
    def distance(predictions, targets):
        return (predictions - targets) ** 2

    assert distance([1.0, 1.0], [1.0, np.nan], where=[True, False]) == 0
    number, complaint = BAD[domain]
    with pytest.raises(
        tw.ArgumentError, match=f"distance: targets.1. is {number}, but {complaint}"
    ):
        distance([1.0, 1.0], [1.0, number])
    assert distance([1.0, 1.0], [1, 1]) == 0
    assert distance([1.0], [True]) == 0


def test_on_the_backend(to_array, backend):
    logits, targets = to_array([0.5, 1.0]), to_array([0.5, -0.25])
    loss = tw.binary_cross_entropy_with_logits_loss
    with tw.use_validation(True):  # a GPU waits
        if backend == "dask":  # has no numbers yet, and stays lazy
            assert type(loss(logits, targets)).__module__.startswith("dask")
            return
        for ask in (loss, loss.grad):
            with pytest.raises(tw.ArgumentError, match=r"targets.1. is -0.25"):
                ask(logits, targets)
