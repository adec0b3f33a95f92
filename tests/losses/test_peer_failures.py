"""Cases in which other libraries were seen to be wrong; here they are right, value and gradient.

A case's name begins with the library: T PyTorch 2.13, O optax 0.2.8, K Keras 3.15, S scikit-learn
1.9, R rax, I a common idiom such as `-log(softmax(x) + 1e-8)`. Each states what is true, to the
digits worth reading; the results are held to 4 ulp of the exact reference, which is held to these.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import ml_dtypes
import mpmath
import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.accuracy.judge import Exact, assert_accurate
from tests.accuracy.truth import digits

INF, NAN = np.inf, np.nan
F16, F32, F64 = "float16", "float32", "float64"
LIMIT = 4


class Element(NamedTuple):
    """Predictions, targets, and the values and gradients of each element by itself."""

    loss: str
    dtype: str
    predictions: list[float]
    targets: list[float]
    values: list[float]
    gradients: list[float]
    options: Mapping[str, Any] = MappingProxyType({})


BCE, LOGITS, KL = "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"
TAIL = [2.061153618190e-9, 4.248354255292e-18]
MASKED = {"log_target": True}

ELEMENTS = {
    "T01 tiny probabilities": Element(
        BCE,
        F32,
        [0, 1e-45, 1e-30, 1e-13],
        [1] * 4,
        [INF, 103.278930, 69.0775528, 29.9336062],
        [-INF, -7.13624e44, -1e30, -1e13],
    ),
    "T02 a probability of 1e-300": Element(BCE, F64, [1e-300], [1], [690.7755279], [-1e300]),
    "T04 confident negatives": Element(
        LOGITS,
        F32,
        [-5, -10, -15, -17, -20, -50],
        [0] * 6,
        [6.7153485e-3, 4.5398899e-5, 3.0590223e-7, 4.1399377e-8, 2.0611536e-9, 1.9287498e-22],
        [6.6928509e-3, 4.5397869e-5, 3.0590223e-7, 4.1399376e-8, 2.0611536e-9, 1.9287498e-22],
    ),
    "T05 confident positives": Element(
        LOGITS,
        F32,
        [10, 17, 20, 50],
        [1] * 4,
        [4.5398899e-5, 4.1399377e-8, 2.0611536e-9, 1.9287498e-22],
        [-4.5397869e-5, -4.1399376e-8, -2.0611536e-9, -1.9287498e-22],
    ),
    "T06 right, wrong and infinite": Element(
        LOGITS,
        F64,
        [40, -40, -INF, -INF],
        [1, 0, 1, 0],
        [TAIL[1], TAIL[1], INF, 0],
        [-TAIL[1], TAIL[1], -1, 0],
    ),
    "T07 infinite and right": Element(LOGITS, F32, [INF, -INF], [1, 0], [0, 0], [0, 0]),
    "T29 probability 0 on both sides": Element(KL, F32, [-INF], [0], [0], [0]),
    "T29 probability 0 as a logarithm": Element(KL, F32, [-1], [-INF], [0], [0], MASKED),
    "T31 a tiny error within a tiny beta": Element(
        "smooth_l1", F32, [1e-25], [0], [5.0e-27], [0.1], {"beta": 1e-24}
    ),
    "T36 NaN has no slope": Element("l1", F32, [NAN], [0], [NAN], [NAN]),
    "O03 infinite and right": Element(LOGITS, F32, [INF, -INF], [1, 0], [0, 0], [0, 0]),
    "O08 a masked class": Element(KL, F32, [-INF, 0], [0, 1], [0, 0], [0, -1]),
    "O09 a masked class as a logarithm": Element(
        KL, F32, [-1, 0], [-INF, 0], [0, 0], [0, -1], MASKED
    ),
    "K03 beyond Keras's clip": Element(
        BCE, F32, [1e-12, 1], [1, 0], [27.6310211, INF], [-1e12, INF]
    ),
    "K05 logits of 1e4": Element(LOGITS, F32, [-1e4, 1e4], [1, 0], [10000, 10000], [-1, 1]),
    "K11 an infinite error": Element("huber", F32, [INF, -INF], [0, 0], [INF, INF], [1, -1]),
    "K12 float64 stays float64": Element(
        "mse", F64, [1 + 1e-10], [0], [1.0000000002], [2.0000000002]
    ),
    "K13 beyond float32": Element("l1", F64, [1e40], [0], [1e40], [1]),
    "K14 beyond Keras's clip": Element(
        KL, F32, [float(np.log(np.float32(1e-10))), 0], [1, 0], [23.025851, 0], [-1, 0]
    ),
    "K14 impossible and asked for": Element(
        KL, F32, [-INF, 0], [0.5, 0.5], [INF, -0.34657359], [-0.5, -0.5]
    ),
    "K31 certain and right": Element(KL, F32, [0], [1], [0], [-1]),
    "S01 confident positives": Element(
        LOGITS, F64, [20, 40], [1, 1], TAIL, [-2.061153614e-9, -TAIL[1]]
    ),
    "S02 confident positives": Element(
        LOGITS, F32, [8, 20], [1, 1], [3.3540637e-4, TAIL[0]], [-3.3535013e-4, -TAIL[0]]
    ),
    "S03 infinite and right": Element(LOGITS, F64, [INF, -INF], [1, 0], [0, 0], [0, 0]),
    "R01 a confident positive": Element(LOGITS, F32, [20], [1], [TAIL[0]], [-TAIL[0]]),
}

REFERENCES: dict[str, Any] = {
    "binary_cross_entropy": truth.binary_cross_entropy,
    "binary_cross_entropy_with_logits": truth.binary_cross_entropy_with_logits,
    "kl_div": truth.kl_div,
    "smooth_l1": truth.smooth_l1,
    "huber": lambda prediction, target: truth.huber(prediction, target, 1),
    "l1": truth.l1,
    "mse": truth.mse,
}


def hold(got, exact, known, dtype):
    """`got` is `exact` within 4 ulp, and `exact` is what is known."""
    finite = [float(x) for x in exact]
    np.testing.assert_allclose(finite, np.ravel(known), rtol=1e-6)
    assert_accurate(got, [Exact(x, mpf(0)) for x in exact], dtype, limit=LIMIT)


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements(name):
    case = ELEMENTS[name]
    loss = getattr(tw, f"{case.loss}_loss")
    predictions = np.array(case.predictions, case.dtype)
    targets = np.array(case.targets, case.dtype)
    reference = REFERENCES[case.loss]
    options = {k: v for k, v in case.options.items() if k != "log_target"}
    if len(options) < len(case.options):
        reference = truth.kl_div_log_target
    options = {k: mpf(float(np.dtype(case.dtype).type(v))) for k, v in options.items()}
    with digits(case.dtype):
        pairs = zip(predictions.tolist(), targets.tolist(), strict=True)
        results = [reference(mpf(p), mpf(t), **options) for p, t in pairs]
    values = loss(predictions, targets, reduction="none", **case.options)
    gradient = loss.grad(predictions, targets, reduction="sum", **case.options)
    hold(values, [value for value, _ in results], case.values, case.dtype)
    hold(gradient, [slope for _, slope in results], case.gradients, case.dtype)


# ----------------------------------------------------------------------------------- rows
class Row(NamedTuple):
    """A row of logits, its label or probabilities, and the cross-entropy with its gradient."""

    dtype: str
    logits: list[float]
    target: int | list[float]
    value: float
    gradient: list[float]


HALF_TAIL = 2.061153613942e-9

ROWS = {
    "T10 confident": Row(F32, [20, 0, 0], 0, 4.122307e-9, [-4.122307e-9, HALF_TAIL, HALF_TAIL]),
    "T11 confident": Row(F64, [40, 0], 0, TAIL[1], [-TAIL[1], TAIL[1]]),
    "T12 infinite and right": Row(F32, [INF, 0], 0, 0, [0, 0]),
    "T13 a masked class and probabilities": Row(
        F32, [0, 1, -INF], [1, 0, 0], 1.313261688, [-0.731058579, 0.731058579, 0]
    ),
    "O04 a masked class and probabilities": Row(
        F64, [0, 1, -INF], [1, 0, 0], 1.313261688, [-0.731058579, 0.731058579, 0]
    ),
    "O05 confident": Row(F32, [20, 0], 0, TAIL[0], [-HALF_TAIL, HALF_TAIL]),
    "O06 confident far out": Row(
        F32, [1e4, 1e4 - 9], 0, 1.234021897e-4, [-1.23394576e-4, 1.23394576e-4]
    ),
    "K26 a masked class": Row(F32, [0, -INF], 0, 0, [0, 0]),
    "S11 confident": Row(F64, [40, 0], 0, TAIL[1], [-TAIL[1], TAIL[1]]),
    "S11 infinite and right": Row(F64, [INF, 0, 0], 0, 0, [0, 0, 0]),
    "I01 wrong by 30": Row(F32, [0, 30], 0, 30, [-1, 1]),
    "I02 I03 wrong by 200": Row(F32, [0, 200], 0, 200, [-1, 1]),
    "I04 confident": Row(F32, [30, 0], 0, 9.3576229688e-14, [-9.3576229688e-14, 9.3576229688e-14]),
}


@pytest.mark.parametrize("form", ["as given", "one-hot"])
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, form):
    case = ROWS[name]
    logits = np.array([case.logits], case.dtype)
    given = np.array([case.target])
    is_label = given.dtype.kind == "i" and given.ndim == 1
    hot = truth.one_hot(given[0], len(case.logits)) if is_label else given[0].tolist()
    one_hot = np.array([hot], dtype=object).astype(case.dtype)
    targets = given if is_label and form == "as given" else one_hot
    with digits(case.dtype):
        row = [mpf(x) for x in logits[0].tolist()]
        value, *slopes = truth.cross_entropy(row, [mpf(q) for q in hot])
    got, gradient = tw.cross_entropy_loss.value_and_grad(logits, targets)
    hold(got, [value], case.value, case.dtype)
    hold(gradient, slopes, case.gradient, case.dtype)


# ------------------------------------------------------------------------- ignored, unweighted
def test_t14_an_ignored_row_may_hold_nan():
    logits, labels = np.array([[NAN, 0], [0, 0]], F32), np.array([-100, 0])
    losses = tw.cross_entropy_loss(logits, labels, reduction="none")
    np.testing.assert_allclose(losses, [0, np.log(2)], rtol=1e-6)
    gradient = tw.cross_entropy_loss.grad(logits, labels)
    np.testing.assert_array_equal(gradient, [[0, 0], [-0.5, 0.5]])


@pytest.mark.parametrize(
    ("name", "labels", "weight"),
    [("T15 all ignored", [-100, -100], None), ("T16 all of weight 0", [0, 0], [0.0, 1.0])],
)
def test_a_mean_over_nothing_is_zero(name, labels, weight):
    logits = np.zeros((2, 2), F32)
    weight = None if weight is None else np.array(weight, F32)
    value, gradient = tw.cross_entropy_loss.value_and_grad(logits, np.array(labels), weight=weight)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


def test_t17_a_class_of_weight_zero_costs_nothing():
    logs, weight = np.array([[-INF, 0]], F32), np.array([0, 1], F32)
    assert tw.nll_loss(logs, np.array([0]), weight=weight, reduction="none") == [0]
    gradient = tw.nll_loss.grad(logs, np.array([0]), weight=weight, reduction="sum")
    np.testing.assert_array_equal(gradient, [[0, 0]])


@pytest.mark.parametrize("label", [-1, 2, 7], ids=["O07 -1", "O07 2", "K25 7"])
@pytest.mark.parametrize("loss", [tw.cross_entropy_loss, tw.nll_loss])
def test_labels_outside_the_classes_are_refused(loss, label):
    with pytest.raises(tw.LabelError, match=str(label)):
        loss(np.zeros((1, 2), F32), np.array([label]))


def test_k30_label_smoothing_counts_the_classes_on_their_axis():
    value = tw.cross_entropy_loss(
        np.zeros((1, 2, 3), F32), np.zeros((1, 3), int), axis=1, label_smoothing=0.2
    )
    assert value == np.float32(np.log(2))


def test_s10_certain_and_wrong_costs_what_it_costs():
    for dtype, p, want in ((F64, 1e-20, 23.02585092994046), (F32, 1e-10, 11.512925464970229)):
        probabilities, targets = np.array([p, 0], dtype), np.array([1, 0])
        value = tw.binary_cross_entropy_loss(probabilities, targets)
        np.testing.assert_allclose(value, want, rtol=2e-7 if dtype == F32 else 1e-15)


def test_t30_close_distributions_keep_their_divergence():
    """The sum of the terms cancels; each term is exact, and so is what float32 terms add up to."""
    student = tw.log_softmax(np.array([[0, 1.001]], F32))
    teacher = tw.log_softmax(np.array([[0, 1]], F32))
    with digits(F32):
        pairs = zip(student[0].tolist(), teacher[0].tolist(), strict=True)
        terms = [truth.kl_div_log_target(mpf(s), mpf(t)) for s, t in pairs]
        rounded = [Exact(value, mpf(0)) for value, _ in terms]
    got = tw.kl_div_loss(student, teacher, log_target=True, reduction="none")
    assert_accurate(got, rounded, F32, limit=LIMIT)
    total = tw.kl_div_loss(student, teacher, log_target=True, reduction="sum")
    scale = max(abs(float(e.want)) for e in rounded)
    assert abs(float(total) - float(mpmath.fsum(e.want for e in rounded))) <= scale * 2.0**-22


def test_t39_softplus_has_no_threshold():
    assert tw.softplus(np.array([20.1])) - 20.1 == pytest.approx(1.86500892e-9, rel=1e-5)
    with digits(F64):
        exact, slope = truth.softplus(mpf(20.1))
    assert_accurate(tw.softplus(np.array([20.1])), [Exact(exact, mpf(0))], F64, limit=1)
    tensor = tw.Tensor(np.array([20.1]), requires_grad=True)
    tw.softplus(tensor).backward()
    assert_accurate(tensor.grad, [Exact(slope, mpf(0))], F64, limit=LIMIT)


# ---------------------------------------------------------------------------- half precision
def test_t03_a_subnormal_float16_probability():
    p, one = np.array([6e-8], F16), np.ones(1, F16)
    value = tw.binary_cross_entropy_loss(p, one)
    assert value == pytest.approx(16.635532, rel=1e-6)  # a float32
    assert tw.binary_cross_entropy_loss.grad(p, one) == [-INF]  # -1.68e7 is beyond float16


def test_k04_float16_probabilities_of_one():
    p, targets = np.ones(2, F16), np.array([1, 0], F16)
    np.testing.assert_array_equal(
        tw.binary_cross_entropy_loss(p, targets, reduction="none"), [0, INF]
    )
    gradient = tw.binary_cross_entropy_loss.grad(p, targets, reduction="sum")
    np.testing.assert_array_equal(gradient, [-1, INF])


def test_t37_float16_sums_are_float32():
    ones, error = np.ones(100_000, F16), np.array([300], F16)
    assert tw.mse_loss(ones, np.zeros_like(ones), reduction="sum") == 100_000
    assert tw.mse_loss(error, np.zeros_like(error)) == 90_000


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_t38_half_precision_confidence(dtype):
    logits, label = np.array([[8, 0]], dtype), np.array([0])
    assert tw.cross_entropy_loss(logits, label) == pytest.approx(3.354063729e-4, rel=1e-6)
    gradient = tw.cross_entropy_loss.grad(logits, label)
    np.testing.assert_array_equal(gradient, np.array([[-3.35350e-4, 3.35350e-4]]).astype(dtype))


def test_o26_a_float16_huber_loss():
    error, zero = np.array([300], F16), np.zeros(1, F16)
    assert tw.huber_loss(error, zero, delta=1000.0) == 45_000
    assert tw.huber_loss(error, zero, delta=1000.0, reduction="none") == [np.float16(45_000)]
    assert tw.huber_loss.grad(error, zero, delta=1000.0) == [300]


def test_k28_a_float16_mean_is_float32():
    error = np.array([[300, 0]], F16)
    assert tw.mse_loss(error, np.zeros_like(error)) == 45_000


def test_k29_integer_targets_are_not_squeezed_through_float32():
    predictions, targets = np.array([16777216.0]), np.array([16777217])
    assert tw.l1_loss(predictions, targets) == 1
    assert tw.l1_loss.grad(predictions, targets) == [-1]
