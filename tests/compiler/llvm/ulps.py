"""Errors in units in the last place, and the numbers to look for them at."""

import numpy as np
import pytest

__all__ = ["everywhere", "ulps", "widened"]

EVERY = 4099  # of all float32 in the order of their bits: a prime, so that no bit stands still


def widened(numbers):
    """The same numbers in a type with enough more digits to measure errors by."""
    wide = np.float64 if numbers.dtype == np.float32 else np.longdouble
    if np.finfo(wide).nmant < np.finfo(numbers.dtype).nmant + 10:
        pytest.skip("this platform has no floating-point type wider than float64")
    with np.errstate(invalid="ignore"):  # NaN that signals
        return numbers.astype(wide)


def ulps(got, expected):
    """How far `got` is from `expected`, which is of a wider type, in places of its last digit.

    Infinite where one is NaN and the other not, or zeros differ in sign. An infinite number is
    taken for the next after the largest.
    """
    limits = np.finfo(got.dtype)
    kind = expected.dtype.type
    beyond = kind(2) ** int(limits.maxexp)
    with np.errstate(all="ignore"):
        clipped = np.clip(expected, -beyond, beyond)
        nearest = np.minimum(np.abs(clipped).astype(got.dtype), limits.max)
        above = nearest > np.abs(clipped)
        floor = np.where(above, np.nextafter(nearest, got.dtype.type(0)), nearest)
        error = np.abs(np.clip(got.astype(kind), -beyond, beyond) - clipped) / np.spacing(floor)
    error[np.isnan(got) & np.isnan(expected)] = 0
    zeros = (got == 0) & (expected == 0)
    wrong = zeros & (np.signbit(got) != np.signbit(expected))
    error[wrong | (np.isnan(got) != np.isnan(expected))] = np.inf
    return error


def everywhere(dtype):
    """Numbers of every exponent and sign, many where functions turn, and what is special."""
    rng = np.random.default_rng(0)
    if dtype == "float32":
        patterns = np.arange(0, 2**32, EVERY, dtype=np.uint64).astype(np.uint32)
    else:
        patterns = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    halves = np.arange(-2200, 2200) * (np.log(2) / 2)  # where the reduction of exp turns
    special = [0.0, 1.0, 2.0, 3.0, 10.0, np.inf, np.nan, 0.55]
    with np.errstate(all="ignore"):
        parts = [
            patterns.view(dtype),
            *(halves * (1 + near) for near in (0.0, 1e-7, -1e-7, 1e-15, -1e-15)),
            *(rng.uniform(-edge, edge, 50_000) for edge in (0.6, 3, 20, 110, 750)),
            1 + rng.uniform(-1, 1, 50_000) * 2 ** rng.uniform(-30, 0, 50_000),
            rng.uniform(-2.1, 2.1, 50_000) * 2 ** rng.uniform(-40, 0, 50_000),
            *np.outer(edges(dtype), [1, -1]).T,
            np.asarray(special),
            -np.asarray(special),
        ]
        return np.concatenate([part.astype(dtype) for part in parts])


def edges(dtype):
    """The limits of the format, and where exp and its kin meet them, with their neighbours."""
    limits = np.finfo(dtype)
    largest = np.log(np.longdouble(limits.max))
    smallest = np.log(np.longdouble(limits.smallest_subnormal))
    centres = [limits.max, limits.tiny, limits.smallest_subnormal, limits.eps, limits.epsneg]
    centres += [largest, largest + np.log(2), smallest, smallest - np.log(2), np.log(limits.tiny)]
    centres += [1.0, np.sqrt(0.5), np.sqrt(2), 40.0, 20.0, 0.55]
    found = [np.asarray(centres).astype(dtype)]
    for direction in (np.inf, -np.inf):
        near = found[0]
        for _ in range(20):
            near = np.nextafter(near, np.asarray(direction, dtype))
            found.append(near)
    return np.concatenate(found)
