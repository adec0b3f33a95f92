"""A store of compiled code on disk: bytes by key, kept between processes.

It lies in the folder that the environment variable `TENSORWEAVER_CACHE` names (`off`, or nothing,
for none at all), else in `tensorweaver` below the platform's folder for caches. The variable is
read at every use. Whatever goes wrong with the disk is nobody's error: what cannot be loaded is
compiled again.

What is loaded from here is run, so it must be this user's own. On POSIX systems the folder is made
with mode 0700 and its files with 0600. A folder or a file that belongs to another user, or that
the group or others may write to, is not used: whoever can write there could otherwise run code in
this user's name. The checksum in each file finds damage, not malice, for anybody can compute it.

A file is written under a temporary name and then renamed, so nobody ever sees half of one. It is
not forced to the disk: after a power cut the checksum finds what is missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["ENVIRONMENT_VARIABLE", "folder", "load", "store"]

ENVIRONMENT_VARIABLE = "TENSORWEAVER_CACHE"

#: Each file begins with it; the number is that of the format.
MAGIC = b"tensorweaver code 1\n"
#: The bytes of a hash. After the magic line come the hashes of the key and of the data.
HASH_SIZE = 32
HEADER_SIZE = len(MAGIC) + 2 * HASH_SIZE

#: The names of this module's files; whatever else lies in the folder is left alone.
KEPT = re.compile(rf"[0-9a-f]{{{2 * HASH_SIZE}}}\.code")
TEMPORARY = re.compile(rf"[0-9a-f]{{{2 * HASH_SIZE}}}\.[0-9a-f]{{16}}\.tmp")

LIMIT = 64 * 2**20
"""The bytes that all files may take; beyond, those that were not used for longest go."""
TEMPORARY_SECONDS = 3600
"""After so long a temporary file is one that a crash left behind."""
TOUCH_SECONDS = 24 * 3600
"""How long a file counts as just used."""

#: Neither follow a link nor wait at a pipe; and what opening answers where there is no plain file.
PLAINLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
NO_PLAIN_FILE = {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR}

#: What a disk can answer, and what comes of a path that the system cannot spell.
TROUBLE = (OSError, ValueError)


def folder() -> Path | None:
    """Where the files lie, made or not; None where there is no cache."""
    text = os.environ.get(ENVIRONMENT_VARIABLE)
    if text is not None and text.strip().lower() in {"", "off"}:
        return None
    try:
        place = platform_folder() if text is None else Path(text).expanduser()
    except RuntimeError:  # no home directory
        return None
    # A home directory that is no absolute path would put caches into whatever folder comes along.
    return place if text is not None or place.is_absolute() else None


def platform_folder() -> Path:
    """The folder in the place that the platform has for caches."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        # The standard says to ignore a relative path.
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "tensorweaver"


def load(key: str) -> bytes | None:
    """What was stored under `key`; None where it is not there, or is damaged or not to be trusted.

    A file that is of no use is removed.
    """
    place = folder()
    if place is None:
        return None
    name = hash_of(key.encode("utf-8", "surrogatepass"))
    path = place / f"{name.hex()}.code"
    try:
        if not is_private(place.stat()):
            return None
        data = read(path, name)
    except TROUBLE:
        return None
    with contextlib.suppress(*TROUBLE):
        if data is None:
            path.unlink()
        elif time.time() - path.stat().st_mtime > TOUCH_SECONDS:
            os.utime(path)
    return data


def store(key: str, data: bytes) -> None:
    """Keep `data` under `key`, if that is possible."""
    place = folder()
    if place is None or HEADER_SIZE + len(data) > LIMIT:
        return
    name = hash_of(key.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(*TROUBLE):
        make_folder(place)
        if is_private(place.stat()):
            write(place / f"{name.hex()}.code", MAGIC + name + hash_of(data), data)
            tidy(place)


def hash_of(data: bytes) -> bytes:
    """The hash that stands for a key, and that finds damage in data."""
    from hashlib import blake2b

    return blake2b(data, digest_size=HASH_SIZE).digest()


def is_private(status: os.stat_result) -> bool:
    """Whether nobody but this user can write to a file or a folder."""
    if not hasattr(os, "geteuid"):
        return True
    writable_by_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == os.geteuid() and not writable_by_others


def read(path: Path, name: bytes) -> bytes | None:
    """The data of a file that holds those of the key of this hash; None where it does not."""
    try:
        with open(path, "rb", opener=open_plainly) as file:
            # Of the open file, which nobody can exchange any more.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not is_private(status) or status.st_size > LIMIT:
                return None
            content = file.read()
    except OSError as error:
        if error.errno in NO_PLAIN_FILE:
            return None
        raise
    header, data = content[:HEADER_SIZE], content[HEADER_SIZE:]
    return data if header == MAGIC + name + hash_of(data) else None


def open_plainly(path: str, flags: int) -> int:
    """Open for reading."""
    return os.open(path, flags | PLAINLY)


def open_privately(path: str, flags: int) -> int:
    """Open for writing, a new file that is nobody else's to read."""
    return os.open(path, flags, 0o600)


def write(path: Path, header: bytes, data: bytes) -> None:
    """Make a file, for this user alone whatever the umask, and in one step as others see it."""
    temporary = path.with_name(f"{path.stem}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb", opener=open_privately) as file:
            temporary.chmod(0o600)
            file.write(header)
            file.write(data)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(*TROUBLE):
            temporary.unlink()
        raise


def make_folder(place: Path) -> None:
    """Make a folder, and those missing above it, for this user alone, whatever the umask."""
    if place.is_dir() or place == place.parent:
        return
    make_folder(place.parent)
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
        place.chmod(0o700)


def tidy(place: Path) -> None:
    """Remove what crashes left behind, and what was not used for longest beyond the limit."""
    kept, left_behind = files_in(place)
    excess = sum(file.size for file in kept) - LIMIT
    for file in sorted(kept):
        if excess <= 0:
            break
        left_behind.append(file)
        excess -= file.size
    for file in left_behind:
        with contextlib.suppress(*TROUBLE):
            Path(file.path).unlink()


class StoredFile(NamedTuple):
    """A file of this module as the folder lists it; the one used longest ago comes first."""

    used: float
    size: int
    path: str


def files_in(place: Path) -> tuple[list[StoredFile], list[StoredFile]]:
    """What the folder holds of this module: stored files, and abandoned temporary ones."""
    kept, abandoned = [], []
    with os.scandir(place) as entries:  # thousands of files, on every call
        for entry in entries:
            is_kept = KEPT.fullmatch(entry.name)
            if not is_kept and not TEMPORARY.fullmatch(entry.name):
                continue
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                status = entry.stat(follow_symlinks=False)
                file = StoredFile(status.st_mtime, status.st_size, entry.path)
                if is_kept:
                    kept.append(file)
                elif time.time() - file.used > TEMPORARY_SECONDS:
                    abandoned.append(file)
    return kept, abandoned
