"""Labels that it would cost something to look at: NaN by default, an error on request."""

import threading

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.backends import get_backend
from tensorweaver.backends.validation import validating
from tests.helpers.compare import assert_close

LOGITS = np.asarray([[2.0, 1.0, 0.5], [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
LABELS = np.asarray([0, 7, 2])


@pytest.fixture
def on_a_gpu(monkeypatch):
    """NumPy, made to answer like a library whose numbers lie on a GPU: there, but not for free."""
    numpy = type(get_backend("numpy"))
    monkeypatch.setattr(numpy, "concrete", lambda self, array: False)
    monkeypatch.setattr(numpy, "has_numbers", lambda self, array: True)
    for loss in (tw.cross_entropy_loss, tw.nll_loss):
        loss.forget()
    yield
    for loss in (tw.cross_entropy_loss, tw.nll_loss):
        loss.forget()


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize("loss", [tw.cross_entropy_loss, tw.nll_loss])
def test_a_bad_label_makes_its_own_row_nan(loss):
    losses, gradient = loss.value_and_grad(LOGITS, LABELS, reduction="none")
    assert np.isnan(losses).tolist() == [False, True, False]
    assert np.isnan(gradient[1]).any()
    right = loss.value_and_grad(LOGITS[[0, 2]], LABELS[[0, 2]], reduction="none")
    assert_close(losses[[0, 2]], right[0], ulp=1)
    assert_close(gradient[[0, 2]], right[1], ulp=1)


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize("bad", [-1, 3, 2**40, -(2**40)])
def test_a_mean_with_a_bad_label_is_nan(bad):
    assert np.isnan(tw.cross_entropy_loss(LOGITS, np.asarray([0, bad, 2])))


@pytest.mark.usefixtures("on_a_gpu")
def test_the_label_to_ignore_is_not_bad():
    labels = np.asarray([0, -100, 2])
    expected = tw.cross_entropy_loss(LOGITS[[0, 2]], np.asarray([0, 2]))
    assert_close(tw.cross_entropy_loss(LOGITS, labels), expected, ulp=1)


@pytest.mark.usefixtures("on_a_gpu")
def test_with_validation_a_bad_label_is_an_error():
    # As lists: for NumPy's own arrays, always visible, a plan is found without asking.
    logits, labels = LOGITS.tolist(), LABELS.tolist()
    with tw.use_validation(True):
        with pytest.raises(tw.LabelError, match=r"targets\[1\] is 7, but the 3 classes are 0 to 2"):
            tw.cross_entropy_loss(logits, labels)
        assert np.isfinite(tw.cross_entropy_loss(logits, [0, 1, 2]))
    assert np.isnan(tw.cross_entropy_loss(logits, labels))


def test_validation_is_a_choice_of_the_thread():
    seen = []
    with tw.use_validation(True):
        thread = threading.Thread(target=lambda: seen.append(validating()))
        thread.start()
        thread.join()
        with tw.use_validation(False):
            seen.append(validating())
        seen.append(validating())
    assert [*seen, validating()] == [False, False, True, False]
