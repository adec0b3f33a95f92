"""Cases in which other libraries were seen to be wrong about vectors; here they are right.

A case's name begins with the library: T PyTorch 2.13, O optax 0.2.8, K Keras 3.15, L Liger. Each
states the exact value and gradient.
"""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw

F32, F64 = "float32", "float64"

COSINES: dict[str, Any] = {
    "T18 lengths of 1e10": (F32, [1e10, 2e10], [1e10, 2e10], 0, [0, 0]),
    "T19 lengths of 1e-6": (F32, [1e-6, 2e-6], [1e-6, 2e-6], 0, [0, 0]),
    "T19 in float64": (F64, [1e-6, 2e-6], [1e-6, 2e-6], 0, [0, 0]),
    "T20 lengths of 1e20": (F32, [1e20, 1e20], [1e20, 1e20], 0, [0, 0]),
    "T21 nearly parallel": (F32, [1, 1e-4], [1, 0], 4.99999971e-9, [-9.9999993e-9, 9.99999960e-5]),
    "T22 a vector without direction": (F64, [0, 0], [1, 0], 1, [0, 0]),
    "O12 lengths of 1e20": (F32, [1e20, 1e20], [1e20, 1e20], 0, [0, 0]),
    "O12 lengths of 1e-25": (F32, [1e-25, 1e-25], [1e-25, 1e-25], 0, [0, 0]),
    "O13 a vector without direction": (F32, [0, 0], [1, 1], 1, [0, 0]),
    "O14 one component": (F32, [1e-5], [1], 0, [0]),
    "K18 lengths of 1e20": (F32, [1e20, 1e20], [1e20, 1e20], 0, [0, 0]),
    "K19 a short vector": (F32, [1, 1], [1e-8, 1e-8], 0, [0, 0]),
    "K20 a vector without direction": (F32, [1, 0], [0, 0], 1, [0, 0]),
    "L07 a vector without direction": (F32, [0, 0, 0], [1, 2, 3], 1, [0, 0, 0]),
}


@pytest.mark.parametrize("name", COSINES)
def test_cosines(name):
    dtype, a, b, want, slopes = COSINES[name]
    x1, x2 = np.asarray([a], dtype), np.asarray([b], dtype)
    found = [
        tw.cosine_similarity_loss.value_and_grad(x1, x2),
        tw.cosine_embedding_loss.value_and_grad(x1, x2, np.ones(1, dtype), wrt="x1"),
    ]
    for value, gradient in found:
        np.testing.assert_allclose(value, want, rtol=1e-7, atol=0)
        np.testing.assert_allclose(gradient, [slopes], rtol=2e-7, atol=0)


def test_o13_identical_vectors():
    x = np.random.default_rng(7).normal(size=(1000, 7)).astype(F32)
    losses = tw.cosine_similarity_loss(x, x, reduction="none")
    np.testing.assert_array_equal(losses, 0)


def test_t32_distances_beyond_the_largest_square():
    arrays = [np.asarray([x], F32) for x in ([1e20, 0], [0, 0], [0, 2e20])]
    value, gradients = tw.triplet_margin_loss.value_and_grad(*arrays)
    assert value == 0
    assert not np.any(gradients)


def test_t33_distances_below_the_smallest_square():
    arrays = [np.asarray([x], F32) for x in ([1e-25, 0], [0, 0], [0, 0])]
    value, gradients = tw.triplet_margin_loss.value_and_grad(*arrays, margin=1e-30, eps=0.0)
    # Positive and negative are as far: what is left is the margin.
    np.testing.assert_allclose(value, 1e-30, rtol=1e-6)
    arrays[2] = arrays[0]
    value, gradients = tw.triplet_margin_loss.value_and_grad(*arrays, margin=1e-30, eps=0.0)
    np.testing.assert_allclose(value, 1e-25, rtol=1e-4)
    np.testing.assert_array_equal(gradients[1], [[-1, 0]])


@pytest.mark.parametrize(
    ("name", "anchor", "positive", "negative", "p", "want"),
    [
        ("O15 and the power 1", [0, 0], [1, 1], [0, 0], 1.0, 3.0),
        ("O16 and the power 1", [0, 0], [1, -1], [2, 2], 1.0, 0.0),
        ("O17 and the power 3", [0, 0], [1, 1], [0, 0], 3.0, 2.25992105),
        ("O18 equal vectors", [0, 0], [0, 0], [0.5, 0], 2.0, 0.5),
        ("O19 equal vectors, the margin kept", [0, 0], [0, 0], [1, 0], 2.0, 0.0),
    ],
)
def test_triplets(name, anchor, positive, negative, p, want):
    arrays = [np.asarray([x], F32) for x in (anchor, positive, negative)]
    value, gradients = tw.triplet_margin_loss.value_and_grad(*arrays, p=p, eps=0.0)
    np.testing.assert_allclose(value, want, rtol=2e-7, err_msg=name)
    assert np.all(np.isfinite(gradients))


def test_t36_nan_has_no_slope():
    value, gradient = tw.hinge_embedding_loss.value_and_grad([np.nan], [-1.0])
    assert np.isnan(value)
    assert np.isnan(gradient).all()
