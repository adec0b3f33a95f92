"""Losses and functions over classes, within 8 ulp and what their inputs allow."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.accuracy import truth
from tests.accuracy.inputs import distribution_like, label_of, rows
from tests.accuracy.judge import OVER_CLASSES, assert_accurate, exact_results

DTYPES = ("float32", "float64")
CLASSES = (2, 5)
# Where a model fits its target probabilities, `p - q` cancels, and the rounding of `p` weighs more
# than that of the given `q`. One step is out of reach there: NumPy's float32 exp is off by two ulp.
SOFT_STEPS = 3
LABELS = ("largest", "smallest", "middle")


def labels_of(table, kind):
    return np.array([label_of(row, kind) for row in table])


def class_weights(classes, dtype):
    """None large: it would magnify the rounding of a subnormal probability."""
    return np.resize(np.array([0.7, 3.0, 0.0, 1e-3, 1.5], dtype), classes)


def judge_loss(name, dtype, call, exact, worst_errors, describe):
    """Each row's value, and each element of the gradient of their sum."""
    values, gradient = call("none"), call("gradient")
    classes = len(exact[0]) - 1
    worst_errors[name, dtype, "value"] = assert_accurate(
        values, [e[0] for e in exact], dtype, limit=OVER_CLASSES, describe=describe
    )
    worst_errors[name, dtype, "gradient"] = assert_accurate(
        gradient,
        [slope for e in exact for slope in e[1:]],
        dtype,
        limit=OVER_CLASSES,
        describe=lambda i: f"{describe(i // classes)}, class {i % classes}",
    )


def caller(loss, table, targets, **options):
    def call(what):
        if what == "gradient":
            return loss.grad(table, targets, reduction="sum", **options)
        return loss(table, targets, reduction="none", **options)

    return call


# ----------------------------------------------------------------------------- from labels
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_labels(dtype, classes, kind, weighted, worst_errors):
    table = rows(dtype, classes)
    labels = labels_of(table, kind)
    weight = class_weights(classes, dtype) if weighted else None
    exact = []
    for row, label in zip(table, labels, strict=True):
        hot = truth.one_hot(label, classes)
        inputs = [row, hot] if weight is None else [row, hot, weight]
        exact.append(exact_results(truth.cross_entropy, inputs, dtype, fixed=(1,)))
    name = f"cross_entropy {kind} label K={classes}" + (" weight" if weighted else "")
    judge_loss(
        name,
        dtype,
        caller(tw.cross_entropy_loss, table, labels, weight=weight),
        exact,
        worst_errors,
        lambda i: f"{name}: {table[i].tolist()}, label {labels[i]}",
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("smoothing", [1e-3, 0.1, 1.0])
def test_cross_entropy_with_label_smoothing(dtype, classes, smoothing, worst_errors):
    table = rows(dtype, classes)
    labels = labels_of(table, "largest")

    def reference(row, hot, rounding):
        """The smoothed targets are rounded, as given ones are: each moves by a step."""
        targets = truth.smoothed(hot, smoothing, row)
        return truth.cross_entropy(row, [q * r for q, r in zip(targets, rounding, strict=True)])

    exact = []
    for row, label in zip(table, labels, strict=True):
        inputs = [row, truth.one_hot(label, classes), np.ones(classes, dtype)]
        exact.append(exact_results(reference, inputs, dtype, fixed=(1,), steps=SOFT_STEPS))
    name = f"cross_entropy label_smoothing={smoothing} K={classes}"
    judge_loss(
        name,
        dtype,
        caller(tw.cross_entropy_loss, table, labels, label_smoothing=smoothing),
        exact,
        worst_errors,
        lambda i: f"{name}: {table[i].tolist()}, label {labels[i]}",
    )


# ---------------------------------------------------------------------- from probabilities
def targets_for(table, kind):
    """One-hot, random, or what a fitted model says, where value and gradient are smallest."""
    if kind == "one-hot":
        return np.eye(table.shape[1], dtype=table.dtype)[labels_of(table, "largest")]
    if kind == "fitted":
        fitted = tw.softmax(table)
        return np.where(np.isnan(fitted), 0.5, fitted).astype(table.dtype)
    return np.stack([distribution_like(row, f"targets {i}") for i, row in enumerate(table)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("kind", ["one-hot", "random", "fitted"])
@pytest.mark.parametrize(
    ("weighted", "smoothing"), [(False, 0.0), (True, 0.0), (True, 0.1)], ids=str
)
def test_cross_entropy_of_probabilities(dtype, classes, kind, weighted, smoothing, worst_errors):
    table = rows(dtype, classes)
    targets = targets_for(table, kind)
    weight = class_weights(classes, dtype) if weighted else None

    def reference(row, distribution, weight=None):
        if smoothing:
            distribution = truth.smoothed(distribution, smoothing, row)
        return truth.cross_entropy(row, distribution, weight)

    exact = []
    for row, distribution in zip(table, targets, strict=True):
        inputs = [row, distribution] if weight is None else [row, distribution, weight]
        exact.append(exact_results(reference, inputs, dtype, steps=SOFT_STEPS))
    name = f"cross_entropy {kind} targets K={classes}"
    name += (" weight" if weighted else "") + (" smoothed" if smoothing else "")
    judge_loss(
        name,
        dtype,
        caller(tw.cross_entropy_loss, table, targets, weight=weight, label_smoothing=smoothing),
        exact,
        worst_errors,
        lambda i: f"{name}: {table[i].tolist()}, targets {targets[i].tolist()}",
    )


# ----------------------------------------------------------------- negative log-likelihood
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_nll(dtype, weighted, worst_errors):
    table = rows(dtype, 5)
    labels = labels_of(table, "middle")
    weight = class_weights(5, dtype) if weighted else None
    exact = [
        exact_results(truth.nll, [row, label, 1 if weight is None else weight[label]], dtype,
                      fixed=(0, 1, 2))
        for row, label in zip(table, labels, strict=True)
    ]  # fmt: skip
    name = "nll weight" if weighted else "nll"
    judge_loss(
        name,
        dtype,
        caller(tw.nll_loss, table, labels, weight=weight),
        exact,
        worst_errors,
        lambda i: f"{name}: {table[i].tolist()}, label {labels[i]}",
    )
