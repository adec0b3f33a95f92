"""Derive the coefficients that the functions of the LLVM engine are written with."""

import warnings
from typing import Any

import mpmath as library
import numpy as np

__all__ = ["derived", "mpmath", "pair", "rounded"]

TYPES: dict[str, Any] = {"float": np.float32, "double": np.float64}

#: A context of our own, for `mpmath.mp` is everyone's.
mpmath = library.MPContext()
mpmath.dps = 80


def rounded(numbers, kind):
    """As the numbers are in registers."""
    return [float(TYPES[kind](float(number))) for number in numbers]


def derived(function, start, stop, count, kind):
    """The first `count` terms of a function's Chebyshev series, highest power first."""
    with warnings.catch_warnings():  # later releases of mpmath would rather have the lowest first
        warnings.simplefilter("ignore", DeprecationWarning)
        return rounded(mpmath.chebyfit(function, [start, stop], count), kind)


def pair(number, bits, kind):
    """A number as a sum of two, the first a multiple of 2**-bits."""
    first = mpmath.floor(number * 2**bits) / 2**bits
    return rounded([first, number - first], kind)
