"""Losses of one class out of several."""

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import LABEL, LOGIT
from tests.battery.specimen import register


def cross_entropy(logits, label, label_smoothing=0):
    hot = truth.one_hot(label, len(logits))
    return truth.cross_entropy(logits, truth.smoothed(hot, label_smoothing, logits))[0]


register(
    tw.cross_entropy_loss, LOGIT, LABEL,
    reference=cross_entropy,
    options=({}, {"label_smoothing": 0.1}),
    hostile=(([60.0, 0.0, 0.0, 0.0], 0), ([0.0, 0.0, 90.0, 0.0], 1)),
    laws={"nonnegative", "convex", "shift_invariant"},
)  # fmt: skip
