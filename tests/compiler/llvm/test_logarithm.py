"""The coefficients of the logarithms are what their recipes give."""

import numpy as np
import pytest

from tensorweaver.compiler.llvm.logarithm import CONSTANTS
from tests.compiler.llvm.coefficients import derived, mpmath, pair, rounded

ROOT = mpmath.sqrt(2)


def in_f(f):
    """(log(1 + f) - f + f**2 / 2) / f**3."""
    return mpmath.hyp2f1(1, 3, 4, -f) / 3


def in_square(z):
    """(2*atanh(s) - 2*s) / s**3 where z = s**2."""
    return 2 * mpmath.hyp2f1(1, 1.5, 2.5, z) / 3


RECIPES = {
    ("float", "tail"): (in_f, 1 / ROOT - 1, ROOT - 1),
    ("float", "unit_tail"): (in_f, 0, 1),
    ("double", "tail"): (in_square, 0, ((ROOT - 1) / (ROOT + 1)) ** 2),
    ("double", "unit_tail"): (in_square, 0, mpmath.mpf(1) / 9),
}


@pytest.mark.parametrize(("kind", "name"), RECIPES)
def test_coefficients(kind, name):
    written = getattr(CONSTANTS[kind], name)
    assert rounded(written, kind) == derived(*RECIPES[kind, name], len(written), kind)


@pytest.mark.parametrize(("kind", "of"), [("float", np.float32), ("double", np.float64)])
def test_bits_are_those_of_the_root(kind, of):
    bits = np.sqrt(of(0.5)).view(f"i{of().itemsize}")
    assert bits == CONSTANTS[kind].sqrt_half


@pytest.mark.parametrize(
    ("kind", "bits_of_two", "bits_of_e"), [("float", 15, 11), ("double", 41, 26)]
)
def test_other_bases_are_exact_sums(kind, bits_of_two, bits_of_e):
    constants = CONSTANTS[kind]
    two, ten = mpmath.log(2), mpmath.log(10)
    assert rounded(constants.log2.of_e, kind) == pair(1 / two, bits_of_e, kind)
    assert rounded(constants.log10.of_e, kind) == pair(1 / ten, bits_of_e, kind)
    assert rounded(constants.log10.of_two, kind) == pair(two / ten, bits_of_two, kind)
    assert constants.log2.of_two == (1, 0)
