"""Divergences: refusals, edges of the domain, limits of parameters, identities among them."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
LOGITS = np.array([[0.3, -1.2, 2.0], [1.5, 0.1, -0.4]])
TEACHER = np.array([[0.1, 0.4, 1.0], [-2.0, 0.5, 0.25]])
Q, P = tw.softmax(LOGITS), tw.softmax(TEACHER)
LOG_Q, LOG_P = tw.log_softmax(LOGITS), tw.log_softmax(TEACHER)
LABELS = np.array([2, 0])
REFUSED = [
    (tw.generalized_jsd_loss, {"beta": -0.1}, r"beta must be in \[0, 1\], got -0.1"),
    (tw.generalized_jsd_loss, {"beta": NAN}, r"beta must be in \[0, 1\], got nan"),
    (tw.generalized_jsd_loss, {"from_logits": 1}, "from_logits must be True or False, got 1"),
    (tw.renyi_divergence_loss, {"alpha": 0.0}, "alpha must be positive and finite, got 0.0"),
    (tw.renyi_divergence_loss, {"alpha": INF}, "alpha must be positive and finite, got inf"),
]
KEEPS = {"reduction": "none"}


@pytest.mark.parametrize(("loss", "options", "message"), REFUSED)
def test_options_out_of_range_are_refused(loss, options, message):
    with pytest.raises(tw.ArgumentError, match=f"^{loss.formula.name}: {message}"):
        loss(LOG_Q, LOG_P, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"weight_hard_loss": -1.0}, "weight_hard_loss must be finite and not negative, got -1.0"),
        ({"weight_soft_loss": INF}, "weight_soft_loss must be finite and not negative, got inf"),
    ],
)
def test_distillation_refuses(options, message):
    with pytest.raises(tw.ArgumentError, match=f"^distillation_loss: {message}"):
        tw.distillation_loss(LOGITS, TEACHER, LABELS, **options)
    with pytest.raises(tw.LabelError, match=r"distillation_loss: labels\[1\] is 3"):
        tw.distillation_loss(LOGITS, TEACHER, np.array([0, 3]))


# ------------------------------------------------------------------------------------ kl_div
def test_kl_div_divides_by_rows_or_elements():
    total = tw.kl_div_loss(LOG_Q, P, reduction="sum")
    assert_close(tw.kl_div_loss(LOG_Q, P, reduction="batchmean"), total / 2, rtol=1e-15)
    assert_close(tw.kl_div_loss(LOG_Q, P), total / 6, rtol=1e-15)
    by_logs = tw.kl_div_loss(LOG_Q, LOG_P, log_target=True, reduction="batchmean")
    assert_close(by_logs, total / 2, rtol=1e-13)
    gradient = tw.kl_div_loss.grad(LOG_Q, P, reduction="batchmean")
    assert_close(gradient, -P / 2, rtol=1e-15)


def test_generalized_kl_is_kl_for_distributions():
    want = tw.kl_div_loss(LOG_Q, P, reduction="batchmean")
    assert_close(tw.generalized_kl_div_loss(LOG_Q, P), want, rtol=1e-12)
    assert np.isnan(tw.generalized_kl_div_loss([[0.0, 1.0]], [[-1.0, 1.0]]))
    assert tw.generalized_kl_div_loss([[-INF]], [[0.0]]) == 0


# ---------------------------------------------------------------------------------- mixtures
def test_the_ends_of_beta_are_the_two_directions():
    forward = tw.kl_div_loss(LOG_Q, P, reduction="batchmean")
    backward = tw.kl_div_loss(LOG_P, Q, reduction="batchmean")
    for beta, want in ((0.0, forward), (1.0, backward)):
        assert_close(tw.generalized_jsd_loss(LOG_Q, LOG_P, beta=beta), want, rtol=1e-13)
        got = tw.generalized_jsd_loss(LOGITS, TEACHER, beta=beta, from_logits=True)
        assert_close(got, want, rtol=1e-12)
        near = abs(beta - 1e-9)  # the mixture's divergence vanishes like beta there
        mixed = tw.generalized_jsd_loss(LOG_Q, LOG_P, beta=near) / 1e-9
        assert_close(mixed, want if beta == 1 else tw.generalized_jsd_loss(LOG_Q, LOG_P, beta=0.0),
                     rtol=1)  # fmt: skip


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_logits_are_log_probabilities_not_yet_normalised(beta):
    loss = tw.generalized_jsd_loss
    value, gradient = loss.value_and_grad(LOGITS + 5, TEACHER - 7, beta=beta, from_logits=True)
    want, by_logs = loss.value_and_grad(LOG_Q, LOG_P, beta=beta)
    assert_close(value, want, rtol=1e-12)
    projected = by_logs - Q * np.sum(by_logs, -1, keepdims=True)
    assert_close(gradient, projected, rtol=1e-10, atol=1e-15)


def test_the_jensen_shannon_divergence_is_the_middle_and_bounded():
    middle = tw.generalized_jsd_loss.value_and_grad(LOG_Q, LOG_P)
    value, gradient = tw.jensen_shannon_loss.value_and_grad(LOG_Q, LOG_P)
    assert value == middle[0]
    np.testing.assert_array_equal(gradient, middle[1])
    apart = tw.jensen_shannon_loss([[0.0, -INF]], [[-INF, 0.0]])
    assert_close(apart, np.log(2), rtol=1e-15)
    by_logits = tw.jensen_shannon_loss([[INF, 0.0]], [[0.0, INF]], from_logits=True)
    assert_close(by_logits, np.log(2), rtol=1e-15)


def test_what_only_one_model_masks():
    logs = [[0.0, -INF]], np.log([[0.5, 0.5]])
    value, gradient = tw.generalized_jsd_loss.value_and_grad(*logs, beta=0.25)
    first = 0.25 * 0.5 * (np.log(0.5 / 0.875) + np.log(4)) + 0.75 * np.log(1 / 0.875)
    assert_close(value, first, rtol=1e-14)
    assert_close(gradient, [[0.75 * np.log(1 / 0.875), 0.0]], rtol=1e-14)
    forward, slopes = tw.generalized_jsd_loss.value_and_grad(*logs, beta=0.0)
    assert forward == INF
    assert_close(slopes, [[-0.5, -0.5]], rtol=1e-15)
    assert np.isnan(tw.jensen_shannon_loss([[NAN, 0.0]], [[0.0, 0.0]]))


# ------------------------------------------------------------------------------ other distances
def test_renyi_divergences_go_through_kl():
    want = tw.kl_div_loss(LOG_Q, P, reduction="batchmean")
    for alpha, rtol in ((1.0, 1e-13), (1 + 1e-6, 1e-5), (1 - 1e-6, 1e-5)):
        for options in ({}, {"from_logits": True}):
            arrays = (LOGITS, TEACHER) if options else (LOG_Q, LOG_P)
            got = tw.renyi_divergence_loss(*arrays, alpha=alpha, **options)
            assert_close(got, want, rtol=rtol)


def test_half_renyi_is_twice_bhattacharyya_and_tells_of_hellinger():
    overlap = np.sum(np.sqrt(P * Q), -1)
    assert_close(tw.renyi_divergence_loss(LOG_Q, LOG_P, **KEEPS), -2 * np.log(overlap), rtol=1e-13)
    assert_close(tw.squared_hellinger_loss(Q, P, **KEEPS), 1 - overlap, rtol=1e-13)


def test_renyi_of_impossible_classes():
    half, sure = np.log([[0.5, 0.5]]), [[0.0, -INF]]
    assert_close(tw.renyi_divergence_loss(half, sure, alpha=2.0), np.log(2), rtol=1e-15)
    assert tw.renyi_divergence_loss(sure, half, alpha=2.0) == INF
    assert_close(tw.renyi_divergence_loss(sure, half, alpha=0.5), np.log(2), rtol=1e-15)


def test_hellinger_at_the_ends():
    value, gradient = tw.squared_hellinger_loss.value_and_grad([[0.0, 1.0]], [[1.0, 0.0]])
    assert value == 1
    np.testing.assert_array_equal(gradient, [[-INF, 0.5]])
    value, gradient = tw.squared_hellinger_loss.value_and_grad([[0.0, 1.0]], [[0.0, 1.0]])
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])
    assert np.isnan(tw.squared_hellinger_loss([[-0.5, 1.0]], [[0.0, 1.0]]))


def test_total_variation_is_half_of_l1():
    want = 0.5 * np.sum(np.abs(Q - P), -1)
    assert_close(tw.total_variation_loss(Q, P, **KEEPS), want, rtol=1e-15)
    gradient = tw.total_variation_loss.grad([[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]])
    np.testing.assert_array_equal(gradient, [[0.5, -0.5, 0]])


# ------------------------------------------------------------------------------- distillation
def test_distillation_is_the_sum_of_its_parts():
    hard = tw.cross_entropy_loss(LOGITS, LABELS)
    soft = tw.kl_div_loss(
        tw.log_softmax(LOGITS / 3), tw.softmax(TEACHER / 3), reduction="batchmean"
    )
    options = {"temperature": 3.0, "weight_hard_loss": 0.25, "weight_soft_loss": 2.0}
    got = tw.distillation_loss(LOGITS, TEACHER, LABELS, **options)
    assert_close(got, 0.25 * hard + 2 * 9 * soft, rtol=1e-13)
    alone: Any = {"weight_hard_loss": 0.0, "weight_soft_loss": 1.0}
    assert tw.distillation_loss(TEACHER, TEACHER, LABELS, **alone) == 0
    assert np.all(tw.distillation_loss.grad(TEACHER, TEACHER, LABELS, **alone) == 0)


def test_distillation_leaves_out_ignored_rows():
    logits = np.array([[NAN, 0.0, INF], *LOGITS])
    teacher = np.array([[0.0, NAN, 0.0], *TEACHER])
    value, gradient = tw.distillation_loss.value_and_grad(
        logits, teacher, np.array([-100, *LABELS])
    )
    want, expected = tw.distillation_loss.value_and_grad(LOGITS, TEACHER, LABELS)
    assert_close(value, want, rtol=1e-15)
    assert_close(gradient, np.array([[0, 0, 0], *expected]), rtol=1e-15)


def test_distillation_with_classes_masked_in_both():
    masked = [np.insert(x, 1, -INF, axis=1) for x in (LOGITS, TEACHER)]
    labels = np.where(LABELS > 0, LABELS + 1, LABELS)
    value, gradient = tw.distillation_loss.value_and_grad(*masked, labels)
    want, expected = tw.distillation_loss.value_and_grad(LOGITS, TEACHER, LABELS)
    assert_close(value, want, rtol=1e-14)
    assert_close(gradient, np.insert(expected, 1, 0, axis=1), rtol=1e-13)


def test_what_has_the_factor_0_costs_nothing_at_infinity():
    loss = tw.distillation_loss
    assert loss([[-INF, 0.0]], [[0.0, 0.0]], [1], weight_soft_loss=0.0) == 0
    assert loss([[-INF, 0.0]], [[-INF, 0.0]], [0], weight_hard_loss=0.0) == 0
    nothing: dict[str, Any] = {"weight_hard_loss": 0.0, "weight_soft_loss": 0.0}
    value, gradient = loss.value_and_grad([[-INF, 0.0]], [[0.0, 0.0]], [0], **nothing)
    assert value == 0
    assert gradient.tolist() == [[0.0, 0.0]]


def test_a_confident_class_keeps_its_curvature():
    given = np.asarray([[20.0, 0.0, 0.0]], np.float32), np.asarray([[20.0, 0.1, 0.0]], np.float32)
    curvature = [[4.1223072e-09, 2.0611536e-09, 2.0611536e-09]]  # q (1 - q), by mpmath
    one_way = tw.generalized_jsd_loss.hessian_diag(*given, beta=0.0, from_logits=True)
    assert_close(one_way, curvature, rtol=1e-6)
    renyi = tw.renyi_divergence_loss.hessian_diag(*given, alpha=1.0, from_logits=True)
    assert_close(renyi, curvature, rtol=1e-6)
    soft: dict[str, Any] = {"weight_hard_loss": 0.0, "weight_soft_loss": 1.0}
    assert_close(tw.distillation_loss.hessian_diag(*given, [0], **soft), curvature, rtol=1e-6)


def test_renyi_is_continuous_where_alpha_is_1():
    rows = np.asarray([[0.0, 3.0]], np.float32), np.asarray([[3.0, 0.0]], np.float32)
    for alpha in (1.0000001, 1.0, 0.9999999):
        found = tw.renyi_divergence_loss(*rows, alpha=alpha, from_logits=True)
        assert_close(found, 2.7154448, rtol=5e-7)
    masked = np.asarray([[-INF, 0.0, 1.0]], np.float32), np.asarray([[-INF, 1.0, 0.0]], np.float32)
    found = tw.renyi_divergence_loss(*masked, alpha=1 + 1e-8, from_logits=True)
    assert_close(found, 0.46211716, rtol=5e-7)
