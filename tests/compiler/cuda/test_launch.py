"""Grids, blocks and groups as functions of shapes alone, for every size that memory can hold."""

import itertools

import pytest

from tensorweaver.compiler.cuda.launch import (
    MOST_BLOCKS,
    THREADS,
    most_resident,
    pointwise_launch,
    power_of_two,
    resident_launch,
    streaming_launch,
)

SIZES = sorted({1 << p for p in range(41)} | {(1 << p) + d for p in range(1, 40) for d in (-1, 1)})
CLASSES = (1, 2, 10, 31, 32, 33, 127, 128, 1000, 4096, 16381)


def check(launch):
    """What every device of compute capability 7 or more can launch."""
    assert 1 <= launch.grid <= MOST_BLOCKS
    assert launch.block in {32, 64, 128, 256, 512, 1024}
    assert launch.block % launch.group == 0
    assert launch.group == power_of_two(launch.group)
    assert launch.group <= 32 or launch.group == launch.block


@pytest.mark.parametrize("elements", [1, 8, 16])
def test_pointwise_grids_reach_all_elements(elements):
    for count in SIZES:
        launch = pointwise_launch(count, elements)
        check(launch)
        assert launch.block == THREADS
        enough = launch.grid * THREADS * elements >= count
        assert enough or launch.grid == MOST_BLOCKS
        assert (launch.grid - 1) * THREADS * elements < max(1, count)  # no block without work


@pytest.mark.parametrize("classes", CLASSES)
def test_a_group_holds_its_row(classes):
    elements, neighbours = 16, 4
    for rows in SIZES:
        launch = resident_launch(rows, classes, elements, neighbours)
        check(launch)
        assert launch.group * elements >= classes + neighbours - 1
        assert launch.group == 1 or launch.group * elements < 2 * (classes + neighbours - 1)
        rows_at_once = launch.block // launch.group
        assert launch.grid * rows_at_once >= rows or launch.grid == MOST_BLOCKS
        assert (launch.grid - 1) * rows_at_once < rows


@pytest.mark.parametrize(("elements", "neighbours"), [(16, 4), (16, 8), (8, 2), (4, 1)])
@pytest.mark.parametrize("threads", [512, 1024])
def test_the_longest_resident_row_just_fits(elements, neighbours, threads):
    longest = most_resident(elements, neighbours, threads)
    assert resident_launch(7, longest, elements, neighbours).group == threads
    assert resident_launch(7, longest + 1, elements, neighbours).group > threads


def test_long_rows_have_at_most_a_block():
    for rows, classes in itertools.product(SIZES[::5], SIZES):
        launch = streaming_launch(rows, classes, 8, 1024)
        check(launch)
        assert launch.group <= 1024


def test_rows_side_by_side_have_a_thread_each_if_they_are_many():
    many = streaming_launch(1 << 20, 21, 4, THREADS, neighbours_are_rows=True)
    few = streaming_launch(8, 1 << 20, 4, THREADS, neighbours_are_rows=True)
    assert (many.group, many.block) == (1, THREADS)
    assert few.group == THREADS


def test_a_small_call_is_one_block_that_sums_by_itself():
    assert pointwise_launch(320, 8).grid == 1
    assert resident_launch(32, 10, 4, 1).grid == 1
