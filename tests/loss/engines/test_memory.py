"""Nothing of the arguments' size is made but the results."""

import tracemalloc

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler import pages, tiles

COUNT = 1 << 22
MOST = 8 << 20
"""What all buffers of all threads together may take."""

SHAPES = {
    "elements": (COUNT,),
    "few classes": (COUNT // 8, 8),
    "classes": (COUNT // 1024, 1024),
    "a long row": (1, COUNT),
    "long rows": (4, COUNT // 4),
}
LOSSES = {
    "mse": tw.mse_loss,
    "bce": tw.binary_cross_entropy_with_logits_loss,
    "ce": tw.cross_entropy_loss,
}
FORMS = {
    "contiguous": lambda shape, dtype: np.full(shape, 0.5, dtype),
    "strided": lambda shape, dtype: np.full((*shape[:-1], 2 * shape[-1]), 0.5, dtype)[..., ::2],
    "broadcast": lambda shape, dtype: np.broadcast_to(np.asarray(0.5, dtype), shape),
}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """Buffers of earlier tests are not there, so that those of this one are counted."""
    monkeypatch.setattr(tiles, "kept", tiles.Kept())
    monkeypatch.setattr(pages, "kept", [])


def peak(call):
    """The most memory that a call held, beyond what was there, results included."""
    mapped = []
    original = pages.Pages.__init__

    def counted(self, size):
        original(self, size)
        mapped.append(self.size)

    pages.kept.clear()
    tracemalloc.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages.Pages, "__init__", counted)
        try:
            call()
            return tracemalloc.get_traced_memory()[1] + sum(mapped)
        finally:
            tracemalloc.stop()


def arguments(loss, shape, dtype, form):
    x = FORMS[form](shape, dtype)
    if loss is tw.cross_entropy_loss:
        return x, np.zeros(shape[:-1], int)
    return x, x


def warm(loss, dtype, classes):
    """Compile what the loss needs, at the same form of rows, on a few of them."""
    x, t = arguments(loss, (2, classes), dtype, "contiguous")
    loss(x, t)
    loss.value_and_grad(x, t)
    tiles.kept.memory.clear()


CALLS = [
    (name, shape) for name in LOSSES for shape in SHAPES if (name == "ce") == (shape != "elements")
]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "shape"), CALLS)
def test_what_a_call_holds(name, shape, form, dtype, engine, threads):
    loss, full = LOSSES[name], SHAPES[shape]
    warm(loss, dtype, min(full[-1], 1 << 17))
    x, t = arguments(loss, full, dtype, form)
    out = np.empty(full, dtype)
    threads(2)
    assert peak(lambda: loss(x, t)) < MOST
    tiles.kept.memory.clear()
    assert peak(lambda: loss.value_and_grad(x, t, out=out)) < MOST
    assert np.isfinite(out[..., -1]).all()
    tiles.kept.memory.clear()
    assert out.nbytes <= peak(lambda: loss.value_and_grad(x, t)) < out.nbytes + MOST


@pytest.mark.parametrize("shape", ["elements", "few classes", "a long row"])
def test_in_place_and_on_many_threads(shape, engine, threads):
    loss = tw.mse_loss if shape == "elements" else tw.cross_entropy_loss
    warm(loss, "float32", min(SHAPES[shape][-1], 1 << 17))
    x, t = arguments(loss, SHAPES[shape], "float32", "contiguous")
    t = t.copy()
    threads(8)
    assert peak(lambda: loss.value_and_grad(x, t, out=x)) < MOST


@pytest.mark.parametrize("shape", ["elements", "few classes", "a long row"])
def test_losses_and_second_derivatives(shape, engine):
    loss = tw.mse_loss if shape == "elements" else tw.cross_entropy_loss
    full = SHAPES[shape]
    warm(loss, "float32", min(full[-1], 1 << 17))
    loss.hessian_diag(*arguments(loss, (2, 300), "float32", "contiguous"))
    x, t = arguments(loss, full, "float32", "contiguous")
    losses = 4 * COUNT if shape == "elements" else 4 * full[0]
    assert peak(lambda: loss(x, t, reduction="none")) < losses + MOST
    tiles.kept.memory.clear()
    assert peak(lambda: loss.hessian_diag(x, t)) < x.nbytes + MOST


def test_weights_and_masks_are_not_spread_out(engine):
    x = np.full((COUNT // 64, 64), 0.5, np.float32)
    weights, where = np.ones(len(x)), np.ones(len(x), bool)
    labels = np.zeros(len(x), np.int32)
    for loss, targets in ((tw.mse_loss, x), (tw.cross_entropy_loss, labels)):
        call = lambda loss=loss, t=targets: loss(x, t, sample_weight=weights, where=where)  # noqa: E731
        call()
        tiles.kept.memory.clear()
        assert peak(call) < MOST


def test_memory_that_is_held_is_noticed():
    tw.set_engine("interpret")
    x = np.zeros(COUNT, np.float32)
    assert peak(lambda: tw.mse_loss(x, x)) >= x.nbytes
