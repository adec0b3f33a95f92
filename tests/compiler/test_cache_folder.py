"""Where compiled code is kept on disk, and where it is not."""

import os
import sys
from pathlib import Path

import pytest

from tensorweaver.compiler import cache
from tensorweaver.compiler.cache import folder, load, store

KEY, DATA = "key", b"data"


@pytest.mark.parametrize("value", ["off", "OFF", "", " "])
def test_it_can_be_switched_off(value, tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(place))
    store(KEY, DATA)
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, value)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert folder() is None
    store("other", DATA)
    assert (load(KEY), load("other")) == (None, None)
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(place))
    assert load(KEY) == DATA


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home directory, and nothing that says more about the place."""
    for name in (cache.ENVIRONMENT_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ".cache/tensorweaver"),
        ("freebsd14", ".cache/tensorweaver"),
        ("darwin", "Library/Caches/tensorweaver"),
        ("win32", "AppData/Local/tensorweaver"),
    ],
)
def test_the_place_of_each_platform(platform, expected, home, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    assert folder() == home / expected


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/xdg", "/xdg/tensorweaver"),
        ("linux", "XDG_CACHE_HOME", "", "~/.cache/tensorweaver"),
        ("linux", "XDG_CACHE_HOME", "relative/path", "~/.cache/tensorweaver"),
        ("win32", "LOCALAPPDATA", "/local", "/local/tensorweaver"),
        ("linux", cache.ENVIRONMENT_VARIABLE, "~/woven", "~/woven"),
    ],
)
def test_variables_that_name_the_place(platform, variable, value, expected, home, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, value)
    assert folder() == Path(expected.replace("~", str(home)))


def test_the_default_place_works(home):
    store(KEY, DATA)
    assert load(KEY) == DATA
    place = folder()
    assert place is not None
    assert place.is_relative_to(home)
    assert [path.suffix for path in place.iterdir()] == [".code"]


@pytest.mark.skipif(os.name == "nt", reason="Windows asks other variables")
@pytest.mark.parametrize("value", ["~nobody-of-this-name-here/cache", None])
def test_without_a_home_directory_there_is_no_cache(value, home, monkeypatch):
    if value is None:
        monkeypatch.setenv("HOME", "relative")
        monkeypatch.chdir(home)
    else:
        monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, value)
    assert folder() is None
    store(KEY, DATA)
    assert load(KEY) is None
    assert list(home.iterdir()) == []
