"""Random shapes, dtypes and options, against textbook formulas in float64."""

from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

import tensorweaver as tw
from tests.helpers.arrays import dtype_name
from tests.helpers.compare import assert_close
from tests.loss import oracle

DTYPES = {"float32": 2e-5, "float64": 1e-12}
REDUCTIONS = ["mean", "sum", "none"]
SETTINGS = hypothesis.settings(max_examples=40)


@st.composite
def pointwise_calls(draw):
    """A pointwise loss, the seed of its numbers, and everything that it can be asked."""
    name = draw(st.sampled_from(sorted(oracle.POINTWISE)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    broadcast = [draw(st.booleans()) for _ in shape]
    small = tuple(1 if once else size for size, once in zip(shape, broadcast, strict=True))
    return (
        name,
        shape,
        small[draw(st.integers(0, len(shape))) :],
        draw(st.sampled_from(sorted(DTYPES))),
        draw(st.sampled_from(REDUCTIONS)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(0, 2**32 - 1)),
    )


def weights_and_mask(rng, shape, weighted, masked):
    """Sample weights, some of them zero, and a mask; None where there is none."""
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], size=shape) if weighted else None
    return weight, (rng.random(shape) < 0.7 if masked else None)


def with_arrays(to_array, dtype, **options):
    """The options that are there, real ones of a dtype."""
    return {
        name: to_array(value, dtype if value.dtype.kind == "f" else None)
        for name, value in options.items()
        if value is not None
    }


@SETTINGS
@hypothesis.given(call=pointwise_calls())
def test_pointwise_losses(to_array, call):
    name, shape, small, dtype, reduction, weighted, masked, seed = call
    rng = np.random.default_rng(seed)
    p = rng.normal(size=shape).astype(dtype)
    t = (0.1 + 0.8 * rng.random(small)).astype(dtype)
    weight, mask = weights_and_mask(rng, shape, weighted, masked)
    losses = oracle.POINTWISE[name](p.astype(float), np.broadcast_to(t, shape).astype(float))
    expected = oracle.reduce(losses, np.ones(shape), reduction, weight, mask)
    arrays = to_array(p, dtype), to_array(t, dtype)
    options = with_arrays(to_array, dtype, sample_weight=weight, where=mask)
    loss = getattr(tw, name)
    value, gradient = loss.value_and_grad(*arrays, reduction=reduction, **options)
    tolerance = DTYPES[dtype]
    assert_close(value, expected, like=arrays[0], rtol=tolerance, atol=tolerance)
    assert_close(loss(*arrays, reduction=reduction, **options), value, rtol=tolerance)
    assert (gradient.shape, dtype_name(gradient)) == (shape, dtype)


@st.composite
def cross_entropy_calls(draw):
    """A call of cross-entropy with everything that it can be asked."""
    rank = draw(st.integers(1, 3))
    axis = draw(st.integers(-rank, rank - 1))
    shape = [draw(st.integers(0, 4)) for _ in range(rank)]
    shape[axis] = draw(st.integers(1, 5))
    return (
        tuple(shape),
        axis,
        draw(st.sampled_from(sorted(DTYPES))),
        draw(st.sampled_from(REDUCTIONS)),
        draw(st.sampled_from(["labels", "probabilities"])),
        draw(st.sampled_from([0.0, 0.1, 1.0])),
        draw(st.sampled_from([-100, -1, 0, 2, None])),
        draw(st.tuples(st.booleans(), st.booleans(), st.booleans())),
        draw(st.integers(0, 2**32 - 1)),
    )


@SETTINGS
@hypothesis.given(call=cross_entropy_calls())
def test_cross_entropy(to_array, call):
    shape, axis, dtype, reduction, kind, smoothing, ignored, extras, seed = call
    rng = np.random.default_rng(seed)
    x = (3 * rng.normal(size=shape)).astype(dtype)
    rows = tuple(np.delete(shape, axis))
    classes = shape[axis]
    if kind == "labels":
        targets = np.asarray(rng.integers(0, classes, size=rows))
        if ignored is not None:
            targets = np.where(rng.random(rows) < 0.3, ignored, targets)
    else:
        targets = rng.random(shape).astype(dtype)
    class_weight = rng.choice([0.0, 0.5, 2.0], size=classes) if extras[0] else None
    weight, mask = weights_and_mask(rng, rows, *extras[1:])
    losses, counts = oracle.cross_entropy(
        x.astype(float), targets, axis, class_weight, ignored, smoothing
    )
    expected = oracle.reduce(losses, counts, reduction, weight, mask)
    arrays = to_array(x, dtype), to_array(targets)
    options = with_arrays(to_array, dtype, weight=class_weight, sample_weight=weight, where=mask)
    value, gradient = tw.cross_entropy_loss.value_and_grad(
        *arrays,
        axis=axis,
        reduction=reduction,
        label_smoothing=smoothing,
        ignore_index=ignored,
        **options,
    )
    tolerance = DTYPES[dtype]
    assert_close(value, expected, like=arrays[0], rtol=tolerance, atol=tolerance)
    assert (gradient.shape, dtype_name(gradient)) == (shape, dtype)


@SETTINGS
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    label_smoothing=st.sampled_from([0.0, 0.3]),
    weighted=st.booleans(),
)
def test_cross_entropy_differentiates_itself(seed, label_smoothing, weighted):
    rng = np.random.default_rng(seed)
    x, y = 2 * rng.normal(size=(3, 4)), rng.integers(0, 4, 3)
    options: dict[str, Any] = {"weight": rng.random(4) + 0.1} if weighted else {}
    found = tw.check_gradient(
        tw.cross_entropy_loss, x, y, label_smoothing=label_smoothing, **options
    )
    assert max(found) < 1e-6
