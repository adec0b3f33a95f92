"""How many threads take part: the program's choice, the environment's, or the cores there are."""

import os

import numpy as np
import pytest

from tensorweaver.compiler import parallel
from tensorweaver.compiler.parallel import get_num_threads, run, set_num_threads
from tensorweaver.errors import ArgumentError
from tests.compiler.test_parallel import run_script


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.delenv(parallel.ENVIRONMENT_VARIABLE, raising=False)
    parallel.default_number.cache_clear()
    set_num_threads(None)
    yield
    parallel.default_number.cache_clear()
    set_num_threads(None)


def test_the_chosen_number_holds_until_taken_back():
    default = get_num_threads()
    set_num_threads(default + 3)
    assert get_num_threads() == default + 3
    set_num_threads(None)
    assert get_num_threads() == default


def test_numbers_of_other_libraries_count():
    set_num_threads(np.int64(3))
    assert (get_num_threads(), type(get_num_threads())) == (3, int)


@pytest.mark.parametrize(
    "value", [0, -1, True, False, 2.0, 0.5, "2", "", [2], np.float64(2), np.array([1, 2])]
)
def test_what_is_no_number_of_threads_is_refused(value):
    set_num_threads(2)
    with pytest.raises(ArgumentError, match="whole number of at least 1, or None") as raised:
        set_num_threads(value)
    assert str(raised.value).endswith(f"got {value!r}")
    assert get_num_threads() == 2


@pytest.mark.parametrize(("text", "number"), [("3", 3), (" 12 ", 12)])
def test_the_environment_chooses(text, number, monkeypatch):
    monkeypatch.setenv(parallel.ENVIRONMENT_VARIABLE, text)
    assert get_num_threads() == number
    set_num_threads(2)
    assert get_num_threads() == 2
    set_num_threads(None)
    assert get_num_threads() == number


def test_the_environment_is_read_once_and_empty_means_unset(monkeypatch):
    monkeypatch.setenv(parallel.ENVIRONMENT_VARIABLE, "")
    assert get_num_threads() == parallel.number_of_cores()
    monkeypatch.setenv(parallel.ENVIRONMENT_VARIABLE, "1234")
    assert get_num_threads() == parallel.number_of_cores()


@pytest.mark.parametrize("text", ["0", "-2", "many", "2.5", " ", "9" * 5000])
def test_a_bad_environment_is_named_when_it_is_needed(text, monkeypatch):
    monkeypatch.setenv(parallel.ENVIRONMENT_VARIABLE, text)
    calls: list[int] = []
    run(calls.append, 1)
    for attempt in (get_num_threads, lambda: run(calls.append, 2)):
        with pytest.raises(ArgumentError) as raised:
            attempt()
        assert str(raised.value).startswith(
            f"environment variable TENSORWEAVER_NUM_THREADS={text}: "
        )
    assert calls == [0]
    set_num_threads(2)
    run(calls.append, 2)
    assert sorted(calls) == [0, 0, 1]


def test_a_bad_environment_does_not_hinder_the_import():
    assert run_script("print('here')", environment={parallel.ENVIRONMENT_VARIABLE: "x"}) == "here\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound here")
def test_the_default_is_what_the_process_is_bound_to():
    output = run_script("""
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(p.get_num_threads())
""")
    assert output == "1\n"


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (["150000 100000\n"], [2]),
        (["100000 100000\n"], [1]),
        (["5000 100000\n"], [1]),
        (["max 100000\n"], []),
        (["-1\n", "100000\n"], []),
        (["300000\n", "100000\n"], [3]),
        (["nonsense\n"], []),
        ([], []),
    ],
)
def test_the_quota_of_a_container(contents, expected, tmp_path, monkeypatch):
    paths = [tmp_path / str(number) for number in range(len(contents) or 1)]
    for path, content in zip(paths, contents, strict=False):
        path.write_text(content)
    monkeypatch.setattr(parallel, "QUOTA_FILES", (tuple(map(str, paths)),))
    assert parallel.quotas() == expected
    assert 1 <= parallel.number_of_cores() <= min([10**6, *expected])
