"""Ordinary and hostile numbers: huge, tiny, subnormal, infinite, confident, masked."""

import itertools

import numpy as np

__all__ = ["logits", "probabilities", "reals", "rows", "wide_rows", "with_partners"]

SEED = 20240229  # the battery is the same on every run: a failure names its inputs anyway


def generator(name):
    return np.random.default_rng([SEED, *name.encode()])


def mirrored(values):
    return [*values, *(-v for v in values)]


# ------------------------------------------------------------------------------ single numbers
def reals(dtype):
    """Zero, subnormal, tiny, ordinary, huge, infinite and NaN."""
    limits = np.finfo(dtype)
    sub, tiny, top = (float(x) for x in (limits.smallest_subnormal, limits.tiny, limits.max))
    root = 2.0 ** (limits.maxexp // 2)
    near_one = [1.0, 1.0 + float(limits.eps), 1.0 - float(limits.eps)]
    middle = [0.1, 0.5, 1.5, 300.0, 1e4]
    sizes = [0.0, sub, 3 * sub, tiny, 1 / root, 1e-3, *near_one, *middle, root, top / 2, top]
    return [*mirrored(sizes), np.inf, -np.inf, np.nan]


def logits(dtype):
    """Where sigmoid and softplus change their ways, out to 1e4 and beyond."""
    limits = np.finfo(dtype)
    turns = [17.0, 20.0, 40.0, 88.0, 104.0, 710.0, 745.5]
    sizes = [0.0, float(limits.smallest_subnormal), float(limits.tiny), 1e-9, 1e-3, 0.3, 1.0]
    sizes += [2.5, 8.0, *turns, 1e4, float(limits.max)]
    return [*mirrored(sizes), np.inf, -np.inf, np.nan]


def probabilities(dtype):
    """From 0 to 1 with both ends, and what lies next to them."""
    limits = np.finfo(dtype)
    small = [0.0, float(limits.smallest_subnormal), float(limits.tiny), 1e-30, 1e-13, 1e-6, 1e-3]
    middle = [0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.999]
    return [*small, *middle, 1.0 - float(limits.eps), 1.0 - float(limits.epsneg), 1.0]


def with_partners(firsts, seconds, dtype, *, random):
    """Every pair of the two lists, and `random`, a function of a generator, for pairs beside them.

    Two columns, each of `dtype`.
    """
    pairs = np.array(list(itertools.product(firsts, seconds)))
    more = np.stack(random(generator("pairs")), axis=-1)
    columns = np.concatenate([pairs, more]).astype(dtype)
    return columns[:, 0], columns[:, 1]


# ---------------------------------------------------------------------------------------- rows
def rows(dtype, classes):
    """Rows of logits: ordinary, spread, confident, masked, infinite, tied, huge, subnormal."""
    random = generator(f"rows {classes}")
    limits = np.finfo(dtype)
    blocks = [random.normal(size=(3, classes)) * scale for scale in (1e-3, 1.0, 10.0, 100.0, 1e4)]
    special = np.zeros((15, classes))
    special[1, 0] = 27.631  # a loss of 1e-12
    special[2, 0] = 60.0
    special[3] = np.linspace(0.0, -9.0, classes) + 1e4
    special[4, 1:] = -1e4
    special[5, -1] = -np.inf
    special[6, :-1] = -np.inf
    special[7, 0] = np.inf
    special[8, :2] = np.inf
    special[8, -1] = -np.inf if classes > 2 else np.inf
    special[9] = -np.inf
    special[10, 0] = np.nan
    special[11, 0] = limits.max / 2  # their difference, a log-probability, is a number
    special[11, 1] = -limits.max / 2
    special[12] = np.arange(classes) * float(limits.smallest_subnormal)
    special[13, 0] = -104.5
    special[14] = np.linspace(-3.0, 3.0, classes)
    special[14, 1:2] = -np.inf
    return np.concatenate([*blocks, special]).astype(dtype)


def wide_rows(dtype, classes):
    """A few rows of very many classes."""
    random = generator(f"wide {classes}")
    table = random.normal(size=(5, classes)) * np.array([0.01, 1.0, 5.0, 1.0, 1e4])[:, None]
    table[3, : classes // 2] = -np.inf
    table[4] = np.clip(table[4], -1e4, 1e4)
    confident = np.concatenate([[34.5], np.zeros(classes - 1)])  # a loss of about 1e-12
    return np.concatenate([table, confident[None]]).astype(dtype)


def label_of(row, kind):
    """A label for a row: its largest class, its smallest, or one between."""
    ranked = np.argsort(np.where(np.isnan(row), 0.0, row), kind="stable")
    return int(ranked[{"largest": -1, "smallest": 0, "middle": len(row) // 2}[kind]])


def distribution_like(row, name):
    """Random probabilities of a row's classes, nothing on the masked ones; they add up to one."""
    weights = generator(name).uniform(0.05, 1.0, len(row))
    if np.any(row != -np.inf):
        weights = weights * (row != -np.inf)
    return (weights / weights.sum()).astype(row.dtype)
