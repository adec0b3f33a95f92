"""NaN, infinities and the smallest and largest numbers stay where they are, and none is hidden."""

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.loss.domains import DOMAINS
from tests.loss.cases import CASES
from tests.loss.engines.calls import assert_agree, bits, computed_by

COUNT = 67
"""Two vectors of float32 or four of float64, and three elements more."""

POINTWISE = ["mse", "l1", "huber", "smooth l1", "bce", "bce of logits", "kl", "kl, log target"]


def hostile(dtype):
    """What spoils sums, comparisons and exponents."""
    info = np.finfo(dtype)
    small = info.smallest_subnormal
    found = [np.nan, np.inf, -np.inf, small, -small, info.tiny / 3, -0.0, 0.0]
    return [*found, 88.8, info.max, -info.max]


def elements(dtype):
    """Harmless predictions and targets of every loss."""
    return np.linspace(0.25, 0.75, COUNT).astype(dtype), np.linspace(0.7, 0.2, COUNT).astype(dtype)


def asked(loss, arrays, options):
    """Losses, gradient and curvature, element by element."""
    value, gradient = loss.value_and_grad(*arrays, reduction="none", **options)
    return [value, gradient, loss.hessian_diag(*arrays, reduction="sum", **options)]


@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", POINTWISE)
def test_an_element_spoils_no_other(name, dtype, argument, engine):
    loss, options = CASES[name].loss, CASES[name].options
    plain = asked(loss, elements(dtype), options)
    domain = loss.formula.domains.get(loss.formula.arguments[argument])
    values = hostile(dtype)
    if domain is not None:
        values = [v for v in values if not DOMAINS[domain].outside(np, np.asarray(v))]
    for number, value in enumerate(values):
        every = [array.copy() for array in elements(dtype)]
        every[argument][:] = value
        with computed_by("interpret"):
            expected = asked(loss, every, options)
        for place in {0, number, 31, 32, 47, 48, 63, 64 + number % 3, COUNT - 1}:
            arrays = [array.copy() for array in elements(dtype)]
            arrays[argument][place] = value
            found = asked(loss, arrays, options)
            others = np.arange(COUNT) != place
            assert bits([f[others] for f in found]) == bits([p[others] for p in plain])
            assert_agree([f[place] for f in found], [e[place] for e in expected])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 17, COUNT, 40_003])
def test_no_nan_or_infinity_is_lost_in_a_sum(count, dtype, engine):
    for place in {0, count // 2, count - 1}:
        for value, total in ((np.nan, np.nan), (np.inf, np.inf), (-np.inf, np.inf)):
            x = np.zeros(count, dtype)
            x[place] = value
            found, gradient = tw.l1_loss.value_and_grad(x, np.zeros_like(x), reduction="sum")
            assert np.array_equal(found, total, equal_nan=True)
            assert np.count_nonzero(gradient) == 1
            x = np.zeros(count, dtype)
            x[place] = value
            found = tw.kl_div_loss(x, np.ones_like(x), reduction="sum")
            assert np.array_equal(found, -value, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [2, 40, 40_003])
def test_infinities_of_both_signs_sum_to_nan(count, dtype, engine):
    x = np.zeros(count, dtype)
    x[0], x[-1] = np.inf, -np.inf
    assert np.isnan(tw.kl_div_loss(x, np.ones_like(x)))


def test_a_total_beyond_float32_is_an_infinity(engine):
    x = np.full(40_000, 1e36, np.float32)
    assert tw.l1_loss(x, np.zeros_like(x), reduction="sum") == np.inf
    assert tw.l1_loss(x, np.zeros_like(x)) == np.float32(1e36)
    x = np.full(40_000, 1e306)
    assert tw.l1_loss(x, np.zeros_like(x), reduction="sum") == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 5, 31, 33, COUNT])
def test_nothing_beside_an_array_is_read_or_written(count, dtype, engine):
    for offset in (0, 1, 3, 16):
        around = np.full((3, count + 40), np.nan, dtype)
        x, y, out = (row[offset : offset + count] for row in around)
        x[:], y[:], out[:] = 0.75, 0.25, 7
        value, gradient = tw.mse_loss.value_and_grad(x, y, reduction="sum", out=out)
        assert value == count / 4
        assert gradient is out
        assert np.array_equal(out, np.ones(count))
        out[:] = np.nan
        x[:] = y[:] = np.nan
        assert np.isnan(around).all()


# ------------------------------------------------------------------------- rows
ROWS = [(35, 5), (35, 24), (35, 40), (3, 1100)]


def row_results(x, labels, options):
    loss = tw.cross_entropy_loss
    value, gradient = loss.value_and_grad(x, labels, reduction="none", **options)
    return [value, gradient]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", ROWS)
def test_a_row_spoils_no_other(shape, dtype, smoothing, engine, rng):
    rows, classes = shape
    options = {"label_smoothing": smoothing}
    plain = rng.normal(size=shape).astype(dtype)
    labels = np.arange(rows) % classes
    before = row_results(plain, labels, options)
    info = np.finfo(dtype)
    kinds = [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf], [info.max], [-info.max], [1e-310]]
    at = [0, classes - 1, labels[-1], classes // 2]
    for number, values in enumerate([*kinds, [-np.inf] * classes, [np.inf] * classes]):
        for row in (0, min(15, rows - 2), rows - 1):
            x = plain.copy()
            places = np.arange(classes) if len(values) == classes else at[number % 4] - np.arange(2)
            x[row, places[: len(values)]] = np.asarray(values[: len(places)]).astype(dtype)
            with computed_by("interpret"):
                expected = row_results(x, labels, options)
            found = row_results(x, labels, options)
            others = np.arange(rows) != row
            assert bits([f[others] for f in found]) == bits([b[others] for b in before])
            assert_agree(found, expected, ulp=4, steps=2)
            total = tw.cross_entropy_loss(x, labels, reduction="sum", **options)
            with computed_by("interpret"):
                expected = [tw.cross_entropy_loss(x, labels, reduction="sum", **options)]
            assert_agree([total], expected, ulp=16)


@pytest.mark.parametrize("shape", ROWS)
def test_what_is_left_out_may_be_anything(shape, engine, rng):
    rows, classes = shape
    x = rng.normal(size=shape)
    labels = np.arange(rows) % classes
    where = np.arange(rows) != 1
    clean = tw.cross_entropy_loss.value_and_grad(x, labels, where=where)
    for value in (np.nan, np.inf, -np.inf):
        x[1] = value
        found = tw.cross_entropy_loss.value_and_grad(x, labels, where=where)
        assert bits(found) == bits(clean)
        assert not found[1][1].any()
        ignored = np.where(where, labels, -100)
        found = tw.cross_entropy_loss.value_and_grad(x, ignored)
        assert np.isfinite(found[0])
        assert not found[1][1].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elements_left_out_may_be_anything(dtype, engine):
    for place in range(COUNT):
        x, y = elements(dtype)
        where = np.arange(COUNT) != place
        clean = tw.binary_cross_entropy_loss.value_and_grad(x, y, where=where)
        x[place] = (np.nan, np.inf, -np.inf)[place % 3]
        found = tw.binary_cross_entropy_loss.value_and_grad(x, y, where=where)
        assert bits(found) == bits(clean)
