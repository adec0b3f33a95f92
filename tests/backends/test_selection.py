"""Which library computes when there is no array: block, process, environment, NumPy."""

import asyncio
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tensorweaver.backends import (
    BACKENDS,
    arrange,
    array_namespace,
    default_backend,
    get_backend,
    set_backend,
    use_backend,
)
from tensorweaver.errors import ArgumentError, BackendError, BackendUnavailableError


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    from tensorweaver.backends.selection import process

    pytest.importorskip("array_api_strict")
    pytest.importorskip("dask.array")
    monkeypatch.setattr(process, "environment", None)
    set_backend(None)
    yield
    set_backend(None)


def chosen():
    return default_backend().name


def test_numpy_unless_told_otherwise():
    assert chosen() == "numpy"


def test_process_choice_holds_until_taken_back():
    set_backend("strict")
    assert chosen() == "strict"
    set_backend(None)
    assert chosen() == "numpy"


def test_block_wins_over_process_and_process_over_environment(monkeypatch):
    from tensorweaver.backends.selection import process

    monkeypatch.setattr(process, "environment", "dask")
    assert chosen() == "dask"
    set_backend("strict")
    assert chosen() == "strict"
    with use_backend("numpy"):
        assert chosen() == "numpy"
    assert chosen() == "strict"


def test_blocks_nest_and_end_on_exceptions():
    with use_backend("strict"):
        with pytest.raises(ZeroDivisionError), use_backend("dask"):
            raise ZeroDivisionError(chosen())
        assert chosen() == "strict"
    assert chosen() == "numpy"


def test_one_block_object_serves_again_and_within_itself():
    block = use_backend("strict")
    for _ in range(2):
        with block, use_backend("dask"), block:
            assert chosen() == "strict"
        assert chosen() == "numpy"


def test_block_decides_calls_without_arrays_only():
    with use_backend("strict"):
        assert arrange([[1.0]], ["predictions"])[0].name == "strict"
        assert array_namespace(1.0) is BACKENDS["strict"].namespace()
        assert arrange([np.ones(2), [1.0, 2.0]], ["predictions", "targets"])[0].name == "numpy"
        assert array_namespace(np.ones(2)) is np


def test_decorator_keeps_name_arguments_and_result():
    @use_backend("strict")
    def compute(first, *, second):
        """Says what."""
        return first, second, chosen()

    assert compute(1, second=2) == (1, 2, "strict")
    assert (compute.__name__, compute.__doc__) == ("compute", "Says what.")
    assert chosen() == "numpy"


def test_decorated_recursion():
    @use_backend("strict")
    def descend(depth):
        return [*descend(depth - 1), chosen()] if depth else []

    assert descend(3) == ["strict"] * 3
    assert chosen() == "numpy"


def test_decorated_coroutine_is_in_the_block_to_its_end():
    @use_backend("strict")
    async def compute():
        before = chosen()
        await asyncio.sleep(0)
        return before, chosen()

    async def main():
        return await compute(), chosen()

    assert asyncio.run(main()) == (("strict", "strict"), "numpy")


def test_decorated_generator_is_refused():
    def values():
        yield 1

    with pytest.raises(ArgumentError, match="values is a generator"):
        use_backend("numpy")(values)


def test_tasks_do_not_disturb_each_other():
    async def work(name, rounds):
        seen = []
        with use_backend(name):
            for _ in range(rounds):
                await asyncio.sleep(0)
                seen.append(chosen())
        seen.append(chosen())
        return seen

    async def main():
        return await asyncio.gather(work("strict", 5), work("dask", 7), work("numpy", 3))

    first, second, third = asyncio.run(main())
    assert first == ["strict"] * 5 + ["numpy"]
    assert second == ["dask"] * 7 + ["numpy"]
    assert third == ["numpy"] * 4


def test_threads_do_not_disturb_each_other():
    together = threading.Barrier(3, timeout=10)
    seen = {}

    def work(name):
        with use_backend(name):
            together.wait()
            seen[name] = chosen()
            together.wait()
        seen[name, "after"] = chosen()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("strict", "dask")]
    for thread in threads:
        thread.start()
    together.wait()
    main = chosen()
    together.wait()
    for thread in threads:
        thread.join()
    assert main == "numpy"
    assert seen == {
        "strict": "strict",
        "dask": "dask",
        ("strict", "after"): "numpy",
        ("dask", "after"): "numpy",
    }


def test_process_choice_reaches_threads():
    seen = []
    set_backend("strict")
    thread = threading.Thread(target=lambda: seen.append(chosen()))
    thread.start()
    thread.join()
    assert seen == ["strict"]


def test_wrong_names_are_errors_at_once_and_change_nothing():
    with pytest.raises(BackendError, match='did you mean "numpy"'):
        set_backend("numpi")
    with pytest.raises(BackendError, match='did you mean "cupy"'):
        use_backend("cupi")
    assert chosen() == "numpy"


def test_missing_library_is_an_error_when_the_block_is_entered(monkeypatch):
    monkeypatch.setattr(type(BACKENDS["dask"]), "unavailable", lambda _: "it went away")
    with pytest.raises(BackendUnavailableError, match="it went away"):
        set_backend("dask")
    block = use_backend("dask")
    with pytest.raises(BackendUnavailableError, match="it went away"), block:
        pytest.fail("the block was entered")
    assert chosen() == "numpy"


# ---------------------------------------------------------------------------------- environment
def run_with_environment(value, code):
    environment = {**os.environ, "TENSORWEAVER_BACKEND": value}
    command = [sys.executable, "-c", "import tensorweaver.backends as b\n" + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("value", "expected"), [("strict", "strict"), ("", "numpy")])
def test_environment_chooses(value, expected):
    run = run_with_environment(value, "print(b.default_backend().name)")
    assert (run.returncode, run.stdout.strip()) == (0, expected), run.stderr


def test_bad_environment_is_an_error_at_first_use_that_names_the_variable():
    code = (
        "import numpy as np\n"
        "from tensorweaver.errors import BackendError\n"
        "print(b.backend_of(np.ones(2)).name, b.arrange([np.ones(2)], ['x'])[0].name)\n"
        "with b.use_backend('numpy'): print(b.default_backend().name)\n"
        "try: b.arrange([[1.0]], ['x'])\n"
        "except BackendError as error: print(error)\n"
    )
    run = run_with_environment("nunpy", code)
    assert run.returncode == 0, run.stderr
    first, second, message = run.stdout.strip().splitlines()
    assert (first, second) == ("numpy numpy", "numpy")
    assert message.startswith("environment variable TENSORWEAVER_BACKEND=nunpy: unknown backend")
    assert 'did you mean "numpy"' in message


def test_unusable_environment_keeps_its_class(monkeypatch):
    from tensorweaver.backends.selection import process

    monkeypatch.setattr(process, "environment", "dask")
    monkeypatch.setattr(type(BACKENDS["dask"]), "unavailable", lambda _: "it went away")
    with pytest.raises(BackendUnavailableError, match=r"TENSORWEAVER_BACKEND=dask: .*went away"):
        default_backend()
    assert get_backend("numpy") is BACKENDS["numpy"]
