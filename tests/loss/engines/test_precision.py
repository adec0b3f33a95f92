"""Sums of very many numbers lose nothing to speak of."""

import math
from fractions import Fraction

import numpy as np
import pytest

import tensorweaver as tw
from tests.loss.engines.calls import assert_agree

MANY = 10**8
"""The elements of a repeated pattern: sums in float32 would stop growing at 2**24."""


def exact_mean(pattern, losses):
    """The mean of the pattern's losses, which are as exact as float64."""
    return Fraction(math.fsum(losses)) / len(pattern)


@pytest.mark.parametrize("kind", ["tenths", "normal", "ones and a little"])
def test_the_mean_of_a_hundred_million(kind, engine, rng):
    pattern = {
        "tenths": np.full(1000, 0.1),
        "normal": np.abs(rng.normal(size=1000)),
        "ones and a little": 1 + rng.random(1000) * 2.0**-20,
    }[kind].astype(np.float32)
    x = np.broadcast_to(pattern, (MANY // 1000, 1000))
    expected = exact_mean(pattern, pattern.astype(float))
    assert_agree([tw.l1_loss(x, np.zeros(1, np.float32))], [np.float32(expected)], ulp=1)


@pytest.mark.parametrize("form", ["contiguous", "strided"])
def test_the_mean_of_ten_million(form, engine, rng):
    x = np.abs(rng.normal(size=10**7)).astype(np.float32)
    given = x if form == "contiguous" else np.repeat(x, 2)[::2]
    zeros = np.broadcast_to(np.zeros(1, np.float32), x.shape)
    expected = math.fsum(x.tolist()) / x.size
    assert_agree([tw.l1_loss(given, zeros)], [np.float32(expected)], ulp=1)
    total = tw.l1_loss(given, zeros, reduction="sum")
    assert_agree([total], [np.float32(expected * x.size)], ulp=1)


@pytest.mark.parametrize("count", [1000, 40_000, 1_000_003])
def test_sums_in_float64_are_exact_to_the_last_bits(count, engine, rng):
    x = rng.normal(size=count) ** 2 + 0.1
    zeros = np.zeros(1)
    exact = math.fsum(x)
    limit = 1 if engine == "llvm" else 4
    assert_agree([tw.l1_loss(x, zeros, reduction="sum")], [np.float64(exact)], ulp=limit)
    assert_agree([tw.l1_loss(x, zeros)], [np.float64(Fraction(exact) / count)], ulp=limit + 1)


def test_sums_of_both_signs(engine, rng):
    x = rng.normal(size=1_000_001)
    ones = np.ones_like(x)
    exact = math.fsum(-x)
    size = math.fsum(np.abs(x))
    found = tw.kl_div_loss(x, ones, reduction="sum")
    assert abs(found - exact) <= 2.0**-52 * size
    small = x.astype(np.float32)
    found = tw.kl_div_loss(small, ones.astype(np.float32), reduction="sum")
    exact = math.fsum((-small).tolist())
    assert_agree([found], [np.float32(exact)], ulp=1)


@tw.rowwise
def row_sum(x, y):
    return tw.array_namespace(x, y).sum(x * y, axis=-1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [1000, 30_011, 1_000_003])
def test_sums_of_rows(classes, dtype, engine, rng):
    x = (rng.normal(size=(2, classes)) ** 2 + 0.1).astype(dtype)
    exact = [math.fsum(row) for row in x.tolist()]
    found = row_sum(x, np.ones_like(x), reduction="none")
    limit = 1 if engine == "llvm" else 3
    assert_agree([found], [np.asarray(exact).astype(dtype)], ulp=limit)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [1000, 1_000_003])
def test_cross_entropy_of_very_many_classes(classes, dtype, engine, rng):
    x = rng.normal(size=(2, classes)).astype(dtype)
    labels = np.asarray([3, classes - 1])
    wide = x.astype(np.longdouble)
    totals = [math.fsum(row) for row in np.exp(wide).astype(float)]
    exact = np.log(np.asarray(totals, np.longdouble)) - wide[[0, 1], labels]
    found = tw.cross_entropy_loss(x, labels, reduction="none")
    assert_agree([found], [exact.astype(dtype)], ulp=2 if dtype == "float32" else 4)


def test_small_numbers_beside_large_ones(engine):
    x = np.full(1 << 20, 2.0**-30, np.float32)
    x[0] = 2.0**20
    total = tw.l1_loss(x.astype(np.float64), np.zeros(1), reduction="sum")
    assert total == 2.0**20 + ((1 << 20) - 1) * 2.0**-30
    x[0] = 1.0
    found = tw.l1_loss(x, np.zeros(1, np.float32), reduction="sum")
    assert_agree([found], [np.float32(1 + ((1 << 20) - 1) * 2.0**-30)], ulp=1)
