"""No element is missed or counted twice, however many there are and wherever blocks end."""

import math

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler.llvm.engine import MOST_KEPT
from tensorweaver.compiler.tiles import LARGEST, SMALLEST, WANTED
from tests.loss.engines.calls import assert_agree, computed_by

FEW = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129]
MANY = [
    SMALLEST - 1,
    SMALLEST,
    SMALLEST + 1,
    SMALLEST // 2 + 1,
    2 * SMALLEST + 33,
    5 * SMALLEST - 1,
    WANTED * SMALLEST + 17,
]


@tw.rowwise
def weighted_sum(x, y):
    return tw.array_namespace(x, y).sum(x * y, axis=-1)


@tw.rowwise
def extremes(x, y):
    xp = tw.array_namespace(x, y)
    return xp.max(x, axis=-1) - xp.min(y, axis=-1)


def places(count):
    """Where a lane, a vector or a block may begin or end."""
    near = [0, 1, 15, 16, 31, 32, 63, 64, SMALLEST // 2, SMALLEST, 2 * SMALLEST, count // 2, count]
    return sorted({p + d for p in near for d in (-1, 0, 1) if 0 <= p + d < count})


def check_elements(count, dtype, at):
    """Sums of whole numbers, and their gradients, to the last bit."""
    x, zero = np.ones(count, dtype), np.zeros(count, dtype)
    value, gradient = tw.mse_loss.value_and_grad(x, zero, reduction="sum")
    assert value == count
    assert np.array_equal(gradient, np.full(count, 2, dtype))
    assert tw.l1_loss(x, zero) == 1.0
    numbered = np.arange(1, count + 1).astype(dtype)
    losses = tw.l1_loss(numbered, zero, reduction="none")
    assert np.array_equal(losses, numbered)
    for place in at:
        alone = zero.copy()
        alone[place] = 3
        value, gradient = tw.mse_loss.value_and_grad(alone, zero, reduction="sum")
        assert value == 9.0, place
        assert gradient[place] == 6
        assert np.count_nonzero(gradient) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", FEW)
def test_few_elements(count, dtype, engine):
    check_elements(count, dtype, range(count))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", MANY)
def test_elements_round_the_ends_of_blocks(count, dtype, engine):
    check_elements(count, dtype, places(count) if count < 3 * SMALLEST else [0, count - 1])


def test_blocks_of_the_largest_size(engine):
    count = (WANTED + 1) * LARGEST + 5
    check_elements(count, "float32", [count - 1])


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), (3, 0, 2)])
@pytest.mark.parametrize("loss", [tw.mse_loss, tw.binary_cross_entropy_with_logits_loss])
def test_no_elements(loss, shape, engine):
    x = np.zeros(shape, np.float32)
    for reduction in ("mean", "sum", "none"):
        value, gradient = loss.value_and_grad(x, x, reduction=reduction)
        assert value.shape == (shape if reduction == "none" else ())
        assert not np.any(value)
        assert (gradient.shape, gradient.dtype) == (shape, x.dtype)


@pytest.mark.parametrize("shape", [(0, 4), (0, 40), (2, 0, 3), (0, 2000)])
def test_no_rows(shape, engine):
    x, labels = np.zeros(shape), np.zeros(shape[:-1], int)
    for reduction in ("mean", "sum", "none"):
        value, gradient = tw.cross_entropy_loss.value_and_grad(x, labels, reduction=reduction)
        assert value.shape == (shape[:-1] if reduction == "none" else ())
        assert not np.any(value)
        assert gradient.shape == shape


# ------------------------------------------------------------------------- rows of classes
CLASSES = [1, 2, 7, 16, 24, 25, 31, 33, 63, 64, 65, 255, 257]
LONG = [1024, 1025, 4099]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", CLASSES)
def test_every_class_of_a_row_counts_once(classes, dtype, engine):
    ones = np.ones((classes, classes), dtype)
    numbers = np.arange(1, classes + 1).astype(dtype)
    alone = np.diag(numbers)
    value, gradient = weighted_sum.value_and_grad(alone, ones, reduction="none")
    assert np.array_equal(value, numbers)
    assert np.array_equal(gradient, ones)
    assert weighted_sum(alone, ones, reduction="sum") == numbers.sum()
    assert np.array_equal(extremes(alone, -alone, reduction="none"), 2 * numbers)
    gradient = weighted_sum.grad(ones, alone, reduction="sum")
    assert np.array_equal(gradient, alone)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [*LONG, (1 << 17) + 3, (1 << 20) + 1])
def test_every_class_of_a_long_row_counts_once(classes, dtype, engine):
    at = [0, 1, 15, 16, 31, 32, 1023, 1024, classes // 2, classes - 2, classes - 1]
    rows = [p for p in at if p < classes][: 3 if classes > LONG[-1] else None]
    rows += [classes - 1]
    alone = np.zeros((len(rows), classes), dtype)
    alone[np.arange(len(rows)), rows] = np.arange(1, len(rows) + 1)
    ones = np.broadcast_to(np.ones(1, dtype), alone.shape)
    value, gradient = weighted_sum.value_and_grad(alone, ones.copy(), reduction="none")
    assert np.array_equal(value, np.arange(1, len(rows) + 1))
    assert np.array_equal(gradient, ones)
    assert np.array_equal(extremes(alone, -alone, reduction="none"), 2 * value)
    assert weighted_sum(ones.copy(), ones.copy(), reduction="sum") == len(rows) * classes


ROWS = [1, 2, 15, 16, 17, 31, 32, 33, 49]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [3, 24, 25, 40, 1025])
def test_every_row_counts_once(classes, dtype, engine):
    for rows in ROWS:
        x = np.zeros((rows, classes), dtype)
        labels = np.arange(rows) % classes
        x[:, 0] = np.arange(rows)
        ones = np.ones_like(x)
        assert np.array_equal(weighted_sum(x, ones, reduction="none"), np.arange(rows))
        assert weighted_sum(x, ones, reduction="sum") == rows * (rows - 1) // 2
        picked = tw.nll_loss(-x, labels, reduction="none")
        assert np.array_equal(picked, np.where(labels == 0, np.arange(rows), 0))
        gradient = tw.nll_loss.grad(x, labels, reduction="sum")
        assert np.array_equal(gradient, -np.eye(classes, dtype=dtype)[labels])


@pytest.mark.parametrize("rows", [SMALLEST // 24 + 1, SMALLEST // 3 - 1, SMALLEST + 1])
@pytest.mark.parametrize("classes", [1, 3, 24, 40])
def test_rows_round_the_ends_of_blocks(classes, rows, engine):
    x = np.zeros((rows, classes), np.float32)
    x[:, -1] = np.arange(rows)
    ones = np.ones_like(x)
    assert np.array_equal(weighted_sum(x, ones, reduction="none"), np.arange(rows))
    value, gradient = weighted_sum.value_and_grad(x.astype(float), ones, reduction="sum")
    assert value == rows * (rows - 1) // 2
    assert gradient.sum() == rows * classes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [*CLASSES, *LONG])
def test_cross_entropy_of_so_many_classes(classes, dtype, engine, rng):
    rows = 19 if classes < LONG[0] else 3
    x = (3 * rng.normal(size=(rows, classes))).astype(dtype)
    labels = rng.integers(0, classes, rows)
    labels[-1] = classes - 1
    options = {"label_smoothing": 0.1, "weight": (0.5 + rng.random(classes)).astype(dtype)}
    wide = {**options, "weight": options["weight"].astype(float)}
    with computed_by("interpret"):
        expected = tw.cross_entropy_loss.value_and_grad(x.astype(float), labels, **wide)
        plain = tw.cross_entropy_loss(x.astype(float), labels, reduction="none")
    found = tw.cross_entropy_loss.value_and_grad(x, labels, **options)
    rounded = [np.asarray(e).astype(dtype) for e in expected]
    assert_agree(found, rounded, ulp=8, steps=8)
    losses = tw.cross_entropy_loss(x, labels, reduction="none")
    assert_agree([losses], [plain.astype(dtype)], ulp=4, steps=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_too_long_to_be_kept(dtype, engine, rng):
    size = np.dtype(dtype).itemsize
    for classes in (MOST_KEPT // size, MOST_KEPT // size + 1, 3 * MOST_KEPT // size + 5):
        x = (3 * rng.normal(size=(2, classes))).astype(dtype)
        labels = np.asarray([0, classes - 1])
        value, gradient = tw.cross_entropy_loss.value_and_grad(x, labels, reduction="none")
        wide = x.astype(np.float64)
        totals = [math.fsum(row) for row in np.exp(wide)]
        exact = np.log(totals) - wide[[0, 1], labels]
        assert_agree([value], [exact.astype(dtype)], ulp=2)
        slope = np.exp(wide) / np.asarray(totals)[:, None]
        slope[[0, 1], labels] -= 1
        # A probability is the exponential of a number near -15, which magnifies its rounding.
        assert_agree([gradient], [slope.astype(dtype)], ulp=64)
