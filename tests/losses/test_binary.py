"""Binary losses: refusals, edges, kinks, and what they are of each other."""

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy.judge import Exact, assert_accurate, neighbours
from tests.accuracy.truth import digits

INF, NAN = np.inf, np.nan
OF_SIGNS = [
    tw.hinge_loss,
    tw.squared_hinge_loss,
    tw.perceptron_loss,
    tw.modified_huber_loss,
    tw.soft_margin_loss,
]
X = np.asarray([-2.0, -0.5, 0.25, 3.0])
Y = np.asarray([1.0, -1.0, 1.0, -1.0])
HOT = np.asarray([1.0, 0.0, 1.0, 0.0])


def elements(loss, x, y, **options):
    """The losses and their slopes."""
    return loss(x, y, reduction="none", **options), loss.grad(x, y, reduction="sum", **options)


def same(a, b, rtol=1e-14):
    for got, want in zip(a, b, strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol)


# ------------------------------------------------------------------------------------- refusals
SMOOTHING = r"label_smoothing must be in \[0, 1\], got "
BAD_OPTIONS = [
    (tw.binary_cross_entropy_loss, {"label_smoothing": 1.5}, SMOOTHING + "1.5"),
    (tw.binary_cross_entropy_loss, {"label_smoothing": NAN}, SMOOTHING + "nan"),
    (tw.binary_cross_entropy_with_logits_loss, {"label_smoothing": -0.1}, SMOOTHING + "-0.1"),
    (tw.sigmoid_focal_loss, {"alpha": -1}, r"alpha must be in \[0, 1\], or None, got -1"),
    (tw.sigmoid_focal_loss, {"gamma": -0.5}, "gamma must be finite and not negative, got -0.5"),
    (tw.sigmoid_focal_loss, {"gamma": NAN}, "gamma must be finite and not negative, got nan"),
    (tw.hinge_loss, {"margin": -1.0}, "margin must not be negative, got -1.0"),
    (tw.squared_hinge_loss, {"margin": NAN}, "margin must not be negative, got nan"),
]


@pytest.mark.parametrize(("loss", "options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(loss, options, message):
    with pytest.raises(tw.ArgumentError, match=f"^{loss.formula.name}: {message}"):
        loss([0.5], [1.0], **options)


def test_labels_that_are_no_classes_are_refused():
    with pytest.raises(tw.LabelError, match=r"multiclass_brier_loss: targets\[1\] is 3"):
        tw.multiclass_brier_loss([[0.5, 0.5], [0.5, 0.5]], [0, 3])
    with pytest.raises(tw.ShapeError, match="multilabel_soft_margin_loss: weight holds one number"):
        tw.multilabel_soft_margin_loss([[0.5, 0.5]], [[1.0, 0.0]], weight=[1.0])


@pytest.mark.parametrize("loss", OF_SIGNS, ids=lambda loss: loss.formula.name)
def test_a_target_is_a_sign_or_nothing(loss):
    value, slope = elements(loss, np.asarray([0.5]), np.asarray([NAN]))
    assert np.isnan([value, slope]).all()
    for wrong in (0.0, 0.9):
        with pytest.raises(
            tw.ArgumentError, match=rf"targets\[1\] is {wrong}, but must be -1 or 1"
        ):
            loss([0.5, 0.5], [1.0, wrong])
    with pytest.raises(tw.ArgumentError, match=r"is False, but must be -1 or 1"):
        loss(X, Y > 0)
    same(elements(loss, X, Y.astype(np.int64)), elements(loss, X, Y))
    assert loss(X, np.zeros(4), where=np.zeros(4, bool)) == 0


@pytest.mark.parametrize("loss", OF_SIGNS, ids=lambda loss: loss.formula.name)
def test_nan_is_not_hidden(loss):
    values, slopes = elements(loss, np.asarray([NAN, NAN]), np.asarray([1.0, -1.0]))
    assert np.all(np.isnan(values))
    assert np.all(np.isnan(slopes))


# ---------------------------------------------------------------------------------------- kinks
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_slope_at_a_kink_is_the_smallest(sign):
    y = np.asarray([sign])
    assert tw.hinge_loss.grad(y, y) == 0
    assert tw.hinge_loss.grad(0.25 * y, y, margin=0.25) == 0
    assert tw.perceptron_loss.grad([0.0], y) == 0
    assert tw.hinge_loss.grad(y * (1 - 2**-53), y) == -sign
    assert tw.squared_hinge_loss.hessian_diag(y, y) == 0
    assert tw.modified_huber_loss.grad(-y, y) == -4 * sign
    assert tw.modified_huber_loss(-y, y) == 4


# ------------------------------------------------------------------------------------- identities
def test_losses_are_of_each_other():
    same(elements(tw.perceptron_loss, X, Y), elements(tw.hinge_loss, X, Y, margin=0))
    np.testing.assert_allclose(
        tw.squared_hinge_loss(X, Y, reduction="none"), tw.hinge_loss(X, Y, reduction="none") ** 2
    )
    with_logits = tw.binary_cross_entropy_with_logits_loss
    same(elements(tw.soft_margin_loss, X, Y), elements(with_logits, X, HOT))
    p = np.asarray([0.1, 0.6, 0.25, 0.9])
    same(elements(tw.brier_loss, p, HOT), elements(tw.mse_loss, p, HOT))
    both = np.stack([1 - p, p], -1)
    np.testing.assert_allclose(
        tw.multiclass_brier_loss(both, HOT.astype(int), reduction="none"),
        2 * tw.brier_loss(p, HOT, reduction="none"),
    )
    rows, targets = X.reshape(2, 2), HOT.reshape(2, 2)
    np.testing.assert_allclose(
        tw.multilabel_soft_margin_loss(rows, targets), with_logits(rows, targets), rtol=1e-14
    )


def test_focal_loss_has_its_limits():
    with_logits = tw.binary_cross_entropy_with_logits_loss
    without = elements(tw.sigmoid_focal_loss, X, HOT, alpha=None, gamma=0)
    same(without, elements(with_logits, X, HOT))
    half = elements(tw.sigmoid_focal_loss, X, HOT, alpha=0.5, gamma=0)
    same([2 * part for part in half], without)
    soft = np.asarray([0.9, 0.2, 0.5, 0.0])
    same(
        elements(tw.sigmoid_focal_loss, X, soft, alpha=None, gamma=0),
        elements(with_logits, X, soft),
    )
    near = elements(tw.sigmoid_focal_loss, X, soft, gamma=1.9999999)
    same(near, elements(tw.sigmoid_focal_loss, X, soft), rtol=1e-5)


def test_smoothing_moves_targets_to_the_middle():
    for loss, x in (
        (tw.binary_cross_entropy_loss, np.asarray([0.1, 0.6, 0.25, 0.9])),
        (tw.binary_cross_entropy_with_logits_loss, X),
    ):
        same(elements(loss, x, HOT, label_smoothing=0.2), elements(loss, x, 0.1 + 0.8 * HOT))
        same(elements(loss, x, HOT, label_smoothing=1), elements(loss, x, np.full(4, 0.5)))
        np.testing.assert_array_equal(
            loss(x, HOT, label_smoothing=0.0, reduction="none"), loss(x, HOT, reduction="none")
        )


def test_labels_and_distributions_have_the_same_brier_score():
    rows = np.asarray([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.3, 0.3, 0.4]])
    labels = np.asarray([1, -100, 2])
    hot = np.eye(3)[[1, 0, 2]]
    value, gradient = tw.multiclass_brier_loss.value_and_grad(rows, labels)
    kept = np.asarray([True, False, True])
    want, expected = tw.multiclass_brier_loss.value_and_grad(rows, hot, where=kept)
    np.testing.assert_allclose(value, want, rtol=1e-15)
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    assert np.all(gradient[1] == 0)
    with pytest.raises(tw.LabelError):
        tw.multiclass_brier_loss(rows, labels, ignore_index=None)


# ------------------------------------------------------------------------------------------ edges
def test_infinite_scores_cost_their_limit():
    x = np.asarray([INF, -INF, INF, -INF])
    y = np.asarray([1.0, 1.0, -1.0, -1.0])
    hot = np.asarray([1.0, 1.0, 0.0, 0.0])
    costs = [0, INF, INF, 0]
    slopes = np.asarray([0, -1.0, 1.0, 0])
    for loss in (tw.hinge_loss, tw.perceptron_loss, tw.soft_margin_loss):
        same(elements(loss, x, y), (costs, slopes))
    same(elements(tw.modified_huber_loss, x, y), (costs, 4 * slopes))
    same(elements(tw.squared_hinge_loss, x, y), (costs, [0, -INF, INF, 0]))
    same(elements(tw.binary_sparsemax_loss, x, hot), (costs, slopes))
    same(elements(tw.exponential_loss, x, hot), (costs, [0, -INF, INF, 0]))
    for gamma in (0, 0.25, 1, 1.5, 2, 3):
        focal = elements(tw.sigmoid_focal_loss, x, hot, alpha=None, gamma=gamma)
        same(focal, (costs, slopes))
        curvature = tw.sigmoid_focal_loss.hessian_diag(x, hot, gamma=gamma)
        np.testing.assert_array_equal(curvature, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", [0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_the_curvature_of_focal_loss_is_exact_in_the_tails(gamma, dtype):
    x = np.asarray(
        [0.0, 1.0, 8.0, 17.0, 40.0, 88.0, 104.0, 300.0, 745.5, -1.5, -20.0, -200.0], dtype
    )
    got = tw.sigmoid_focal_loss.hessian_diag(
        x, np.ones_like(x), alpha=None, gamma=gamma, reduction="sum"
    )

    def curvature(x):
        """The second derivative of `p**gamma c`, with `p = sigmoid(-x)` and `c = softplus(-x)`."""
        p, q = 1 / (1 + mpmath.exp(x)), 1 / (1 + mpmath.exp(-x))
        cost = mpmath.log1p(mpmath.exp(-x))
        return p**gamma * q * (gamma * (gamma * q - p) * cost + (2 * gamma + 1) * p)

    with digits(dtype):
        exact = []
        for each in map(float, x):
            want = curvature(mpf(each))
            nearby = [curvature(mpf(float(n))) for n in neighbours(each, dtype)]
            exact.append(Exact(want, max(abs(other - want) for other in nearby)))
        assert_accurate(got, exact, dtype, limit=8, describe=lambda i: f"{gamma} at {x[i]}")


def test_a_mean_over_nothing_is_zero():
    nothing = np.zeros((0, 3))
    for loss in (tw.multilabel_soft_margin_loss, tw.multiclass_brier_loss):
        value, gradient = loss.value_and_grad(nothing, nothing)
        assert value == 0
        assert gradient.shape == (0, 3)
    value, gradient = tw.multiclass_brier_loss.value_and_grad([[0.5, 0.5]], [-100])
    assert value == 0
    assert np.all(gradient == 0)


def test_asymmetric_loss_is_a_focal_loss_with_a_margin():
    options = {"gamma_pos": 1.5, "gamma_neg": 1.5, "clip": 0.0}
    focal = elements(tw.sigmoid_focal_loss, X, HOT, alpha=None, gamma=1.5)
    same(elements(tw.asymmetric_loss, X, HOT, **options), focal)
    easy = np.asarray([-3.0, -10.0, -INF])
    same(elements(tw.asymmetric_loss, easy, np.zeros(3)), (np.zeros(3), np.zeros(3)))
    hard = np.asarray([40.0, INF])
    costs, slopes = elements(tw.asymmetric_loss, hard, np.zeros(2), gamma_neg=0.0)
    np.testing.assert_allclose(costs, -np.log(0.05), rtol=1e-14)
    np.testing.assert_allclose(slopes, [np.exp(-40) / 0.05, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma_pos": -1}, "gamma_pos must be finite and not negative, got -1"),
        ({"gamma_neg": NAN}, "gamma_neg must be finite and not negative, got nan"),
        ({"clip": 1.0}, r"clip must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_options_of_asymmetric_loss_are_refused(options, message):
    with pytest.raises(tw.ArgumentError, match=f"^asymmetric_loss: {message}"):
        tw.asymmetric_loss([0.5], [1.0], **options)


def test_an_exposure_of_one_makes_no_difference():
    with_logits = elements(tw.binary_cross_entropy_with_logits_loss, X, HOT)
    same(elements(tw.cross_entropy_lambda_loss, X, HOT), with_logits, rtol=1e-13)
    same(elements(tw.cross_entropy_lambda_loss, X, HOT, weight=np.ones(4)), with_logits, rtol=1e-13)
    none = tw.cross_entropy_lambda_loss(X, HOT, weight=np.zeros(4), reduction="none")
    np.testing.assert_array_equal(none, [INF, 0, INF, 0])


def test_an_exposure_of_two_is_two_of_one():
    """That nothing happens twice has the product of the probabilities."""
    twice = tw.cross_entropy_lambda_loss(X, np.zeros(4), weight=np.full(4, 2.0), reduction="none")
    once = tw.cross_entropy_lambda_loss(X, np.zeros(4), reduction="none")
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-15)
