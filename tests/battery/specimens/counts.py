"""Losses of counts, of amounts, and of predicted distributions."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import COUNT, LOG_RATE, LOGIT, NONNEGATIVE, POSITIVE, REAL
from tests.battery.peers import keras_loss, sklearn_loss, torch_loss
from tests.battery.specimen import Peer, register

INFINITY = mpf("inf")
NAN = mpf("nan")
HALF = mpf(1) / 2


def times(factor, x):
    """A product in which a factor of zero wins over infinity."""
    return mpf(0) if factor == 0 else factor * x


def real(x):
    """NaN where the formula has no real value."""
    return NAN if mpmath.isnan(x) or (isinstance(x, mpmath.mpc) and x.imag) else mpf(x.real)


def log(x):
    return -INFINITY if x == 0 else NAN if mpmath.isnan(x) or x < 0 else mpmath.log(x)


# ------------------------------------------------------------------------------ Poisson
def poisson(prediction, target, *, log_input=True, full=False, eps=0):
    if log_input:
        plain = mpmath.exp(prediction) - times(target, prediction)
    else:
        plain = NAN if prediction < 0 else prediction - times(target, log(prediction + eps))
    if full == "exact":
        return plain + mpmath.loggamma(target + 1)
    if full and target > 1:
        return plain + target * log(target) - target + HALF * log(2 * mpmath.pi * target)
    return plain


register(
    tw.poisson_nll_loss, LOG_RATE, COUNT,
    reference=poisson,
    options=({}, {"full": True}, {"full": "exact"}),
    hostile=((6.9, 1000.0), (6.907755278982137, 1000.0), (2.833213344056216, 17.0)),
    laws={"convex"},
    peers=(
        torch_loss("poisson_nll_loss", only=lambda options: options.get("full") != "exact"),
        sklearn_loss("HalfPoissonLoss", only=lambda options: not options),
    ),
)  # fmt: skip


def keras_poisson(predictions, targets, **_options):
    return keras_loss("poisson").call(predictions, targets)


register(
    tw.poisson_nll_loss, NONNEGATIVE, COUNT,
    variant="rates",
    reference=poisson,
    options=(
        {"log_input": False},
        {"log_input": False, "full": True, "eps": 1e-8},
        {"log_input": False, "full": "exact"},
    ),
    hostile=((1000.5, 1000.0), (17.0, 17.0), (-1.0, 0.0), (-1.0, 2.0)),
    laws={"convex"},
    peers=(
        torch_loss(
            "poisson_nll_loss", fixed={"eps": 0.0}, only=lambda o: o.get("full") != "exact"
        ),
        Peer("keras", keras_poisson, rtol=1e-5, only=lambda o: "full" not in o),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------ deviances
def deviance(prediction, target, power):
    """By an integral's antiderivative; 0 where a limit of the plain formula is 0 - 0."""
    p = mpf(power)
    if p == 0:
        return (target - prediction) ** 2
    if prediction < 0 or target < 0:
        return NAN
    if target == 0:
        return 2 * prediction ** (2 - p) / (2 - p) if p < 2 else INFINITY
    if p == 1:
        return 2 * (target * log(target / prediction) - target + prediction)
    if p == 2:
        return 2 * (target / prediction - log(target / prediction) - 1)
    a, b = 1 - p, 2 - p
    return 2 * (target**b / (a * b) - target * prediction**a / a + prediction**b / b)


def deviance_slope(prediction, target, power):
    if prediction < 0 or target < 0:
        return NAN
    p = mpf(power)
    return 2 * (prediction - target) * prediction**-p if prediction else 2 * prediction ** (1 - p)


APART = tuple(
    (y * (1 + d), y) for y in (1e-3, 1.0, 300.0) for d in (1e-8, -1e-4, 0.01, 0.3, -0.4, 2.0, 30.0)
)


def far_from_limits(options):
    """Whether scikit-learn, which divides by what the power lacks of 1 or 2, keeps its digits."""
    return options["power"] not in {NEARLY_ONE, NEARLY_ONE + 1}


SMALLEST = {"nonnegative", "zero_at_target"}

register(
    tw.poisson_deviance_loss, POSITIVE, NONNEGATIVE,
    reference=lambda prediction, target: deviance(prediction, target, 1),
    hostile=((0.0, 0.0), (-1.0, 1.0), (1.0, -1.0), *APART),
    laws={"convex", *SMALLEST},
    peers=(sklearn_loss("HalfTweedieLossIdentity", fixed={"power": 1}, factor=2.0),),
)  # fmt: skip
register(
    tw.gamma_deviance_loss, POSITIVE, POSITIVE,
    reference=lambda prediction, target: deviance(prediction, target, 2),
    hostile=((-1.0, 1.0), (1.0, -1.0), *APART),
    laws=SMALLEST,
    peers=(sklearn_loss("HalfTweedieLossIdentity", fixed={"power": 2}, factor=2.0),),
)  # fmt: skip
# Powers that float32 has exactly: what another power does is not what is judged here.
NEARLY_ONE = 1 + 2.0**-20
# Two powers and their logarithm, each a rounding or two, where power is no whole number.
POWERS = 8

register(
    tw.tweedie_deviance_loss, POSITIVE, NONNEGATIVE,
    reference=lambda prediction, target, power=1.5: deviance(prediction, target, power),
    options=tuple({"power": p} for p in (1.5, 0, 0.5, 1, NEARLY_ONE, 1.125, 1.875)),
    hostile=APART,
    exact_slopes=deviance_slope,
    laws=SMALLEST,
    limit=POWERS,
    peers=(sklearn_loss("HalfTweedieLossIdentity", factor=2.0, only=far_from_limits),),
)  # fmt: skip
register(
    tw.tweedie_deviance_loss, POSITIVE, POSITIVE,
    variant="positive",
    reference=deviance,
    options=tuple({"power": p} for p in (2, NEARLY_ONE + 1, 2.5, 3)),
    hostile=APART,
    exact_slopes=deviance_slope,
    laws=SMALLEST,
    limit=POWERS,
    peers=(sklearn_loss("HalfTweedieLossIdentity", factor=2.0, only=far_from_limits),),
)  # fmt: skip


# ------------------------------------------------------------------------------ logarithmic links
def gamma(prediction, target):
    if prediction == -INFINITY:
        return times(target, INFINITY) if target else prediction
    return prediction + times(target, mpmath.exp(-prediction))


def powered(x, rate):
    return x if rate == 0 else mpmath.expm1(rate * x) / rate


def tweedie(prediction, target, power=1.5):
    p = mpf(power)
    return powered(prediction, 2 - p) - times(target, powered(prediction, 1 - p))


def left_out(targets, power):
    """What scikit-learn leaves out but for powers at which it would divide by 0."""
    a, b = 1 - power, 2 - power
    return (1 / b if b else 0) - (targets / a if a else 0)


def sklearn_tweedie(predictions, targets, power=1.5):
    from sklearn._loss.loss import HalfTweedieLoss

    found = HalfTweedieLoss(power=power).loss(targets.ravel(), predictions.ravel())
    # With power 0 it keeps the square of the target.
    constant = left_out(targets, power) + (0.5 * targets**2 if power == 0 else 0)
    return found.reshape(targets.shape) - constant


register(
    tw.gamma_nll_loss, LOG_RATE, POSITIVE,
    reference=gamma,
    hostile=((-np.inf, 0.0), (-1e4, 0.0), (-90.0, 1e-10)),
    laws={"convex"},
    peers=(sklearn_loss("HalfGammaLoss"),),
)  # fmt: skip


def tweedie_slope(prediction, target, power):
    p = mpf(power)
    if not mpmath.isfinite(prediction):
        return NAN
    return mpmath.exp((2 - p) * prediction) - target * mpmath.exp((1 - p) * prediction)


def tweedie_terms(prediction, target, power):
    """Value and slope are differences of two terms, however small the difference is."""
    if not mpmath.isfinite(prediction):
        return None
    p = mpf(power)
    paid, cost = target * mpmath.exp((1 - p) * prediction), mpmath.exp((2 - p) * prediction)
    gain = target * powered(prediction, 1 - p)
    terms = max(abs(powered(prediction, 2 - p)), abs(gain))
    if abs(prediction) < HALF:  # they have been joined
        terms = max(abs(prediction * (1 - target)), prediction**2)
    return terms, max(paid, cost)


register(
    tw.tweedie_nll_loss, LOG_RATE, NONNEGATIVE,
    reference=tweedie,
    options=tuple({"power": p} for p in (1.5, 0, 1, NEARLY_ONE, 1.125, 1.875)),
    hostile=((1e-8, 1.0), (1e-20, 1.0), (0.49, 1.0), (1e-3, 1.001), (60.0, 1e38)),
    # At -inf several limits meet, of which the docstring promises none.
    avoid=lambda prediction, _target: np.isinf(prediction),
    exact_slopes=tweedie_slope,
    terms=tweedie_terms,
    peers=(Peer("sklearn", sklearn_tweedie, only=far_from_limits),),
)  # fmt: skip
register(
    tw.tweedie_nll_loss, LOG_RATE, POSITIVE,
    variant="positive",
    reference=tweedie,
    options=({"power": 2}, {"power": 3}),
    hostile=((80.0, 1e37), (-90.0, 1.0), (-745.0, 1e-323), (1e-8, 1.0), (1e-20, 1.0)),
    avoid=lambda prediction, _target: np.isinf(prediction),
    exact_slopes=tweedie_slope,
    terms=tweedie_terms,
    peers=(Peer("sklearn", sklearn_tweedie, only=far_from_limits),),
)  # fmt: skip


# ------------------------------------------------------------------------------ predicted spreads
def floored(variance, eps):
    return NAN if variance < 0 or mpmath.isnan(variance) else max(variance, mpf(eps))


def gaussian(prediction, target, variance, *, full=False, eps=1e-6):
    v = floored(variance, eps)
    loss = HALF * (log(v) + (prediction - target) ** 2 / v)
    return loss + HALF * mpmath.log(2 * mpmath.pi) if full else loss


def laplace(prediction, target, scale, *, full=False):
    return log(scale) + abs(prediction - target) / scale + (mpmath.log(2) if full else 0)


def torch_gaussian(predictions, targets, variance, *, full=False, eps=1e-6):
    import torch

    given = map(torch.tensor, (predictions, targets, variance))
    return torch.nn.functional.gaussian_nll_loss(
        *given, full=full, eps=eps, reduction="none"
    ).numpy()


def torch_laplace(predictions, targets, scale, *, full=False):
    import torch

    law = torch.distributions.Laplace(torch.tensor(predictions), torch.tensor(scale))
    found = -law.log_prob(torch.tensor(targets)).numpy()
    return found if full else found - np.log(2)


def gaussian_slopes(prediction, target, variance, *, full=False, eps=1e-6):
    v = floored(variance, eps)
    error = prediction - target
    by_variance = (1 - error**2 / v) / (2 * v) if not variance <= eps else mpf(0)
    return error / v, NAN if mpmath.isnan(v) else by_variance


def laplace_slopes(prediction, target, scale, *, full=False):
    if scale < 0 or mpmath.isnan(scale):
        return NAN, NAN
    error = prediction - target
    sign = NAN if mpmath.isnan(error) else mpmath.sign(error)
    return sign / scale, (1 - abs(error) / scale) / scale


register(
    tw.gaussian_nll_loss, REAL, REAL, POSITIVE,
    reference=gaussian,
    options=({}, {"full": True}),
    hostile=((1.0, 0.0, 0.0), (1.0, 0.0, -1.0), (1e20, 0.0, 1e38), (2.0, 2.0, 5.0)),
    exact_slopes=gaussian_slopes,
    peers=(Peer("torch", torch_gaussian),),
)  # fmt: skip
register(
    tw.gaussian_nll_loss, REAL, REAL, POSITIVE,
    variant="no floor",
    reference=gaussian,
    options=({"eps": 0.0},),
    hostile=((1.0, 0.0, -1.0), (1e20, 0.0, 1e38), (2.0, 2.0, 5.0)),
    exact_slopes=gaussian_slopes,
    peers=(Peer("torch", torch_gaussian),),
)  # fmt: skip
register(
    tw.laplace_nll_loss, REAL, REAL, POSITIVE,
    reference=laplace,
    options=({}, {"full": True}),
    hostile=((1.0, 0.0, -1.0), (2.0, 2.0, 5.0)),
    exact_slopes=laplace_slopes,
    second=False,
    peers=(Peer("torch", torch_laplace),),
)  # fmt: skip


def beta_weighted(prediction, target, variance, *, beta=0.5):
    return variance ** mpf(beta) * gaussian(prediction, target, variance, eps=0)


def beta_slopes(prediction, target, variance, *, beta=0.5):
    if variance < 0 or mpmath.isnan(variance):
        return NAN, NAN
    plain = gaussian_slopes(prediction, target, variance, eps=0)
    return tuple(variance ** mpf(beta) * slope for slope in plain)


register(
    tw.beta_nll_loss, REAL, REAL, POSITIVE,
    reference=beta_weighted,
    options=({}, {"beta": 0.0}, {"beta": 1.0}),
    hostile=((1.0, 0.0, -1.0), (2.0, 2.0, 5.0)),
    exact_slopes=beta_slopes,
    # The slope by the variance squares the error before the weight can shrink it.
    avoid=lambda prediction, target, _variance: max(abs(prediction), abs(target)) > 1e30,
    stopped=("variance",),
)  # fmt: skip


# ------------------------------------------------------------------------------ scores
def crps(prediction, target, scale):
    error = target - prediction
    if mpmath.isnan(error + scale) or scale < 0:
        return NAN
    if scale == 0:
        return abs(error)
    if mpmath.isinf(error):
        return INFINITY
    z = error / scale
    density = mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-z * z / 2)
    return scale * (z * mpmath.erf(z / mpmath.sqrt(2)) + density - 1 / mpmath.sqrt(mpmath.pi))


def crps_slopes(prediction, target, scale):
    error = prediction - target
    if mpmath.isnan(error + scale) or scale < 0:
        return NAN, NAN
    z = error / scale if scale else mpmath.sign(error) * INFINITY
    by_scale = mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-z * z / 2) - 1 / mpmath.sqrt(mpmath.pi)
    return mpmath.erf(z / mpmath.sqrt(2)), by_scale


def scipy_crps(predictions, targets, scale):
    from scipy.stats import norm

    z = (targets - predictions) / scale
    return scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


def interval(lower, upper, target, alpha=0.1):
    outside = max(lower - target, 0) + max(target - upper, 0)
    if mpmath.isnan(lower + upper + target):
        return NAN
    return upper - lower + 2 / mpf(alpha) * outside


register(
    tw.crps_gaussian_loss, REAL, REAL, POSITIVE,
    reference=crps,
    exact_slopes=crps_slopes,
    hostile=((1.0, 0.0, 0.0), (1.0, 0.0, -1.0), (2.0, 2.0, 5.0)),
    laws={"nonnegative"},
    # The difference of two numbers up to three times as large.
    limit=8,
    peers=(Peer("scipy", scipy_crps),),
)  # fmt: skip
register(
    tw.interval_score_loss, REAL, REAL, REAL,
    reference=interval,
    # A share that float32 has exactly: what another share costs is not what is judged here.
    options=({"alpha": 0.125}, {"alpha": 0.5}),
    # The slope by one end does not know whether the other is NaN or infinite.
    avoid=lambda *numbers: not np.isfinite(numbers).all(),
    second=False,
)  # fmt: skip


# ------------------------------------------------------------------------------ binomial
def softplus(x):
    return mpmath.log1p(mpmath.exp(x))


def binomial(logit, target, trials, *, full=False):
    if mpmath.isnan(logit):
        return NAN
    loss = times(target, softplus(-logit)) + times(trials - target, softplus(logit))
    return loss - (mpmath.log(mpmath.binomial(trials, target)) if full else 0)


TRIALS = COUNT._replace(
    ordinary=lambda random, shape: 10.0 + random.poisson(3.0, shape),
    hostile=lambda _dtype: [1000.0],
)

register(
    tw.binomial_nll_loss, LOGIT, COUNT, TRIALS,
    reference=binomial,
    options=({}, {"full": True}),
    laws={"convex", "nonnegative"},
)  # fmt: skip
