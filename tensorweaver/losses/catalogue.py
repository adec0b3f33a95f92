"""The losses by name: their own, and those that other libraries know them by."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache

from tensorweaver.errors import ArgumentError
from tensorweaver.loss import Loss
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
from tensorweaver.losses.nicknames import NICKNAMES

CLOSE = 0.75
"""How much two names must have in common for one to be meant by the other."""

__all__ = ["FAMILIES", "aliases", "get_loss", "names", "peers"]

FAMILIES = {
    "Regression": regression,
    "Counts and distributions": counts,
    "Binary": binary,
    "Multi-class": multiclass,
    "Divergences": divergence,
    "Boxes": boxes,
    "Contrast": contrastive,
    "Segmentation": segmentation,
    "Embeddings": embedding,
    "Ranking": ranking,
    "Preference and policy": preference,
    "Generative": generative,
    "Sequences": sequence,
    "Survival": survival,
}
"""The modules of losses by the heading they stand under in the documentation."""


def names(family: str | None = None) -> list[str]:
    """The names of all losses, or of a family's, in alphabetical order.

    >>> import tensorweaver as tw
    >>> "kl_div_loss" in tw.losses.names("Divergences")
    True
    """
    if family is not None and family not in FAMILIES:
        known = ", ".join(FAMILIES)
        message = f"names: family must be one of {known}, got {family!r}"
        raise ArgumentError(message)
    chosen = FAMILIES.values() if family is None else [FAMILIES[family]]
    return sorted(
        name
        for module in chosen
        for name in module.__all__
        if isinstance(getattr(module, name), Loss)
    )


@cache
def peers() -> dict[str, dict[str, str]]:
    """What other libraries call each loss: loss -> library -> name."""
    return {
        name: dict(known) for module in FAMILIES.values() for name, known in module.PEERS.items()
    }


def get_loss(name: str) -> Loss:
    """A loss by its name, with or without `_loss`, or by what another library calls it.

    Capitals, underscores, hyphens and a leading `reg:` or the like do not matter. Where the other
    library's loss has a factor, such as one half, the docstring says so.

    >>> import tensorweaver as tw
    >>> tw.get_loss("huber") is tw.huber_loss
    True
    >>> tw.get_loss("mean_absolute_error") is tw.l1_loss
    True
    """
    if isinstance(name, Loss):
        return name
    if not isinstance(name, str):
        message = f"get_loss: a name is a string, got {name!r}"
        raise ArgumentError(message)
    found = aliases().get(plain(name)) or aliases().get(plain(name).removesuffix("loss"))
    if found is None:
        close = get_close_matches(plain(name), aliases(), n=1, cutoff=CLOSE)
        hint = f"; did you mean {aliases()[close[0]]!r}?" if close else ";"
        message = f"get_loss: no loss is called {name!r}{hint} tw.losses.names() lists them"
        raise ArgumentError(message)
    return loss_called(found)


def loss_called(name: str) -> Loss:
    """A loss by its own name."""
    module = next(module for module in FAMILIES.values() if name in module.__all__)
    loss: Loss = getattr(module, name)
    return loss


@cache
def aliases() -> dict[str, str]:
    """Every plain name that means a loss, and the loss's own name; own names win over others'."""
    found: dict[str, str] = {}
    for name in names():
        for form in (name, name.removesuffix("_loss")):
            found.setdefault(plain(form), name)
    elsewhere = [(name, other) for name, known in peers().items() for other in known.values()]
    elsewhere += [(name, other) for name, others in NICKNAMES.items() for other in others]
    for name, other in elsewhere:
        for form in (other, other.rpartition(":")[2]):
            found.setdefault(plain(form), name)
            found.setdefault(plain(form).removesuffix("loss"), name)
    return found


def plain(name: str) -> str:
    """A name without what people write differently."""
    return re.sub(r"[\s_\-.]", "", name).lower()
