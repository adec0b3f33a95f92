"""Work shared out to threads: `run(task, count)`, and how many threads take part.

Tasks are meant to spend their time in machine code that lets other threads run; a task of some
ten microseconds is worth sharing out.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import sys
import threading
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tensorweaver.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from typing import SupportsIndex

__all__ = ["ENVIRONMENT_VARIABLE", "get_num_threads", "run", "set_num_threads"]

ENVIRONMENT_VARIABLE = "TENSORWEAVER_NUM_THREADS"

#: Where Linux says how long the processes of a container may run in each period.
QUOTA_FILES = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)


# -------------------------------------------------------------------------------- how many
@dataclass
class ProcessChoice:
    """What `set_num_threads` was told; None stands for the default."""

    chosen: int | None = None


process = ProcessChoice()


def set_num_threads(number: SupportsIndex | None) -> None:
    """Choose how many threads a computation on the CPU may use; None takes the choice back.

    The number holds for the whole process, from the next computation on, and counts the thread that
    asks for the computation. Results do not depend on it.

    Without a choice it is that of the environment variable `TENSORWEAVER_NUM_THREADS`, else the
    number of processor cores that this process may use.

    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(0)
    Traceback (most recent call last):
    tensorweaver.errors.ArgumentError: set_num_threads: the number of threads must be a whole number
    of at least 1, or None for the default, got 0
    >>> set_num_threads(None)
    """
    process.chosen = None if number is None else checked_number(number)


def get_num_threads() -> int:
    """How many threads a computation on the CPU may use; see `set_num_threads`.

    >>> set_num_threads(3)
    >>> get_num_threads()
    3
    >>> set_num_threads(None)
    >>> get_num_threads() >= 1
    True
    """
    chosen = process.chosen
    return default_number() if chosen is None else chosen


def checked_number(number: SupportsIndex) -> int:
    """The number as an int; whatever cannot be a number of threads is an error."""
    whole = 0
    if not isinstance(number, bool):
        with contextlib.suppress(TypeError):
            whole = operator.index(number)
    if whole < 1:
        raise ArgumentError(
            "set_num_threads: the number of threads must be a whole number of at least 1, or None "
            f"for the default, got {number!r}"
        )
    return whole


@functools.cache
def default_number() -> int:
    """The number of the environment, else that of the cores; found at first use."""
    text = os.environ.get(ENVIRONMENT_VARIABLE)
    return number_of_environment(text) if text else number_of_cores()


def number_of_environment(text: str) -> int:
    """The number that the environment asks for; an error says so, for the program names none."""
    number = 0
    with contextlib.suppress(ValueError):
        number = int(text)
    if number < 1:
        raise ArgumentError(
            f"environment variable {ENVIRONMENT_VARIABLE}={text}: the number of threads must be a "
            "whole number of at least 1; unset the variable for the default"
        )
    return number


def number_of_cores() -> int:
    """The cores that this process may use: those it is bound to, fewer under a quota."""
    process_cpu_count: Callable[[], int | None] | None = getattr(os, "process_cpu_count", None)
    if process_cpu_count is not None:
        cores = process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    return max(1, min([cores or 1, *quotas()]))


def quotas() -> list[int]:
    """How many cores the container may keep busy, rounded up; empty without a quota."""
    found = []
    for paths in QUOTA_FILES:
        # A file that is missing or says "max" or -1 sets no quota.
        with contextlib.suppress(OSError, ValueError):
            quota, period = map(int, " ".join(Path(path).read_text() for path in paths).split())
            if quota > 0 and period > 0:
                found.append(-(-quota // period))
    return found


# -------------------------------------------------------------------------------- running
class Job:
    """One call of `run`: the indices that nobody has taken yet, and who is at work on others.

    Its lock is held for single steps only, never while a task runs.
    """

    def __init__(self, task: Callable[[int], object], count: int, most_helpers: int) -> None:
        self.task: Callable[[int], object] | None = task
        self.remaining = iter(range(count))
        self.context: Context | None = copy_context()
        self.lock = threading.Lock()
        self.most_helpers = most_helpers
        self.helpers = 0
        self.over = False
        self.error: BaseException | None = None
        self.helpers_left = threading.Lock()
        self.helpers_left.acquire()

    def take(self) -> int | None:
        """An index that is nobody else's, or None when no more are to be started."""
        with self.lock:
            index = None if self.over else next(self.remaining, None)
            self.over = index is None
            return index

    def work(self) -> None:
        """Run tasks as long as there are any."""
        task = self.task
        while task is not None and (index := self.take()) is not None:
            task(index)

    def help(self) -> bool:
        """Work in a worker, under the caller's context variables; errors are kept for the caller.

        False where no help is wanted.
        """
        with self.lock:
            if self.over or self.context is None or self.helpers == self.most_helpers:
                return False
            # One context cannot be entered by two threads at a time.
            context = self.context.copy()
            self.helpers += 1
        try:
            context.run(self.work)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self.fail(error)
        finally:
            with self.lock:
                self.helpers -= 1
                if self.over and not self.helpers:
                    self.helpers_left.release()
        return True

    def fail(self, error: BaseException) -> None:
        """Start no more tasks, and remember the error if it is the first."""
        with self.lock:
            self.over = True
            if self.error is None:
                self.error = error

    def wait(self) -> None:
        """Start no more tasks, and return when no helper is at work, whatever interrupts."""
        try:
            with self.lock:
                self.over = True
                if not self.helpers:
                    return
            self.helpers_left.acquire()
        except BaseException:
            self.wait()
            raise

    def close(self) -> None:
        """Let go of the caller's things, for a worker may know of the job a little longer."""
        self.task = self.context = None

    def raise_error(self) -> None:
        """Raise the first error, if there was one."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # its traceback refers to this job


class Pool:
    """The workers of this process, made on demand and kept, and the jobs that are open to them.

    Idle workers wait for a call, and look then which jobs are open. No thread comes to a lock that
    it holds: whatever a signal handler or a finalizer computes in between is inside the caller's
    job, and so runs serially.
    """

    def __init__(self) -> None:
        self.jobs: tuple[Job, ...] = ()
        self.calls: SimpleQueue[None] = SimpleQueue()
        self.workers = 0
        self.lock = threading.Lock()

    def open(self, job: Job) -> None:
        """Show a job to the workers, and call as many as it can use or there can be."""
        with self.lock:
            self.jobs += (job,)
            if self.workers < job.most_helpers:
                self.hire(job.most_helpers)
        # A call that nobody has heard yet serves this job too: each worker needs one at most.
        unheard = self.calls.qsize()
        for _ in range(min(job.most_helpers, self.workers - unheard)):
            self.calls.put(None)

    def close(self, job: Job) -> None:
        """Show a job no longer."""
        with self.lock:
            self.jobs = tuple([other for other in self.jobs if other is not job])
        job.close()

    def hire(self, wanted: int) -> None:
        """Make workers until there are so many, or as many as the system allows.

        They are daemons, so that they do not keep the interpreter alive. While it ends no thread
        can start any more, and some versions of Python would wait for it.
        """
        with contextlib.suppress(RuntimeError):
            while self.workers < wanted and not sys.is_finalizing():
                name = f"tensorweaver-{self.workers + 1}"
                threading.Thread(target=self.serve, name=name, daemon=True).start()
                self.workers += 1

    def serve(self) -> None:
        """What a worker does all its life."""
        inside.now = True
        while True:
            self.calls.get()
            while self.help_somebody():
                pass

    def help_somebody(self) -> bool:
        """Help with one job, if one is open."""
        return any(job.help() for job in self.jobs)


class Inside(threading.local):
    """Whether this thread is at work on a job."""

    now = False


pool = Pool()
inside = Inside()


def start_afresh() -> None:
    """In the child after a fork: no thread but this one exists, and what they held stays held."""
    vars(pool).update(vars(Pool()))
    inside.now = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_afresh)


def run(task: Callable[[int], object], count: int) -> None:
    """Call `task(index)` for every index below `count`, in this thread and in workers.

    Returns when all are done. Which thread runs which index, and in which order, is open: the task
    must not depend on it. Context variables (`numpy.errstate` is one) are the caller's everywhere.

    After an exception no further index is started; the first one is raised here as soon as no task
    runs any more. The same holds for Ctrl-C, for tasks write into the caller's memory.

    Inside a task it runs serially. Calls from several threads share the workers, and none waits for
    another's work: a caller whom nobody helps does everything itself.

    >>> squares = [0] * 4
    >>> def square(index):
    ...     squares[index] = index**2
    >>> run(square, 4)
    >>> squares
    [0, 1, 4, 9]
    """
    helpers = 0 if count <= 1 or inside.now else min(get_num_threads(), count) - 1
    if not helpers:
        for index in range(count):
            task(index)
        return
    inside.now = True
    try:
        share(Job(task, count, helpers))
    finally:
        inside.now = False


def share(job: Job) -> None:
    """Do a job together with helpers."""
    try:
        try:
            pool.open(job)
            job.work()
        except Exception as error:  # noqa: BLE001 - raised when the helpers have stopped
            job.fail(error)
        job.wait()
    except BaseException:
        job.wait()
        raise
    finally:
        pool.close(job)
    job.raise_error()
