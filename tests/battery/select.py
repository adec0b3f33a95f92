"""Which cases a test is about."""

__all__ = ["of"]


def of(predicate):
    """Run the test for the cases that satisfy `predicate`."""

    def decorate(test):
        test.chosen = predicate
        return test

    return decorate
