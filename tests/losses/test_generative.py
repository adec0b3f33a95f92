"""What the battery cannot know of adversarial and variational losses."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close


@pytest.mark.parametrize("name", ["gan_discriminator_loss", "gan_generator_loss"])
def test_unknown_kinds_are_refused(name):
    arrays = [[0.0]] * (2 if "discriminator" in name else 1)
    with pytest.raises(tw.ArgumentError, match=f"^{name}: kind must be one of 'non_saturating', "):
        getattr(tw, name)(*arrays, kind="relativistic")


def test_a_discriminator_does_not_saturate():
    with pytest.raises(tw.ArgumentError, match="got 'saturating'"):
        tw.gan_discriminator_loss([0.0], [0.0], kind="saturating")


def test_the_game_is_binary_cross_entropy(rng):
    real, fake = rng.normal(size=(2, 6))
    logits, targets = np.concatenate([real, fake]), np.repeat([1.0, 0.0], 6)
    want = 2 * tw.binary_cross_entropy_with_logits_loss(logits, targets)
    assert_close(tw.gan_discriminator_loss(real, fake), want, rtol=1e-14)
    want = tw.binary_cross_entropy_with_logits_loss(fake, np.ones(6))
    assert_close(tw.gan_generator_loss(fake), want, rtol=1e-14)


def test_wasserstein_is_a_difference_of_means(rng):
    real, fake = rng.normal(size=(2, 6))
    value, (by_real, by_fake) = tw.gan_discriminator_loss.value_and_grad(
        real, fake, kind="wasserstein"
    )
    assert_close(value, fake.mean() - real.mean(), rtol=1e-13)
    np.testing.assert_array_equal(by_real, np.full(6, -1 / 6))
    np.testing.assert_array_equal(by_fake, np.full(6, 1 / 6))


def test_the_hinge_has_slope_0_at_its_kinks():
    by_real, by_fake = tw.gan_discriminator_loss.grad(
        [1.0, 0.0], [-1.0, 0.0], kind="hinge", reduction="sum"
    )
    assert by_real.tolist() == [0, -1]
    assert by_fake.tolist() == [0, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_certain_critic_leaves_its_tail(dtype):
    scores = np.asarray([60.0], dtype)
    value, (by_real, by_fake) = tw.gan_discriminator_loss.value_and_grad(scores, -scores)
    assert_close(value, 2 * 8.75651076269652e-27, dtype=dtype, rtol=1e-6)
    assert_close(by_real, [-8.75651e-27], dtype=dtype, rtol=1e-5)
    assert_close(by_fake, [8.75651e-27], dtype=dtype, rtol=1e-5)
    lost = tw.gan_generator_loss.value_and_grad(-scores, kind="saturating")
    assert_close(lost[0], -8.75651e-27, dtype=dtype, rtol=1e-5)
    assert_close(lost[1], [-8.75651e-27], dtype=dtype, rtol=1e-5)


def test_the_prior_is_the_standard_normal_distribution(rng):
    mean, log_variance = rng.normal(size=(2, 3, 4))
    plain = tw.gaussian_kl_loss(mean, log_variance)
    assert plain == tw.gaussian_kl_loss(mean, log_variance, prior_mean=0.0, prior_log_variance=0.0)
    moved = tw.gaussian_kl_loss(
        2 * mean + 1, log_variance + np.log(4), prior_mean=1.0, prior_log_variance=np.log(4)
    )
    assert_close(moved, plain, rtol=1e-13)


def test_the_divergence_from_itself_is_zero(rng):
    mean, log_variance = rng.normal(size=(2, 5))
    value, gradients = tw.gaussian_kl_loss.value_and_grad(
        mean, log_variance, prior_mean=mean, prior_log_variance=log_variance
    )
    assert value == 0
    assert not np.any(gradients)


@pytest.mark.parametrize("v", [1e-4, -1e-4, 1e-7])
def test_the_divergence_is_exact_near_the_prior(v):
    value = tw.gaussian_kl_loss(np.zeros(1, np.float32), np.asarray([v], np.float32))
    assert_close(value, v**2 / 4 + v**3 / 12, dtype="float32", rtol=1e-6)


def test_batchmean_is_the_term_of_the_bound(rng):
    mean, log_variance = rng.normal(size=(2, 3, 4))
    whole = tw.gaussian_kl_loss(mean, log_variance, reduction="sum")
    assert_close(tw.gaussian_kl_loss(mean, log_variance, reduction="batchmean"), whole / 3)


def test_variances_of_zero_and_infinity_are_infinitely_far_off():
    losses = tw.gaussian_kl_loss(np.zeros(3), [-np.inf, np.inf, np.nan], reduction="none")
    np.testing.assert_array_equal(losses, [np.inf, np.inf, np.nan])
    _, by_log_variance = tw.gaussian_kl_loss.grad(np.zeros(1), [-np.inf])
    assert by_log_variance[0] == -0.5
