"""CTC: refusals, edges, padding, long sequences, other libraries' conventions."""

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

INF = np.inf


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.fixture
def batch(rng):
    """Three sequences of several lengths: log-probabilities, labels and both lengths."""
    log_probs = log_softmax(rng.normal(size=(7, 3, 5)))
    targets = rng.integers(1, 5, (3, 3))
    return log_probs, targets, np.asarray([7, 5, 6]), np.asarray([3, 2, 0])


# -------------------------------------------------------------------------------------------- CTC
def ctc(*arrays, **options):
    return tw.ctc_loss.value_and_grad(*arrays, reduction="sum", **options)


def test_targets_may_be_padded_or_one_behind_the_other(batch):
    log_probs, targets, steps, lengths = batch
    joined = np.concatenate([row[:length] for row, length in zip(targets, lengths, strict=True)])
    value, gradient = tw.ctc_loss.value_and_grad(*batch)
    other, same = tw.ctc_loss.value_and_grad(log_probs, joined, steps, lengths)
    assert_close(other, value, rtol=1e-15)
    assert_close(same, gradient, rtol=1e-14, atol=1e-300)


def test_one_sequence_needs_no_batch(batch):
    log_probs, targets, _, _ = batch
    value, gradient = tw.ctc_loss.value_and_grad(log_probs[:, 0], targets[0], 7, 3)
    want, expected = tw.ctc_loss.value_and_grad(log_probs[:, :1], targets[:1], [7], [3])
    assert value == want
    assert_close(gradient, expected[:, 0], rtol=1e-15)
    assert np.ndim(tw.ctc_loss(log_probs[:, 0], targets[0], 7, 3, reduction="none")) == 0
    both = tw.ctc_loss(log_probs, targets, 7, 3, reduction="none")
    assert_close(both, tw.ctc_loss(log_probs, targets, [7] * 3, [3] * 3, reduction="none"))


def test_the_mean_divides_by_the_number_of_labels(batch):
    losses = tw.ctc_loss(*batch, reduction="none")
    divisors = np.asarray([3.0, 2.0, 1.0])
    assert_close(tw.ctc_loss(*batch), np.mean(losses / divisors), rtol=1e-15)
    gradient, by_sum = tw.ctc_loss.grad(*batch), tw.ctc_loss.grad(*batch, reduction="sum")
    assert_close(gradient, by_sum / (3 * divisors[:, None]), rtol=1e-14, atol=1e-300)
    weights = np.asarray([2.0, 0.5, 1.0])
    want = np.sum(weights * losses / divisors) / 3.5
    assert_close(tw.ctc_loss(*batch, sample_weight=weights), want, rtol=1e-15)
    tw.check_gradient(tw.ctc_loss, *batch, sample_weight=weights)


def test_what_is_padding_plays_no_part(batch):
    log_probs, targets, steps, lengths = batch
    value, gradient = ctc(*batch)
    poisoned, padded = log_probs.copy(), targets.copy()
    for n in range(3):
        poisoned[steps[n] :, n] = np.nan
        padded[n, lengths[n] :] = -7
    other, same = ctc(poisoned, padded, steps, lengths)
    assert other == value
    np.testing.assert_array_equal(same, gradient)
    for n in range(3):
        assert np.all(same[steps[n] :, n] == 0)
    product = tw.ctc_loss.hvp(poisoned, padded, steps, lengths, np.ones_like(log_probs))
    assert_close(product, tw.ctc_loss.hvp(*batch, np.ones_like(log_probs)), rtol=1e-12)


def test_labels_without_room_cost_infinity_and_pull_at_nothing():
    log_probs = np.log(np.full((2, 2, 3), 1 / 3))
    arrays = log_probs, [[1, 1], [1, 2]], [2, 2], [2, 2]  # a repeated label needs a blank between
    losses = tw.ctc_loss(*arrays, reduction="none")
    assert losses[0] == INF
    assert_close(losses[1], np.log(9), rtol=1e-15)
    value, gradient = ctc(*arrays)
    assert value == INF
    assert np.all(gradient[:, 0] == 0)
    assert_close(gradient[:, 1], [[0, -1, 0], [0, 0, -1]], rtol=1e-15)
    value, zeroed = ctc(*arrays, zero_infinity=True)
    assert_close(value, np.log(9), rtol=1e-15)
    np.testing.assert_array_equal(zeroed, gradient)
    for zero in (False, True):
        product = tw.ctc_loss.hvp(*arrays, np.ones_like(log_probs), zero_infinity=zero)
        assert np.all(product == 0)


def test_no_steps_and_no_labels():
    nothing = np.zeros((0, 2, 3))
    losses = tw.ctc_loss(nothing, [[1], [1]], [0, 0], [0, 1], reduction="none")
    np.testing.assert_array_equal(losses, [0, INF])
    assert tw.ctc_loss.grad(nothing, [[1], [1]], [0, 0], [0, 1]).shape == (0, 2, 3)
    assert tw.ctc_loss.hvp(nothing, [[1], [1]], [0, 0], [0, 1], nothing).shape == (0, 2, 3)
    log_probs = log_softmax(np.arange(12.0).reshape(2, 2, 3))
    for targets in (np.zeros((2, 0), int), [[7], [8]], np.zeros(0, int)):
        value, gradient = ctc(log_probs, targets, [2, 0], [0, 0])
        assert_close(value, -log_probs[:, 0, 0].sum(), rtol=1e-15)
        expected = np.zeros((2, 2, 3))
        expected[:, 0, 0] = -1
        np.testing.assert_array_equal(gradient, expected)


def test_no_sequences():
    value, gradient = tw.ctc_loss.value_and_grad(
        np.zeros((4, 0, 3)), np.zeros((0, 2), int), np.zeros(0, int), np.zeros(0, int)
    )
    assert value == 0
    assert gradient.shape == (4, 0, 3)


def test_an_impossible_class_that_nobody_needs_changes_nothing():
    log_probs = np.full((3, 1, 3), np.log(0.5))
    log_probs[..., 2] = -INF
    value, gradient = ctc(log_probs, [[1]], [3], [1])
    want, expected = ctc(log_probs[..., :2], [[1]], [3], [1])
    assert value == want
    np.testing.assert_array_equal(gradient[..., :2], expected)
    assert np.all(gradient[..., 2] == 0)
    product = tw.ctc_loss.hvp(log_probs, [[1]], [3], [1], np.ones_like(log_probs))
    assert np.all(np.isfinite(product))
    assert ctc(log_probs, [[2]], [3], [1])[0] == INF


def test_another_class_may_be_the_blank(batch):
    log_probs, targets, steps, lengths = batch
    turned = np.roll(log_probs, 2, axis=2)
    moved = (targets + 2) % 5
    value, gradient = ctc(*batch)
    other, same = ctc(turned, moved, steps, lengths, blank=2)
    assert_close(other, value, rtol=1e-15)
    assert_close(same, np.roll(gradient, 2, axis=2), rtol=1e-14, atol=1e-300)


def test_each_step_is_somewhere(batch):
    log_probs, _, steps, _ = batch
    shares = -tw.ctc_loss.grad(*batch, reduction="sum")
    within = np.arange(7)[:, None] < steps
    assert_close(shares.sum(2), within.astype(float), rtol=1e-14)
    shift = log_probs + np.arange(7.0)[:, None, None]  # all classes of a step: the loss moves along
    want = tw.ctc_loss(*batch, reduction="sum") - np.sum(np.arange(7.0)[:, None] * within)
    moved = tw.ctc_loss(shift, *batch[1:], reduction="sum")
    assert_close(moved, want, rtol=1e-13)


def test_a_certain_sequence_keeps_its_small_loss():
    probabilities = np.full((50, 1, 3), 1e-14)
    probabilities[np.arange(50), 0, np.arange(50) // 25 + 1] = 1.0
    log_probs = np.log(probabilities) - np.where(probabilities == 1, 2e-14, 0)
    value, gradient = ctc(log_probs, [[1, 2]], [50], [2])
    # The best way, and six of 1e-14 of it: blank at an end; blank or the other label at the seam.
    assert_close(value, 50 * 2e-14 - 6e-14, rtol=1e-12)
    assert_close(gradient[0, 0, 1], -1.0, rtol=1e-13)


def test_long_sequences_lose_no_digits(rng):
    log_probs = log_softmax(rng.normal(size=(400, 2, 50)))
    arrays = rng.integers(1, 50, (2, 60)), [400, 333], [60, 41]
    value, gradient = ctc(log_probs.astype(np.float32), *arrays)
    want, expected = ctc(log_probs.astype(np.float32).astype(float), *arrays)
    assert_close(value, np.float32(want), rtol=5e-7)
    seen = expected < -1e-30
    assert np.max(np.abs(gradient[seen] / expected[seen] - 1)) < 5e-4
    assert np.max(np.abs(gradient - expected)) < 2e-5
    unlikely = log_probs.astype(np.float32) * 200  # no exponential of any alignment is a number
    value, gradient = ctc(unlikely, *arrays)
    assert_close(value, np.float32(ctc(unlikely.astype(float), *arrays)[0]), rtol=5e-7)
    assert_close(-gradient.sum((0, 2)), np.asarray([400, 333], np.float32), rtol=1e-5)


def test_second_derivatives(batch):
    tw.check_gradient(tw.ctc_loss, *batch)
    vector = np.linspace(-1, 1, batch[0].size).reshape(batch[0].shape)
    product = tw.ctc_loss.hvp(*batch, vector)
    step = 1e-5
    after, before = (
        tw.ctc_loss.grad(batch[0] + sign * step * vector, *batch[1:]) for sign in (1, -1)
    )
    assert_close(product, (after - before) / (2 * step), rtol=1e-6, atol=1e-9)


def test_labels_that_cannot_be_looked_at_make_their_own_loss_nan(batch):
    dask = pytest.importorskip("dask.array")
    log_probs, targets, steps, lengths = (np.array(a) for a in batch)
    targets[1, 1] = 9
    lazy = [dask.from_array(a) for a in (log_probs, targets, steps, lengths)]
    losses = np.asarray(tw.ctc_loss(*lazy, reduction="none"))
    assert np.isnan(losses[1])
    assert_close(losses[[0, 2]], tw.ctc_loss(*batch, reduction="none")[[0, 2]], rtol=1e-14)
    gradient = np.asarray(tw.ctc_loss.grad(*lazy, reduction="sum"))
    assert np.isnan(gradient[:, 1]).any()
    assert np.isfinite(gradient[:, [0, 2]]).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"log_probs": np.zeros(3)}, tw.ShapeError, r"log_probs must have shape \(T, N, C\)"),
        ({"targets": np.ones((2, 3), int)}, tw.ShapeError, r"targets must have shape \(3, S\)"),
        ({"targets": np.ones(4, int)}, tw.ShapeError, "there are 4 targets, but .* add up to 5"),
        ({"input_lengths": [7, 7]}, tw.ShapeError, r"input_lengths must have shape \(3,\)"),
        ({"input_lengths": [7, 8, 7]}, tw.ArgumentError, r"input_lengths\[1\] is 8, .* 0 to 7"),
        ({"target_lengths": [1, 1, 4]}, tw.ArgumentError, r"target_lengths\[2\] is 4, .* 0 to 3"),
        ({"target_lengths": [1, -1, 1]}, tw.ArgumentError, r"target_lengths\[1\] is -1"),
        ({"targets": [[1, 2, 5], [1, 1, 1], [1, 1, 1]]}, tw.LabelError, r"targets\[0, 2\] is 5"),
        ({"targets": [[1, 2, 3], [-1, 1, 1], [1, 1, 1]]}, tw.LabelError, r"targets\[1, 0\] is -1"),
        (
            {"targets": [[1, 2, 0], [1, 1, 1], [1, 1, 1]]},
            tw.LabelError,
            r"\[0, 2\] is 0, the blank",
        ),
        ({"targets": [1, 2, 7, 1, 1]}, tw.LabelError, r"targets\[2\] is 7"),
        ({"targets": np.ones((3, 3))}, tw.DTypeError, "targets must hold whole numbers"),
        ({"blank": 5}, tw.ArgumentError, "blank must be a class, 0 to 4, got 5"),
        ({"blank": -1}, tw.ArgumentError, "blank must be a class"),
    ],
)
def test_ctc_refuses(batch, change, error, message):
    names = ("log_probs", "targets", "input_lengths", "target_lengths")
    given = {**dict(zip(names, batch, strict=True)), **change}
    with pytest.raises(error, match=message):
        tw.ctc_loss(**given)
    with pytest.raises(error, match=message):
        tw.ctc_loss.value_and_grad(**given)
