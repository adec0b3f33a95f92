"""Compiled code on disk: the same bytes or none, whatever happens to the files."""

import contextlib
import inspect
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tensorweaver.compiler import cache
from tensorweaver.compiler.cache import load, store

POSIX = hasattr(os, "geteuid")
only_posix = pytest.mark.skipif(not POSIX, reason="owners and modes are POSIX's")

KEY = "llvm 15, haswell: kernel(x) = x²"
DATA = bytes(range(256)) * 5
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The folder that the tests of this module store in; it does not exist yet."""
    place = tmp_path / "some" / "cache"
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(place))
    return place


def only_file(place):
    (path,) = place.iterdir()
    return path


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def run_alone(text):
    """What a program prints that has the cache's functions."""
    code = f"from tensorweaver.compiler.cache import load, store\n{text}"
    command = [sys.executable, "-W", "error", "-c", code]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


# -------------------------------------------------------------------------------- storing
def test_what_is_stored_is_loaded(place):
    assert load(KEY) is None
    assert not place.exists()
    store(KEY, DATA)
    assert load(KEY) == DATA
    assert load(KEY + " ") is None


@pytest.mark.parametrize("key", ["", "a/../b", "x" * 10**5, "\0", "line\nline", "\ud800", "λ"])
@pytest.mark.parametrize("data", [b"", b"\r\n\x1a\0", DATA])
def test_any_text_is_a_key(key, data):
    store(key, data)
    assert load(key) == data


def test_the_last_one_stored_counts(place):
    store(KEY, b"before")
    store("other", b"other")
    store(KEY, DATA)
    assert (load(KEY), load("other")) == (DATA, b"other")
    assert len(list(place.iterdir())) == 2


def test_other_processes_find_it():
    store(KEY, DATA)
    assert run_alone(f"print(load({KEY!r}) == {DATA!r})") == "True\n"


# -------------------------------------------------------------------------------- damage
def flip(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "magic line alone": lambda content: content[: len(cache.MAGIC)],
    "header alone": lambda content: content[: cache.HEADER_SIZE],
    "cut short": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "foreign": lambda content: b"\x7fELF" + content[4:],
    "another format": lambda content: content.replace(b"code 1", b"code 2"),
    "another key": lambda content: flip(content, len(cache.MAGIC)),
    "another checksum": lambda content: flip(content, cache.HEADER_SIZE - 1),
    "first byte": lambda content: flip(content, cache.HEADER_SIZE),
    "last byte": lambda content: flip(content, len(content) - 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_loaded_and_removed(damage, place):
    store(KEY, DATA)
    path = only_file(place)
    before = path.read_bytes()
    path.write_bytes(DAMAGES[damage](before))
    assert path.read_bytes() != before
    assert load(KEY) is None
    assert not path.exists()
    store(KEY, DATA)
    assert load(KEY) == DATA


def test_swapped_files_are_not_loaded(place):
    store(KEY, DATA)
    first = only_file(place)
    store("other", b"other")
    (second,) = {*place.iterdir()} - {first}
    first.rename(place / "aside")
    second.rename(first)
    (place / "aside").rename(second)
    assert (load(KEY), load("other")) == (None, None)
    assert list(place.iterdir()) == []


def test_a_huge_file_is_not_even_read(place, monkeypatch):
    store(KEY, DATA)
    monkeypatch.setattr(cache, "LIMIT", cache.HEADER_SIZE + len(DATA) - 1)
    assert load(KEY) is None
    assert list(place.iterdir()) == []


def link(path):
    target = path.with_name("target")
    path.rename(target)
    path.symlink_to(target)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def listen(path):
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@only_posix
@pytest.mark.parametrize("replace", [link, pipe, listen])
def test_what_is_no_plain_file_is_removed_unread(replace, place):
    store(KEY, DATA)
    path = only_file(place)
    replace(path)
    assert load(KEY) is None
    assert not path.is_symlink()
    assert not path.exists()


def test_a_folder_in_the_way_is_left_there(place):
    store(KEY, DATA)
    path = only_file(place)
    path.unlink()
    path.mkdir()
    assert load(KEY) is None
    store(KEY, DATA)
    assert load(KEY) is None
    assert only_file(place) == path


# -------------------------------------------------------------------------------- trust
def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@only_posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_all_is_private_whatever_the_umask(umask, place):
    before = os.umask(umask)
    try:
        store(KEY, DATA)
        assert load(KEY) == DATA
    finally:
        os.umask(before)
    modes = [mode_of(path) for path in (place.parent, place, only_file(place))]
    assert modes == [0o700, 0o700, 0o600]


@only_posix
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(mode, place):
    store(KEY, DATA)
    path = only_file(place)
    place.chmod(mode)
    assert load(KEY) is None
    store("other", DATA)
    assert only_file(place) == path
    place.chmod(0o755)
    assert load(KEY) == DATA


@only_posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_to_is_not_used(mode, place):
    store(KEY, DATA)
    path = only_file(place)
    path.chmod(mode)
    assert load(KEY) is None
    assert not path.exists()


@only_posix
def test_what_belongs_to_another_user_is_not_used(place, monkeypatch):
    store(KEY, DATA)
    path = only_file(place)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert load(KEY) is None
    store("other", DATA)
    assert only_file(place) == path
    monkeypatch.undo()


@only_posix
def test_another_users_file_in_the_own_folder_is_removed(place, monkeypatch):
    store(KEY, DATA)
    path = only_file(place)
    of_file = os.fstat

    def of_another(descriptor):
        fields = list(of_file(descriptor))
        fields[stat.ST_UID] += 1
        return os.stat_result(fields)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", of_another)
        assert load(KEY) is None
    assert not path.exists()


# -------------------------------------------------------------------------------- the disk
@pytest.mark.parametrize(
    "below", ["file", "file/cache", "x" * 5000, "dangling", "dangling/cache", "loop"]
)
def test_a_place_that_cannot_be_is_no_error(below, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "dangling").symlink_to(tmp_path / "file" / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(tmp_path / below))
    store(KEY, DATA)
    assert load(KEY) is None
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_text() == "in the way"


@only_posix
def test_a_full_disk_leaves_nothing_behind(place):
    store(KEY, DATA)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))"
    output = run_alone(
        f"{limited}\nstore('big', bytes(6000))\nstore({KEY!r}, bytes(6000))\n"
        f"print(load('big'), load({KEY!r}) == {DATA!r})"
    )
    assert output == "None True\n"
    assert load(KEY) == DATA
    assert only_file(place).suffix == ".code"


@pytest.mark.skipif(not POSIX or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_read(place):
    store(KEY, DATA)
    age(only_file(place), 2 * DAY)
    place.chmod(0o500)
    try:
        store("other", DATA)
        assert (load(KEY), load("other")) == (DATA, None)
    finally:
        place.chmod(0o700)


@pytest.mark.parametrize("refused", ["replace", "unlink", "mkdir", "chmod", "stat", "scandir"])
def test_a_refusal_anywhere_is_no_error(refused, place, monkeypatch):
    store("before", DATA)
    path = only_file(place)
    path.write_bytes(b"damaged")

    def refuse(*arguments, **options):
        raise PermissionError(13, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(os if refused == "scandir" else Path, refused, refuse)
        assert load("before") is None
        store(KEY, DATA)
        assert load(KEY) in {None, DATA}
    store(KEY, DATA)
    assert load(KEY) == DATA


def test_a_missing_root_is_no_endless_search(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", lambda path: False)
        store(KEY, DATA)
    assert load(KEY) == DATA


def test_an_interruption_leaves_no_temporary_file(place, monkeypatch):
    def interrupt(path, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store(KEY, DATA)
    assert list(place.iterdir()) == []


# -------------------------------------------------------------------------------- its size
def names(place):
    return {path.name for path in place.iterdir()}


def path_of(place, key):
    return place / f"{cache.hash_of(key.encode()).hex()}.code"


def found_of(count):
    """Which of so many keys are still there."""
    return [load(str(number)) is not None for number in range(count)]


def test_the_files_used_longest_ago_go(place, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 3 * (cache.HEADER_SIZE + 1000))
    for number, days in enumerate([0.2, 0.4, 0.3]):
        store(str(number), bytes(1000))
        age(path_of(place, str(number)), days * DAY)
    assert found_of(4) == [True, True, True, False]
    store("3", bytes(1000))
    assert found_of(4) == [True, False, True, True]
    store("4", bytes(1900))
    assert found_of(5) == [False, False, False, True, True]


def test_what_would_fill_the_whole_folder_is_not_stored(place, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", cache.HEADER_SIZE + 1000)
    store(KEY, bytes(1001))
    assert not place.exists()
    store(KEY, bytes(1000))
    assert load(KEY) == bytes(1000)


def test_loading_touches_a_file_once_a_day(place):
    store(KEY, DATA)
    path = only_file(place)
    age(path, DAY / 2)
    before = path.stat().st_mtime
    assert load(KEY) == DATA
    assert path.stat().st_mtime == before
    age(path, 2 * DAY)
    assert load(KEY) == DATA
    assert path.stat().st_mtime > before


def test_old_temporary_files_are_swept_and_nothing_else(place, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 2 * cache.HEADER_SIZE)
    place.mkdir(parents=True, mode=0o700)
    stem = "0123456789abcdef" * 4
    old, young = f"{stem}.0123456789abcdef.tmp", f"{stem}.fedcba9876543210.tmp"
    others = {"notes.tmp", "notes.code", f"{stem}.txt", f"{stem}.0.tmp", f"{stem[1:]}.code"}
    for name in {old, young, *others}:
        (place / name).write_bytes(bytes(500))
        age(place / name, 3700)
    age(place / young, 3500)
    store(KEY, b"")
    assert load(KEY) == b""
    assert names(place) >= {young, *others}
    assert len(names(place)) == 2 + len(others)


def test_the_names_that_are_swept_are_those_that_are_written(place, monkeypatch):
    written = []
    replace = Path.replace

    def note(path, target):
        written.append((path.name, target.name))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", note)
    store(KEY, DATA)
    ((temporary, kept),) = written
    assert cache.TEMPORARY.fullmatch(temporary)
    assert cache.KEPT.fullmatch(kept)
    assert only_file(place).name == kept


# -------------------------------------------------------------------------------- many at once
def use(rounds, seed):
    """Load and store in turn; how often something was found, which is always what was stored."""
    import numpy as np

    from tensorweaver.compiler.cache import load, store

    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(rounds):
        key = f"key {rng.integers(4)}"
        expected = key.encode() * 3000
        data = load(key)
        assert data in {None, expected}
        found += data is not None
        if data is None or rng.random() < 0.2:
            store(key, expected)
    return found


def harm(place, rng):
    """Do something bad to a file, in place, while others may be reading or replacing it."""
    paths = sorted(place.glob("*"))
    if not paths:
        return
    path, other = (paths[rng.integers(len(paths))] for _ in range(2))
    deeds = [
        path.unlink,
        lambda: os.truncate(path, int(rng.integers(2000))),
        lambda: path.write_bytes(other.read_bytes()),
        lambda: path.write_bytes(DAMAGES["last byte"](path.read_bytes())),
        lambda: other.replace(path),
    ]
    with contextlib.suppress(FileNotFoundError, PermissionError, IndexError):
        deeds[rng.integers(len(deeds))]()


def test_processes_and_threads_while_files_are_harmed(place, rng):
    script = f"{inspect.getsource(use)}\nprint(use(1500, 1))"
    command = [sys.executable, "-W", "error", "-c", script]
    results = []
    threads = [
        threading.Thread(target=lambda seed=seed: results.append(use(500, seed))) for seed in (2, 3)
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        for thread in threads:
            thread.start()
        while other.poll() is None or any(thread.is_alive() for thread in threads):
            harm(place, rng)
            time.sleep(0.001)
        output, _ = other.communicate()
    assert other.returncode == 0
    assert int(output) > 100
    assert len(results) == 2
    assert min(results) > 30
    assert all(map(cache.KEPT.fullmatch, names(place)))
