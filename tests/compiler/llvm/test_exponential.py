"""The coefficients of exp and its kin are what their recipes give."""

import pytest

from tensorweaver.compiler.llvm.exponential import CONSTANTS, TANH_SMALL
from tests.compiler.llvm.coefficients import derived, mpmath, rounded

EDGE = mpmath.log(2) / 2 * mpmath.mpf("1.001")  # n may be the second nearest by rounding


def over_square(z):
    """(tanh(x) - x) / x**3 where z = x**2."""
    x = mpmath.sqrt(z)
    return (mpmath.tanh(x) - x) / x**3


# Series written as hypergeometric functions lose no digits near 0, and have a value at 0.
RECIPES = {
    "exp": (lambda r: mpmath.hyp1f1(1, 3, r) / 2, -EDGE, EDGE),
    "sinh": (lambda z: mpmath.hyper([1], [2, 2.5], z / 4) / 6, 0, EDGE**2),
    "cosh": (lambda z: mpmath.hyper([1], [1.5, 2], z / 4) / 2, 0, EDGE**2),
    "tanh": (over_square, 0, mpmath.mpf(str(TANH_SMALL)) ** 2),
}


@pytest.mark.parametrize("kind", CONSTANTS)
@pytest.mark.parametrize("name", RECIPES)
def test_coefficients(name, kind):
    written = getattr(CONSTANTS[kind], name)
    assert rounded(written, kind) == derived(*RECIPES[name], len(written), kind)
