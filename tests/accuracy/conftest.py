"""The worst error of every loss, printed at the end with `-s`."""

import pytest


@pytest.fixture(scope="session")
def worst_errors():
    """(loss, dtype, what) -> ulp beyond the allowance; printed where pytest shows output."""
    errors: dict[tuple[str, str, str], float] = {}
    yield errors
    for (name, dtype, what), error in sorted(errors.items()):
        print(f"{name:32} {dtype} {what:9} {error:6.2f} ulp")  # noqa: T201
