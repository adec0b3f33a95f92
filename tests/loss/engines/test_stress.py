"""Everything at once: threads, forks, processes, and a cache that comes and goes."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler import cache, parallel
from tests.loss.cases import CASES
from tests.loss.engines.calls import bits, tiled

USERS = 16
LONGEST = 30
"""Seconds after which something hangs."""

NAMES = ["mse", "huber", "bce of logits, weights", "kl", "ce", "ce, all", "ce, probabilities"]


def work_of(place):
    """One user's call, of a size of its own."""
    case = CASES[NAMES[place % len(NAMES)]]
    dtype = ("float32", "float64", "float16")[place % 3]
    return case, *tiled(case, dtype, 700 + 457 * place)


def answer(work):
    case, arrays, options = work
    found = case.loss.value_and_grad(*arrays, **options)
    return bits([*found, case.loss(*arrays, reduction="none", **options)])


def wait_for(threads):
    """Until all have ended; something hangs where one does not."""
    end = time.monotonic() + LONGEST
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)


@contextmanager
def meanwhile(*tasks):
    """Run tasks over and over in threads of their own until the block ends."""
    over = threading.Event()
    errors = []

    def repeat(task):
        try:
            while not over.is_set():
                task()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        wait_for(threads)
    if errors:
        raise errors[0]


def change_threads():
    for number in (1, 2, 5, 3):
        parallel.set_num_threads(number)
        time.sleep(0.002)


def at_once(task, arguments):
    """Results of threads that start together; a thread that hangs is a failure."""
    together = threading.Barrier(len(arguments), timeout=LONGEST)

    def run(argument):
        together.wait()
        return task(argument)

    pool = ThreadPoolExecutor(len(arguments))
    try:
        futures = [pool.submit(run, argument) for argument in arguments]
        return [future.result(LONGEST) for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# ------------------------------------------------------------------------- one process
def test_sixteen_users_of_one_engine(engine):
    work = [work_of(place) for place in range(USERS)]
    expected = [answer(each) for each in work]

    def again(place):
        found = []
        for turn in range(6):
            each = (place + turn) % USERS
            found.append(answer(work[each]) == expected[each])
        return found

    with meanwhile(change_threads):
        assert at_once(again, range(USERS)) == [[True] * 6] * USERS


def test_engines_are_changed_meanwhile():
    pytest.importorskip("llvmlite")
    names = ("interpret", "blocks", "llvm")
    work = [work_of(place) for place in range(USERS)]
    allowed = []
    for each in work:
        found = []
        for name in names:
            tw.set_engine(name)
            case, arrays, options = each
            found.append(bits(case.loss.value_and_grad(*arrays, **options)))
        allowed.append(found)

    def change_engine():
        for name in (*names, None):
            tw.set_engine(name)
            time.sleep(0.001)

    def again(place):
        case, arrays, options = work[place]
        calls = (bits(case.loss.value_and_grad(*arrays, **options)) for _ in range(8))
        return all(found in allowed[place] for found in calls)

    with meanwhile(change_engine, change_threads):
        assert all(at_once(again, range(USERS)))


@pytest.mark.parametrize("fresh", [True, False])
def test_the_first_calls_of_new_losses(fresh, engine):
    def formula(predictions, targets, *, power=2):
        return tw.array_namespace(predictions).abs(predictions - targets) ** power

    x, t = np.random.default_rng(1).normal(size=(2, 40_001))
    for turn in range(3):
        loss = tw.pointwise(formula)
        if fresh and engine == "llvm":
            sys.modules["tensorweaver.compiler.llvm.jit"].compile_text.cache_clear()

        def call(place, loss=loss, turn=turn):
            return bits(loss.value_and_grad(x, t, power=2 + place % 2 + turn))

        found = at_once(call, range(USERS))
        alone = [call(place) for place in (0, 1)]
        assert found == alone * (USERS // 2)


# ------------------------------------------------------------------------- the cache
def disturb(folder):
    """Delete, corrupt, cut short and lock what is in the cache's folder, in turn."""
    while True:
        for action in (delete_all, corrupt, cut_short, lock):
            with suppress(OSError):  # another thread was quicker
                action(folder)
            time.sleep(0.003)
            yield


def delete_all(folder):
    shutil.rmtree(folder, ignore_errors=True)


def corrupt(folder):
    for path in folder.glob("*.code"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)


def cut_short(folder):
    for path in folder.glob("*.code"):
        os.truncate(path, 100)


def lock(folder):
    folder.mkdir(exist_ok=True)
    folder.chmod(0o500)
    time.sleep(0.005)
    folder.chmod(0o700)


def test_the_cache_is_deleted_corrupted_and_locked_meanwhile(tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    from tensorweaver.compiler.llvm import jit

    folder = tmp_path / "cache"
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(folder))
    tw.set_engine("llvm")
    work = [work_of(place) for place in range(4)]
    expected = [answer(each) for each in work]

    def compile_again(place):
        found = []
        for _ in range(3):
            jit.compile_text.cache_clear()
            work[place % 4][0].loss.forget()
            found.append(answer(work[place % 4]) == expected[place % 4])
        return found

    trouble = disturb(folder)
    with meanwhile(lambda: next(trouble)):
        assert at_once(compile_again, range(6)) == [[True] * 3] * 6


# ------------------------------------------------------------------------- forks
def in_a_child(task):
    """What a forked child reports, and how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.write(writer, task())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    timer = threading.Timer(LONGEST, os.kill, (child, signal.SIGKILL))
    timer.start()
    try:
        with os.fdopen(reader, "rb") as stream:
            report = stream.read()
        _, status = os.waitpid(child, 0)
    finally:
        timer.cancel()
    return report, status


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_amid_computations(engine, threads):
    threads(3)
    work = [work_of(place) for place in range(6)]
    expected = [answer(each) for each in work]

    def child():
        same = all(answer(each) == wanted for each, wanted in zip(work, expected, strict=True))
        new = tw.smooth_l1_loss.value_and_grad(np.arange(70_001.0), np.zeros(1), beta=0.25)
        return b"same" if same and np.isfinite(new[0]) else b"other"

    def compute():
        assert answer(work[0]) == expected[0]

    with meanwhile(compute, change_threads):
        reports = [in_a_child(child) for _ in range(4)]
    assert reports == [(b"same", 0)] * 4
    assert [answer(each) for each in work] == expected


def new_loss(factor):
    """A loss that no kernel has been compiled for."""

    def formula(predictions, targets):
        return factor * tw.array_namespace(predictions).exp(-((predictions - targets) ** 2))

    return tw.pointwise(formula)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_amid_compilations(engine, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, "off")
    numbers = itertools.count(2)
    x = np.linspace(-1.0, 1.0, 99)

    def compile_another():
        assert np.isfinite(new_loss(float(next(numbers)))(x, x[::-1]))

    def child():
        return b"compiled" if new_loss(-1.0)(x, x) == -1.0 else b"wrong"

    with meanwhile(compile_another, compile_another):
        for _ in range(6):
            time.sleep(0.013)
            assert in_a_child(child) == (b"compiled", 0)


# ------------------------------------------------------------------------- processes
COLD = """
import hashlib, json, sys
import numpy as np, tensorweaver as tw
tw.set_engine("llvm")
found = []
for count in (1000, 70_001):
    x, t = np.random.default_rng(3).normal(size=(2, count, 6)).astype("float32")
    for loss in (tw.mse_loss, tw.huber_loss, tw.cross_entropy_loss):
        value, gradient = loss.value_and_grad(x, t)
        found.append(hashlib.blake2b(value.tobytes() + gradient.tobytes()).hexdigest())
print(json.dumps(found))
"""


def test_processes_compile_the_same_kernels_at_the_same_time(tmp_path):
    pytest.importorskip("llvmlite")
    environment = {**os.environ, cache.ENVIRONMENT_VARIABLE: str(tmp_path / "cache")}
    command = [sys.executable, "-W", "error", "-c", COLD]
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(4)
    ]
    ended = [process.communicate(timeout=LONGEST) for process in running]
    assert [error for _, error in ended] == [""] * len(running)
    alone = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**environment, cache.ENVIRONMENT_VARIABLE: "off"},
        timeout=LONGEST,
    )
    assert [json.loads(out) for out, _ in ended] == [json.loads(alone.stdout)] * len(running)
    left = sorted(path.suffix for path in (tmp_path / "cache").iterdir())
    assert set(left) == {".code"}
