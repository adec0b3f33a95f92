"""Triplets by any distance: distances of one's own, kinks, zeros, refusals."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.battery.test_laws import several
from tests.helpers.compare import assert_close

loss = tw.triplet_margin_with_distance_loss


def cosine(a, b):
    return tw.cosine_similarity_loss(a, b, reduction="none")


def test_the_distance_is_triplet_margin_without_eps(rng):
    vectors = rng.normal(size=(3, 6, 4))
    for margin, swap in ((1.0, False), (3.0, True)):
        found = loss.value_and_grad(*vectors, margin=margin, swap=swap)
        want = tw.triplet_margin_loss.value_and_grad(*vectors, eps=0.0, margin=margin, swap=swap)
        assert_close(found[0], want[0], rtol=1e-14)
        for got, expected in zip(found[1], several(want[1]), strict=False):
            assert_close(got, expected, rtol=1e-13, atol=1e-16)


def test_a_distance_may_be_another_loss(rng):
    vectors = rng.normal(size=(3, 6, 4))
    found = loss(*vectors, distance_function=cosine, reduction="none")
    near, far = (tw.cosine_similarity_loss(vectors[0], v, reduction="none") for v in vectors[1:])
    assert_close(found, np.maximum(near - far + 1, 0), rtol=1e-14)
    for name in ("anchor", "positive", "negative"):
        tw.check_gradient(loss, *vectors, wrt=name, distance_function=cosine)


def test_t32_large_distances_do_not_overflow():
    vectors = np.asarray([[[1e20, 0.0]], [[0.0, 0.0]], [[0.0, 2e20]]], np.float32)
    value, gradients = loss.value_and_grad(*vectors)
    assert value == 0
    assert all(np.all(gradient == 0) for gradient in gradients)


def test_t33_small_distances_do_not_underflow():
    vectors = np.asarray([[[1e-25, 0.0]], [[0.0, 0.0]], [[1e-25, 0.0]]], np.float32)
    value, gradients = loss.value_and_grad(*vectors, margin=0.0)
    assert value == np.float32(1e-25)
    np.testing.assert_array_equal(gradients[0], [[1, 0]])
    np.testing.assert_array_equal(gradients[1], [[-1, 0]])
    np.testing.assert_array_equal(gradients[2], [[0, 0]])


def test_kinks_have_no_slope():
    """The margin just met, and vectors of no distance."""
    value, gradients = loss.value_and_grad([[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 2.0]])
    assert value == 0
    assert all(np.all(gradient == 0) for gradient in gradients)
    same = np.ones((1, 2))
    value, gradients = loss.value_and_grad(same, same, same)
    assert value == 1
    assert all(np.all(gradient == 0) for gradient in gradients)


def test_vectors_without_components():
    value, gradients = loss.value_and_grad(*[np.ones((2, 0))] * 3)
    assert value == 1
    assert gradients[0].shape == (2, 0)


REFUSED = {
    "margin": (
        lambda: loss(*[np.ones((2, 3))] * 3, margin=-0.5),
        tw.ArgumentError,
        "margin must not be negative, got -0.5",
    ),
    "distance": (
        lambda: loss(*[np.ones((2, 3))] * 3, distance_function="cosine"),
        tw.ArgumentError,
        "distance_function must be a function of two arrays, got 'cosine'",
    ),
    "components": (
        lambda: loss(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 1))),
        tw.ShapeError,
        r"anchor, positive and negative of shapes \(2, 3\), \(2, 3\) and \(2, 1\) must have as",
    ),
    "numbers": (
        lambda: loss(1.0, 2.0, 3.0),
        tw.ShapeError,
        r"of shapes \(\), \(\) and \(\) must have as many components",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match="triplet_margin_with_distance_loss: .*" + message):
        call()
