"""What an argument of a loss may hold: ordinary numbers to draw, and hostile ones to try.

Ordinary numbers keep away from kinks and edges: differences and other libraries mean something
there. Hostile ones are the edges of the domain, for one element of a pointwise loss.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "BINARY",
    "COUNT",
    "DISTRIBUTION",
    "LABEL",
    "LOGIT",
    "LOG_DISTRIBUTION",
    "LOG_PROBABILITY",
    "LOG_RATE",
    "NONNEGATIVE",
    "POSITIVE",
    "PROBABILITY",
    "REAL",
    "SIGN",
    "UNIT",
    "VECTOR",
    "Draw",
]


class Draw(NamedTuple):
    """How to make an argument.

    `ordinary(random, shape)` draws float64 or integers; `hostile(dtype)` lists single numbers, both
    ends of the domain among them. `level` is `element`, or `row` for one number a row; `real` says
    whether it has a gradient.
    """

    ordinary: Callable[[np.random.Generator, tuple[int, ...]], Any]
    hostile: Callable[[str], list[float]] = lambda _dtype: []
    level: str = "element"
    real: bool = True

    def of_row(self) -> "Draw":
        """The same, one number a row."""
        return self._replace(level="row")


def mirrored(sizes: list[float]) -> list[float]:
    return [*sizes, *(-size for size in sizes)]


def limits(dtype: str) -> tuple[float, float, float]:
    """The smallest subnormal, the smallest normal and the largest number."""
    info = np.finfo(dtype)
    return float(info.smallest_subnormal), float(info.tiny), float(info.max)


def reals(dtype: str) -> list[float]:
    sub, tiny, top = limits(dtype)
    return [*mirrored([0.0, sub, tiny, 1e-3, 0.5, 1.5, 1e4, top / 4]), np.inf, -np.inf, np.nan]


def logits(dtype: str) -> list[float]:
    tiny = limits(dtype)[1]
    sizes = [0.0, tiny, 1e-3, 2.5, 17.0, 40.0, 88.0, 104.0, 745.5, 1e4]
    return [*mirrored(sizes), np.inf, -np.inf, np.nan]


def probabilities(dtype: str) -> list[float]:
    info, (sub, tiny, _) = np.finfo(dtype), limits(dtype)
    return [0.0, sub, tiny, 1e-13, 1e-3, 0.25, 0.5, 0.999, 1.0 - float(info.epsneg), 1.0]


def positives(dtype: str) -> list[float]:
    _, tiny, top = limits(dtype)
    return [tiny, 1e-13, 1e-3, 0.5, 1.0, 1.5, 300.0, 1e10, top / 4]


def counts(dtype: str) -> list[float]:
    return [0.0, 1.0, 2.0, 17.0, 1000.0]


def near(random: np.random.Generator, size: Any) -> Any:
    """Away from 0 by a tenth at least, of either sign."""
    return random.choice([-1.0, 1.0], size) * (0.1 + 2 * random.random(size))


REAL = Draw(lambda random, shape: 2 * random.normal(size=shape), reals)
LOGIT = Draw(lambda random, shape: 3 * random.normal(size=shape), logits)
VECTOR = Draw(near, reals)
LOG_RATE = Draw(
    lambda random, shape: random.normal(size=shape),
    lambda dtype: [*mirrored([0.0, 1e-3, 2.5, 17.0, 80.0]), -1e4, -np.inf, np.nan],
)
PROBABILITY = Draw(lambda random, shape: 0.05 + 0.9 * random.random(shape), probabilities)
UNIT = Draw(lambda random, shape: 0.05 + 0.9 * random.random(shape), probabilities)
LOG_PROBABILITY = Draw(
    lambda random, shape: np.log(0.05 + 0.9 * random.random(shape)),
    lambda dtype: [0.0, -1e-12, -1e-3, -0.5, -20.0, -104.0, -1e4, -np.inf, np.nan],
)
POSITIVE = Draw(lambda random, shape: 0.2 + 3 * random.random(shape), positives)
NONNEGATIVE = Draw(
    lambda random, shape: 0.2 + 3 * random.random(shape), lambda dtype: [0.0, *positives(dtype)]
)
COUNT = Draw(lambda random, shape: random.poisson(3.0, shape).astype(float), counts)
SIGN = Draw(lambda random, shape: random.choice([-1.0, 1.0], shape), lambda dtype: [-1.0, 1.0])
BINARY = Draw(lambda random, shape: random.choice([0.0, 1.0], shape), lambda dtype: [0.0, 1.0])
DISTRIBUTION = Draw(lambda random, shape: random.dirichlet(np.ones(shape[-1]), shape[:-1]))
LOG_DISTRIBUTION = Draw(
    lambda random, shape: np.log(random.dirichlet(3 * np.ones(shape[-1]), shape[:-1]))
)
LABEL = Draw(
    lambda random, shape: random.integers(0, shape[-1], shape[:-1]), level="row", real=False
)
"""A class a row; `shape` is that of the elements, the classes last."""
