"""Optional libraries: whether they are there, and loading one on first use."""

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

__all__ = ["installed", "load"]


@cache
def load(path: str) -> ModuleType:
    """The module at `path`, imported on first use.

    Typed loosely, so that checking this package needs no other library installed.
    """
    return import_module(path)


def installed(package: str) -> bool:
    """Whether `package` could be imported, without importing it.

    Not remembered: a notebook may install a library at any time.
    """
    return sys.modules.get(package) is not None or find_spec(package) is not None
