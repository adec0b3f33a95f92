"""The forward probabilities of CTC: by enumeration, by the loss, by optax."""

import itertools

import numpy as np
import pytest

import tensorweaver as tw
from tests.helpers.compare import assert_close

SIZES = (5, 3, 4)


@pytest.fixture
def batch(rng):
    log_probs = tw.log_softmax(rng.normal(size=SIZES))
    return log_probs, np.asarray([[1, 2, 3], [2, 2, 0], [3, 0, 0]]), [5, 4, 3], [3, 2, 1]


def merged(path):
    return [c for c, _ in itertools.groupby(path) if c != 0]


def by_enumeration(log_probs, labels):
    """All paths, each counted at the state that it is in after each step."""
    steps, classes = log_probs.shape
    blanks = np.zeros((steps, len(labels) + 1))
    at_labels = np.zeros((steps, len(labels)))
    for t in range(steps):
        for path in itertools.product(range(classes), repeat=t + 1):
            seen = merged(path)
            if seen != labels[: len(seen)]:
                continue
            weight = np.exp(sum(log_probs[i, c] for i, c in enumerate(path)))
            if path[-1] == 0:
                blanks[t, len(seen)] += weight
            else:
                at_labels[t, len(seen) - 1] += weight
    return blanks, at_labels


def test_they_are_sums_over_paths(batch):
    log_probs, targets, steps, lengths = batch
    blanks, labels = tw.ctc_forward_log_probs(log_probs, targets, steps, lengths)
    assert (blanks.shape, labels.shape) == ((5, 3, 4), (5, 3, 3))
    for n, (size, count) in enumerate(zip(steps, lengths, strict=True)):
        want = by_enumeration(log_probs[:size, n], targets[n, :count].tolist())
        assert_close(np.exp(blanks[:size, n, : count + 1]), want[0], rtol=1e-13)
        assert_close(np.exp(labels[:size, n, :count]), want[1], rtol=1e-13)
        assert np.all(blanks[:, n, count + 1 :] == -np.inf)
        assert np.all(labels[:, n, count:] == -np.inf)
        np.testing.assert_array_equal(
            blanks[size:, n], blanks[size - 1 : size, n].repeat(5 - size, 0)
        )


def test_they_end_in_the_loss(batch):
    blanks, labels = tw.ctc_forward_log_probs(*batch)
    rows, lengths = np.arange(3), np.asarray(batch[3])
    found = -np.logaddexp(blanks[-1, rows, lengths], labels[-1, rows, lengths - 1])
    assert_close(found, tw.ctc_loss(*batch, reduction="none"), rtol=1e-14)


def test_they_are_those_of_optax(batch):
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    log_probs, targets, steps, lengths = batch
    with jax.enable_x64(True):
        _, blanks, labels = optax.losses.ctc_loss_with_forward_probs(
            np.moveaxis(log_probs, 1, 0),
            1.0 * (np.arange(5) >= np.asarray(steps)[:, None]),
            targets,
            1.0 * (np.arange(3) >= np.asarray(lengths)[:, None]),
        )
    mine = tw.ctc_forward_log_probs(log_probs, targets, steps, lengths)
    last = np.logaddexp(mine[0][-1, :, 1:], mine[1][-1])
    own = (mine[0].copy(), mine[1])
    own[0][-1, :, 1:] = last
    for got, want in zip(own, (blanks, labels), strict=True):
        for n, count in enumerate(lengths):
            width = count + (got.shape[-1] == 4)
            here, there = np.exp(got[:, n, :width]), np.exp(np.asarray(want)[:, n, :width])
            assert_close(here, there, rtol=1e-6, atol=1e-12)


def test_one_sequence_long_and_of_nothing(rng):
    log_probs = tw.log_softmax(rng.normal(size=(3000, 4)))
    blanks, labels = tw.ctc_forward_log_probs(log_probs, [1, 2], 3000, 2)
    assert (blanks.shape, labels.shape) == ((3000, 3), (3000, 2))
    assert_close(blanks[:, 0], np.cumsum(log_probs[:, 0]), rtol=1e-12)
    none, no_labels = tw.ctc_forward_log_probs(log_probs[:, None], np.zeros((1, 0), int), [0], [0])
    assert (none.shape, no_labels.shape[:2]) == ((3000, 1, 1), (3000, 1))
    assert np.all(none == 0)


def test_padding_plays_no_part(batch):
    log_probs, targets, steps, lengths = batch
    want = tw.ctc_forward_log_probs(log_probs, targets, steps, lengths)
    poisoned = (
        np.where(np.arange(5)[:, None] < np.asarray(steps), 0.0, np.nan)[..., None] + log_probs
    )
    for got, expected in zip(
        tw.ctc_forward_log_probs(poisoned, targets, steps, lengths), want, strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_they_belong_to_the_library_of_the_predictions(batch, to_array, to_numpy):
    log_probs = to_array(batch[0])
    want = tw.ctc_forward_log_probs(*batch)
    labels = [to_array(np.asarray(x)) for x in batch[1:]]
    for got, expected in zip(tw.ctc_forward_log_probs(log_probs, *labels), want, strict=True):
        assert type(got) is type(log_probs)
        np.testing.assert_allclose(to_numpy(got), expected, rtol=1e-12)


def test_what_is_refused(batch):
    log_probs, targets, steps, lengths = batch
    with pytest.raises(tw.LabelError, match=r"^ctc_forward_log_probs: targets\[0, 0\] is 7"):
        tw.ctc_forward_log_probs(log_probs, np.full((3, 3), 7), steps, lengths)
    with pytest.raises(tw.ShapeError, match=r"^ctc_forward_log_probs: log_probs must have shape"):
        tw.ctc_forward_log_probs(log_probs[0, 0], targets, steps, lengths)
    with pytest.raises(tw.ArgumentError, match=r"^ctc_forward_log_probs: blank must be a class"):
        tw.ctc_forward_log_probs(log_probs, targets, steps, lengths, blank=4)
    with pytest.raises(tw.DTypeError, match="log_probs must be floating point, got int64"):
        tw.ctc_forward_log_probs(np.zeros(SIZES, int), targets, steps, lengths)
    with pytest.raises(tw.DTypeError, match="targets must hold whole numbers, got float64"):
        tw.ctc_forward_log_probs(log_probs, 1.0 * targets, steps, lengths)
