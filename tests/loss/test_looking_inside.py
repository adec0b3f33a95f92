"""`explain` and `steps` show the computation; `check_gradient` finds a wrong derivative."""

import dataclasses

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.primitives import VOCABULARY
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES, CLASSES, convert, labels, logits

CHAPTER = ([[10.0], [60.0]], [[32.0], [212.0]])


def test_explain_is_the_chapters_breakdown(capsys):
    tw.mse_loss.explain(*CHAPTER)
    assert capsys.readouterr().out == (
        "mse_loss(predictions, targets)\n"
        "  predictions = [[10.0], [60.0]]\n"
        "  targets     = [[32.0], [212.0]]\n"
        "  difference  = [[-22.0], [-152.0]]\n"
        "  squared     = [[484.0], [23104.0]]\n"
        "  mean        = 11794.0\n"
    )


def test_steps_are_the_same_as_arrays():
    steps = tw.mse_loss.steps(*CHAPTER)
    assert list(steps) == ["predictions", "targets", "difference", "squared", "mean"]
    assert steps["difference"].tolist() == [[-22.0], [-152.0]]
    assert steps["squared"].tolist() == [[484.0], [23104.0]]
    assert steps["mean"] == 11794.0


def test_explain_shows_large_arrays_in_short(capsys):
    tw.mse_loss.explain(np.zeros((100, 100)), np.ones((100, 100)))
    text = capsys.readouterr().out
    assert "..." in text
    assert max(map(len, text.splitlines())) < 250


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_steps_end_in_the_loss(name, reduction, to_array, capsys):
    case = CASES[name]
    arrays, options = convert(case, to_array)
    options["reduction"] = reduction
    steps = case.loss.steps(*arrays, **options)
    last = list(steps)[-1]
    assert last == ("losses" if reduction == "none" else reduction)
    assert_close(steps[last], case.loss(*arrays, **options), rtol=0.0)
    case.loss.explain(*arrays, **options)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("=")[0].strip() for line in lines[1:]] == list(steps)


def test_steps_with_weights_and_masks():
    weight, kept = np.asarray([2.0, 1.0]), np.asarray([True, False])
    steps = tw.mse_loss.steps([1.0, np.nan], [3.0, 0.0], sample_weight=weight, where=kept)
    assert steps["mean"] == 4.0
    assert steps["sample_weight"].tolist() == [2.0, 1.0]


# --------------------------------------------------------------------- check_gradient
@pytest.mark.parametrize("name", CASES)
def test_check_gradient_accepts_every_loss(name):
    case = CASES[name]
    found = tw.check_gradient(case.loss, *case.arrays, **case.options)
    assert max(found) < 1e-6
    for place in case.real[1:]:
        name_of_argument = case.loss.formula.arguments[place]
        tw.check_gradient(case.loss, *case.arrays, wrt=name_of_argument, **case.options)


SPOILED = {
    "a factor": lambda rule: lambda xp, g, *rest, **options: 1.5 * rule(xp, g, *rest, **options),
    "a sign": lambda rule: lambda xp, g, *rest, **options: -rule(xp, g, *rest, **options),
    "nothing": lambda rule: lambda xp, g, *rest, **options: 0.0 * g,
}


@pytest.mark.parametrize("how", SPOILED)
def test_check_gradient_finds_a_wrong_rule(how, monkeypatch):
    exp = VOCABULARY["exp"]
    wrong = dataclasses.replace(exp, rules=(SPOILED[how](exp.rules[0]),))
    monkeypatch.setitem(VOCABULARY, "exp", wrong)

    @tw.pointwise
    def exponential_loss(x):
        return tw.array_namespace(x).exp(x)

    with pytest.raises(
        tw.GradientMismatchError, match=r"exponential_loss\.gradient\[1, 0\] is .* finite differ"
    ):
        tw.check_gradient(exponential_loss, [[0.1, 0.2], [3.0, 0.4]])


def test_check_gradient_finds_a_wrong_second_derivative(monkeypatch):
    # The slope of tanh is written with sech, whose own slope only the second derivative needs.
    sech = VOCABULARY["sech"]
    wrong = dataclasses.replace(sech, rules=(SPOILED["a factor"](sech.rules[0]),))
    monkeypatch.setitem(VOCABULARY, "sech", wrong)
    loss = tw.pointwise(lambda x: tw.array_namespace(x).tanh(x))
    with pytest.raises(tw.GradientMismatchError, match=r"hessian_diag\[0\] is"):
        tw.check_gradient(loss, [1.25])


def test_check_gradient_finds_a_kink():
    with pytest.raises(tw.GradientMismatchError):
        tw.check_gradient(tw.huber_loss, [1.0], [0.0])


def test_check_gradient_takes_arrays_of_any_backend(to_array):
    found = tw.check_gradient(tw.cross_entropy_loss, to_array(logits), to_array(labels))
    assert found.gradient < 1e-9


# --------------------------------------------------------------------- hessians
@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.loss.formula.rowwise])
def test_hessian_products_and_diagonal_agree(name, to_array, to_numpy):
    case = CASES[name]
    arrays, options = convert(case, to_array)
    vector = np.cos(case.arrays[0])
    blocks = to_numpy(case.loss.hessian(*arrays, **options))
    assert blocks.shape == (*case.arrays[0].shape, CLASSES)
    product = to_numpy(case.loss.hvp(*arrays, to_array(vector), **options))
    assert_close(product, np.einsum("nij,nj->ni", blocks, vector), of="hessian", atol=1e-15)
    diagonal = to_numpy(case.loss.hessian_diag(*arrays, **options))
    assert_close(diagonal, np.diagonal(blocks, axis1=-2, axis2=-1), of="hessian", atol=1e-15)
    assert_close(blocks, np.swapaxes(blocks, -1, -2), of="hessian", atol=1e-16)


def test_hessian_of_softmax_is_the_covariance():
    p = tw.softmax(logits)
    covariance = np.einsum("ni,ij->nij", p, np.eye(CLASSES)) - p[:, :, None] * p[:, None, :]
    found = tw.cross_entropy_loss.hessian(logits, labels, reduction="sum")
    assert_close(found, covariance, of="hessian", atol=1e-16)
