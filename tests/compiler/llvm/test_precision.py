"""What the formats are said to be is what NumPy says."""

import numpy as np
import pytest

from tensorweaver.compiler.llvm.precision import PRECISIONS
from tests.compiler.llvm.coefficients import TYPES, mpmath, pair, rounded


@pytest.mark.parametrize("kind", PRECISIONS)
def test_formats(kind):
    precision, limits = PRECISIONS[kind], np.finfo(TYPES[kind])
    assert precision.fraction == limits.nmant
    assert precision.bias == limits.maxexp - 1
    assert precision.smallest == limits.smallest_normal
    assert precision.integers == 1 / limits.eps


@pytest.mark.parametrize(("kind", "bits"), [("float", 15), ("double", 41)])
def test_ln2_leaves_bits_free_for_any_exponent(kind, bits):
    precision = PRECISIONS[kind]
    assert rounded(precision.ln2, kind) == pair(mpmath.log(2), bits, kind)
    exponent_bits = (precision.bias + precision.fraction).bit_length()
    assert bits + exponent_bits <= precision.fraction + 1
