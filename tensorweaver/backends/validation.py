"""Whether to look at numbers, and to wait for a GPU to do so."""

from contextvars import ContextVar

__all__ = ["use_validation", "validating"]

chosen: ContextVar[bool] = ContextVar("tensorweaver_validation", default=False)


class use_validation:  # noqa: N801 - reads as a statement: tw.use_validation(True)
    """Check labels, probabilities, counts and signs on a GPU too, and wait for it: a bad one raises
    instead of giving NaN or what the formula makes of it. On the CPU they are checked anyway; those
    of lazy and traced arrays never are.

    `use_validation(True)` switches it on for the current thread or task; as a context manager it
    restores the former choice at the end.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> with tw.use_validation(True):
    ...     tw.cross_entropy_loss([[0.0, 0.0]], [1]).round(4)
    np.float64(0.6931)
    """

    def __init__(self, enabled: bool = True) -> None:  # noqa: FBT001, FBT002 - the one argument
        self.token = chosen.set(bool(enabled))

    def __enter__(self) -> None:
        """The choice was made on construction."""

    def __exit__(self, *_: object) -> None:
        """Back to the former choice."""
        chosen.reset(self.token)


def validating() -> bool:
    """Is a check worth waiting for?"""
    return chosen.get()
