"""Losses of models that generate."""

import mpmath
from mpmath import mpf

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import LOG_RATE, LOGIT, REAL
from tests.battery.specimen import Peer, register
from tests.battery.specimens.preference import largest, sigmoid, softplus

KINDS: tuple[dict[str, str], ...] = (
    {},
    {"kind": "hinge"},
    {"kind": "least_squares"},
    {"kind": "wasserstein"},
)


def critic(real, fake, kind="non_saturating"):
    return {
        "non_saturating": lambda: softplus(-real) + softplus(fake),
        "hinge": lambda: largest(1 - real, mpf(0)) + largest(1 + fake, mpf(0)),
        "least_squares": lambda: ((real - 1) ** 2 + fake**2) / 2,
        "wasserstein": lambda: fake - real,
    }[kind]()


def critic_slopes(real, fake, kind="non_saturating"):
    """Each of a sum's slopes is that of its term."""
    return {
        "non_saturating": lambda: (-sigmoid(-real), sigmoid(fake)),
        "hinge": lambda: (below(real, 1, -1), -below(-fake, 1, -1)),
        "least_squares": lambda: (real - 1, fake),
    }[kind]()


def below(x, limit, slope):
    """The slope of a hinge."""
    return x if mpmath.isnan(x) else mpf(slope if x < limit else 0)


def generator(fake, kind="non_saturating"):
    return {
        "non_saturating": lambda: softplus(-fake),
        "saturating": lambda: -softplus(fake),
        "least_squares": lambda: (fake - 1) ** 2 / 2,
        "hinge": lambda: -fake,
        "wasserstein": lambda: -fake,
    }[kind]()


def generator_slope(fake, kind="non_saturating"):
    """A straight line has its slope even where nobody knows the place."""
    return {
        "non_saturating": lambda: -sigmoid(-fake),
        "saturating": lambda: -sigmoid(fake),
        "least_squares": lambda: fake - 1,
        "hinge": lambda: mpf(-1),
        "wasserstein": lambda: mpf(-1),
    }[kind]()


def gaussian_kl(mean, log_variance, prior_mean=0, prior_log_variance=0):
    v = log_variance - prior_log_variance
    if mpmath.isinf(v):
        return truth.NAN if mpmath.isnan(mean) else truth.INFINITY
    square = (mean - prior_mean) ** 2 / truth.exp(mpf(prior_log_variance))
    return (square + truth.exp(v) - 1 - v) / 2


def gaussian_kl_slopes(mean, log_variance, prior_mean=0, prior_log_variance=0):
    by_mean = (mean - prior_mean) / truth.exp(mpf(prior_log_variance))
    return by_mean, (truth.exp(log_variance - prior_log_variance) - 1) / 2


def torch_kl(mean, log_variance):
    import torch
    from torch.distributions import Normal, kl_divergence

    mean, scale = torch.tensor(mean), torch.exp(0.5 * torch.tensor(log_variance))
    return kl_divergence(Normal(mean, scale), Normal(0.0, 1.0)).numpy()


register(
    tw.gan_discriminator_loss, LOGIT, LOGIT,
    reference=critic,
    options=(*KINDS[:3],),
    hostile=((2.5e19, 0.0), (1.0, 2.5e19)),
    exact_slopes=critic_slopes,
    laws={"nonnegative", "convex"},
    second=False,
)  # fmt: skip
register(
    tw.gan_generator_loss, LOGIT,
    reference=generator,
    hostile=((2.5e19,),),
    exact_slopes=generator_slope,
    options=(*KINDS, {"kind": "saturating"}),
    second=False,
)  # fmt: skip
register(
    tw.gaussian_kl_loss, REAL, LOG_RATE,
    reference=gaussian_kl,
    exact_slopes=gaussian_kl_slopes,
    arrays={
        "prior_mean": REAL._replace(hostile=lambda dtype: [0.0, 1.5, -1e4]),
        "prior_log_variance": LOG_RATE._replace(hostile=lambda dtype: [0.0, 1e-3, -17.0, 17.0]),
    },
    laws={"nonnegative", "convex"},
    peers=(Peer("torch", torch_kl),),
)  # fmt: skip
