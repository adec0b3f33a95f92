"""Arrays in as few axes as can tell where their elements lie."""

import itertools

import numpy as np
import pytest

from tensorweaver.compiler.cuda.layout import layout_of

WIDE = np.zeros((4, 6, 5, 8), np.float32)


def layout(*arrays):
    return layout_of(arrays[0].shape, arrays)


def places(layout):
    """For each array the multiset of places, in elements, that its layout walks over."""
    indices = list(itertools.product(*map(range, layout.sizes)))
    return [
        [sum(i * step for i, step in zip(index, steps, strict=True)) for index in indices]
        for steps in layout.steps
    ]


def test_contiguous_arrays_have_one_axis():
    found = layout(WIDE, WIDE)
    assert found.sizes == (WIDE.size,)
    assert found.contiguous


@pytest.mark.parametrize("axes", list(itertools.permutations(range(4))))
def test_the_order_of_axes_does_not_matter(axes):
    assert layout(WIDE.transpose(axes), WIDE.transpose(axes)).contiguous


def test_what_lies_differently_is_not_contiguous():
    found = layout(WIDE[0, 0], WIDE[0, 0].T.copy().T)
    assert not found.contiguous
    assert found.sizes == (8, 5)
    assert found.steps == ((1, 8), (5, 1))


def test_axes_of_one_place_do_not_count():
    assert layout(WIDE[:1, :, :1, :1]).sizes == (6,)
    assert layout(np.zeros(())).sizes == ()
    assert layout(np.zeros(())).contiguous


@pytest.mark.parametrize(
    "view",
    [
        WIDE[::2, :, ::2],
        WIDE[:, ::-1],
        WIDE[..., ::3],
        np.broadcast_to(WIDE[:, :1], WIDE.shape),
        WIDE.transpose(2, 0, 3, 1)[::2],
    ],
)
def test_every_pair_of_places_is_walked_over_once(view):
    other = np.zeros(view.shape)
    found = layout(view, other)
    pairs = sorted(zip(*places(found), strict=True))
    steps = [s // view.itemsize for s in view.strides], [s // 8 for s in other.strides]
    wanted = sorted(
        tuple(sum(i * s for i, s in zip(index, each, strict=True)) for each in steps)
        for index in np.ndindex(view.shape)
    )
    assert pairs == wanted


@pytest.mark.parametrize("axes", [1, 2, 3, 5])
def test_what_does_not_fit_a_launch_is_several(axes):
    view = np.zeros((4, 6, 6, 8))[::2, ::2, ::2, ::2]
    whole = layout(view)
    inner, starts = whole.split(axes)
    assert len(inner.sizes) == axes
    assert sorted(start[0] + p for start in starts for p in places(inner)[0]) == sorted(
        places(whole)[0]
    )
