"""Every derivative rule: against finite differences, PyTorch, and itself elsewhere."""

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import pytest

from tensorweaver.primitives import TABLES, VOCABULARY
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.namespace import tensor_namespace
from tests.helpers.compare import assert_close
from tests.helpers.derivatives import STEP, WEIGHTS, finite_differences, tape_gradients

LABELS = np.array([[2], [0], [3]])
LABELS_OF_COLUMNS = np.array([[2, 0, 1, 1]])
CONDITION = np.array([[True, False, True, False]])

# What each row is given besides its arrays, for an argument of 3 rows and 4 columns.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "reduction": [{"axis": -1}, {"axis": 0}],
    "rowwise": [{"axis": -1}, {"axis": 0}],
    "label": [{"axis": -1}],
    "elementwise": [{}],
}
OVER_AXES: list[dict[str, Any]] = [
    {},
    {"axis": 1},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 1)},
    {"axis": 0},
]
OWN_OPTIONS: dict[str, list[dict[str, Any]]] = {
    **dict.fromkeys(("sum", "mean", "max", "min", "prod"), OVER_AXES),
    "reshape": [{"shape": (3, 2, 2)}, {"shape": (-1,)}],
    "expand_dims": [{"axis": 0}, {"axis": -1}],
    "squeeze": [{"axis": 1}],
    "broadcast_to": [{"shape": (2, 3, 4)}],
    "permute_dims": [{"axes": (2, 0, 1)}, {"axes": (-1, 0, 1)}],
    "matrix_transpose": [{}],
    "flip": [{}, {"axis": 1}],
    "roll": [{"shift": 2}, {"shift": (1, -1), "axis": (0, 1)}],
    "tril": [{}, {"k": -1}],
    "triu": [{}, {"k": 1}],
    "cumulative_sum": [{"axis": 0}, {"axis": -1, "include_initial": True}],
    "matmul": [{}],
}
#: Arguments that are plain numbers, by their place.
NUMBERS: dict[str, dict[int, float]] = {
    "power_integral": {2: 1.5},
    "power_divergence": {2: 1.5},
    "divergence_slope": {2: 1.5},
    "scaled_expm1": {1: -0.5},
    "log_softmax_ratio": {2: 2.5},
    "exp_difference": {2: 1.5, 3: 1.25, 4: 0.75},
    "amount_cost": {2: 1.5},
    "log1p_square": {1: 0.5},
    "student_cost": {2: 1.5},
    "student_by_error": {2: 1.5},
    "student_by_scale": {2: 1.5},
    "robust_cost": {1: 1.5},
    "robust_slope": {1: 1.5},
    "biweight": {1: 4.0},
}
SHAPES = {"squeeze": (3, 1, 4), "permute_dims": (2, 3, 4)}

DIFFERENTIABLE = [name for name, row in VOCABULARY.items() if any(row.rules)]
CASES = [
    pytest.param(name, options, id="-".join([name, *map(str, options.values())]))
    for name in DIFFERENTIABLE
    for options in OWN_OPTIONS.get(name) or OPTIONS[VOCABULARY[name].kind]
]


def arguments_of(name, rng, options):
    """Float arrays from the row's domain, clear of kinks, and where its other arguments go."""
    while True:
        floats, fixed = drawn_arguments(name, rng, options)
        values = np.sort(np.concatenate([[0.0], *(array.ravel() for array in floats)]))
        if np.diff(values).min() > 5 * STEP:  # no tie and no zero within a difference quotient
            return floats, fixed


def drawn_arguments(name, rng, options):
    row = VOCABULARY[name]
    domains = itertools.chain(row.domain, itertools.repeat(row.domain[-1]))
    floats: list[Any] = []
    fixed: dict[int, Any] = {}
    for place, (domain, rule) in enumerate(zip(domains, row.rules, strict=False)):
        shape = SHAPES.get(name, (3, 4))
        if name == "matmul" and place == 1:
            shape = (4, 2)
        if name == "put_along_axis" and place == 2:
            shape = (3, 1)
        if place in NUMBERS.get(name, {}):
            fixed[place] = NUMBERS[name][place]
        elif rule is None and row.kind in {"label", "rowwise"}:
            fixed[place] = LABELS if options.get("axis") != 0 else LABELS_OF_COLUMNS
        elif rule is None and name == "where":
            fixed[place] = CONDITION
        else:
            floats.append(rng.uniform(*domain, size=shape))
    return floats, fixed


def bound(name, options, fixed):
    """The row as a function of its float arguments, on tensors or on arrays of a namespace."""

    def function(*values, xp=None):
        given = list(values)
        for place, value in sorted(fixed.items()):
            given.insert(place, value)
        xp = xp or values[0].__array_namespace__()
        return getattr(xp, name)(*given, **options)

    return function


def test_cases_cover_the_vocabulary():
    assert {case.values[0] for case in CASES} == set(DIFFERENTIABLE)
    assert len(DIFFERENTIABLE) > 60


@pytest.mark.parametrize(("name", "options"), CASES)
def test_rule_agrees_with_finite_differences(name, options, rng):
    floats, fixed = arguments_of(name, rng, options)
    compare_with_differences(bound(name, options, fixed), floats)


def compare_with_differences(function, floats):
    _, gradients = tape_gradients(function, floats)
    expected = finite_differences(function, floats)
    for gradient, truth, array in zip(gradients, expected, floats, strict=True):
        assert_close(gradient, truth, like=array, rtol=1e-7, atol=1e-8)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # Dask computes later, in its own threads
@pytest.mark.parametrize(("name", "options"), CASES)
def test_rule_is_the_same_on_every_backend(name, options, rng, backend, to_array):
    floats, fixed = arguments_of(name, rng, options)
    truth, expected = tape_gradients(bound(name, options, fixed), floats)
    arrays = [to_array(array) for array in floats]
    plain = NUMBERS.get(name, {})
    fixed = {k: value if k in plain else to_array(value) for k, value in fixed.items()}
    out, gradients = tape_gradients(bound(name, options, fixed), arrays)
    assert_close(out.data, truth.numpy().tolist(), dtype="float64", rtol=1e-12, atol=1e-14)
    for gradient, right, array in zip(gradients, expected, arrays, strict=True):
        assert_close(gradient, right, like=array, rtol=1e-12, atol=1e-13)


@pytest.fixture
def spoil(monkeypatch):
    """Replace a rule of a row for the rest of the test."""

    def replace_rule(name, place, rule):
        row = VOCABULARY[name]
        rules = [rule if spot == place else kept for spot, kept in enumerate(row.rules)]
        monkeypatch.setitem(VOCABULARY, name, dataclasses.replace(row, rules=tuple(rules)))
        tensor_namespace.cache_clear()

    yield replace_rule
    tensor_namespace.cache_clear()


RULES = [
    (name, place)
    for name in DIFFERENTIABLE
    for place, rule in enumerate(VOCABULARY[name].rules)
    if rule is not None
]


@pytest.mark.parametrize("factor", [-1.0, 1.01])
@pytest.mark.parametrize(("name", "place"), RULES)
def test_a_spoilt_rule_is_noticed(name, place, factor, rng, spoil):
    options = (OWN_OPTIONS.get(name) or OPTIONS[VOCABULARY[name].kind])[0]
    floats, fixed = arguments_of(name, rng, options)
    rule = VOCABULARY[name].rules[place]
    spoil(name, place, functools.wraps(rule)(lambda *args, **named: factor * rule(*args, **named)))
    with pytest.raises(AssertionError, match="differ by more than allowed"):
        compare_with_differences(bound(name, options, fixed), floats)


# ------------------------------------------------------------ PyTorch
SAME_NAME = (
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "exp",
    "expm1",
    "hypot",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "positive",
    "pow",
    "reciprocal",
    "remainder",
    "sigmoid",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "xlogy",
    "matmul",
)


def torch_names():
    return (
        *SAME_NAME,
        *("softplus", "log_sigmoid", "xlog1py", "sum", "mean", "prod", "max", "min"),
        *("softmax", "log_softmax", "logsumexp", "cumulative_sum"),
    )


def torch_functions():
    torch = pytest.importorskip("torch")
    functions = {name: getattr(torch, name) for name in SAME_NAME}
    functional = torch.nn.functional
    return functions | {
        "softplus": functional.softplus,
        "log_sigmoid": functional.logsigmoid,
        "xlog1py": torch.special.xlog1py,
        "sum": torch.sum,
        "mean": torch.mean,
        "prod": torch.prod,
        "max": torch.amax,
        "min": torch.amin,
        "softmax": lambda x: torch.softmax(x, -1),
        "log_softmax": lambda x: torch.log_softmax(x, -1),
        "logsumexp": lambda x: torch.logsumexp(x, -1, keepdim=True),
        "cumulative_sum": lambda x: torch.cumsum(x, 0),
    }


@pytest.mark.parametrize(
    "name",
    [name for name in torch_names() if any(VOCABULARY[name].rules)],
)
def test_rule_agrees_with_torch(name, rng):
    torch = pytest.importorskip("torch")
    options = {"axis": 0} if name == "cumulative_sum" else {}
    floats, fixed = arguments_of(name, rng, options)
    out, gradients = tape_gradients(bound(name, options, fixed), floats)
    peers = [torch.tensor(array, requires_grad=True) for array in floats]
    value = torch_functions()[name](*peers)
    value.backward(torch.tensor(WEIGHTS[: value.numel()]).reshape(value.shape))
    assert_close(out.data, value.detach().numpy(), rtol=1e-13, atol=1e-15)
    for gradient, peer in zip(gradients, peers, strict=True):
        truth = np.zeros(peer.shape) if peer.grad is None else peer.grad.numpy()
        assert_close(gradient, truth, rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------ ill-behaved places
def plain_gradients(function, *arrays):
    """The gradients of the plain sum."""
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    function(*tensors).sum().backward()
    return [tensor.grad for tensor in tensors]


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("abs", (), 0.0),
        ("maximum", (0.0,), 0.0),
        ("minimum", (0.0,), 0.0),
        ("xlogy", (0.5,), np.log(0.5)),
        ("square", (), 0.0),
        ("hypot", (0.0,), 0.0),
        ("pow", (0,), 0.0),
        ("pow", (1,), 1.0),
        ("sqrt", (), np.inf),
        ("log", (), np.inf),
    ],
)
def test_slope_at_zero(name, other, expected):
    (got,) = plain_gradients(bound(name, {}, dict(enumerate(other, start=1))), np.array([0.0]))
    assert got.tolist() == [expected]


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_two_variables_that_tie_share_the_slope(name):
    arrays = [np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 0.0])]
    left, right = plain_gradients(bound(name, {}, {}), *arrays)
    wins = [0.0, 1.0] if name == "maximum" else [1.0, 0.0]
    assert left.tolist() == [0.5, *wins]
    assert right.tolist() == [0.5, *reversed(wins)]


@pytest.mark.parametrize("name", ["max", "min"])
def test_elements_that_tie_share_the_slope_of_an_extreme(name):
    array = np.array([[3.0, 3.0, 3.0], [-1.0, -1.0, -1.0]])
    (gradient,) = plain_gradients(bound(name, {"axis": 1}, {}), array)
    assert_close(gradient, np.full((2, 3), 1 / 3))


@pytest.mark.parametrize(
    ("factors", "expected"),
    [([2.0, 3.0], [3.0, 2.0]), ([0.0, 3.0], [3.0, 0.0]), ([0.0, 0.0], [0.0, 0.0])],
)
def test_slope_of_a_product_with_zeros(factors, expected):
    (gradient,) = plain_gradients(bound("prod", {}, {}), np.array(factors))
    assert gradient.tolist() == expected


def test_half_a_float_keeps_its_dtype():
    for name in DIFFERENTIABLE:
        row = VOCABULARY[name]
        if row.kind not in {"elementwise", "rowwise", "reduction"} or name == "where":
            continue
        floats, fixed = arguments_of(name, np.random.default_rng(0), {})
        floats = [array.astype(np.float32) for array in floats]
        out, gradients = tape_gradients(bound(name, {}, fixed), floats)
        assert out.dtype == np.float32, name
        assert [gradient.dtype for gradient in gradients] == [np.float32] * len(floats), name


def test_every_name_is_one_operation():
    named = [primitive.name for table in TABLES for primitive in table]
    assert sorted(named) == sorted(VOCABULARY)
