"""What once went wrong on one engine or another, each with its own small call."""

import numpy as np
import pytest

import tensorweaver as tw


@pytest.fixture(autouse=True)
def chosen(engine):
    tw.set_engine(engine)


def on_interpreter(call):
    tw.set_engine("interpret")
    return call()


@tw.rowwise(roles={"targets": "label"})
def arithmetic_of_labels(logits, targets):
    xp = tw.array_namespace(logits)
    factor = targets % 3 + 2 * (targets // 2) + xp.where(targets, 1.0, 5.0)
    chosen = xp.logical_and(targets, targets - 1) | xp.logical_not(targets)
    finite = xp.isfinite(targets) & ~xp.isnan(targets) & ~xp.isinf(targets)
    return xp.sum(logits * logits, axis=-1) * factor * xp.where(chosen & finite, 1.0, 3.0)


@tw.pointwise
def numbers_as_conditions(predictions, targets):
    xp = tw.array_namespace(predictions)
    either = xp.logical_or(predictions, targets > 0)
    return xp.where(targets, predictions**2, predictions) + xp.where(either, 1.0, 0.0)


@tw.rowwise
def row_value_for_each_element(predictions):
    xp = tw.array_namespace(predictions)
    return xp.zeros_like(predictions) + xp.sum(predictions, axis=-1, keepdims=True)


@tw.rowwise
def counted_elements(predictions):
    xp = tw.array_namespace(predictions)
    return xp.sum(predictions, axis=-1), xp.sum(xp.ones_like(predictions), axis=-1)


@tw.pointwise
def names_of_blocks(predictions, entry, place, row):
    start = predictions - entry
    stop = start * place
    return stop * row


@tw.rowwise
def product(predictions, targets):
    return predictions * targets


def test_labels_as_integers_and_truth_values(rng):
    x = rng.normal(size=(50, 7))
    labels = rng.integers(0, 7, 50)
    found = arithmetic_of_labels(x, labels, reduction="none")
    wanted = on_interpreter(lambda: arithmetic_of_labels(x, labels, reduction="none"))
    assert np.allclose(found, wanted, rtol=1e-14)


def test_numbers_as_conditions(rng):
    x, t = rng.normal(size=(2, 70))
    x[::3] = t[::2] = 0
    found = numbers_as_conditions(x, t, reduction="none")
    wanted = np.where(t != 0, x * x, x) + ((x != 0) | (t > 0))
    assert np.allclose(found, wanted, rtol=1e-15)


def test_a_mask_of_bytes_that_are_not_one(rng):
    x, t = rng.normal(size=(2, 5000)).astype(np.float32)
    mask = np.where(rng.random(5000) < 0.5, 255, 0).astype(np.uint8).view(bool)
    found = tw.mse_loss.hessian_diag(x, t, where=mask, reduction="sum")
    assert np.array_equal(found, np.where(mask.view(np.uint8), 2.0, 0.0))


def test_a_row_value_counts_for_each_element():
    x = np.arange(20.0).reshape(4, 5)
    assert row_value_for_each_element(x, reduction="sum") == 950
    assert row_value_for_each_element(x) == 47.5


def test_a_count_of_the_call_counts_each_row():
    assert counted_elements(np.arange(20.0).reshape(4, 5)) == 9.5


def test_any_name_may_be_an_argument(rng):
    arrays = rng.normal(size=(4, 300))
    found = names_of_blocks(*arrays, reduction="none")
    assert np.allclose(found, (arrays[0] - arrays[1]) * arrays[2] * arrays[3], rtol=1e-15)


def test_a_last_block_of_one_row_sums_like_any_other(rng):
    x = np.zeros((39997, 63))
    x[-1] = rng.normal(size=63)
    ones = np.ones_like(x)
    bits = set()
    for threads in (1, 2, 4):
        tw.set_num_threads(threads)
        bits.add(product(x, ones, reduction="sum").hex())
    assert len(bits) == 1


def test_overlapping_outs_do_not_spoil_each_other(rng):
    x, t = rng.normal(size=(2, 100))
    memory = np.empty(101)
    wanted = tw.mse_loss.grad(x, t, wrt=("predictions", "targets"))
    outs = (memory[:-1], memory[1:])
    tw.mse_loss.grad(x, t, wrt=("predictions", "targets"), out=outs)
    assert np.array_equal(outs[1], wanted[1])
    assert outs[0][0] == wanted[0][0]


def test_a_matrix_as_out(rng):
    x, labels = rng.normal(size=(6, 40)), rng.integers(0, 6, 40)
    with pytest.warns(PendingDeprecationWarning):
        out = np.matrix(np.empty((6, 40)))
    tw.cross_entropy_loss.grad(x, labels, axis=0, out=out)
    assert np.array_equal(np.asarray(out), tw.cross_entropy_loss.grad(x, labels, axis=0))


def test_a_call_within_a_call_has_memory_of_its_own(rng, monkeypatch):
    x, t = rng.normal(size=(2, 4000, 2))[..., 0]
    wanted = tw.mse_loss(x, t)
    copyto = np.copyto
    calls: list[bool] = []

    def interrupted(*arguments, **options):
        copyto(*arguments, **options)
        if not calls:
            calls.append(True)
            tw.mse_loss(t[::2], x[::2] + 1)  # as a signal's handler might

    monkeypatch.setattr(np, "copyto", interrupted)
    assert tw.mse_loss(x, t) == wanted


def test_labels_to_ignore_have_64_bits():
    with pytest.raises(tw.ArgumentError, match="ignore_index must be an integer of 64 bits"):
        tw.cross_entropy_loss(np.ones((2, 3)), np.zeros(2, np.uint64), ignore_index=2**64 - 1)
