"""How a call reaches the device: from the layout of its arrays to the numbers of a launch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorweaver.compiler.cuda.apart import OUTER, ApartRows
from tensorweaver.compiler.cuda.form import APART, STAGED_CLASSES, Form
from tensorweaver.compiler.cuda.launch import (
    THREADS,
    Launch,
    pointwise_launch,
    resident_launch,
    rows_launch,
    streaming_launch,
)
from tensorweaver.compiler.cuda.layout import Layout, layout_of
from tensorweaver.compiler.cuda.resident import ResidentRows
from tensorweaver.compiler.graph import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Call", "Way", "find_way"]

STAGED_ROWS = 1 << 14
"""So many rows of few classes are worth a text for their number of classes."""


class Call(NamedTuple):
    """What a way depends on.

    Attributes
    ----------
    shape
        Of the rows; for a pointwise graph of the elements.
    classes
        How many elements a row has; None for a pointwise graph.
    arrays
        Inputs, then results.
    levels
        What each array has a number for.
    walks
        Whether anything goes over the elements of rows.
    """

    shape: tuple[int, ...]
    classes: int | None
    arrays: Sequence[Any]
    levels: Sequence[Level]
    walks: bool = True


class Way(NamedTuple):
    """How calls of one shape and layout reach the device.

    Attributes
    ----------
    form
        The kind of kernel.
    launch
        Its threads.
    sizes
        Its first arguments.
    steps
        What follows each array.
    starts
        For each launch how far from its beginning every array is read or written, in elements.
    """

    form: Form
    launch: Launch
    sizes: tuple[Any, ...]
    steps: tuple[tuple[Any, ...], ...]
    starts: list[tuple[int, ...]]


def find_way(
    call: Call, contiguous: Callable[[int], Form], staged: Callable[[int], Form | None]
) -> Way:
    """The way of contiguous arrays, of even rows, or of neither.

    `contiguous(classes)` is the form that suits neighbouring elements, `staged(classes)` the one
    for many short rows that lie one after another.
    """
    layout = layout_of(call.shape, call.arrays)
    if call.classes is None:
        if layout.contiguous:
            return pointwise_way(math.prod(call.shape), len(call.arrays), contiguous(1))
        return apart_way(*elements_apart(layout))
    steps = [
        array.strides[-1] // array.dtype.itemsize if level is Level.ELEMENT else None
        for array, level in zip(call.arrays, call.levels, strict=True)
    ]
    neighbours = call.classes <= 1 or all(step in {1, None} for step in steps)
    if neighbours and len(layout.sizes) <= 1:
        form = staged(call.classes) if are_staged(call, layout) else None
        if form:
            return staged_way(call, layout, form)
        return even_way(call, layout, contiguous(call.classes))
    return apart_way(layout, call.classes, steps)


def pointwise_way(count: int, arrays: int, form: Form) -> Way:
    """The way of arrays that are contiguous."""
    launch = pointwise_launch(count, form.shape.elements)
    return Way(form, launch, (np.int64(count),), ((),) * arrays, [(0,) * arrays])


def even_way(call: Call, layout: Layout, form: Form) -> Way:
    """The way of rows of neighbours."""
    rows, classes = math.prod(call.shape), call.classes or 1
    together, _, threads, _ = form.shape
    if not call.walks:
        launch = streaming_launch(rows, 1, 1, threads)
    elif form.writer is ResidentRows:
        launch = resident_launch(rows, classes, form.shape.elements, together)
    else:
        launch = streaming_launch(rows, classes, form.shape.elements, threads)
    inner, starts = layout.split(1)
    return Way(form, launch, sizes_of(launch, rows, classes), words(inner.steps), starts)


def are_staged(call: Call, layout: Layout) -> bool:
    """Whether there are many rows of few classes, one after another."""
    classes = call.classes or 0
    rows = [
        steps == (classes,)
        for steps, level in zip(layout.steps, call.levels, strict=True)
        if level is Level.ELEMENT
    ]
    few = 1 < classes <= STAGED_CLASSES and math.prod(call.shape) >= STAGED_ROWS
    return call.walks and few and all(rows)


def staged_way(call: Call, layout: Layout, form: Form) -> Way:
    """The way of short rows through shared memory."""
    rows, classes = math.prod(call.shape), call.classes or 1
    launch = rows_launch(rows, form.shape.threads)
    sizes = (np.int64(rows), np.int64(classes))
    return Way(form, launch, sizes, words(layout.steps), [(0,) * len(call.arrays)])


def apart_way(layout: Layout, classes: int, element_steps: Sequence[int | None]) -> Way:
    """The way of arrays that lie in any way."""
    inner, starts = layout.split(OUTER)
    rows = math.prod(inner.sizes)
    pairs = list(zip(inner.steps, element_steps, strict=True))
    beside = any(0 < abs(steps[-1]) < abs(step) for steps, step in pairs if step is not None)
    launch = streaming_launch(rows, classes, APART.elements, THREADS, neighbours_are_rows=beside)
    steps = [(*each, *(() if step is None else (step,))) for each, step in pairs]
    sizes = sizes_of(launch, rows, *inner.sizes[1:], classes)
    return Way(Form(ApartRows, APART), launch, sizes, words(steps), starts)


def elements_apart(layout: Layout) -> tuple[Layout, int, list[int]]:
    """Elements that know nothing of each other as rows along their nearest axis."""
    rows = Layout(layout.sizes[:-1], tuple(steps[:-1] for steps in layout.steps))
    return rows, layout.sizes[-1], [steps[-1] for steps in layout.steps]


def sizes_of(launch: Launch, *sizes: int) -> tuple[Any, ...]:
    """The first arguments of a kernel of rows, as it takes them."""
    return (*map(np.int64, sizes), np.int32(launch.group))


def words(steps: Sequence[tuple[int, ...]]) -> tuple[tuple[Any, ...], ...]:
    """The steps as kernels take them."""
    return tuple(tuple(map(np.int64, each)) for each in steps)
