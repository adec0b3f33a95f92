"""From the layout of arrays to the numbers of a launch, for arrays that no machine could hold."""

from types import SimpleNamespace

import numpy as np
import pytest

from tensorweaver.compiler.cuda.form import pointwise_form, row_form, staged_form
from tensorweaver.compiler.cuda.launch import MOST_BLOCKS
from tensorweaver.compiler.cuda.ways import Call, find_way
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.schedule import schedule
from tests.compiler.test_schedule import graph_of

ELEMENT, ROW = Level.ELEMENT, Level.ROW
PLAN = schedule(*graph_of("ce", "value_and_gradient"))


def array(shape, strides=None, dtype="float32"):
    """An array without memory; strides in elements, by default those of C's order."""
    size = np.dtype(dtype).itemsize
    if strides is None:
        strides = [int(np.prod(shape[i + 1 :], dtype=object)) for i in range(len(shape))]
    return SimpleNamespace(
        shape=shape, dtype=np.dtype(dtype), strides=tuple(step * size for step in strides)
    )


def way(shape, classes, *arrays, levels=None):
    """The way of float32 arrays."""
    memory = ["float32"] * len(arrays)
    form = (
        (lambda _: pointwise_form(memory))
        if classes is None
        else (lambda many: row_form(PLAN, many, "float32", memory))
    )
    call = Call(shape, classes, arrays, levels or [ELEMENT] * len(arrays))
    return find_way(call, form, lambda many: staged_form(PLAN, many, "float32"))


def entry(found):
    return found.form.writer.entry


@pytest.mark.parametrize("power", range(0, 41, 5))
def test_elements_up_to_2_to_the_40(power):
    count = 1 << power
    found = way((count,), None, array((count,)), array((count,)))
    assert entry(found) == "pointwise"
    assert found.sizes == (count,)
    assert found.launch.grid <= MOST_BLOCKS
    assert len(found.starts) == 1


@pytest.mark.parametrize("classes", [10, 1000, 128256, 1 << 31, 1 << 40])
def test_rows_up_to_2_to_the_40(classes):
    rows = (1 << 40) // classes
    logits, labels = array((rows, classes)), array((rows,), dtype="int64")
    found = way((rows,), classes, logits, labels, levels=[ELEMENT, ROW])
    named = {10: "staged_rows", 1000: "resident_rows"}
    assert entry(found) == named.get(classes, "rows")
    assert found.sizes[:2] == (rows, classes)
    assert found.steps == ((classes if rows > 1 else 0,), (1 if rows > 1 else 0,))
    assert found.launch.block <= found.form.shape.threads


def test_rows_that_are_apart_stay_even():
    found = way((8,), 100, array((8, 100), (1 << 35, 1)))
    assert entry(found) == "resident_rows"
    assert found.steps == ((1 << 35,),)


@pytest.mark.parametrize("classes", [1, 2, 10, 16, 17])
@pytest.mark.parametrize("rows", [100, 1 << 20])
@pytest.mark.parametrize("gap", [0, 1])
def test_many_short_rows_one_after_another_are_staged(rows, classes, gap):
    logits = array((rows, classes), (classes + gap, 1))
    found = way((rows,), classes, logits)
    staged = rows > 100 and 1 < classes <= 16 and not gap
    assert (entry(found) == "staged_rows") == staged
    if staged:
        assert found.form.shape.neighbours == classes
        assert found.launch.grid * found.launch.block >= rows
        assert [type(word) for word in found.sizes] == [np.int64, np.int64]


def test_classes_between_rows_are_read_across_rows():
    images = array((16, 512, 512, 21), (21 << 18, 512, 1, 1 << 18))
    found = way((16, 512, 512), 21, images)
    assert entry(found) == "apart_rows"
    assert found.launch.group == 1
    assert found.sizes == (16 << 18, 16, 1 << 18, 21, 1)
    assert found.steps == ((0, 21 << 18, 1, 1 << 18),)


def test_what_lies_along_too_many_axes_is_launched_in_parts():
    shape, strides = (3, 5, 7, 9, 11), (1 << 20, 1 << 16, 1 << 12, 1 << 8, 2)
    found = way(shape, None, array(shape, strides))
    assert entry(found) == "apart_rows"
    assert found.starts == [(0,), (1 << 20,), (2 << 20,)]
    assert found.sizes[:4] == (5 * 7 * 9, 7, 9, 11)


def test_words_have_the_types_of_the_parameters():
    found = way((8,), 100, array((8, 100)))
    assert [type(word) for word in found.sizes] == [np.int64, np.int64, np.int32]
    assert {type(word) for steps in found.steps for word in steps} == {np.int64}
