"""Work shared out to threads: every index once, whatever else goes on."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from contextvars import ContextVar

import numpy as np
import pytest

from tensorweaver.compiler import parallel
from tensorweaver.compiler.parallel import run, set_num_threads

PATIENCE = 60
"""Seconds after which something that should come has not come."""


@pytest.fixture(autouse=True)
def number_is_restored():
    yield
    set_num_threads(None)


def threads_of_two_tasks(action=lambda: None):
    """Run two tasks that meet, so two threads must take part: their numbers and what they found.

    The calling thread comes first, whichever index it had.
    """
    meeting = threading.Barrier(2)
    found = {}

    def task(index):
        meeting.wait(PATIENCE)
        found[threading.get_ident()] = action()

    run(task, 2)
    return sorted(found.items(), key=lambda item: item[0] != threading.get_ident())


def threads_taking_part(count):
    """The numbers of the threads that so many tasks ran in."""
    seen: set[int] = set()
    run(lambda index: seen.add(threading.get_ident()), count)
    return seen


def squares(count, offset=0):
    """So many squares, and something added to them, each by a task of its own."""
    found = [-1] * count

    def task(index):
        found[index] = index**2 + offset

    run(task, count)
    return found


def run_script(text, *, environment=None, options=()):
    """Run a program that has `p`, the module under test; what it prints, if it ends cleanly."""
    command = [sys.executable, "-X", "dev", "-W", "error", *options, "-c"]
    finished = subprocess.run(
        [*command, f"import tensorweaver.compiler.parallel as p\n{text}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"} | (environment or {}),
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


# -------------------------------------------------------------------------------- sharing out
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 1000])
def test_every_index_runs_once(threads, count):
    set_num_threads(threads)
    calls: list[int] = []
    run(calls.append, count)
    assert sorted(calls) == list(range(count))


def test_the_caller_and_a_worker_take_part():
    set_num_threads(2)
    (first, _), (second, _) = threads_of_two_tasks()
    assert first == threading.get_ident() != second


def test_a_slow_task_does_not_hold_up_the_others():
    set_num_threads(2)
    others = threading.Semaphore(0)
    waited: list[bool] = []

    def task(index):
        if index:
            others.release()
        else:
            waited.extend(others.acquire(timeout=PATIENCE) for _ in range(99))

    run(task, 100)
    assert waited == [True] * 99


@pytest.mark.parametrize(("threads", "count"), [(1, 50), (4, 1), (4, 0)])
def test_a_plain_loop_where_nothing_is_to_be_shared(threads, count, monkeypatch):
    monkeypatch.setattr(parallel, "pool", None)
    set_num_threads(threads)
    calls = []
    run(lambda index: calls.append((index, threading.get_ident())), count)
    assert calls == [(index, threading.get_ident()) for index in range(count)]


def test_no_more_threads_than_chosen_though_more_workers_are_there():
    set_num_threads(6)
    run(lambda index: time.sleep(0.001), 20)
    assert parallel.pool.workers >= 5
    set_num_threads(2)
    for _ in range(10):
        assert len(threads_taking_part(200)) <= 2


def test_a_job_takes_no_more_help_than_it_wants():
    calls, refused = [], []

    def task(index):
        calls.append(index)
        refused.append(job.help())

    job = parallel.Job(task, 3, 1)
    assert job.help()
    assert (calls, refused) == ([0, 1, 2], [False] * 3)
    assert not job.help()


def test_workers_are_kept():
    set_num_threads(3)
    run(lambda index: None, 10)
    before = parallel.pool.workers
    for _ in range(50):
        run(lambda index: None, 10)
    assert parallel.pool.workers == before


def test_many_short_calls_do_not_cost_a_long_one_its_help():
    for _ in range(50):
        set_num_threads(3)
        for _ in range(100):
            run(str, 10)
        set_num_threads(2)
        assert len(threads_of_two_tasks()) == 2


def test_without_new_threads_the_caller_works_alone(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel, "pool", parallel.Pool())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    set_num_threads(4)
    calls: list[int] = []
    run(calls.append, 10)
    assert calls == list(range(10))
    assert parallel.pool.workers == 0


def test_tasks_see_the_callers_context():
    variable = ContextVar("variable", default="outside")
    set_num_threads(2)
    token = variable.set("inside")
    with np.errstate(divide="raise", over="ignore"):
        seen = threads_of_two_tasks(lambda: (variable.get(), np.geterr()))
        expected = ("inside", np.geterr())
    variable.reset(token)
    assert [value for _, value in seen] == [expected] * 2
    assert [value for _, value in threads_of_two_tasks(variable.get)] == ["outside"] * 2


# -------------------------------------------------------------------------------- exceptions
@pytest.mark.parametrize("caller_fails", [True, False])
def test_an_exception_stops_the_rest_and_waits_for_everyone(caller_fails):
    set_num_threads(2)
    caller = threading.get_ident()
    meeting = threading.Barrier(2)
    started, ended = [], []

    def task(index):
        started.append(index)
        if index < 2:
            meeting.wait(PATIENCE)
        if (threading.get_ident() == caller) == caller_fails:
            raise LookupError(index)
        time.sleep(0.02)
        ended.append(index)

    with pytest.raises(LookupError) as raised:
        run(task, 1000)
    assert len(started) < 100
    assert sorted([*ended, raised.value.args[0]]) == sorted(started)
    assert threads_of_two_tasks()[0][0] == caller


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_other_ends_of_a_task_reach_the_caller(error):
    def fail():
        if threading.get_ident() != caller:
            raise error

    caller = threading.get_ident()
    set_num_threads(2)
    with pytest.raises(error):
        threads_of_two_tasks(fail)


def test_the_first_exception_is_raised():
    class Silent(Exception):  # noqa: N818 - and false, as one with no members may be
        def __bool__(self):
            return False

    job = parallel.Job(print, 3, 1)
    job.fail(Silent())
    job.fail(ValueError())
    assert job.take() is None
    with pytest.raises(Silent):
        job.raise_error()


def test_one_thread_raises_as_a_loop_does():
    set_num_threads(1)
    calls = []

    def task(index):
        calls.append(index)
        if index == 3:
            raise LookupError

    with pytest.raises(LookupError):
        run(task, 10)
    assert calls == [0, 1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals to a thread are POSIX's")
def test_ctrl_c_waits_for_the_workers():
    output = run_script("""
import signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
main = threading.main_thread()
meeting = threading.Barrier(2)
ended = []
def task(index):
    meeting.wait(30)
    if threading.current_thread() is not main:
        for _ in range(3):
            time.sleep(0.1)
            signal.pthread_kill(main.ident, signal.SIGINT)
        time.sleep(0.1)
        ended.append("worker")
    elif early:
        time.sleep(30)
p.set_num_threads(2)
for early in (True, False):
    try:
        p.run(task, 2)
    except KeyboardInterrupt:
        print(ended)
    ended.clear()
calls = []
p.run(calls.append, 5)
print(sorted(calls))
""")
    assert output.splitlines() == ["['worker']", "['worker']", "[0, 1, 2, 3, 4]"]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_the_caller_is_kept(fails):
    class Memory:
        pass

    def call():
        memory = Memory()

        def action():
            if fails and threading.get_ident() != caller:
                raise LookupError(memory)
            return memory

        try:
            threads_of_two_tasks(action)
        except LookupError:
            assert fails
        return weakref.ref(memory)

    caller = threading.get_ident()
    set_num_threads(2)
    gc.collect()
    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()


def test_a_closed_job_keeps_nothing():
    def task(index):
        raise AssertionError

    job = parallel.Job(task, 3, 1)
    kept = weakref.ref(task)
    del task
    assert kept() is not None
    job.wait()
    job.close()
    assert kept() is None
    assert not job.help()


# -------------------------------------------------------------------------------- many callers
def test_inside_a_task_it_runs_serially():
    set_num_threads(4)

    def inner():
        calls = []

        def task(index):
            calls.append((index, threading.get_ident()))
            time.sleep(0.002)  # long enough for a worker to come, were one called

        for _ in range(2):
            run(task, 5)
        return calls

    found = threads_of_two_tasks(inner)
    assert len(found) == 2
    for thread, calls in found:
        assert calls == [(index, thread) for index in range(5)] * 2
    assert len(threads_of_two_tasks()) == 2


def test_sixteen_callers_at_once():
    set_num_threads(3)
    results = {}
    together = threading.Barrier(16)

    def caller(number):
        together.wait(PATIENCE)
        results[number] = [squares(length, number) for length in range(40)]

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for number in [1, 5, 2, None] * 25:
        set_num_threads(number)
        time.sleep(0.001)
    for thread in threads:
        thread.join(PATIENCE)
    assert results == {
        number: [[index**2 + number for index in range(length)] for length in range(40)]
        for number in range(16)
    }


def test_no_call_waits_for_anothers_work(monkeypatch):
    monkeypatch.setattr(parallel, "pool", parallel.Pool())
    set_num_threads(2)
    busy = threading.Barrier(3)
    goes_on = threading.Event()
    ended = []

    def task(index):
        busy.wait(PATIENCE)
        ended.append(goes_on.wait(PATIENCE))

    other = threading.Thread(target=run, args=(task, 2))
    other.start()
    busy.wait(PATIENCE)
    expected = [float(index**2 + 7) for index in range(10)]
    offset = np.array(7.0)
    for _ in range(100):
        assert squares(10, offset) == expected
    kept = weakref.ref(offset)
    del offset
    assert kept() is None
    assert len(parallel.pool.jobs) == parallel.pool.calls.qsize() == 1
    assert ended == []
    goes_on.set()
    other.join(PATIENCE)
    assert ended == [True, True]
    assert len(threads_of_two_tasks()) == 2


# -------------------------------------------------------------------------------- processes
# Later Pythons warn of every fork beside threads, idle or not.
MAY_FORK = ("-W", "ignore::DeprecationWarning")

CHILD = """
import os, signal, threading, time
p.set_num_threads(3)
def in_child():
    signal.alarm(30)
    meeting = threading.Barrier(3)
    try:
        p.run(lambda index: meeting.wait(20), 3)
        os._exit(p.pool.workers != 2)
    finally:
        os._exit(9)
def fork():
    child = os.fork()
    if not child:
        in_child()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


HOLD = """
held, done = threading.Event(), threading.Event()
def other():
    with p.pool.lock:
        held.set()
        done.wait()
thread = threading.Thread(target=other)
thread.start()
held.wait()
fork()
done.set()
thread.join()
"""
RUN_BESIDE = """
going = True
def other():
    while going:
        p.run(lambda index: None, 5)
thread = threading.Thread(target=other)
thread.start()
for _ in range(20):
    fork()
    time.sleep(0.003)
going = False
thread.join()
"""
FORKS = {
    "beside idle workers": "p.run(time.sleep, 3); fork()",
    "in the middle of runs": RUN_BESIDE,
    "while a lock is held": HOLD,
    "inside a task": "p.run(lambda index: index or fork(), 3)",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@pytest.mark.parametrize("text", FORKS.values(), ids=FORKS)
def test_a_forked_child_makes_its_own_workers(text):
    output = run_script(CHILD + text, options=MAY_FORK)
    assert set(output.split()) == {"0"}


LAST = """
class Last:
    def __del__(self, run=p.run):
        run(str, 10)
        print("last")
last = Last()
"""
FOREVER = """
import threading, time
def forever():
    while True:
        p.run(lambda index: time.sleep(0.001), 10)
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.1)
"""
ENDS = {
    "no worker": "p.run(print, 0)",
    "idle workers": "p.run(str, 100)",
    "workers at work": FOREVER,
    "workers asked for while ending": "import atexit; atexit.register(p.run, str, 10)",
    "workers asked for at the very end": LAST,
    "workers asked for help at the very end": "p.run(str, 10)" + LAST,
}


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
def test_the_interpreter_ends_cleanly(text):
    output = run_script(f"p.set_num_threads(4)\n{text}\nprint('end')")
    assert output.split() == ["end", "last"][: 1 + ("last" in text)]


def test_importing_starts_no_thread_and_loads_nothing_heavy():
    output = run_script("""
import sys, threading
print(threading.active_count())
print({"asyncio", "concurrent.futures", "multiprocessing"} & {*sys.modules})
""")
    assert output == "1\nset()\n"
