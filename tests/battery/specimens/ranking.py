"""Losses of the order of scores."""

from mpmath import mpf

import tensorweaver as tw
from tests.battery.draws import REAL, SIGN
from tests.battery.peers import torch_loss
from tests.battery.specimen import register
from tests.battery.specimens.binary import positive_part

register(
    tw.margin_ranking_loss, REAL, REAL, SIGN,
    reference=lambda a, b, y, margin=0: positive_part(mpf(margin) - y * (a - b)),
    options=({}, {"margin": 0.5}),
    laws={"nonnegative", "convex"},
    second=False,
    peers=(torch_loss("margin_ranking_loss"),),
)  # fmt: skip
