"""Losses over classes: refusals, edges, kinks, limits of parameters, identities among them."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
LOGITS = np.array([[0.3, -1.2, 2.0], [1.5, 0.1, -0.4]])
LABELS = np.array([2, 1])
HOT = np.eye(3)[LABELS]
WITH_TARGETS = (
    tw.cross_entropy_loss,
    tw.softmax_focal_loss,
    tw.poly1_cross_entropy_loss,
    tw.generalized_cross_entropy_loss,
    tw.symmetric_cross_entropy_loss,
    tw.categorical_hinge_loss,
)
WITH_IGNORED = (
    tw.cross_entropy_loss,
    tw.nll_loss,
    tw.softmax_focal_loss,
    tw.poly1_cross_entropy_loss,
    tw.generalized_cross_entropy_loss,
    tw.symmetric_cross_entropy_loss,
    tw.logit_adjusted_cross_entropy_loss,
)
WITH_LABELS = (
    tw.nll_loss,
    tw.multi_margin_loss,
    tw.multiclass_hinge_loss,
    tw.multiclass_perceptron_loss,
    tw.logit_adjusted_cross_entropy_loss,
)
REFUSED = [
    (tw.cross_entropy_loss, {"label_smoothing": 1.5}, r"label_smoothing must be in \[0, 1\], got"),
    (tw.cross_entropy_loss, {"temperature": 0.0}, "temperature must be positive and finite, got"),
    (tw.cross_entropy_loss, {"temperature": INF}, "temperature must be positive and finite, got"),
    (tw.cross_entropy_loss, {"softcap": -30.0}, "softcap must be None or a positive finite number"),
    (tw.cross_entropy_loss, {"softcap": "30"}, "softcap must be None or a positive finite number"),
    (tw.cross_entropy_loss, {"z_loss": -1e-4}, "z_loss must be finite and not negative, got"),
    (tw.softmax_focal_loss, {"gamma": -1.0}, "gamma must be finite and not negative, got -1.0"),
    (tw.softmax_focal_loss, {"label_smoothing": NAN}, "label_smoothing must be in"),
    (tw.poly1_cross_entropy_loss, {"epsilon": INF}, "epsilon must be finite, got inf"),
    (tw.generalized_cross_entropy_loss, {"q": 0.0}, r"q must be in \(0, 1\], got 0.0"),
    (tw.generalized_cross_entropy_loss, {"q": 1.5}, r"q must be in \(0, 1\], got 1.5"),
    (tw.symmetric_cross_entropy_loss, {"alpha": -1.0}, "alpha must be finite and not negative"),
    (tw.symmetric_cross_entropy_loss, {"beta": NAN}, "beta must be finite and not negative"),
    (tw.symmetric_cross_entropy_loss, {"log_zero": 0.0}, "log_zero must be negative and finite"),
    (tw.logit_adjusted_cross_entropy_loss, {"tau": NAN}, "tau must be finite, got nan"),
    (tw.multi_margin_loss, {"p": 3}, "p must be 1 or 2, got 3"),
    (tw.multi_margin_loss, {"margin": INF}, "margin must be finite, got inf"),
    (tw.multiclass_hinge_loss, {"margin": NAN}, "margin must be finite, got nan"),
    (tw.categorical_hinge_loss, {"margin": -INF}, "margin must be finite, got -inf"),
]


def named(loss):
    return getattr(getattr(loss, "formula", None), "name", None)


# ------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(("loss", "options", "message"), REFUSED)
def test_options_out_of_range_are_refused(loss, options, message):
    with pytest.raises(tw.ArgumentError, match=f"^{loss.formula.name}: {message}"):
        loss(LOGITS, LABELS, **options)


@pytest.mark.parametrize("loss", dict.fromkeys((*WITH_TARGETS, *WITH_LABELS)), ids=named)
def test_a_label_that_is_no_class_is_refused(loss):
    with pytest.raises(
        tw.LabelError, match=rf"{named(loss)}: targets\[1\] is 3, but the 3 classes"
    ):
        loss(LOGITS, np.array([0, 3]))


@pytest.mark.parametrize("loss", WITH_LABELS, ids=named)
def test_labels_are_integers(loss):
    with pytest.raises(tw.DTypeError, match=f"{named(loss)}: targets must be integer class"):
        loss(LOGITS, np.array([0.0, 1.0]))


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (tw.cross_entropy_loss, "weight"),
        (tw.softmax_focal_loss, "alpha"),
        (tw.logit_adjusted_cross_entropy_loss, "prior"),
        (tw.multi_margin_loss, "weight"),
    ],
    ids=lambda x: x if isinstance(x, str) else named(x),
)
def test_there_is_one_number_a_class(loss, name):
    with pytest.raises(tw.ShapeError, match=rf"{name} holds one number a class: .*\(3,\), got"):
        loss(LOGITS, LABELS, **{name: np.ones(4)})


# ------------------------------------------------------------------- labels and probabilities
@pytest.mark.parametrize("loss", WITH_TARGETS, ids=named)
def test_a_label_is_a_one_hot_distribution(loss):
    value, gradient = loss.value_and_grad(LOGITS, LABELS)
    want, expected = loss.value_and_grad(LOGITS, HOT)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("loss", WITH_IGNORED, ids=named)
def test_ignored_rows_are_removed_even_over_nan(loss):
    logits = np.array([[NAN, INF, 0.0], *LOGITS])
    for ignored in (-100, 0):
        options = {} if ignored == -100 else {"ignore_index": ignored}
        value, gradient = loss.value_and_grad(logits, np.array([ignored, *LABELS]), **options)
        want, expected = loss.value_and_grad(LOGITS, LABELS)
        assert_close(value, want, rtol=1e-15)
        assert_close(gradient, np.array([[0, 0, 0], *expected]), rtol=1e-15)
    value, gradient = loss.value_and_grad(logits[:1], np.array([-100]))
    assert value == 0
    assert np.all(gradient == 0)


@pytest.mark.parametrize("loss", WITH_TARGETS[:5], ids=named)
def test_masked_classes_take_no_part(loss):
    masked = np.insert(LOGITS, 1, -INF, axis=1)
    value, gradient = loss.value_and_grad(masked, np.insert(HOT, 1, 0, axis=1))
    want, expected = loss.value_and_grad(LOGITS, HOT)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, np.insert(expected, 1, 0, axis=1), rtol=1e-13, atol=1e-16)


# ----------------------------------------------------------------- options of cross-entropy
def test_the_plain_call_is_what_it_was():
    options: Any = {"temperature": 1.0, "softcap": None, "z_loss": 0.0}
    text = tw.cross_entropy_loss.source()
    assert tw.cross_entropy_loss.source(**options) == text
    assert "tanh" not in text


def test_the_temperature_divides_the_logits():
    got = tw.cross_entropy_loss.value_and_grad(LOGITS, LABELS, temperature=2.0)
    value, gradient = tw.cross_entropy_loss.value_and_grad(LOGITS / 2, LABELS)
    assert_close(got[0], value, rtol=1e-15)
    assert_close(got[1], gradient / 2, rtol=1e-14)


def test_the_cap_bounds_the_logits_and_spares_the_mask():
    far = np.array([[1e6, -1e6, -INF]])
    value, gradient = tw.cross_entropy_loss.value_and_grad(far, [1], softcap=2.0)
    assert_close(value, np.log1p(np.exp(4.0)), rtol=1e-15)
    assert np.all(gradient == 0)
    wide = tw.cross_entropy_loss(LOGITS, LABELS, softcap=1e9)
    assert_close(wide, tw.cross_entropy_loss(LOGITS, LABELS), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_cap_of_a_logit_far_above_it_is_flat(dtype):
    tiny = 9.357622968840175e-14  # exp(-30)
    for logit in (3000.0, INF):
        logits = np.asarray([[logit, 0.0]], dtype)
        second = tw.cross_entropy_loss.hessian_diag(logits, [0], softcap=30.0)
        assert_close(second, [[0.0, tiny]], rtol=1e-6, atol=1e-90)
        product = tw.cross_entropy_loss.hvp(logits, [0], np.ones_like(logits), softcap=30.0)
        assert_close(product, [[0.0, tiny]], rtol=1e-6, atol=1e-90)
    steep = tw.cross_entropy_loss.hessian_diag(np.asarray([[100.0, 0.0]], dtype), [0], softcap=1.0)
    assert_close(steep, [[0.0, 0.19661193]], rtol=1e-6, atol=1e-80)


def test_the_z_loss_is_added_and_not_weighted():
    weight = np.array([1.0, 2.0, 4.0])
    square = tw.logsumexp(LOGITS, axis=-1) ** 2
    for targets in (LABELS, HOT):
        options = {"weight": weight, "reduction": "none"}
        plain = tw.cross_entropy_loss(LOGITS, targets, **options)
        with_z = tw.cross_entropy_loss(LOGITS, targets, z_loss=0.25, **options)
        assert_close(with_z, plain + 0.25 * square, rtol=1e-14)


def test_options_come_in_order():
    """The cap is taken first, then the temperature, then everything else."""
    logits = 5.0 * np.tanh(LOGITS / 5.0) / 2.0
    options = {"label_smoothing": 0.1, "z_loss": 0.5}
    got = tw.cross_entropy_loss(LOGITS, LABELS, softcap=5.0, temperature=2.0, **options)
    assert_close(got, tw.cross_entropy_loss(logits, LABELS, **options), rtol=1e-14)


# ------------------------------------------------------------------------ limits, identities
@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (tw.softmax_focal_loss, {"gamma": 0.0}),
        (tw.poly1_cross_entropy_loss, {"epsilon": 0.0}),
        (tw.symmetric_cross_entropy_loss, {"alpha": 1.0, "beta": 0.0}),
    ],
    ids=lambda x: "" if isinstance(x, dict) else named(x),
)
@pytest.mark.parametrize("targets", [LABELS, HOT, np.full((2, 3), 1 / 3)])
def test_without_their_term_they_are_cross_entropy(loss, options, targets):
    value, gradient = loss.value_and_grad(LOGITS, targets, **options)
    want, expected = tw.cross_entropy_loss.value_and_grad(LOGITS, targets)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, expected, rtol=1e-13)


def test_generalized_cross_entropy_between_its_ends():
    plain = tw.cross_entropy_loss(LOGITS, LABELS, reduction="none")
    nearly = tw.generalized_cross_entropy_loss(LOGITS, LABELS, q=1e-12, reduction="none")
    assert_close(nearly, plain, rtol=1e-11)
    absolute = tw.generalized_cross_entropy_loss(LOGITS, LABELS, q=1.0, reduction="none")
    assert_close(absolute, 1 - np.sum(tw.softmax(LOGITS) * HOT, -1), rtol=1e-14)


def test_a_hopeless_row_of_generalized_cross_entropy_has_no_slope():
    value, gradient = tw.generalized_cross_entropy_loss.value_and_grad([[-INF, 0.0]], [0])
    assert value == 2
    assert np.all(gradient == 0)


def test_focal_loss_of_an_impossible_class_is_as_steep_as_cross_entropy():
    value, gradient = tw.softmax_focal_loss.value_and_grad([[-INF, 0.0, 0.0]], [0])
    assert value == INF
    np.testing.assert_array_equal(gradient, [[-1, 0.5, 0.5]])


@pytest.mark.parametrize("gamma", [0.25, 0.5, 1.0, 2.0])
def test_focal_loss_of_a_certain_class_is_flat(gamma):
    for logits in ([[INF, 0.0]], [[0.0, -INF]], [[1e5, 0.0]]):
        value, gradient = tw.softmax_focal_loss.value_and_grad(logits, [0], gamma=gamma)
        assert value == 0
        assert np.all(gradient == 0)


def test_no_slope_of_a_confident_focal_row_overflows():
    # At logits[0] far above the others the loss is c**(1 + gamma) of c = exp(0) + exp(1) over all.
    for logits, gamma in (([50.0, 0.0, -3.0], 0.001), ([60.0, 0.0, -3.0], 0.5)):
        given = np.asarray([logits], np.float32)
        for targets in ([0], np.asarray([[1.0, 0.0, 0.0]], np.float32)):
            loss, gradient = tw.softmax_focal_loss.value_and_grad(given, targets, gamma=gamma)
            second = tw.softmax_focal_loss.hessian_diag(given, targets, gamma=gamma)
            assert_close(gradient[0, 0], -(1 + gamma) * loss, rtol=1e-5)
            assert_close(second[0, 0], (1 + gamma) ** 2 * loss, rtol=1e-5)
    tiny = tw.softmax_focal_loss.grad(np.asarray([[100.0, 0.0, 1.0]], np.float32), [0], gamma=0.001)
    assert np.all(np.abs(tiny) < 1.3e-43)
    assert np.all(tiny != 0)
    far = tw.softmax_focal_loss.hessian_diag([[360.0, 0.0, 1.0]], [0], gamma=0.001)
    assert_close(far[0, 0], 1.1733330470413712e-156, rtol=1e-12)  # by mpmath


def test_alpha_multiplies_the_class_and_not_the_divisor():
    alpha = np.array([1.0, 2.0, 4.0])
    plain = tw.softmax_focal_loss(LOGITS, LABELS, reduction="none")
    got = tw.softmax_focal_loss(LOGITS, LABELS, alpha=alpha)
    assert_close(got, np.mean(alpha[LABELS] * plain), rtol=1e-15)


def test_the_reverse_side_keeps_soft_targets_logarithms():
    soft = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    p, logs = tw.softmax(LOGITS), np.array([np.log([0.5, 0.25, 0.25]), [0.0, -4.0, -4.0]])
    got = tw.symmetric_cross_entropy_loss(LOGITS, soft, alpha=0.0, reduction="none")
    assert_close(got, -np.sum(p * logs, -1), rtol=1e-14)


def test_logit_adjustment_by_counts_or_shares():
    counts = np.array([90.0, 9.0, 1.0])
    loss = tw.logit_adjusted_cross_entropy_loss
    by_hand = tw.cross_entropy_loss(LOGITS + 0.5 * np.log(counts), LABELS)
    assert_close(loss(LOGITS, LABELS, prior=counts, tau=0.5), by_hand, rtol=1e-14)
    shares = loss(LOGITS, LABELS, prior=counts / 100, tau=0.5)
    assert_close(shares, by_hand, rtol=1e-14)
    plain = tw.cross_entropy_loss(LOGITS, LABELS)
    assert loss(LOGITS, LABELS) == plain
    assert_close(loss(LOGITS, LABELS, prior=[0.0, 1.0, 1.0], tau=0.0), plain, rtol=1e-15)


# ----------------------------------------------------------------------------------- margins
def test_kinks_have_the_slope_of_smallest_norm():
    met = [[1.0, 0.0, 0.0]]
    for loss in (tw.multi_margin_loss, tw.multiclass_hinge_loss, tw.categorical_hinge_loss):
        assert loss(met, [0]) == 0
        np.testing.assert_array_equal(loss.grad(met, [0]), [[0, 0, 0]])
    tied = [[2.0, 2.0, 0.0]]
    assert tw.multiclass_perceptron_loss(tied, [0]) == 0
    np.testing.assert_array_equal(tw.multiclass_perceptron_loss.grad(tied, [0]), [[0, 0, 0]])


@pytest.mark.parametrize(
    "loss", [tw.multiclass_hinge_loss, tw.multiclass_perceptron_loss, tw.categorical_hinge_loss]
)
def test_the_best_of_the_others_share_the_slope(loss):
    np.testing.assert_array_equal(loss.grad([[0.0, 3.0, 3.0]], [0]), [[-1, 0.5, 0.5]])


@pytest.mark.parametrize(
    "loss", [tw.multi_margin_loss, tw.multiclass_hinge_loss, tw.multiclass_perceptron_loss]
)
def test_a_single_class_costs_nothing(loss):
    value, gradient = loss.value_and_grad([[3.0]], [0])
    assert value == 0
    assert gradient == [[0]]


def test_perceptron_is_hinge_without_margin():
    value, gradient = tw.multiclass_perceptron_loss.value_and_grad(LOGITS, LABELS)
    want, expected = tw.multiclass_hinge_loss.value_and_grad(LOGITS, LABELS, margin=0.0)
    assert value == want
    np.testing.assert_array_equal(gradient, expected)


def test_nan_shows_wherever_it_stands():
    for loss in (tw.multi_margin_loss, *WITH_LABELS[2:4], *WITH_TARGETS):
        for place in range(3):
            row = np.zeros((1, 3))
            row[0, place] = NAN
            value, gradient = loss.value_and_grad(row, [0])
            assert np.isnan(value)
            assert np.isnan(gradient[0, place])


def test_categorical_hinge_of_a_distribution():
    row, target = [[1.0, 2.0, 4.0]], [[0.5, 0.5, 0.0]]
    assert tw.categorical_hinge_loss(row, target) == 1 + 4 - 1.5
    np.testing.assert_array_equal(tw.categorical_hinge_loss.grad(row, target), [[-0.5, -0.5, 1]])


@pytest.mark.parametrize("p", [1, 2])
def test_a_label_at_infinity_is_ahead_of_itself_too(p):
    value, gradient = tw.multi_margin_loss.value_and_grad([[INF, 0.0]], [0], p=p)
    assert value == 0
    assert gradient.tolist() == [[0.0, 0.0]]
    assert tw.multi_margin_loss.grad([[-INF, 0.0]], [0]).tolist() == [[-0.5, 0.5]]


@pytest.mark.parametrize("targets", [[0], [[1.0, 0.0]]])
def test_what_has_the_factor_0_costs_nothing_at_infinity(targets):
    value, gradient = tw.symmetric_cross_entropy_loss.value_and_grad(
        [[-INF, 0.0]], targets, alpha=0.0
    )
    assert value == 4
    assert gradient.tolist() == [[0.0, 0.0]]
