"""What `tensorweaver` shows is what it lists, and each name says what it is."""

import __future__

import inspect
import re
from importlib import metadata
from types import ModuleType

import pytest

import tensorweaver


def is_internal(name, value):
    """Whether a module holds a name without offering it: a submodule, `annotations`, `_private`."""
    if isinstance(value, ModuleType):
        return value.__name__ == f"tensorweaver.{name}"
    return name.startswith("_") or isinstance(value, __future__._Feature)


def unlisted(module):
    """Public names of a module that its `__all__` does not list."""
    held = {name for name, value in vars(module).items() if not is_internal(name, value)}
    return held - set(module.__all__)


def has_own_documentation(value):
    """Whether an object has a docstring, and not only that of its class."""
    text = getattr(value, "__doc__", None)
    described = isinstance(value, type | ModuleType) or inspect.isroutine(value)
    return bool(text and text.strip()) and (described or text != type(value).__doc__)


def test_every_public_name_is_listed():
    assert unlisted(tensorweaver) == set()


def test_every_listed_name_exists_once():
    missing = [name for name in tensorweaver.__all__ if not hasattr(tensorweaver, name)]
    assert missing == []
    assert len(set(tensorweaver.__all__)) == len(tensorweaver.__all__)


@pytest.mark.parametrize("name", [name for name in tensorweaver.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name):
    assert has_own_documentation(getattr(tensorweaver, name))


def test_the_version_is_the_installed_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:\.?(?:a|b|rc|dev|post)\d+)?", tensorweaver.__version__)
    assert metadata.version("tensorweaver") == tensorweaver.__version__


def test_what_is_unlisted_or_undocumented_is_noticed():
    module = ModuleType("planted")
    vars(module).update(__all__=["listed"], listed=1, stray=inspect, _own=3)
    assert unlisted(module) == {"stray"}
    assert not has_own_documentation(object())
    assert not has_own_documentation(lambda: None)
    assert has_own_documentation(has_own_documentation)
