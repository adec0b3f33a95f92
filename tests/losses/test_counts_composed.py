"""The ensemble's CRPS: ties, members on the target, NaN, one member, refusals."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

NAN = np.nan


@pytest.mark.parametrize("fair", [False, True])
def test_all_pairs_by_brute_force(fair, rng):
    members, targets = rng.normal(size=(6, 9)), rng.normal(size=6)
    count = 9 * 8 if fair else 9 * 9
    apart = np.abs(members[:, :, None] - members[:, None, :]).sum((1, 2))
    want = np.abs(members - targets[:, None]).mean(1) - apart / (2 * count)
    found = tw.crps_ensemble_loss(members, targets, fair=fair, reduction="none")
    assert_close(found, want, rtol=1e-13)
    signs = np.sign(members[:, :, None] - members[:, None, :]).sum(2)
    slopes = np.sign(members - targets[:, None]) / 9 - signs / count
    gradient = tw.crps_ensemble_loss.grad(members, targets, fair=fair, reduction="sum")
    assert_close(gradient, slopes, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("fair", [False, True])
def test_equal_members_pull_neither_way(fair):
    value, gradient = tw.crps_ensemble_loss.value_and_grad([[2.0, 2.0, 2.0]], [2.0], fair=fair)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0, 0]])
    gradient = tw.crps_ensemble_loss.grad([[3.0, 1.0, 3.0, 3.0]], [2.0])
    assert_close(gradient, [[3 / 16, -1 / 16, 3 / 16, 3 / 16]], ulp=2)


def test_far_members_cancel_nothing():
    """Both parts of the formula are about 1e15, their difference is 1 / 4."""
    members, targets = np.asarray([[1e15, 1e15 + 1.0]]), np.asarray([1e15 + 0.5])
    assert tw.crps_ensemble_loss(members, targets) == 0.25
    assert tw.crps_ensemble_loss(members, targets, fair=True) == 0
    far = tw.crps_ensemble_loss([[0.0, 1e15]], [0.25], fair=True)
    assert far == 0


def test_one_member_is_the_absolute_error():
    value, gradient = tw.crps_ensemble_loss.value_and_grad([[3.0], [1.0]], [1.0, 1.0])
    assert value == 1.0
    np.testing.assert_array_equal(gradient, [[0.5], [0]])


def test_slopes_by_targets(rng):
    members, targets = rng.normal(size=(4, 5)), rng.normal(size=4)
    tw.check_gradient(tw.crps_ensemble_loss, members, targets, wrt="targets")


@pytest.mark.parametrize("place", [0, 1])
def test_nan_is_nan_of_its_ensemble(place, rng):
    given = [rng.normal(size=(2, 3)), rng.normal(size=2)]
    given[place][1] = NAN
    if place == 0:
        given[0][1] = [0.5, NAN, 0.25]
    value, gradient = tw.crps_ensemble_loss.value_and_grad(*given)
    assert np.isnan(value)
    assert np.isnan(gradient).tolist() == [[False] * 3, [True] * 3]


def test_no_targets():
    value, gradient = tw.crps_ensemble_loss.value_and_grad(np.ones((0, 3)), np.ones(0))
    assert value == 0
    assert gradient.shape == (0, 3)


REFUSED = {
    "no members": (np.ones((2, 0)), np.ones(2), {}, "a member"),
    "one member": (np.ones((2, 1)), np.ones(2), {"fair": True}, "two members"),
    "other targets": (np.ones((2, 3)), np.ones(3), {}, "a member"),
    "no axis": (1.0, 1.0, {}, "a member"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    members, targets, options, least = REFUSED[name]
    message = f"crps_ensemble_loss: predictions of shape .* an axis of at least {least} behind it"
    with pytest.raises(tw.ShapeError, match=message):
        tw.crps_ensemble_loss(members, targets, **options)
