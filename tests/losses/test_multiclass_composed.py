"""Sparsemax, entmax, cut points and several classes: ties, masked classes, labels, refusals."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
PROJECTED = [tw.sparsemax_loss, tw.entmax15_loss]


# ------------------------------------------------------------------------------- projections
@pytest.mark.parametrize("loss", PROJECTED)
def test_equal_logits_share_evenly(loss):
    value, gradient = loss.value_and_grad([[0.5, 0.5, 0.5, 0.5]], [2])
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient, [[0.25, 0.25, -0.75, 0.25]])


@pytest.mark.parametrize("loss", PROJECTED)
@pytest.mark.parametrize("count", [3, 7, 1000])
def test_many_equal_logits_are_in_it_together(loss, count, rng):
    row = np.full((1, count + 2), 0.1)
    row[0, -2:] = -5.0
    labels = [count + 1]
    gradient = loss.grad(row, labels)
    assert np.all(gradient[0, :count] == gradient[0, 0])
    assert_close(gradient[0, 0], 1 / count, ulp=2 * count)
    np.testing.assert_array_equal(gradient[0, count:], [0, -1])


@pytest.mark.parametrize("loss", PROJECTED)
def test_a_masked_class_changes_nothing(loss, rng):
    logits, labels = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    masked = np.concatenate([logits, np.full((5, 2), -INF)], axis=1)
    value, gradient = loss.value_and_grad(masked, labels)
    want, expected = loss.value_and_grad(logits, labels)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient[:, :4], expected, rtol=1e-13, atol=1e-16)
    np.testing.assert_array_equal(gradient[:, 4:], np.zeros((5, 2)))
    soft = rng.dirichlet(np.ones(4), 5)
    padded = np.concatenate([soft, np.zeros((5, 2))], axis=1)
    assert_close(loss(masked, padded), loss(logits, soft), rtol=1e-14)


@pytest.mark.parametrize("loss", PROJECTED)
def test_a_masked_label_costs_infinity(loss):
    value, gradient = loss.value_and_grad([[0.0, -INF]], [1])
    assert value == INF
    np.testing.assert_array_equal(gradient, [[1, -1]])


@pytest.mark.parametrize("loss", PROJECTED)
def test_infinite_logits_have_their_limit(loss):
    value, gradient = loss.value_and_grad([[INF, 0.0, -INF]], [0])
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0, 0]])
    value, gradient = loss.value_and_grad([[INF, 0.0, -INF]], [1])
    assert value == INF
    np.testing.assert_array_equal(gradient, [[1, -1, 0]])
    assert np.isnan(loss([[INF, INF]], [0]))
    assert np.isnan(loss([[-INF, -INF]], [0]))


@pytest.mark.parametrize("loss", PROJECTED)
@pytest.mark.parametrize("far", [1e-3, 1e-6])
def test_little_that_a_label_lacks_is_exact(loss, far):
    """The slope of a label is what the other classes have: no difference from 1."""
    top = 1.0 if loss is tw.sparsemax_loss else 2.0
    row = np.asarray([[top, far, -1.0]])
    gradient = loss.grad(row, [0])
    assert gradient[0, 0] == -gradient[0, 1]
    half = far / 2
    # entmax: sqrt(p) = s of the other class, with s**2 + (1 - half + s)**2 = 1.
    s = (half - 1 + np.sqrt(1 + 2 * half - half**2)) / 2
    want = half if loss is tw.sparsemax_loss else s**2
    assert_close(gradient[0, 1], want, rtol=1e-9)
    assert gradient[0, 2] == 0


@pytest.mark.parametrize("loss", PROJECTED)
def test_labels_are_one_hot_distributions(loss, rng):
    logits, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    value, gradient = loss.value_and_grad(logits, labels)
    want, expected = loss.value_and_grad(logits, np.eye(4)[labels])
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("loss", PROJECTED)
def test_slopes_by_target_distributions(loss, rng):
    logits, soft = 0.3 * rng.normal(size=(4, 5)), rng.dirichlet(np.ones(5), 4)
    tw.check_gradient(loss, logits, soft, wrt="targets")
    both = loss.grad(logits, soft, wrt=("logits", "targets"))
    assert_close(both[0], loss.grad(logits, soft), rtol=1e-15)


@pytest.mark.parametrize("loss", PROJECTED)
def test_second_derivatives_agree_with_differences(loss, rng):
    logits, labels = rng.normal(size=(4, 5)), rng.integers(0, 5, 4)
    vector, step = rng.normal(size=(4, 5)), 1e-6
    ends = [loss.grad(logits + s * vector, labels) for s in (step, -step)]
    product = loss.hvp(logits, labels, vector)
    assert_close(product, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-8)


def test_two_classes_are_the_binary_loss(rng):
    x = 2 * rng.normal(size=20)
    logits = np.stack([np.zeros(20), x], axis=1)
    labels = rng.integers(0, 2, 20)
    found = tw.sparsemax_loss(logits, labels, reduction="none")
    expected = tw.binary_sparsemax_loss(x, labels, reduction="none")  # 1 - x is rounded before
    assert_close(found, expected, rtol=1e-13, atol=1e-18)


def test_o27_float32_beside_float64_has_a_gradient():
    """In optax its derivative is a TypeError there."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        logits = jax.numpy.asarray([[1.0, 0.5, -3.0]], dtype="float32")
        gradient = jax.grad(lambda x: tw.sparsemax_loss(x, jax.numpy.asarray([1])))(logits)
    assert gradient.dtype == "float32"
    np.testing.assert_array_equal(gradient, [[0.75, -0.75, 0]])


# -------------------------------------------------------------------------------- cut points
def test_two_grades_are_binary_cross_entropy(rng):
    x, y = 5 * rng.normal(size=20), rng.integers(0, 2, 20)
    found = tw.cumulative_link_loss(x, y, [0.25], reduction="none")
    want = tw.binary_cross_entropy_with_logits_loss(x - 0.25, y, reduction="none")
    assert_close(found, want, rtol=1e-14)


def test_grades_far_from_their_cuts_are_exact():
    """Their probability is near 1, and its logarithm the sum of what both sides lack."""
    value, (by_x, by_cuts) = tw.cumulative_link_loss.value_and_grad([0.0], [1], [-25.0, 25.0])
    want = 2 * np.exp(-25.0)
    assert_close(value, want, ulp=2)
    assert by_x[0] == 0
    assert_close(by_cuts, [want / 2, -want / 2], ulp=4)


def test_cuts_that_do_not_rise():
    losses = tw.cumulative_link_loss([0.0, 0.0], [1, 0], [1.0, 1.0], reduction="none")
    assert losses[0] == INF
    assert np.isfinite(losses[1])
    assert np.isnan(tw.cumulative_link_loss([0.0], [1], [1.0, 0.5]))


def test_the_ends_have_their_limits():
    losses = tw.cumulative_link_loss(
        [INF, -INF, INF, -INF], [2, 0, 0, 1], [-1.0, 1.0], reduction="none"
    )
    np.testing.assert_array_equal(losses, [0, 0, INF, INF])


# --------------------------------------------------------------------------- several classes
def test_t34_nan_is_not_nothing():
    value, gradient = tw.multilabel_margin_loss.value_and_grad([[NAN, 0.0, 0.0]], [[0, -1, -1]])
    assert np.isnan(value)
    assert np.isnan(gradient).any()


def test_kinks_of_several_classes():
    """The first pair just meets the margin: 0; the other is a half short."""
    predictions, targets = [[1.0, 0.0, 0.5]], [[0, -1, 1]]
    value, gradient = tw.multilabel_margin_loss.value_and_grad(predictions, targets)
    assert value == 0.5 / 3
    assert_close(gradient, [[-1 / 3, 0, 1 / 3]], ulp=1)


def test_rows_without_labels_or_without_others_cost_nothing():
    for targets in ([[-1, 0, 1]], [[2, 1, 0]]):
        value, gradient = tw.multilabel_margin_loss.value_and_grad([[3.0, 1.0, 2.0]], targets)
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros((1, 3)))


# ------------------------------------------------------------------------------------- labels
LABELLED = {
    "sparsemax_loss": (np.ones((2, 3)), [0, 3]),
    "entmax15_loss": (np.ones((2, 3)), [0, -1]),
    "cumulative_link_loss": (np.ones(2), [0, 3], [0.0, 1.0]),
    "multilabel_margin_loss": (np.ones((2, 3)), [[0, -1, -1], [-2, -1, -1]]),
    "lovasz_softmax_loss": (np.full((2, 1, 3), 1 / 3), [[0], [3]]),
}


@pytest.mark.parametrize("name", LABELLED)
def test_labels_that_cannot_be_looked_at_give_nan(name):
    jax = pytest.importorskip("jax")
    loss = getattr(tw, name)
    first, *rest = map(jax.numpy.asarray, LABELLED[name])

    def function(x, *others):
        return jax.numpy.sum(loss(x, *others, reduction="none"))

    losses = jax.jit(lambda *given: loss(*given, reduction="none"))(first, *rest)
    assert np.isnan(losses).tolist() == [False, True]
    gradient = np.asarray(jax.jit(jax.grad(function))(first, *rest)).reshape(2, -1)
    assert np.isnan(gradient).any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("name", LABELLED)
def test_labels_that_are_no_classes(name):
    told = rf"{name}: targets\[1(, 0)?\] is (3|-1|-2), but the \d classes are 0 to \d"
    with pytest.raises(tw.LabelError, match=told) as refused:
        getattr(tw, name)(*LABELLED[name])
    assert ("-1 stands after the last" in str(refused.value)) == (name == "multilabel_margin_loss")


REFUSED = {
    "other rows": (
        lambda: tw.sparsemax_loss(np.ones((2, 3)), [0, 1, 2]),
        r"sparsemax_loss: targets of shape \(3,\) fit neither as labels of shape \(2,\) nor as",
    ),
    "no classes": (
        lambda: tw.entmax15_loss(np.ones((2, 0)), [0, 0]),
        r"entmax15_loss: logits of shape \(2, 0\) must end in an axis of classes",
    ),
    "one label too many": (
        lambda: tw.cumulative_link_loss(np.ones(2), [0, 1, 0], [0.0]),
        r"cumulative_link_loss: targets of shape \(3,\) must be one label a prediction, \(2,\)",
    ),
    "no cuts": (
        lambda: tw.cumulative_link_loss(np.ones(2), [0, 0], np.ones(0)),
        r"cumulative_link_loss: thresholds of shape \(0,\) must be one axis of K - 1 cut points",
    ),
    "one class a row": (
        lambda: tw.multilabel_margin_loss(np.ones((2, 3)), [0, 1]),
        r"multilabel_margin_loss: targets of shape \(2,\) must have the shape \(2, 3\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, message = REFUSED[name]
    with pytest.raises(tw.ShapeError, match=message):
        call()
