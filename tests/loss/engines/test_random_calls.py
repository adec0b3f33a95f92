"""Random shapes, dtypes, layouts and options: the engines answer what the interpreted one does."""

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import tensorweaver as tw
from tests.helpers.arrays import make_array
from tests.loss.engines.calls import REAL_DTYPES, ask, assert_agree, bits, computed_by
from tests.loss.engines.test_agreement import STEPS, ULP

SETTINGS = hypothesis.settings(max_examples=20, suppress_health_check=list(hypothesis.HealthCheck))
POINTWISE = [
    tw.mse_loss, tw.l1_loss, tw.huber_loss, tw.smooth_l1_loss, tw.binary_cross_entropy_loss,
    tw.binary_cross_entropy_with_logits_loss, tw.kl_div_loss,
]  # fmt: skip
KINDS = ["mean", "sum", "none", "gradient", "value and gradient", "losses and gradient", "diagonal"]


def laid_out(array, form):
    """The same numbers somewhere else in memory."""
    if not array.ndim:
        return array
    if form == "fortran":
        return np.asfortranarray(array)
    if form == "reversed":
        return np.flip(np.flip(array).copy())
    if form == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if form == "swapped" and array.dtype.kind != "V":
        return array.astype(array.dtype.newbyteorder())
    return array


FORMS = st.sampled_from(["plain", "plain", "fortran", "reversed", "strided", "swapped"])


def numbers(draw, rng, shape, *, low=-3.0, high=3.0, dtypes=REAL_DTYPES):
    """Real numbers of some dtype, in some layout."""
    dtype = draw(st.sampled_from(dtypes))
    host = low + (high - low) * rng.random(shape)
    return laid_out(make_array("numpy", host, dtype), draw(FORMS)), dtype


def weighting(draw, rng, shape):
    """Sample weights and a mask for all or some of the axes, where they are given."""
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        lead = shape[: draw(st.integers(0, len(shape)))]
        found["sample_weight"] = rng.choice([0.0, 0.5, 1.0, 3.0], size=lead or shape)
    if draw(st.booleans()):
        found["where"] = laid_out(np.asarray(rng.random(shape) < 0.7), draw(FORMS))
    return found


@st.composite
def pointwise_calls(draw):
    loss = draw(st.sampled_from(POINTWISE))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(draw(st.lists(st.integers(0, 40), max_size=3)))
    probabilities = loss is tw.binary_cross_entropy_loss
    low, high = (0.05, 0.95) if probabilities else (-3.0, 3.0)
    x, dtype = numbers(draw, rng, shape, low=low, high=high)
    small = tuple(1 if draw(st.booleans()) else size for size in shape)
    small = draw(st.sampled_from([shape, small, small[draw(st.integers(0, len(shape))) :]]))
    t, other = numbers(draw, rng, small, low=0.05, high=0.95)
    return loss, [x, t], weighting(draw, rng, shape), widest(dtype, other)


@st.composite
def rowwise_calls(draw):
    loss = draw(st.sampled_from([tw.cross_entropy_loss, tw.nll_loss]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.lists(st.integers(0, 40), min_size=1, max_size=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    shape[axis] = draw(st.sampled_from([1, 2, 3, 24, 25, 33, 70, 1025]))
    rows = tuple(np.delete(shape, axis))
    x, dtype = numbers(draw, rng, shape)
    options: dict[str, Any] = {"axis": axis, **weighting(draw, rng, rows)}
    if loss is tw.cross_entropy_loss and draw(st.booleans()):
        t, other = numbers(draw, rng, shape, low=0.05, high=0.95)
        dtype = widest(dtype, other)
    else:
        labels = np.asarray(rng.integers(0, shape[axis], size=rows))
        ignored = draw(st.sampled_from([-100, None, 0]))
        options["ignore_index"] = ignored
        if ignored is not None:
            labels = np.where(rng.random(rows) < 0.3, ignored, labels)
        t = laid_out(labels.astype(draw(st.sampled_from(["int64", "int32", "int16"]))), draw(FORMS))
    if draw(st.booleans()):
        options["weight"], _ = numbers(draw, rng, shape[axis], low=0.1, high=2.0)
    if loss is tw.cross_entropy_loss and draw(st.booleans()):
        options["label_smoothing"] = draw(st.sampled_from([0.1, 1.0]))
    return loss, [x, t], options, dtype


def widest(one, other):
    """The less exact of two dtypes: answers are in one of them."""
    return max(one, other, key=REAL_DTYPES.index)


def check(engine, call):
    loss, arrays, options, dtype = call
    before = [array.tobytes() for array in arrays]
    for kind in KINDS:
        with computed_by("interpret"):
            expected = ask(kind, loss, arrays, options)
        with computed_by(engine):
            found = ask(kind, loss, arrays, options)
            assert bits(ask(kind, loss, arrays, options)) == bits(found)
        # What is of half precision may still be summed in float32, and differ there.
        assert_agree(found, expected, ulp=max(8, ULP[dtype]), steps=max(16, STEPS[dtype]))
    assert [array.tobytes() for array in arrays] == before


@pytest.fixture(params=["blocks", "llvm"])
def named(request):
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    return request.param


@SETTINGS
@hypothesis.given(call=pointwise_calls())
def test_pointwise_losses(named, call):
    check(named, call)


@SETTINGS
@hypothesis.given(call=rowwise_calls())
def test_losses_of_rows(named, call):
    check(named, call)
