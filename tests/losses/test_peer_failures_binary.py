"""Cases in which other libraries were seen to be wrong about binary losses; here they are right.

A case's name begins with the library: T PyTorch 2.13, O optax 0.2.8, K Keras 3.15, S scikit-learn
1.9, V torchvision, M MONAI and segmentation-models-pytorch. Each states the exact value and
gradient, which mpmath computed with 60 digits.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import tensorweaver as tw

INF = np.inf
F32, F64 = "float32", "float64"


class Case(NamedTuple):
    """Scores, targets, and the exact losses and slopes."""

    loss: str
    dtype: str
    predictions: list[float]
    targets: list[float]
    values: list[float]
    gradients: list[float]
    options: Mapping[str, Any] = MappingProxyType({})


def focal(x, y, alpha=0.25, gamma=2.0):
    """The exact focal loss of a finite logit and a target of 0 or 1, and its slope."""
    with mpmath.workdps(60):
        t = mpf(-x if y else x)
        p, q = 1 / (1 + mpmath.exp(-t)), 1 / (1 + mpmath.exp(t))
        cost = mpmath.log1p(mpmath.exp(t))
        share = mpf(1) if alpha is None else mpf(alpha if y else 1 - alpha)
        slope = share * p**gamma * (gamma * q * cost + p)
        return float(share * p**gamma * cost), float(-slope if y else slope)


def focal_case(dtype, points, **options):
    """A case whose exact results the formula gives."""
    values, slopes = zip(*(focal(x, y, **options) for x, y in points), strict=True)
    x, y = zip(*points, strict=True)
    return Case("sigmoid_focal", dtype, list(x), list(y), list(values), list(slopes), options)


CASES = {
    "T08 beyond the largest exponential": Case(
        "soft_margin", F32, [-88, -89, -1e4], [1, 1, 1], [88, 89, 10000], [-1, -1, -1]
    ),
    "T09 beyond the largest exponential": Case("soft_margin", F64, [-710], [1], [710], [-1]),
    "O11 infinite logits": Case(
        "sigmoid_focal", F32, [INF, -INF], [1, 1], [0, INF], [0, -1], {"alpha": None}
    ),
    "K06 beyond Keras's clip": focal_case(F32, [(-1e4, 1), (-20, 1), (-10, 1)], alpha=None),
    "K07 a gamma below 1": focal_case(F32, [(20, 1)], alpha=None, gamma=0.5),
    "S04 an exponential that is not needed": Case(
        "exponential", F64, [750, -750], [1, 0], [0, 0], [0, 0]
    ),
    "V01 a gamma below 1, in the tails": focal_case(
        F32, [(17, 1), (20, 1), (100, 1), (-20, 0), (-100, 0)], gamma=0.5
    ),
    "M03 a gamma below 1": focal_case(F32, [(20, 1)], alpha=None, gamma=0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_elements(name):
    case = CASES[name]
    loss = getattr(tw, f"{case.loss}_loss")
    x, y = np.asarray(case.predictions, case.dtype), np.asarray(case.targets, case.dtype)
    rtol = 8 * np.finfo(case.dtype).eps
    least = 2 * float(np.finfo(case.dtype).smallest_subnormal)
    values = loss(x, y, reduction="none", **case.options)
    slopes = loss.grad(x, y, reduction="sum", **case.options)
    np.testing.assert_allclose(values, case.values, rtol=rtol, atol=least)
    np.testing.assert_allclose(slopes, case.gradients, rtol=rtol, atol=least)


def test_the_formula_gives_what_was_seen():
    """The numbers of the cases, as they were written down when the peers were tried."""
    assert focal(17, 1, gamma=0.5)[0] == pytest.approx(2.1e-12, rel=0.01)
    assert focal(20, 1, alpha=None, gamma=0.5) == pytest.approx((9.36e-14, -1.403643e-13), rel=1e-3)
    k06 = [focal(x, 1, alpha=None) for x in (-1e4, -20, -10)]
    assert [value for value, _ in k06] == pytest.approx([10000, 20.0, 9.999137458], rel=1e-7)
    assert [slope for _, slope in k06] == pytest.approx([-1, -1.000000076, -1.000771692], rel=1e-9)


def test_t35_infinite_and_right():
    logits, targets = np.asarray([[INF, -INF]], F32), np.asarray([[1, 0]], F32)
    value, gradient = tw.multilabel_soft_margin_loss.value_and_grad(logits, targets)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0]])
