"""What options of several losses have in common."""

from __future__ import annotations

import math

from tensorweaver.errors import ArgumentError

__all__ = ["require_inside", "require_nonnegative", "require_positive"]


def require_positive(loss: str, name: str, value: float) -> None:
    """Refuse what is not positive and finite."""
    if not 0 < value < math.inf:
        message = f"{loss}: {name} must be positive and finite, got {value!r}"
        raise ArgumentError(message)


def require_nonnegative(loss: str, name: str, value: float) -> None:
    """Refuse what is negative or not finite."""
    if not 0 <= value < math.inf:
        message = f"{loss}: {name} must be finite and not negative, got {value!r}"
        raise ArgumentError(message)


def require_inside(loss: str, name: str, value: float) -> None:
    """Refuse what is not between 0 and 1; neither end will do."""
    if not 0 < value < 1:
        message = f"{loss}: {name} must be between 0 and 1, got {value!r}"
        raise ArgumentError(message)
