"""Losses of vectors and of pairs of scores: refusals, edges, kinks, identities."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF, NAN = np.inf, np.nan
RANDOM = np.random.default_rng(20240517)
A, B, C = RANDOM.normal(size=(3, 6, 4))
SIGNS = np.asarray([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
OF_SIGNS = [tw.hinge_embedding_loss, tw.margin_ranking_loss, tw.cosine_embedding_loss]


def scaled(x, factor):
    return np.asarray(x, np.float64) * factor


# ------------------------------------------------------------------------------------- refusals
NEGATIVE = "must be finite and not negative, got"
BAD_OPTIONS = [
    (tw.cosine_embedding_loss, {"margin": 1.5}, r"margin must be in \[-1, 1\], got 1.5"),
    (tw.cosine_embedding_loss, {"margin": NAN}, r"margin must be in \[-1, 1\], got nan"),
    (tw.contrastive_loss, {"margin": -1.0}, f"margin {NEGATIVE} -1.0"),
    (tw.triplet_margin_loss, {"margin": INF}, f"margin {NEGATIVE} inf"),
    (tw.triplet_margin_loss, {"eps": -1e-6}, f"eps {NEGATIVE} -1e-06"),
    (tw.triplet_margin_loss, {"p": 0.5}, "p must be at least 1, got 0.5"),
    (tw.triplet_margin_loss, {"p": NAN}, "p must be at least 1, got nan"),
    (tw.triplet_margin_loss, {"swap": 1}, "swap must be True or False, got 1"),
]


@pytest.mark.parametrize(("loss", "options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(loss, options, message):
    with pytest.raises(tw.ArgumentError, match=f"^{loss.formula.name}: {message}"):
        loss(A, B, SIGNS if loss is not tw.triplet_margin_loss else C, **options)


def test_bad_margins_of_scores_are_refused():
    x = A[:, 0]
    with pytest.raises(tw.ArgumentError, match=f"hinge_embedding_loss: margin {NEGATIVE} -1.0"):
        tw.hinge_embedding_loss(x, SIGNS, margin=-1.0)
    with pytest.raises(tw.ArgumentError, match="margin_ranking_loss: margin must be a number"):
        tw.margin_ranking_loss(x, x, SIGNS, margin=NAN)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(tw.ShapeError, match="cosine_embedding_loss: targets"):
        tw.cosine_embedding_loss(A, B, np.ones((6, 4)))
    with pytest.raises(tw.ShapeError, match="triplet_margin_loss: negative"):
        tw.triplet_margin_loss(A, B, np.ones((6, 5)))
    with pytest.raises(tw.DTypeError, match="contrastive_loss: x2 must be floating point"):
        tw.contrastive_loss(A, np.ones((6, 4), int), SIGNS > 0)


@pytest.mark.parametrize("loss", OF_SIGNS, ids=lambda loss: loss.formula.name)
def test_a_target_is_a_sign_or_nothing(loss):
    arrays = (A, B) if loss.formula.rowwise else (A[:, 0], B[:, 0])
    arrays = arrays[: len(loss.formula.arguments) - 1]
    for wrong in (0.0, 0.5):
        with pytest.raises(tw.ArgumentError, match=f"targets.0. is {wrong}, but must be -1 or 1"):
            loss(*arrays, np.full(6, wrong))
    value, gradient = loss.value_and_grad(*arrays, np.full(6, NAN))
    assert np.isnan(value)
    for part in gradient if isinstance(gradient, tuple) else (gradient,):
        assert np.all(np.isnan(part))


# ------------------------------------------------------------------------------ cosines and lengths
@pytest.mark.parametrize("factor", [1e-300, 1e-20, 1e20, 1e300])
def test_the_length_of_a_vector_does_not_matter(factor):
    value, gradient = tw.cosine_similarity_loss.value_and_grad(A, B)
    there, slopes = tw.cosine_similarity_loss.value_and_grad(scaled(A, factor), B)
    np.testing.assert_allclose(there, value, rtol=1e-14)
    np.testing.assert_allclose(scaled(slopes, factor), gradient, rtol=1e-12, atol=1e-15)
    both = tw.cosine_similarity_loss(scaled(A, factor), scaled(B, factor))
    np.testing.assert_allclose(both, value, rtol=1e-14)
    assert tw.cosine_similarity_loss(scaled(A, factor), scaled(A, factor)) == 0


def test_a_zero_vector_has_no_direction():
    zero = np.zeros((1, 4))
    for pair in ((zero, B[:1]), (A[:1], zero), (zero, zero)):
        value, gradients = tw.cosine_similarity_loss.value_and_grad(
            *pair, wrt=("predictions", "targets")
        )
        assert value == 1
        assert not np.any(gradients)
        assert not np.any(tw.cosine_similarity_loss.hessian_diag(*pair))
        assert tw.cosine_embedding_loss(*pair, [1.0]) == 1
        assert tw.cosine_embedding_loss(*pair, [-1.0]) == 0
        assert tw.cosine_embedding_loss(*pair, [-1.0], margin=-0.5) == 0.5
        assert not np.any(tw.cosine_embedding_loss.grad(*pair, [-1.0], margin=-0.5))


def test_nan_is_not_hidden():
    poisoned = np.where(np.arange(4) == 1, NAN, A[:1])
    for loss, more in (
        (tw.cosine_similarity_loss, ()),
        (tw.cosine_embedding_loss, ([1.0],)),
        (tw.cosine_embedding_loss, ([-1.0],)),
        (tw.contrastive_loss, ([1.0],)),
        (tw.contrastive_loss, ([0.0],)),
        (tw.triplet_margin_loss, (C[:1],)),
    ):
        value, gradient = loss.value_and_grad(poisoned, B[:1], *more)
        assert np.isnan(value)
        assert np.isnan(gradient[0] if isinstance(gradient, tuple) else gradient).any()


def test_cosine_losses_are_of_each_other():
    like = tw.cosine_embedding_loss(A, B, np.ones(6), reduction="none")
    distance = tw.cosine_similarity_loss(A, B, reduction="none")
    np.testing.assert_array_equal(like, distance)
    unlike = tw.cosine_embedding_loss(A, B, -np.ones(6), margin=-1.0, reduction="none")
    np.testing.assert_allclose(unlike, 2 - distance, rtol=1e-14)
    by_both = tw.cosine_similarity_loss.grad(A, B, wrt=("predictions", "targets"))
    np.testing.assert_allclose(by_both[1], tw.cosine_similarity_loss.grad(B, A), rtol=1e-14)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_every_branch_of_the_cosine_is_the_cosine(sign):
    turns = np.linspace(0.0, np.pi, 37)
    a = np.stack([np.cos(turns), np.sin(turns)], -1)
    b = np.broadcast_to([1.0, 0.0], a.shape).copy()
    values = tw.cosine_embedding_loss(a, b, np.full(37, sign), margin=-1.0, reduction="none")
    want = 1 - np.cos(turns) if sign > 0 else 1 + np.cos(turns)
    np.testing.assert_allclose(values, want, rtol=1e-12, atol=3e-16)


# ------------------------------------------------------------------------------------- distances
def test_equal_vectors_have_a_distance_without_slope():
    by_x1, by_x2 = tw.contrastive_loss.grad(A, A, np.zeros(6))
    assert not np.any(by_x1)
    assert not np.any(by_x2)
    value, gradients = tw.triplet_margin_loss.value_and_grad(A, A, A, eps=0.0)
    assert value == 1
    assert not np.any(gradients)


@pytest.mark.parametrize("factor", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, INF])
def test_distances_neither_overflow_nor_vanish(factor, p):
    options = {"p": p, "eps": 0.0, "reduction": "none"}
    want = tw.triplet_margin_loss(A, B, C, margin=0.25, **options)
    far = [scaled(x, factor) for x in (A, B, C)]
    got = tw.triplet_margin_loss(*far, margin=0.25 * factor, **options)
    np.testing.assert_allclose(got, factor * want, rtol=1e-13)
    gradients = tw.triplet_margin_loss.grad(*far, margin=0.25 * factor, p=p, eps=0.0)
    for part, wanted in zip(
        gradients, tw.triplet_margin_loss.grad(A, B, C, margin=0.25, p=p, eps=0.0), strict=True
    ):
        np.testing.assert_allclose(part, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, INF])
def test_triplets_are_pytorchs(p, swap):
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(x, requires_grad=True) for x in (A, B, C)]
    want = torch.nn.functional.triplet_margin_loss(*tensors, margin=2.0, p=p, swap=swap)
    want.backward()
    got, gradients = tw.triplet_margin_loss.value_and_grad(A, B, C, margin=2.0, p=p, swap=swap)
    np.testing.assert_allclose(got, want.item(), rtol=1e-12)
    for mine, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_ties_of_a_maximum_share():
    options: dict[str, Any] = {"p": INF, "eps": 0.0, "margin": 5.0}
    by_anchor, by_positive, by_negative = tw.triplet_margin_loss.grad(
        [[0.0, 0.0]], [[-1.0, 1.0]], [[0.5, -2.0]], **options
    )
    np.testing.assert_array_equal(by_positive, [[-0.5, 0.5]])
    np.testing.assert_array_equal(by_negative, [[0.0, 1.0]])
    np.testing.assert_array_equal(by_anchor, [[0.5, -1.5]])


# ----------------------------------------------------------------------------------------- kinks
def test_the_slope_at_a_kink_is_the_smallest():
    assert tw.hinge_embedding_loss.grad([1.0], [-1.0]) == 0
    assert tw.hinge_embedding_loss.grad([1.0], [1.0]) == 1
    assert not np.any(tw.margin_ranking_loss.grad([2.0], [2.0], [1.0]))
    assert not np.any(tw.margin_ranking_loss.grad([2.5], [2.0], [1.0], margin=0.5))
    assert not np.any(tw.cosine_embedding_loss.grad([[1.0, 0.0]], [[0.0, 1.0]], [-1.0]))
    at_margin = ([[0.0, 0.0]], [[3.0, 0.0]], [[0.0, 4.0]])
    assert not np.any(tw.triplet_margin_loss.grad(*at_margin, eps=0.0))
    assert not np.any(tw.contrastive_loss.grad([[0.0, 1.0]], [[0.0, 0.0]], [0.0]))


def test_scores_are_ranked_either_way():
    x1, x2 = A[:, 0], B[:, 0]
    value, (by_x1, by_x2) = tw.margin_ranking_loss.value_and_grad(x1, x2, SIGNS, margin=0.5)
    there, (by_x2_there, by_x1_there) = tw.margin_ranking_loss.value_and_grad(
        x2, x1, -SIGNS, margin=0.5
    )
    assert value == there
    np.testing.assert_array_equal(by_x1, by_x1_there)
    np.testing.assert_array_equal(by_x2, by_x2_there)
    np.testing.assert_array_equal(by_x1, -by_x2)


def test_a_learnt_margin_costs_nothing():
    scores = A[:, 0], B[:, 0]
    assert tw.margin_mse_loss(*scores, scores[0] - scores[1]) == 0
    by_positive, by_negative = tw.margin_mse_loss.grad([3.0], [1.0], [1.5])
    assert by_positive == 1
    assert by_negative == -1


def test_where_a_row_is_left_out_it_may_hold_anything():
    mask = np.asarray([True, False, True, True, False, True])
    poisoned = np.where(mask[:, None], A, NAN)
    for loss, more in (
        (tw.cosine_similarity_loss, ()),
        (tw.cosine_embedding_loss, (SIGNS,)),
        (tw.contrastive_loss, (SIGNS > 0,)),
        (tw.triplet_margin_loss, (C,)),
    ):
        wrt = loss.formula.arguments[:2]
        value, gradients = loss.value_and_grad(poisoned, B, *more, where=mask, wrt=wrt)
        kept = [x[mask] for x in (A, B, *more)]
        want, expected = loss.value_and_grad(*kept, wrt=wrt)
        np.testing.assert_allclose(value, want, rtol=1e-14)
        for got, wanted in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(got[mask], wanted, rtol=1e-12, atol=1e-15)
            assert not np.any(got[~mask])


@pytest.mark.parametrize(("dtype", "step"), [(np.float32, 1e-3), (np.float64, 1e-4)])
@pytest.mark.parametrize("sign", [1, -1])
def test_nearly_parallel_vectors_of_one_length_keep_their_digits(dtype, step, sign):
    a, b = np.asarray([[3, 4]], dtype), sign * np.asarray([[3, 4 + step]], dtype)
    cross = 3 * (float(abs(b[0, 1])) - 4)  # of the vectors; its sine is exact, whatever is rounded
    size = 5 * np.hypot(3, float(b[0, 1]))
    sine = cross / size
    gap = sine**2 / (1 + np.sqrt(1 - sine**2))
    value, gradient = map(np.float64, tw.cosine_similarity_loss.value_and_grad(a, b))
    wanted = gap if sign == 1 else 2 - gap
    assert_close(value, wanted, rtol=4 * np.finfo(dtype).eps)
    slope = sign * sine / 5 * np.asarray([[4, -3]]) / 5
    assert_close(gradient, slope, rtol=8 * np.finfo(dtype).eps)


def test_a_multiple_of_a_vector_costs_nothing():
    for factor in (0.5, 1.0, 2.0, 8.0):
        assert tw.cosine_similarity_loss([[1.0, 3.0]], [[factor, 3.0 * factor]]) == 0
