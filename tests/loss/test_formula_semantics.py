"""A traced formula means what the same code means on plain arrays."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

X = np.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]])
ROWS = np.asarray([[0.5], [2.0]])
LABELS = np.asarray([2, 0])


def per_row(formula, *arrays, **roles):
    """The formula as a loss, unreduced."""
    return tw.rowwise(roles=roles)(formula)(*arrays, reduction="none")


def same_as_on_arrays(formula):
    """The loss of the formula against the formula itself, on NumPy, beside something of the row."""
    plain = (formula(X, np) + np.sum(X, axis=-1, keepdims=True))[:, 0]

    def traced(x):
        xp = tw.array_namespace(x)
        return formula(x, xp) + xp.sum(x, axis=-1, keepdims=True)

    assert_close(per_row(traced, X), plain, rtol=1e-14)


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
def test_equal_numbers_are_summed_as_often_as_they_stand(alpha):
    same_as_on_arrays(lambda x, xp: xp.sum(xp.where(x > 0, 1.0, alpha), axis=-1, keepdims=True))


@pytest.mark.parametrize("flag", [True, False])
def test_a_branch_chosen_beforehand_is_as_wide_as_the_other(flag):
    same_as_on_arrays(lambda x, xp: xp.sum(xp.where(flag, x, 1.0), axis=-1, keepdims=True))


def test_filled_arrays_are_as_wide_as_their_model():
    same_as_on_arrays(lambda x, xp: xp.sum(xp.ones_like(x), axis=-1, keepdims=True))
    same_as_on_arrays(lambda x, xp: xp.sum(xp.zeros_like(x) + 0.25, axis=-1, keepdims=True))
    same_as_on_arrays(lambda x, xp: xp.prod(2.0 * xp.ones_like(x), axis=-1, keepdims=True))
    same_as_on_arrays(lambda x, xp: xp.mean(xp.full_like(x, 3.0), axis=-1, keepdims=True))


def test_the_log_of_a_sum_of_equal_exponentials():
    def formula(x):
        xp = tw.array_namespace(x)
        ones = xp.exp(xp.logsumexp(xp.zeros_like(x), axis=-1, keepdims=True))
        return ones * xp.sum(x, axis=-1, keepdims=True)

    assert_close(per_row(formula, X), 3.0 * X.sum(axis=-1), rtol=1e-14)


def test_a_formula_that_depends_on_nothing_is_refused():
    loss = tw.rowwise(
        lambda x: tw.array_namespace(x).sum(tw.array_namespace(x).ones_like(x), axis=-1)
    )
    with pytest.raises(tw.TraceError, match="does not depend on its arguments"):
        loss(X)


def test_a_row_value_is_an_axis_of_length_one():
    def total(x, xp):
        return xp.sum(x, axis=-1, keepdims=True)

    same_as_on_arrays(lambda x, xp: xp.mean(total(x, xp), axis=-1, keepdims=True))
    same_as_on_arrays(lambda x, xp: xp.sum(total(x, xp), axis=-1, keepdims=True))
    same_as_on_arrays(lambda x, xp: xp.var(total(x, xp), axis=-1, keepdims=True))
    same_as_on_arrays(lambda x, xp: xp.max(total(x, xp), axis=-1, keepdims=True))


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_row_values_in_both_branches_are_summed_over_the_row(gamma):
    @tw.rowwise(roles={"r": "row"})
    def loss(x, r):
        xp = tw.array_namespace(x)
        return xp.sum(xp.where(x > 0, r, gamma * r), axis=-1)

    expected = np.where(X > 0, ROWS, gamma * ROWS).sum(axis=-1)
    value, gradient = loss.value_and_grad(X, ROWS[:, 0], wrt="r", reduction="none")
    assert_close(value, expected, rtol=1e-15)
    assert_close(gradient, expected / ROWS[:, 0], rtol=1e-15)


@pytest.mark.parametrize("base", ["integers", "booleans"])
def test_putting_a_number_among_integers_makes_them_real(base):
    def formula(x, labels):
        xp = tw.array_namespace(x)
        whole = xp.where(x > -5, 1, 0) if base == "integers" else x > -5
        return xp.sum(xp.put_along_axis(whole, labels, 0.5, axis=-1), axis=-1)

    assert_close(per_row(formula, X, LABELS, labels="label"), np.asarray([2.5, 2.5]))


@pytest.mark.parametrize(
    "formula",
    [
        lambda xp, p: xp.where(p > 0, 1, 0),
        lambda xp, p: p > 0,
        lambda xp, p: xp.where(p < 0, 1, 0.5) * p,
        lambda xp, p: (p > 0) * 2,
        lambda xp, p: xp.where(p > 0, p > 1, p),
    ],
)
def test_results_have_the_dtype_of_the_computation(formula, backend, to_array):
    loss = tw.pointwise(lambda p: formula(tw.array_namespace(p), p))
    array = to_array(X.astype(np.float32))
    losses = loss(array, reduction="none")
    assert_close(losses, np.asarray(formula(np, X), np.float64), like=array)


def test_labels_as_numbers(backend, to_array):
    @tw.rowwise(roles={"labels": "label"})
    def ordinal(x, labels):
        xp = tw.array_namespace(x)
        return xp.square(xp.sum(x, axis=-1, keepdims=True) - 0.5 * labels) + labels / 2

    array = to_array(X.astype(np.float32))
    expected = (X.sum(axis=-1) - 0.5 * LABELS) ** 2 + LABELS / 2
    assert_close(ordinal(array, to_array(LABELS), reduction="none"), expected, like=array)


def test_a_pointwise_formula_cannot_reduce():
    loss = tw.pointwise(lambda p: tw.array_namespace(p).mean(p, axis=-1, keepdims=True) * p)
    with pytest.raises(tw.TraceError, match="cannot reduce: decorate it with @rowwise"):
        loss(X)


def test_names_of_a_formula_never_meet_those_of_the_kernel():
    @tw.pointwise
    def loss(c_real_1p0, t):
        xp = tw.array_namespace(t)
        v8 = v9 = v10 = v11 = xp.exp(c_real_1p0)
        places_0 = v8 * t
        v101 = xp.sin(places_0) * v9 + xp.cos(places_0 * v10) * places_0
        return xp.maximum(v101, 1.0) * v11 + xp.minimum(v101, v8)

    assert tw.check_gradient(loss, [0.1, 0.7, -0.3], [0.5, -0.25, 1.5]).gradient < 1e-8


@pytest.mark.parametrize(
    "formula",
    [
        lambda xp, p, t: xp.maximum(1 - p * t, 0.0),
        lambda xp, p, t: xp.minimum(p, t),
        lambda xp, p, t: xp.clip(p, -1.0, 1.0),
        lambda xp, p, t: xp.maximum(p, float("nan")),
        lambda xp, p, t: xp.abs(p - t),
    ],
)
def test_nan_is_never_hidden_in_a_gradient(formula):
    loss = tw.pointwise(lambda p, t: formula(tw.array_namespace(p), p, t))
    value, gradient = loss.value_and_grad([float("nan")], [0.5])
    assert np.isnan(value)
    assert np.isnan(gradient).all()


def test_nan_in_a_row_is_not_hidden_by_its_maximum():
    loss = tw.rowwise(lambda x: tw.array_namespace(x).max(x, axis=-1))
    value, gradient = loss.value_and_grad([[1.0, float("nan")], [1.0, 2.0]], reduction="none")
    assert np.isnan(value).tolist() == [True, False]
    assert np.isnan(gradient[0]).all()
    assert gradient[1].tolist() == [0.0, 1.0]


def test_a_row_of_equal_numbers_has_no_deviation_and_no_slope():
    loss = tw.rowwise(lambda x: tw.array_namespace(x).std(x, axis=-1))
    value, gradient = loss.value_and_grad([[2.0, 2.0, 2.0]])
    assert value == 0.0
    assert gradient.tolist() == [[0.0, 0.0, 0.0]]


def test_a_loss_inside_a_formula_says_so():
    loss = tw.pointwise(lambda p, t: 2.0 * tw.mse_loss(p, t))
    with pytest.raises(tw.TraceError, match="mse_loss: a loss takes arrays, and this is inside"):
        loss([1.0], [2.0])


@pytest.mark.parametrize(
    ("power", "slope"), [(2, lambda s: 2 + 0 * s), (3, lambda s: 6 * s)], ids=["square", "cube"]
)
def test_a_slope_that_a_whole_row_shares_has_the_whole_row_s_curvature(power, slope, rng):
    @tw.rowwise
    def power_of_sum_loss(x):
        xp = tw.array_namespace(x)
        return xp.sum(x, axis=-1) ** power

    x, vector = rng.normal(size=(2, 3, 4))
    curvature = slope(x.sum(-1, keepdims=True))
    product = power_of_sum_loss.hvp(x, vector, reduction="sum")
    want = curvature * vector.sum(-1, keepdims=True) * np.ones(4)
    np.testing.assert_allclose(product, want, rtol=1e-13)
    whole = power_of_sum_loss.hessian(x, reduction="sum")
    np.testing.assert_allclose(whole, curvature[..., None] * np.ones((4, 4)), rtol=1e-13)
    diagonal = power_of_sum_loss.hessian_diag(x, reduction="sum")
    np.testing.assert_allclose(diagonal, curvature * np.ones(4), rtol=1e-13)
