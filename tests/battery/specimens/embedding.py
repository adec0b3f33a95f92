"""Losses of vectors, and of distances and scores."""

import mpmath
import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import BINARY, POSITIVE, REAL, SIGN, VECTOR
from tests.battery.peers import torch_loss
from tests.battery.specimen import Peer, register
from tests.battery.specimens.binary import optax_loss, positive_part


# ------------------------------------------------------------------------------------- cosines
def length(row):
    return mpmath.sqrt(sum(x * x for x in row))


def cosine(a, b):
    """Taken as 0 where a vector has no direction."""
    lengths = length(a) * length(b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else mpf(0)


def cosine_distance(a, b):
    return 1 - cosine(a, b)


def cosine_embedding(a, b, y, margin=0):
    return cosine_distance(a, b) if y > 0 else positive_part(cosine(a, b) - mpf(margin))


def no_direction_no_slope(a, b, *_others, **_options):
    """Of a vector without direction, and with one."""
    return None if any(a) and any(b) else [mpf(0)] * len(a)


# A component of the gradient is a difference of directions' components, a few roundings each, and
# may itself be small: 32 ulp of it are few of the gradient's.
OF_DIRECTIONS = 32


ALMOST = [1.0, 2.0, -0.5, 0.25]
PAIRS = (
    ([1.0, 1e-4, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
    (ALMOST, [2 * x * (1 + 1e-7 * k) for k, x in enumerate(ALMOST)]),
    (ALMOST, [-x * (1 + 1e-5 * k) for k, x in enumerate(ALMOST)]),
    ([1e20, 2e20, -1e20, 3e20], [1e-20, 2e-20, 1e-20, 0.0]),
    ([1e-37, 2e-37, -1e-38, 3e-37], [1e37, 2e37, 1e37, 0.0]),
    ([1e10, 1.0, 1e-8, 0.0], [1e-8, 1.0, 0.0, 1e10]),
    ([0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]),
    ([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]),
)

register(
    tw.cosine_similarity_loss, VECTOR, VECTOR,
    reference=cosine_distance,
    exact_slopes=no_direction_no_slope,
    limit=OF_DIRECTIONS,
    hostile=PAIRS,
    laws={"nonnegative", "symmetric"},
    bounds=(0, 2),
    peers=(Peer("optax", optax_loss("cosine_distance")),),
)  # fmt: skip
register(
    tw.cosine_embedding_loss, VECTOR, VECTOR, SIGN.of_row(),
    reference=cosine_embedding,
    exact_slopes=no_direction_no_slope,
    limit=OF_DIRECTIONS,
    options=({}, {"margin": -0.25}),
    hostile=tuple((a, b, y) for a, b in PAIRS[:6] for y in (1.0, -1.0)),
    laws={"nonnegative"},
    bounds=(0, 2),
    peers=(torch_loss("cosine_embedding_loss"),),
)  # fmt: skip


# ----------------------------------------------------------------------------------- distances
def norm(row, p=2):
    sizes = [abs(x) for x in row]
    if p == mpmath.inf:
        return max(sizes)
    return sum(x ** mpf(p) for x in sizes) ** (1 / mpf(p))


def difference(a, b, eps=0):
    return [x - y + mpf(eps) for x, y in zip(a, b, strict=True)]


def contrastive(a, b, y, margin=1):
    apart = norm(difference(a, b))
    return y * apart**2 + (1 - y) * positive_part(mpf(margin) - apart) ** 2


def triplet_margin(anchor, positive, negative, **options):
    p, eps = options.get("p", 2), mpf(options.get("eps", 1e-6))
    far = norm(difference(anchor, negative, eps), p)
    if options.get("swap"):
        far = min(far, norm(difference(positive, negative, eps), p))
    near = norm(difference(anchor, positive, eps), p)
    return positive_part(near - far + mpf(options.get("margin", 1)))


def addons_contrastive(a, b, y, margin=1.0):
    apart = np.linalg.norm(a - b, axis=-1)
    return y * apart**2 + (1 - y) * np.maximum(margin - apart, 0) ** 2


register(
    tw.contrastive_loss, VECTOR, VECTOR, BINARY.of_row(),
    reference=contrastive,
    options=({}, {"margin": 6.0}),
    hostile=(
        ([1e-30, 2e-30, 0.0, 0.0], [0.0, 0.0, 1e-30, 0.0], 0.0),
        ([3e18, 0.0, 1e18, 0.0], [0.0, 1e18, 0.0, 0.0], 1.0),
        ([3e30, 0.0, 1e30, 0.0], [0.0, 1e30, 0.0, 0.0], 0.0),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.5], 0.0),
    ),
    laws={"nonnegative"},
    peers=(Peer("numpy", addons_contrastive),),
)  # fmt: skip
register(
    tw.triplet_margin_loss, VECTOR, VECTOR, VECTOR,
    reference=triplet_margin,
    options=({}, {"margin": 3.0, "p": 3.0, "eps": 0.0}, {"margin": 4.0, "p": 1.5, "swap": True}),
    limit=32,  # of the two distances' slopes by the anchor little may be left: 17 was seen
    hostile=(
        ([3e18, 1e18, 2e18, -1e18], [-3e18, 3e18, 1e18, 1e18], [2e18, 2e18, 1e18, 1e18]),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.5, 4.0]),
    ),
    laws={"nonnegative"},
    peers=(torch_loss("triplet_margin_loss"),),
)  # fmt: skip


# ------------------------------------------------------------------------- distances and scores
def hinge_embedding(x, y, margin=1):
    return x if y > 0 else positive_part(mpf(margin) - x)


register(
    tw.hinge_embedding_loss, POSITIVE, SIGN,
    reference=hinge_embedding,
    options=({}, {"margin": 2.5}),
    laws={"nonnegative", "convex"},
    second=False,
    peers=(torch_loss("hinge_embedding_loss"),),
)  # fmt: skip
register(
    tw.margin_mse_loss, REAL, REAL, REAL,
    reference=lambda a, b, margin: (a - b - margin) ** 2,
    laws={"nonnegative", "convex"},
    peers=(Peer("numpy", lambda a, b, margin: (a - b - margin) ** 2),),
)  # fmt: skip
