"""What the battery cannot know of the losses of large vocabularies and of smoothed maxima."""

import math

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

NAN = np.nan


# ----------------------------------------------------------------------------- token scaling
def test_dft_is_cross_entropy_times_the_probability(rng):
    logits, labels = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    chosen = np.take_along_axis(tw.softmax(logits), labels[:, None], 1)
    losses = tw.cross_entropy_loss(logits, labels, reduction="none")
    assert_close(tw.dft_loss(logits, labels, reduction="none"), losses * chosen[:, 0], rtol=1e-14)
    want = tw.cross_entropy_loss.grad(logits, labels) * chosen
    assert_close(tw.dft_loss.grad(logits, labels), want, rtol=1e-13)
    curvature = tw.cross_entropy_loss.hessian_diag(logits, labels) * chosen
    assert_close(tw.dft_loss.hessian_diag(logits, labels), curvature, rtol=1e-12)


def test_dft_leaves_out_what_cross_entropy_does():
    logits = [[0.0, 1.0], [NAN, 2.0]]
    value, gradient = tw.dft_loss.value_and_grad(logits, [0, -100])
    assert value == tw.dft_loss(logits[:1], [0])
    np.testing.assert_array_equal(gradient[1], [0, 0])
    with pytest.raises(tw.LabelError, match="dft_loss: targets"):
        tw.dft_loss(logits, [0, 2])
    with pytest.raises(tw.ArgumentError, match="dft_loss: temperature must be positive"):
        tw.dft_loss(logits, [0, 1], temperature=0.0)


def test_an_impossible_token_costs_nothing():
    value, gradient = tw.dft_loss.value_and_grad([[-math.inf, 0.0], [-1e4, 0.0]], [0, 0])
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0], [0, 0]])


# ------------------------------------------------------------------------- a softmax in two levels
@pytest.mark.parametrize("bias", [False, True])
def test_adaptive_softmax_trains_the_module_of_torch(bias):
    """Value, and gradients by the features and by every weight that the module has."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(
        8, 12, [3, 7], div_value=2.0, head_bias=bias, dtype=torch.float64
    )
    features = torch.randn(9, 8, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 2, 3, 6, 7, 11, 8, 1, 5])
    leaves = [features, *module.parameters()]
    theirs = module(features, targets).loss
    want = torch.autograd.grad(theirs, leaves)
    logits = torch.cat([module.head(features), *(t(features) for t in module.tail)], dim=-1)
    ours = tw.adaptive_log_softmax_loss(logits, targets, cutoffs=(3, 7))
    found = torch.autograd.grad(ours, leaves)
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    for got, expected in zip(found, want, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-15)


def test_adaptive_softmax_of_one_row(rng):
    logits = rng.normal(size=7)
    alone = tw.adaptive_log_softmax_loss(logits, 4, cutoffs=(2,))
    assert alone == tw.adaptive_log_softmax_loss(logits[None], [4], cutoffs=(2,))


def test_other_clusters_play_no_part():
    logits = np.asarray([[0.0, 1.0, NAN, NAN, 2.0, 3.0]])
    assert np.isnan(tw.adaptive_log_softmax_loss(logits, [3], cutoffs=(1, 2)))
    logits[0, 2] = 0.5
    value, gradient = tw.adaptive_log_softmax_loss.value_and_grad(logits, [3], cutoffs=(1, 2))
    head = tw.cross_entropy_loss([[0.0, 1.0, 0.5]], [2])
    assert_close(value, head + tw.cross_entropy_loss([[2.0, 3.0]], [1]), rtol=1e-15)
    assert gradient[0, 3] == 0


@pytest.mark.parametrize("cutoffs", [(), (0,), (2, 2), (3, 2), (1.5,), 2, (True,)])
def test_cutoffs_rise(cutoffs):
    with pytest.raises(tw.ArgumentError, match="cutoffs must be a tuple of rising positive"):
        tw.adaptive_log_softmax_loss(np.zeros((1, 6)), [0], cutoffs=cutoffs)


def test_what_adaptive_softmax_refuses():
    loss = tw.adaptive_log_softmax_loss
    with pytest.raises(tw.ShapeError, match="of 5 classes and 1 clusters, but cutoffs"):
        loss(np.zeros((1, 6)), [0], cutoffs=(5,))
    with pytest.raises(tw.ShapeError, match=r"targets of shape \(2,\) must have the shape \(1,\)"):
        loss(np.zeros((1, 6)), [0, 1], cutoffs=(2,))
    with pytest.raises(tw.ShapeError, match="got a single number"):
        loss(1.0, 0, cutoffs=(2,))
    for label in (-1, 5, -100):
        with pytest.raises(tw.LabelError, match=f"targets hold {label}, but the classes are 0 to"):
            loss(np.zeros((1, 6)), [label], cutoffs=(2,))


@pytest.mark.parametrize("label", [-100, -1, 5, 6])
def test_a_label_that_is_not_looked_at_is_nan(label):
    jax = pytest.importorskip("jax")

    @jax.jit
    def traced(logits, targets):
        return tw.adaptive_log_softmax_loss(logits, targets, cutoffs=(2,), reduction="none")

    found = np.asarray(traced(np.zeros((2, 6)), np.asarray([label, 4])))
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


# --------------------------------------------------------------------------- any smoothed maximum
def negative_entropy(p):
    xp = tw.array_namespace(p)
    return xp.sum(xp.xlogy(p, p), axis=-1)


def largest(scores):
    return tw.array_namespace(scores).max(scores, axis=-1)


def test_fenchel_young_of_logsumexp_is_cross_entropy(rng):
    scores, q = rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), 3)
    want = tw.cross_entropy_loss(scores, q)
    assert_close(tw.fenchel_young_loss(scores, q), want, rtol=1e-13)
    assert_close(tw.fenchel_young_loss(scores, q, max_fun=tw.logsumexp), want, rtol=1e-13)


def test_a_soft_target_reaches_0_with_omega(rng):
    q = rng.dirichlet(np.ones(4), 3)
    value, gradient = tw.fenchel_young_loss.value_and_grad(np.log(q), q, omega=negative_entropy)
    assert abs(value) < 1e-15
    assert np.all(np.abs(gradient) < 1e-15)


def test_fenchel_young_of_the_maximum_is_the_perceptrons(rng):
    scores, hot = rng.normal(size=(3, 4)), np.eye(4)[[1, 0, 3]]
    want = tw.multiclass_perceptron_loss(scores, [1, 0, 3])
    assert_close(tw.fenchel_young_loss(scores, hot, max_fun=largest), want, rtol=1e-14, atol=1e-16)


def test_what_fenchel_young_refuses():
    for name in ("max_fun", "omega"):
        with pytest.raises(tw.ArgumentError, match=f"{name} must be a function of one array"):
            tw.fenchel_young_loss([[1.0]], [[1.0]], **{name: 3})
    with pytest.raises(tw.ShapeError, match="targets of shape"):
        tw.fenchel_young_loss([[1.0, 0.0]], [0])
    with pytest.raises(tw.ShapeError, match="must end in an axis of classes"):
        tw.fenchel_young_loss(1.0, 1.0)
