"""Losses of masks that are ordinary array code: the Jaccard index extended, Dice of all classes."""

import numpy as np
from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import BINARY, LOGIT, UNIT, Draw
from tests.battery.peers import published
from tests.battery.specimen import register
from tests.battery.specimens.binary import positive_part


def jaccard(truth, wrong):
    """One less the Jaccard index where the pixels of `wrong` are got wrong; all right, it is 0."""
    true = {i for i, t in enumerate(truth) if t}
    missed, extra = true & wrong, wrong - true
    union = len(true) + len(extra)
    return mpf(len(missed) + len(extra)) / union if union else mpf(0)


def lovasz(errors, costs, truth):
    """The extension by its definition: as each pixel is got wrong, the worst first."""
    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    found = mpf(0)
    wrong: set[int] = set()
    for i in order:
        more = jaccard(truth, wrong | {i}) - jaccard(truth, wrong)
        found, wrong = found + costs[i] * more, wrong | {i}
    return found


def lovasz_hinge(logits, targets):
    found = []
    for row, truth in zip(logits, targets, strict=True):
        errors = [1 - x * (2 * t - 1) for x, t in zip(row, truth, strict=True)]
        found.append(lovasz(errors, [positive_part(e) for e in errors], truth))
    return found


def lovasz_softmax(images, labels, *, classes="present"):
    found = []
    for pixels, truth in zip(images, labels, strict=True):
        chosen = [c for c in range(len(pixels[0])) if classes == "all" or c in truth]
        total = mpf(0)
        for c in chosen:
            hot = [mpf(t == c) for t in truth]
            errors = [abs(h - p[c]) for h, p in zip(hot, pixels, strict=True)]
            total += lovasz(errors, errors, hot)
        found.append(total / max(len(chosen), 1))
    return found


def authors_gradient(truth):
    """The authors' `lovasz_grad`, in NumPy."""
    common = truth.sum() - np.cumsum(truth)
    union = truth.sum() + np.cumsum(1 - truth)
    lost = 1 - common / union
    return np.concatenate([lost[:1], lost[1:] - lost[:-1]])


def authors_hinge(logits, targets):
    found = []
    for row, truth in zip(logits, targets, strict=True):
        errors = 1 - row * (2 * truth - 1)
        order = np.argsort(-errors)
        found.append(np.maximum(errors[order], 0) @ authors_gradient(truth[order]))
    return np.asarray(found)


def authors_softmax(images, labels, *, classes="present"):
    found = []
    for pixels, truth in zip(images, labels, strict=True):
        costs = []
        for c in range(pixels.shape[1]):
            hot = (truth == c).astype(float)
            if classes == "all" or hot.any():
                errors = np.abs(hot - pixels[:, c])
                order = np.argsort(-errors)
                costs.append(errors[order] @ authors_gradient(hot[order]))
        found.append(np.mean(costs))
    return np.asarray(found)


register(
    tw.lovasz_hinge_loss, LOGIT, BINARY,
    reference=lovasz_hinge,
    whole=True,
    tiny=(2, 4),
    hostile=(
        ([[0.5, -3.0, 2.0, 0.25]], [[0.0, 0.0, 0.0, 0.0]]),
        ([[0.5, -3.0, 2.0, 0.25]], [[1.0, 1.0, 1.0, 1.0]]),
        ([[1e4, -1e4, 300.0, -1e4]], [[1.0, 1.0, 0.0, 0.0]]),
        ([[3.0, -2.0, 5.0, -4.0]], [[1.0, 0.0, 1.0, 0.0]]),
    ),
    laws={"nonnegative", "convex"},
    second=False,
    peers=(published(authors_hinge),),
)  # fmt: skip

PIXEL_LABEL = Draw(
    lambda random, shape: random.integers(0, shape[-1], shape[:-1]), level="row", real=False
)
register(
    tw.lovasz_softmax_loss, UNIT, PIXEL_LABEL,
    reference=lovasz_softmax,
    options=({}, {"classes": "all"}),
    whole=True,
    shape=(5, 6, 3),
    tiny=(1, 4, 3),
    hostile=(
        ([[[0.25, 0.5, 0.25], [0.125, 0.75, 0.125]]], [[1, 1]]),
        ([[[1e-12, 1.0, 1e-10], [1.0, 1e-11, 0.0]]], [[1, 0]]),
    ),
    laws={"nonnegative", "convex"},
    bounds=(0, 1),
    second=False,
    peers=(published(authors_softmax),),
)  # fmt: skip


# -------------------------------------------------------------------------------------- Dice
def generalized_dice(images, targets, *, weighting="square", smooth=0):
    found = []
    for image, truth in zip(images, targets, strict=True):
        classes = range(len(image[0]))
        true = [sum(t[c] for t in truth) for c in classes]
        predicted = [sum(p[c] for p in image) for c in classes]
        common = [sum(p[c] * t[c] for p, t in zip(image, truth, strict=True)) for c in classes]
        power = {"square": 2, "simple": 1, "uniform": 0}[weighting]
        most = max((1 / t**power for t in true if t), default=mpf(1))
        weights = [1 / t**power if t else most for t in true]
        both = [weights[c] * common[c] for c in classes]
        everything = sum(weights[c] * (predicted[c] + true[c]) for c in classes) + smooth
        found.append(1 - (2 * sum(both) + smooth) / everything if everything else mpf(0))
    return found


def monai(images, targets, *, weighting="square", smooth=0.0):
    """MONAI's `GeneralizedDiceLoss.forward` with `include_background=True`, in NumPy."""
    true, predicted, common = targets.sum(1), images.sum(1), (images * targets).sum(1)
    power = {"square": 2, "simple": 1, "uniform": 0}[weighting]
    with np.errstate(divide="ignore"):
        weights = 1.0 / true**power
    for row in weights:
        row[np.isinf(row)] = np.max(row[np.isfinite(row)])
    both, everything = (weights * common).sum(1), (weights * (true + predicted)).sum(1)
    return 1 - (2 * both + smooth) / (everything + smooth)


MASK = Draw(lambda random, shape: (random.random(shape) < 0.5).astype(float))
HOSTILE = (
    ([[[1.0, 1e-10], [1e-12, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]]]),
    ([[[0.25, 0.5], [0.75, 0.5]]], [[[1.0, 0.0], [1.0, 0.0]]]),
    ([[[0.25, 0.5], [0.75, 0.5]]], [[[0.0, 0.0], [0.0, 0.0]]]),
    ([[[1.0, 0.0], [0.0, 1.0]]], [[[0.0, 1.0], [1.0, 0.0]]]),
)
register(
    tw.generalized_dice_loss, UNIT, MASK,
    reference=generalized_dice,
    options=(
        {},
        {"weighting": "simple", "smooth": 0.5},
        {"weighting": "square", "smooth": 0.25},
        {"weighting": "uniform", "smooth": 1.0},
    ),
    whole=True,
    shape=(5, 6, 3),
    tiny=(1, 3, 2),
    hostile=HOSTILE,
    laws={"nonnegative"},
    bounds=(0, 1),
    peers=(published(monai),),
)  # fmt: skip
