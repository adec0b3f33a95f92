"""Spoil the vocabulary row by row, column by column: the check of a loss made of it must go red.

`test_rules.py` does this for the Tensor; here the compiler reads the table. Each operation becomes
a loss of its own, and `check_gradient` compares its derivatives with its values.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tensorweaver.backends import array_namespace
from tensorweaver.check import GradientMismatchError, check_gradient
from tensorweaver.compiler.trace import APPLY
from tensorweaver.loss import pointwise, rowwise
from tensorweaver.primitives import VOCABULARY

#: No graph keeps these: `mean` is inlined while tracing, `+x` simplified away. The Tensor's tests
#: have them, and the product, which no kernel reduces a row by.
ELSEWHERE = {"mean", "positive", "prod"}
TRACED = [
    name
    for name, row in VOCABULARY.items()
    if row.kind in APPLY and any(row.rules) and name not in ELSEWHERE
]
LABELS = np.asarray([2, 0, 3])
#: Second arguments that are plain numbers.
NUMBERS = {
    "scaled_expm1": -0.5,
    "log1p_square": 0.5,
    "robust_cost": 1.5,
    "robust_slope": 1.5,
    "biweight": 4.0,
}


#: Rows that take two rows, as functions of these.
OF_TWO_ROWS: dict[str, Any] = {
    "log_softmax_ratio": lambda xp, x, y, *, axis: xp.log_softmax_ratio(x, y, 2.5, axis=axis)
}


def loss_of(name):
    """A loss that is the operation, made anew, for a loss keeps what it has traced."""
    row = VOCABULARY[name]
    if row.kind == "elementwise":
        return elementwise_loss(name, row.arity)
    if row.kind == "reduction":

        @rowwise
        def reduction_loss(x, y):
            xp = array_namespace(x)
            return getattr(xp, name)(x * y, axis=-1)

        return reduction_loss

    if name == "put_along_axis":

        @rowwise(roles={"labels": "label"})
        def put_loss(x, y, labels):
            xp = array_namespace(x)
            row_sum = xp.sum(x * x * y, axis=-1, keepdims=True)
            return xp.sum(xp.put_along_axis(x * x, labels, row_sum, axis=-1) * y, axis=-1)

        return put_loss

    if row.arity == 2:

        @rowwise(roles={"labels": "label"})
        def labelled_loss(x, y, labels):
            xp = array_namespace(x)
            out = getattr(xp, name)(x, labels, axis=-1)
            return (
                out * xp.sum(y, axis=-1, keepdims=True) if row.kind == "label" else weighed(out, y)
            )

        return labelled_loss

    @rowwise
    def rowwise_loss(x, y):
        if name in OF_TWO_ROWS:
            return weighed(OF_TWO_ROWS[name](array_namespace(x), x, y, axis=-1), x * x)
        return weighed(getattr(array_namespace(x), name)(x, axis=-1), y)

    return rowwise_loss


def weighed(out, y):
    return array_namespace(out).sum(out * y, axis=-1)


def elementwise_loss(name, arity):
    if name == "where":

        @pointwise
        def where_loss(x, y):
            xp = array_namespace(x)
            return xp.where(y > 1.0, x * x * y, x * y)

        return where_loss

    @pointwise
    def elementwise_loss(x, y):
        xp = array_namespace(x)
        if arity == 1:
            return getattr(xp, name)(x) * y
        if name in NUMBERS:
            return getattr(xp, name)(x, NUMBERS[name]) * y
        third = x + 1.0 if VOCABULARY[name].rules[-1] else 1.5
        return getattr(xp, name)(x, y, *[third] * (arity - 2))

    return elementwise_loss


def arrays_for(name):
    """From the row's domain, always the same; `y` weighs where the operation takes `x` alone."""
    row = VOCABULARY[name]
    rng = np.random.default_rng(3)
    domains = [*row.domain, row.domain[-1]]
    x = rng.uniform(*domains[0], size=(3, 4))
    weighs = row.kind != "elementwise" or row.arity == 1 or name in NUMBERS
    y = rng.uniform(*((0.5, 2.0) if weighs or name == "where" else domains[1]), size=(3, 4))
    labelled = "labels" in loss_of(name).formula.arguments
    return [x, y, LABELS] if labelled else [x, y]


def check(name):
    """By both real arguments, as far as the operation has a derivative."""
    arrays = arrays_for(name)
    check_gradient(loss_of(name), *arrays, wrt="x", tolerance=2e-6)
    by_both = VOCABULARY[name].kind == "elementwise" or name in OF_TWO_ROWS
    if by_both and any(VOCABULARY[name].rules[1:]):
        check_gradient(loss_of(name), *arrays, wrt="y", tolerance=2e-6)


@pytest.fixture
def spoil(monkeypatch):
    """Replace columns of a row for the rest of the test."""

    def replace(name, **columns):
        spoilt = dataclasses.replace(VOCABULARY[name], **columns)
        monkeypatch.setitem(VOCABULARY, name, spoilt)

    return replace


@pytest.mark.parametrize("name", TRACED)
def test_the_row_as_it_stands_is_right(name):
    check(name)


RULES = [
    (name, place)
    for name in TRACED
    for place, rule in enumerate(VOCABULARY[name].rules)
    if rule is not None
]


@pytest.mark.parametrize("factor", [-1.0, 1.01])
@pytest.mark.parametrize(("name", "place"), RULES)
def test_a_spoilt_rule_is_noticed(name, place, factor, spoil):
    right = VOCABULARY[name].rules[place]

    def wrong(*args, **named):
        return factor * right(*args, **named)

    rules = tuple(wrong if i == place else r for i, r in enumerate(VOCABULARY[name].rules))
    spoil(name, rules=rules)
    with pytest.raises(GradientMismatchError, match="finite differences"):
        check(name)


COMPOSED = [name for name in TRACED if VOCABULARY[name].formula is not None]


@pytest.mark.parametrize("name", COMPOSED)
def test_a_spoilt_formula_is_noticed(name, spoil):
    right = VOCABULARY[name].formula
    assert right is not None

    def wrong(*args, **named):
        # A mere factor would be in the slope too where that is made from the result.
        value = right(*args, **named)
        return value * (1.01 + 0.01 * value)

    spoil(name, formula=wrong)
    with pytest.raises(GradientMismatchError, match="finite differences"):
        check(name)


DIAGONAL = [name for name in TRACED if VOCABULARY[name].diagonal is not None]


@pytest.mark.parametrize("name", DIAGONAL)
def test_a_spoilt_diagonal_is_noticed(name, spoil):
    right = VOCABULARY[name].diagonal
    assert right is not None
    spoil(name, diagonal=lambda xp, *args, **named: 1.01 * right(xp, *args, **named))
    arrays = arrays_for(name)
    with pytest.raises(GradientMismatchError, match="hessian_diag"):
        check_squared(name, arrays)


@pytest.mark.parametrize("name", DIAGONAL)
def test_the_diagonal_as_it_stands_is_right(name):
    check_squared(name, arrays_for(name))


def check_squared(name, arrays):
    """A loss whose gradient contains the operation, so that its Hessian needs the diagonal."""
    labelled = len(arrays) == 3
    roles: dict[str, Any] = {"labels": "label"} if labelled else {}

    def potential(x, y, *labels):
        xp = array_namespace(x)
        if name in OF_TWO_ROWS:
            out = OF_TWO_ROWS[name](xp, x, y, axis=-1)
        else:
            out = getattr(xp, name)(x, *labels, axis=-1)
        return xp.sum(xp.square(out) * y, axis=-1)

    def with_labels(x, y, labels):
        return potential(x, y, labels)

    def without_labels(x, y):
        return potential(x, y)

    check_gradient(rowwise(roles=roles)(with_labels if labelled else without_labels), *arrays)
