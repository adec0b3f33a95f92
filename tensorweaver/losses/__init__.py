"""The losses: formulas by family, one loss and its close relatives a file.

All of them stand at the top of the package too, as `tensorweaver.huber_loss`.

>>> import tensorweaver as tw
>>> "kl_div_loss" in tw.losses.names("Divergences")
True
"""

from tensorweaver.losses import (
    binary,
    boxes,
    contrastive,
    counts,
    divergence,
    embedding,
    generative,
    multiclass,
    preference,
    ranking,
    regression,
    segmentation,
    sequence,
    survival,
)
from tensorweaver.losses.catalogue import get_loss, names

__all__ = [
    "binary",
    "boxes",
    "contrastive",
    "counts",
    "divergence",
    "embedding",
    "generative",
    "get_loss",
    "multiclass",
    "names",
    "preference",
    "ranking",
    "regression",
    "segmentation",
    "sequence",
    "survival",
]
