"""Losses of boxes."""

import math

import mpmath
import numpy as np

import tensorweaver as tw
from tests.battery.draws import Draw
from tests.battery.specimen import Peer, register


def boxes(random, shape):
    """Boxes of about one size about one place, their edges in order."""
    rows = shape[:-1]
    middle = random.normal(size=(*rows, 2))
    half = 0.7 + random.random((*rows, 2))
    return np.concatenate([middle - half, middle + half], axis=-1)


BOX = Draw(boxes)
HOSTILE = (
    ([[0.0, 0.0, 1e-4, 1e-4]], [[0.0, 0.0, 1e-4, 1e-4]]),
    ([[0.0, 0.0, 1e-20, 1e-20]], [[1e-21, 0.0, 2e-20, 1e-20]]),
    ([[0.0, 0.0, 1e18, 1e18]], [[1e17, 0.0, 2e18, 1e18]]),
    ([[0.0, 0.0, 1.0, 1.0]], [[1e-6, 0.0, 1.0, 1.000001]]),
    ([[0.0, 0.0, 1.0, 1.0]], [[3.0, 4.0, 4.0, 5.0]]),
    ([[0.0, 0.0, 4.0, 4.0]], [[1.0, 1.5, 2.0, 3.0]]),
)


def pairs(predictions, targets):
    return zip(predictions, targets, strict=True)


def areas(p, t):
    """Intersection, union, the box around both, the squared distance over its diagonal."""
    width = max(min(p[2], t[2]) - max(p[0], t[0]), 0)
    height = max(min(p[3], t[3]) - max(p[1], t[1]), 0)
    both = width * height
    union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (p, t)) - both
    around = [max(p[2], t[2]) - min(p[0], t[0]), max(p[3], t[3]) - min(p[1], t[1])]
    centres = [((p[i] + p[i + 2]) - (t[i] + t[i + 2])) / 2 for i in (0, 1)]
    far = sum(c * c for c in centres) / sum(a * a for a in around)
    return both, union, around[0] * around[1], far


def iou(p, t):
    both, union, _, _ = areas(p, t)
    return 1 - both / union


def giou(p, t):
    _, union, around, _ = areas(p, t)
    return iou(p, t) + (around - union) / around


def diou(p, t):
    return iou(p, t) + areas(p, t)[3]


def ciou(p, t):
    angles = [mpmath.atan((b[2] - b[0]) / (b[3] - b[1])) for b in (p, t)]
    v = 4 / mpmath.pi**2 * (angles[0] - angles[1]) ** 2
    return diou(p, t) + (v * v / (iou(p, t) + v) if v else 0)


def published(kind):
    """torchvision's formulas with `eps=0`, in NumPy."""

    def call(p, t):
        low, high = np.maximum(p[:, :2], t[:, :2]), np.minimum(p[:, 2:], t[:, 2:])
        both = np.prod(np.clip(high - low, 0, None), axis=1)
        union = sum(np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (p, t)) - both
        around = np.maximum(p[:, 2:], t[:, 2:]) - np.minimum(p[:, :2], t[:, :2])
        value = 1 - both / union
        if kind == "generalized":
            whole = np.prod(around, axis=1)
            return value + (whole - union) / whole
        if kind != "plain":
            centre = (p[:, :2] + p[:, 2:] - t[:, :2] - t[:, 2:]) / 2
            value = value + np.sum(centre**2, 1) / np.sum(around**2, 1)
        if kind == "complete":
            angles = [np.arctan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (p, t)]
            v = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
            value = value + v * v / (1 - both / union + v)
        return value

    return (Peer("numpy", call),)


def register_box(loss, reference, kind, **about):
    register(
        loss,
        BOX,
        BOX,
        reference=lambda *arrays, **_options: [reference(p, t) for p, t in pairs(*arrays)],
        whole=True,
        shape=(5, 4),
        tiny=(2, 4),
        hostile=HOSTILE,
        laws={"nonnegative", "zero_at_target", "symmetric"},
        peers=published(kind),
        **about,
    )


register_box(tw.box_iou_loss, iou, "plain", bounds=(0, 1))
register_box(tw.generalized_box_iou_loss, giou, "generalized", bounds=(0, 2))
register_box(tw.distance_box_iou_loss, diou, "distance", bounds=(0, 2))
register_box(tw.complete_box_iou_loss, ciou, "complete", bounds=(0, 3))
