"""How the arrays of a call lie in memory, in as few axes as can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Layout", "layout_of"]


class Layout(NamedTuple):
    """Axes that all arrays share, the one with the nearest neighbours last.

    Attributes
    ----------
    sizes
        How long each axis is; none where there is a single place.
    steps
        For each array how far apart neighbours on each axis are, in elements.
    """

    sizes: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    def split(self, axes: int) -> tuple[Layout, list[tuple[int, ...]]]:
        """The last axes, with ones before them if there are fewer; and for each place on the others
        how far from its beginning each array has it.
        """
        outer = max(0, len(self.sizes) - axes)
        lacking = axes - (len(self.sizes) - outer)
        inner = Layout(
            (1,) * lacking + self.sizes[outer:],
            tuple((0,) * lacking + steps[outer:] for steps in self.steps),
        )
        starts: list[tuple[int, ...]] = [(0,) * len(self.steps)]
        for axis in range(outer):
            starts = [
                tuple(at + k * steps[axis] for at, steps in zip(start, self.steps, strict=True))
                for start in starts
                for k in range(self.sizes[axis])
            ]
        return inner, starts

    @property
    def contiguous(self) -> bool:
        """Whether every array has all its places side by side."""
        return not self.sizes or (
            len(self.sizes) == 1 and all(steps == (1,) for steps in self.steps)
        )


def layout_of(shape: Sequence[int], arrays: Sequence[Any]) -> Layout:
    """The layout of arrays of (at least) that shape, which may be walked in any order of its axes.

    Axes beyond `shape` do not count.
    """
    steps = [[s // a.dtype.itemsize for s in a.strides[: len(shape)]] for a in arrays]
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    axes.sort(key=lambda axis: [-abs(each[axis]) for each in reversed(steps)])
    sizes: list[int] = []
    kept: list[list[int]] = [[] for _ in arrays]
    for axis in axes:
        size = shape[axis]
        joins = sizes and all(
            mine[-1] == each[axis] * size for mine, each in zip(kept, steps, strict=True)
        )
        if joins:
            sizes[-1] *= size
            for mine, each in zip(kept, steps, strict=True):
                mine[-1] = each[axis]
        else:
            sizes.append(size)
            for mine, each in zip(kept, steps, strict=True):
                mine.append(each[axis])
    return Layout(tuple(sizes), tuple(map(tuple, kept)))
