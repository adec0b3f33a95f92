"""Losses of counts, of amounts, and of predicted distributions."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import COUNT, LOG_RATE, NONNEGATIVE, POSITIVE, REAL
from tests.battery.peers import sklearn_loss, torch_loss
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
        return times(target, INFINITY)
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
    laws={"convex"},
    peers=(sklearn_loss("HalfGammaLoss"),),
)  # fmt: skip


# Value and slope are differences of two terms, each rounded two or three times, however small the
# difference is.
TWO_TERMS = 64


def tweedie_slope(prediction, target, power):
    p = mpf(power)
    if not mpmath.isfinite(prediction):
        return NAN
    return mpmath.exp((2 - p) * prediction) - target * mpmath.exp((1 - p) * prediction)


register(
    tw.tweedie_nll_loss, LOG_RATE, NONNEGATIVE,
    reference=tweedie,
    options=tuple({"power": p} for p in (1.5, 0, 1, NEARLY_ONE, 1.125, 1.875)),
    # At -inf several limits meet, of which the docstring promises none.
    avoid=lambda prediction, _target: np.isinf(prediction),
    exact_slopes=tweedie_slope,
    limit=TWO_TERMS,
    peers=(Peer("sklearn", sklearn_tweedie, only=far_from_limits),),
)  # fmt: skip
register(
    tw.tweedie_nll_loss, LOG_RATE, POSITIVE,
    variant="positive",
    reference=tweedie,
    options=({"power": 2}, {"power": 3}),
    # Above power 2 cost and gain are both infinite far below the target.
    avoid=lambda prediction, _target: np.isinf(prediction) or prediction == -1e4,
    exact_slopes=tweedie_slope,
    limit=TWO_TERMS,
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
