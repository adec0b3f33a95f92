"""The losses: formulas by family, one loss and its close relatives a file.

All of them stand at the top of the package too, as `tensorweaver.huber_loss`.

>>> import tensorweaver as tw
>>> tw.losses.names("Divergences")
['kl_div_loss']
"""

from tensorweaver.losses import binary, counts, divergence, multiclass, regression
from tensorweaver.losses.catalogue import get_loss, names

__all__ = ["binary", "counts", "divergence", "get_loss", "multiclass", "names", "regression"]
