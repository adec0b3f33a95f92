"""Losses of single elements, and functions, within 4 ulp and what their inputs allow."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

import tensorweaver as tw
from tests.accuracy import truth
from tests.accuracy.inputs import logits, probabilities, reals, with_partners
from tests.accuracy.judge import ELEMENTWISE, Exact, assert_accurate, exact_results

DTYPES = ("float32", "float64")


class Case(NamedTuple):
    """A loss, its reference, and where its inputs come from.

    `exact` losses are made of correctly rounded operations alone: they get no allowance.
    """

    loss: Any
    reference: Any
    predictions: Any
    targets: Any
    random: Any
    exact: bool = False
    options: Mapping[str, Any] = MappingProxyType({})
    array_option: str | None = None


def errors_of_any_size(random):
    targets = random.normal(size=60) * 10.0 ** random.integers(-6, 6, 60)
    near = targets * (1 + random.normal(size=60) * 10.0 ** random.integers(-7, 1, 60))
    return near, targets


def logits_with_targets(random):
    return random.normal(size=60) * 10.0, random.uniform(size=60)


def fitted_logits(random):
    """Beside random ones, models that fit their targets, so that the gradient cancels."""
    x, target = logits_with_targets(random)
    return np.concatenate([x, x]), np.concatenate([target, 1 / (1 + np.exp(-x))])


def probabilities_with_targets(random):
    p = random.uniform(size=60)
    near = np.clip(p * (1 + 1e-6 * random.normal(size=60)), 0, 1)
    return np.concatenate([p, p]), np.concatenate([random.uniform(size=60), near])


def log_probabilities_with_targets(random):
    target = np.exp(-30 * random.uniform(size=60) ** 3)
    near = np.log(target) * (1 + 1e-6 * random.normal(size=60))
    return np.concatenate([-10 * random.uniform(size=60), near]), np.concatenate([target, target])


def close_log_probabilities(random):
    target = -30 * random.uniform(size=60) ** 3
    return target * (1 + 10.0 ** random.uniform(-7, 0, 60)), target


TARGETS = [0.0, 1e-20, 0.1, 0.25, 0.5, 0.9, 1.0]
SUBNORMAL_TARGETS = [1e-40, 1e-310]
LOG_PROBABILITIES = [0.0, -1e-40, -1e-12, -1e-3, -0.5, -1.0, -20.0, -104.0, -700.0, -1e4, -np.inf]


def log_targets(dtype):
    """Logarithms of numbers that `dtype` can hold, and of 0."""
    least = np.log(float(np.finfo(dtype).tiny))
    return [x for x in LOG_PROBABILITIES if x > least or x == -np.inf]


def halved(dtype):
    """No difference of these overflows: it must be a number before `delta` can make it small."""
    limit = np.finfo(dtype).max / 2
    return [x for x in reals(dtype) if not limit < abs(x) < np.inf]


def always(values):
    return lambda dtype: values


def binary(reference, **more):
    predictions, random = (
        (probabilities, probabilities_with_targets)
        if reference is truth.binary_cross_entropy
        else (logits, fitted_logits)
    )
    loss = getattr(tw, f"{reference.__name__}_loss")
    # Beside a factor, no subnormal targets: their product is what must be a normal number.
    targets = TARGETS if more else [*TARGETS, *SUBNORMAL_TARGETS]
    return Case(loss, reference, predictions, always(targets), random, **more)


def regression(reference, numbers=reals, **options):
    loss = getattr(tw, f"{reference.__name__}_loss")
    return Case(loss, reference, numbers, numbers, errors_of_any_size, exact=True, options=options)


def divergence(reference, targets, random, **options):
    return Case(
        tw.kl_div_loss,
        reference,
        always([*LOG_PROBABILITIES, np.nan]),
        targets,
        random,
        options=options,
    )


CASES = {
    "mse": regression(truth.mse),
    "l1": regression(truth.l1),
    "huber": regression(truth.huber, delta=1.0),
    "huber delta=1e-3": regression(truth.huber, halved, delta=1e-3),
    "huber delta=250": regression(truth.huber, delta=250.0),
    "smooth_l1": regression(truth.smooth_l1, beta=1.0),
    "smooth_l1 beta=0.1": regression(truth.smooth_l1, beta=0.1),
    "smooth_l1 beta=1e-24": regression(truth.smooth_l1, beta=1e-24),
    "binary_cross_entropy": binary(truth.binary_cross_entropy),
    "binary_cross_entropy weight": binary(truth.binary_cross_entropy, array_option="weight"),
    "with_logits": binary(truth.binary_cross_entropy_with_logits),
    "with_logits pos_weight": binary(
        truth.binary_cross_entropy_with_logits, array_option="pos_weight"
    ),
    "kl_div": divergence(truth.kl_div, probabilities, log_probabilities_with_targets),
    "kl_div log_target": divergence(
        truth.kl_div_log_target, log_targets, close_log_probabilities, log_target=True
    ),
}


def judged_columns(case, dtype):
    columns = with_partners(case.predictions(dtype), case.targets(dtype), dtype, random=case.random)
    if case.array_option is None:
        return columns
    factors = np.array([0.0, 1e-3, 0.7, 3.0, 1e6], dtype)
    return *columns, np.resize(factors, len(columns[0]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_of_each_element(name, dtype, worst_errors):
    case = CASES[name]
    columns = judged_columns(case, dtype)
    options = dict(case.options)
    in_dtype = {key: float(np.dtype(dtype).type(v)) for key, v in case.options.items()}
    plain = [in_dtype[key] for key in ("delta", "beta") if key in in_dtype]
    arrays = columns[:2]
    if case.array_option:
        options[case.array_option] = columns[2]
    values = case.loss(*arrays, reduction="none", **options)
    slopes = case.loss.grad(*arrays, reduction="sum", **options)
    exact = []
    for numbers in zip(*columns, strict=True):
        inputs = [*numbers, *plain]
        fixed = range(len(inputs)) if case.exact else range(len(numbers), len(inputs))
        exact.append(exact_results(case.reference, inputs, dtype, fixed=fixed))

    def describe(i):
        return f"{name} at {[float(c[i]) for c in columns]}"

    for what, got, place in (("value", values, 0), ("gradient", slopes, 1)):
        wanted = [results[place] for results in exact]
        worst_errors[name, dtype, what] = assert_accurate(
            got, wanted, dtype, limit=ELEMENTWISE, describe=describe
        )


FUNCTIONS = ("sigmoid", "log_sigmoid", "softplus")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_number(name, dtype, worst_errors):
    x = np.array([*logits(dtype), *np.linspace(-40, 40, 161)], dtype)
    exact = [exact_results(getattr(truth, name), [number], dtype) for number in x]
    tensor = tw.Tensor(x, requires_grad=True)
    getattr(tw, name)(tensor).backward(np.ones_like(x))

    def describe(i):
        return f"{name}({x[i]!r})"

    for what, got, place in (("value", getattr(tw, name)(x), 0), ("gradient", tensor.grad, 1)):
        wanted: list[Exact] = [results[place] for results in exact]
        host = np.asarray(getattr(got, "data", got)) if what == "gradient" else got
        worst_errors[name, dtype, what] = assert_accurate(
            host, wanted, dtype, limit=ELEMENTWISE, describe=describe
        )
