"""Means and sums, right to the last bits: many elements, weights, masks, ignored rows."""

import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.accuracy.inputs import label_of, rows
from tests.accuracy.judge import ELEMENTWISE, OVER_CLASSES, Exact, assert_accurate, exact_results

DTYPES = ("float32", "float64")
MILLION = 1_000_000


def exactly(want):
    return [Exact(mpf(want), mpf(0))]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("least", [-1024, 0])
def test_a_million_float32_values_within_one_ulp(reduction, least):
    """Each square is a float32 number, and their sum is known as an integer."""
    steps = np.random.default_rng(11).integers(least, 2048, MILLION)
    error = (steps / 512).astype(np.float32)
    want = mpf(int(np.sum(steps**2))) / 512**2
    want = want / MILLION if reduction == "mean" else want
    got = tw.mse_loss(error, np.zeros_like(error), reduction=reduction)
    assert_accurate(got, exactly(want), "float32", limit=1)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_many_small_values_beside_a_large_one_are_not_lost(reduction):
    error = np.full(MILLION, 1e-4, np.float32)
    error[0] = 300.0
    want = mpf(300) + mpf(float(np.float32(1e-4))) * (MILLION - 1)
    want = want / MILLION if reduction == "mean" else want
    got = tw.l1_loss(error, np.zeros_like(error), reduction=reduction)
    assert_accurate(got, exactly(want), "float32", limit=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_of_weighted_and_ignored_rows(dtype, weighted):
    """The loss is the sum over the rows that count, divided by the weights of their classes."""
    table = rows(dtype, 5)[:12]
    labels = np.array([label_of(row, "middle") for row in table])
    labels[3:5] = -100
    table[3] = np.nan
    weight = np.array([0.7, 3.0, 0.5, 1e-3, 1.5], dtype) if weighted else None
    in_use = np.ones(5) if weight is None else weight
    kept = [i for i, label in enumerate(labels) if label >= 0]

    def reference(*arguments):
        *logits, weights = arguments
        results = [
            truth.cross_entropy(row, truth.one_hot(labels[i], 5), weights)
            for i, row in zip(kept, logits, strict=True)
        ]
        divisor = sum(weights[int(labels[i])] for i in kept)
        return [sum(column[0] for column in results) / divisor] + [
            slope / divisor for result in results for slope in result[1:]
        ]

    fixed = () if weighted else (len(kept),)
    exact = exact_results(reference, [*table[kept], in_use], dtype, fixed=fixed)
    value, gradient = tw.cross_entropy_loss.value_and_grad(table, labels, weight=weight)
    assert_accurate(value, exact[:1], dtype, limit=OVER_CLASSES)
    assert_accurate(gradient[kept], exact[1:], dtype, limit=OVER_CLASSES)
    assert np.all(gradient[3:5] == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sample_weights_and_masks(dtype, reduction):
    x = np.array([-50.0, -3.0, 0.2, 1.0, 17.0, np.nan, np.inf], dtype)
    targets = np.array([0.0, 0.3, 1.0, 0.0, 1.0, 1.0, 0.0], dtype)
    weights = np.array([0.1, 2.0, 0.0, 1e-3, 5.0, 1.0, 1.0], dtype)
    mask = np.array([1, 1, 1, 1, 1, 0, 0], bool)
    kept = slice(0, 5)

    def reference(logits, targets, weights):
        results = [
            truth.binary_cross_entropy_with_logits(x, t)
            for x, t in zip(logits, targets, strict=True)
        ]
        divisor = sum(weights) if reduction == "mean" else 1
        value = sum(w * r[0] for w, r in zip(weights, results, strict=True)) / divisor
        return [value, *(w * r[1] / divisor for w, r in zip(weights, results, strict=True))]

    exact = exact_results(reference, [x[kept], targets[kept], weights[kept]], dtype)
    value, gradient = tw.binary_cross_entropy_with_logits_loss.value_and_grad(
        x, targets, sample_weight=weights, where=mask, reduction=reduction
    )
    assert_accurate(value, exact[:1], dtype, limit=ELEMENTWISE)
    assert_accurate(gradient[kept], exact[1:], dtype, limit=ELEMENTWISE)
    assert np.all(gradient[5:] == 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batchmean_divides_by_the_rows(dtype):
    predictions = np.log(np.array([[0.1, 0.9], [0.4, 0.6], [0.5, 0.5]], dtype))
    targets = np.array([[0.2, 0.8], [0.0, 1.0], [0.5, 0.5]], dtype)

    def reference(predictions, targets):
        terms = [truth.kl_div(p, t) for p, t in zip(predictions, targets, strict=True)]
        return [sum(value for value, _ in terms) / 3, *(slope / 3 for _, slope in terms)]

    exact = exact_results(reference, [predictions.ravel(), targets.ravel()], dtype)
    value, gradient = tw.kl_div_loss.value_and_grad(predictions, targets, reduction="batchmean")
    assert_accurate(value, exact[:1], dtype, limit=ELEMENTWISE)
    assert_accurate(gradient, exact[1:], dtype, limit=ELEMENTWISE)
