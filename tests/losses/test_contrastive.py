"""Contrastive losses: their names elsewhere, single vectors, zeros, what is refused."""

import numpy as np
import pytest

import tensorweaver as tw


def test_p01_no_floor_under_the_logarithm():
    """Elsewhere it is 87.3 with a gradient of 0 in float32."""
    first = np.asarray([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    losses = tw.nt_xent_loss(first, -first, temperature=0.01, reduction="none")
    np.testing.assert_allclose(losses, np.full(4, 200.0), rtol=1e-6)


def test_m01_a_low_temperature_does_not_overflow():
    first = np.asarray([[1.0, 0.0], [0.0, 1.0]], np.float32)
    value, gradients = tw.nt_xent_loss.value_and_grad(first, first.copy(), temperature=0.01)
    assert 0 <= value < 1e-40
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_o25_no_partner_is_no_loss():
    value, gradient = tw.supervised_contrastive_loss.value_and_grad(np.eye(3), [0, 1, 2])
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((3, 3)))
    value, gradient = tw.circle_loss.value_and_grad(np.eye(3), [0, 0, 0])
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((3, 3)))


def test_the_mean_is_over_the_vectors_that_count(rng):
    embeddings, labels = rng.normal(size=(4, 3)), [0, 0, 0, 1]
    losses = tw.supervised_contrastive_loss(embeddings, labels, reduction="none")
    assert losses[3] == 0
    mean = tw.supervised_contrastive_loss(embeddings, labels)
    np.testing.assert_allclose(mean, losses[:3].mean(), rtol=1e-14)


@pytest.mark.parametrize("loss", [tw.info_nce_loss, tw.nt_xent_loss])
def test_lengths_do_not_matter(loss, rng):
    a, b = rng.normal(size=(2, 5, 3))
    lengths = 2.0 ** rng.integers(-60, 60, (5, 1))
    assert loss(a, b) == loss(a * lengths, b)
    huge = loss((a * 1e30).astype(np.float32), b.astype(np.float32))
    np.testing.assert_allclose(huge, loss(a, b), rtol=1e-5)


def test_a_vector_of_zeros_has_no_slope():
    first = np.asarray([[0.0, 0.0], [1.0, 2.0]])
    value, (by_first, _) = tw.info_nce_loss.value_and_grad(first, np.ones((2, 2)))
    assert np.isfinite(value)
    np.testing.assert_array_equal(by_first[0], [0, 0])


def test_clip_is_the_symmetric_info_nce(rng):
    a, b = rng.normal(size=(2, 5, 3))
    both = (tw.info_nce_loss(a, b) + tw.info_nce_loss(b, a)) / 2
    np.testing.assert_allclose(tw.info_nce_loss(a, b, symmetric=True), both, rtol=1e-14)


def test_two_views_are_two_of_a_class(rng):
    a, b = rng.normal(size=(2, 4, 3))
    labels = np.tile(np.arange(4), 2)
    found = tw.supervised_contrastive_loss(np.concatenate([a, b]), labels, temperature=0.5)
    np.testing.assert_allclose(found, tw.nt_xent_loss(a, b), rtol=1e-13)


def test_circle_weights_may_be_held_constant(rng):
    embeddings, labels = rng.normal(size=(5, 3)), [0, 0, 1, 1, 0]
    value = tw.circle_loss(embeddings, labels, gamma=2.0)
    assert tw.circle_loss(embeddings, labels, gamma=2.0, weight_gradient=False) == value
    whole = tw.circle_loss.grad(embeddings, labels, gamma=2.0)
    held = tw.circle_loss.grad(embeddings, labels, gamma=2.0, weight_gradient=False)
    assert np.max(np.abs(whole - held)) > 1e-3


REFUSED = {
    "other number": (
        lambda: tw.info_nce_loss(np.ones((2, 3)), np.ones((3, 3))),
        tw.ShapeError,
        "info_nce_loss: queries of shape .2, 3. and keys of shape .3, 3. must be alike",
    ),
    "no matrix": (
        lambda: tw.info_nce_loss(np.ones(3), np.ones(3)),
        tw.ShapeError,
        "info_nce_loss: queries of shape .3,. must be a matrix",
    ),
    "no temperature": (
        lambda: tw.info_nce_loss(np.eye(2), np.eye(2), temperature=0.0),
        tw.ArgumentError,
        "info_nce_loss: temperature must be positive, got 0.0",
    ),
    "negative temperature": (
        lambda: tw.nt_xent_loss(np.eye(2), np.eye(2), temperature=-1.0),
        tw.ArgumentError,
        "nt_xent_loss: temperature must be positive",
    ),
    "labels of others": (
        lambda: tw.supervised_contrastive_loss(np.eye(2), [0, 1, 1]),
        tw.ShapeError,
        "supervised_contrastive_loss: labels of shape .3,. must be one a row",
    ),
    "labels with points": (
        lambda: tw.circle_loss(np.eye(2), [0.0, 1.0]),
        tw.DTypeError,
        "circle_loss: labels must hold whole numbers",
    ),
    "no scale": (
        lambda: tw.circle_loss(np.eye(2), [0, 1], gamma=0.0),
        tw.ArgumentError,
        "circle_loss: gamma must be positive",
    ),
    "no margin": (
        lambda: tw.circle_loss(np.eye(2), [0, 1], margin=float("nan")),
        tw.ArgumentError,
        "circle_loss: margin must be finite, got nan",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()
