"""Targets that are minus or plus one."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["signs"]


def signs(xp: Any, targets: Any) -> Any:
    """Targets of -1 and +1, everything else NaN: a 0 that means the negative class would otherwise
    be a target without cost or slope.
    """
    return xp.where(xp.abs(targets) == 1, targets, math.nan)
