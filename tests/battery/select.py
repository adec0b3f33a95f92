"""Which cases a test is about."""

import os
import zlib

__all__ = ["THOROUGH", "chosen", "dtypes_of", "in_turn", "of", "once_a_loss"]

THOROUGH = bool(os.environ.get("TENSORWEAVER_TEST_THOROUGH"))
"""Whether everything is asked of every case, which takes some times as long."""


def of(predicate):
    """Run the test for the cases that satisfy `predicate`."""

    def decorate(test):
        test.predicate = predicate
        return test

    return decorate


def once_a_loss(test):
    """Run the test with a loss's first options alone, for others change nothing in it."""
    test.once = True
    return test


def in_turn(*dtypes):
    """Run the test in every dtype with a loss's first options, with others in one of them."""

    def decorate(test):
        test.dtypes = dtypes
        return test

    return decorate


def dtypes_of(test, case):
    """The dtypes that a test is run in."""
    if THOROUGH or not case.is_further:
        return test.dtypes
    return [test.dtypes[zlib.crc32(case.id.encode()) % len(test.dtypes)]]


def chosen(test, cases):
    """The cases that a test is about."""
    predicate = getattr(test, "predicate", lambda _case: True)
    once = getattr(test, "once", False) and not THOROUGH
    return [case for case in cases if predicate(case) and not (once and case.is_further)]
