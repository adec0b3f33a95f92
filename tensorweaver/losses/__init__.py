"""The losses: formulas by family, one loss and its close relatives a file.

All of them stand at the top of the package too, as `tensorweaver.huber_loss`.

>>> import tensorweaver as tw
>>> tw.losses.names("Divergences")
['kl_div_loss']
"""

from tensorweaver.losses import (
    binary,
    divergence,
    generative,
    multiclass,
    preference,
    ranking,
    regression,
)
from tensorweaver.losses.catalogue import get_loss, names

__all__ = [
    "binary",
    "divergence",
    "generative",
    "get_loss",
    "multiclass",
    "names",
    "preference",
    "ranking",
    "regression",
]
