"""Losses that are ordinary array code have what woven losses have."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close


@tw.composed(wrt=("queries", "keys"))
def matching_loss(queries, keys, *, scale=1.0):
    xp = tw.array_namespace(queries)
    scores = scale * queries @ keys.T
    labels = xp.arange(queries.shape[0], device=queries.device)
    return tw.cross_entropy_loss(scores, labels, reduction="none")


def refuse_far(given, *, far=3):
    groups = given["groups"]
    if not isinstance(groups, tuple) and groups.size and groups.max() >= far:
        message = f"spread_loss: a group must be below {far}, got {groups.max()}"
        raise tw.LabelError(message)


@tw.composed(roles={"groups": "label"}, check=refuse_far)
def spread_loss(values, groups, *, far=3):
    """Each value against the mean of its group: losses and what they count."""
    xp = tw.array_namespace(values)
    same = xp.astype(groups[:, None] == groups[None, :], values.dtype)
    means = same @ values / xp.sum(same, axis=1)
    return (values - means) ** 2, xp.sum(same, axis=1)


@pytest.fixture
def pair(rng):
    return rng.normal(size=(5, 3)), rng.normal(size=(5, 3))


def test_value_and_reductions(pair, to_array):
    a, b = map(to_array, pair)
    scores = 2.0 * pair[0] @ pair[1].T
    others = np.exp(scores - np.diag(scores)[:, None]) - np.eye(5)
    expected = np.log1p(others.sum(1))
    assert_close(matching_loss(a, b, scale=2.0, reduction="none"), expected, like=a, rtol=1e-13)
    assert_close(matching_loss(a, b, scale=2.0), expected.mean(), like=a, rtol=1e-13)
    assert_close(
        matching_loss(a, b, scale=2.0, reduction="sum"), expected.sum(), like=a, rtol=1e-13
    )


def test_gradients_on_the_backend(pair, to_array):
    a, b = map(to_array, pair)
    value, (by_a, by_b) = matching_loss.value_and_grad(a, b)
    want, (want_a, want_b) = matching_loss.value_and_grad(*pair)
    assert_close(value, want, like=a, rtol=1e-13)
    assert_close(by_a, want_a, like=a, rtol=1e-12)
    assert_close(by_b, want_b, like=b, rtol=1e-12)
    vector = to_array(np.ones((5, 3)))
    product = matching_loss.hvp(a, b, vector)
    assert_close(product, matching_loss.hvp(*pair, np.ones((5, 3))), like=a, rtol=1e-11)


@pytest.mark.parametrize("wrt", ["queries", "keys", "sample_weight"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_all_derivatives_agree_with_differences(pair, wrt, reduction, rng):
    options = {"sample_weight": 0.5 + rng.random(5), "reduction": reduction}
    tw.check_gradient(matching_loss, *pair, wrt=wrt, **options)


def test_counts_divide(rng):
    values, groups = rng.normal(size=6), np.asarray([0, 1, 1, 2, 2, 2])
    losses = spread_loss(values, groups, reduction="none")
    counts = np.asarray([1, 2, 2, 3, 3, 3])
    assert_close(spread_loss(values, groups), losses.sum() / counts.sum(), rtol=1e-14)
    weight = rng.random(6)
    want = (weight * losses).sum() / (weight * counts).sum()
    assert_close(spread_loss(values, groups, sample_weight=weight), want, rtol=1e-14)
    kept = np.asarray([True, False, True, True, False, True])
    want = losses[kept].sum() / counts[kept].sum()
    assert_close(spread_loss(values, groups, where=kept), want, rtol=1e-14)
    tw.check_gradient(spread_loss, values, groups)


def test_a_mean_may_divide_each_loss_first(rng):
    @tw.composed
    def per_length_loss(values, lengths):
        return values**2, 1.0, lengths

    values, lengths, weight = rng.normal(size=4), np.asarray([1.0, 2, 4, 8]), rng.random(4)
    assert_close(per_length_loss(values, lengths), np.mean(values**2 / lengths), rtol=1e-15)
    assert_close(per_length_loss(values, lengths, reduction="none"), values**2, rtol=1e-15)
    assert_close(per_length_loss(values, lengths, reduction="sum"), np.sum(values**2), rtol=1e-15)
    want = np.sum(weight * values**2 / lengths) / np.sum(weight)
    assert_close(per_length_loss(values, lengths, sample_weight=weight), want, rtol=1e-15)
    tw.check_gradient(per_length_loss, values, lengths, sample_weight=weight)


def test_a_mean_over_nothing_is_zero(pair):
    for options in ({"where": np.zeros(5, bool)}, {"sample_weight": np.zeros(5)}):
        value, (by_a, _) = matching_loss.value_and_grad(*pair, **options)
        assert value == 0
        np.testing.assert_array_equal(by_a, np.zeros((5, 3)))
    empty, none = np.zeros(0), np.zeros(0, int)
    value, gradient = spread_loss.value_and_grad(empty, none)
    assert value == 0
    assert gradient.shape == (0,)


def test_half_precision_computes_in_float32(pair):
    a, b = (array.astype(np.float16) for array in pair)
    value, (by_a, _) = matching_loss.value_and_grad(a, b)
    assert value.dtype == np.float32
    assert by_a.dtype == np.float16
    assert matching_loss(a, b, reduction="none").dtype == np.float16
    assert_close(
        value, matching_loss(a.astype(float), b.astype(float)).astype(np.float32), rtol=1e-5
    )


def test_out_and_tensors(pair):
    out = tuple(np.empty((5, 3)) for _ in range(2))
    found = matching_loss.grad(*pair, out=out)
    assert found[0] is out[0]
    tensor = tw.Tensor(pair[0], requires_grad=True)
    matching_loss(tensor, pair[1]).backward()
    assert_close(tensor.grad, out[0], rtol=1e-13)
    (3.0 * matching_loss(tensor.detach(), tw.Tensor(pair[1], requires_grad=True))).backward()


def test_losses_within_losses_on_the_tape(pair):
    @tw.composed
    def twice_loss(x, y):
        return matching_loss(x, y, reduction="none") ** 2

    tw.check_gradient(twice_loss, *pair)


def test_it_is_looked_at_like_any_loss(pair, capsys):
    engine = matching_loss.engine(*pair)
    assert engine.name == "interpret"
    assert "no kernel" in engine.reason
    assert "scale * queries @ keys.T" in matching_loss.source()
    matching_loss.explain(*(array[:2] for array in pair))
    said = capsys.readouterr().out
    assert said.startswith("matching_loss(queries, keys)")
    assert "losses" in said
    assert "mean" in said
    steps = matching_loss.steps(*pair, reduction="none")
    assert list(steps) == ["queries", "keys", "losses"]


def test_refusals(pair):
    values = np.zeros(3)
    with pytest.raises(tw.LabelError, match="below 3, got 4"):
        spread_loss(values, [0, 1, 4])
    with pytest.raises(tw.LabelError, match="below 9, got 9"):
        spread_loss.value_and_grad(values, [0, 1, 9], far=9)
    with pytest.raises(tw.DTypeError, match="spread_loss: groups must hold whole numbers"):
        spread_loss(values, [0.0, 1.0, 2.0])
    with pytest.raises(tw.DTypeError, match="queries must be floating point"):
        matching_loss(np.zeros((2, 2), int), pair[1])
    with pytest.raises(tw.ShapeError, match="sample_weight"):
        matching_loss(*pair, sample_weight=np.ones(4))
    with pytest.raises(tw.ArgumentError, match="couples"):
        matching_loss.hessian(*pair)
    with pytest.raises(TypeError, match="no argument 'axis'"):
        matching_loss(*pair, axis=1)
    with pytest.raises(tw.ArgumentError, match="wrt must be among values"):
        spread_loss.grad(values, [0, 1, 2], wrt="groups")

    @tw.composed
    def forgetful_loss(x):
        x + 1.0

    with pytest.raises(tw.TraceError, match="gave None"):
        forgetful_loss(values)


def test_a_quicker_way_for_the_first_derivative(rng):
    calls = []

    def quick(x):
        calls.append("quick")
        return tw.Tensor.record(x.array**3, [x], lambda g: [3 * g * x.array**2])

    @tw.composed(first_order=quick)
    def cubic_loss(x):
        calls.append("plain")
        return x**3

    x = rng.normal(size=4)
    tw.check_gradient(cubic_loss, x)
    assert calls.count("quick") > calls.count("plain") > 0
