"""What the battery has to know of a loss; to register it is to test it."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import tensorweaver as tw
from tensorweaver.loss.domains import DOMAINS
from tests.battery.draws import Draw

__all__ = ["SPECIMENS", "Case", "Peer", "Specimen", "cases", "register"]

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
LAWS = {
    "nonnegative",  # never below 0
    "zero_at_target",  # 0 with a gradient of 0 where the prediction is the target
    "symmetric",  # the same with prediction and target exchanged
    "convex",  # in its first argument
    "shift_invariant",  # adding a number to all logits of a row changes nothing
}


class Peer(NamedTuple):
    """The same loss elsewhere.

    Parameters
    ----------
    library
        What has to be importable: `"torch"`, `"optax"`, `"keras"`, `"sklearn"`, ...
    call
        `call(*arrays, **options)` on NumPy arrays of float64 (labels int64), the class axis last:
        the losses, not reduced, as anything that NumPy makes an array of.
    rtol
        How close it is to be, where the peer is not exact.
    only
        Which options it has: a predicate of the options.
    """

    library: str
    call: Callable[..., Any]
    rtol: float = 1e-10
    only: Callable[[Mapping[str, Any]], bool] = lambda _options: True


@dataclass(frozen=True, eq=False)
class Specimen:
    """A loss and how to test it.

    Attributes
    ----------
    loss
        The loss.
    draws
        How each positional argument is drawn.
    reference
        What one element or one row costs, as a textbook formula on mpmath numbers that knows
        nothing of rounding: `reference(*arguments, **options)`, each argument a number for a
        pointwise loss or a number a row, a list of numbers for a row. Slopes are found from it by
        differences of many digits, at a kink as the slope of smallest size; where an infinite
        argument makes the plain formula meaningless it states the limit.
    options
        The sets of options that are tested, arrays left out.
    arrays
        How each keyword argument that is an array is drawn, for one more case that gives them all.
        The reference takes it by name.
    laws
        Which of `LAWS` hold.
    bounds
        The least and the largest value of one loss.
    shape
        The ordinary arrays' shape, the row's axis last.
    hostile
        Arguments of the reference beside the hostile draws, a tuple each; for losses of rows all
        that is tried beside ordinary rows.
    avoid
        `avoid(*arguments)`: whether the hostile arguments are outside what the loss promises.
    exact_slopes
        `exact_slopes(*arguments, **options)`: the gradient by the first argument, where differences
        cannot find it (at infinities and ties of a maximum): a number, or a list for a row; a tuple
        of them for several arguments. Where it gives None, differences do.
    terms
        For pointwise losses, where value or slope is 0 between large terms: `terms(*arguments,
        **options)`, the size of the terms, of the value and of each slope; ulp are counted at it.
        None, or 0, where the result itself is judged.
    limit
        How many ulp beyond what its inputs allow a result may be off; None for the usual. Or
        `limit(options)`, one of these for each set of options.
    second
        Whether its second derivative is not 0 everywhere: a truth value, or a predicate of the
        options.
    peers
        The same loss elsewhere.
    rows_are_independent
        Whether each row's loss depends on that row alone.
    whole
        For composed losses: the reference is given whole arrays as nested lists, and returns the
        losses as a list. `tiny` is the shape of the arrays that it is tried on.
    stopped
        The arguments whose gradient is not the slope of the value: `stop_gradient` is in its way.
    variant
        What tells apart several specimens of one loss: `"probabilities"` beside labels.
    row_axes
        The axis of each positional argument that counts the losses, where it is not the first;
        None for an argument that all losses share.
    """

    loss: tw.Loss
    draws: tuple[Draw, ...]
    reference: Callable[..., Any]
    options: tuple[Mapping[str, Any], ...] = (NO_OPTIONS,)
    arrays: Mapping[str, Draw] = field(default_factory=dict)
    laws: frozenset[str] = frozenset()
    bounds: tuple[float, float] = (-np.inf, np.inf)
    shape: tuple[int, ...] = (5, 4)
    hostile: tuple[tuple[Any, ...], ...] = ()
    avoid: Callable[..., bool] = lambda *_arguments: False
    exact_slopes: Callable[..., Any] | None = None
    terms: Callable[..., tuple[Any, ...] | None] | None = None
    limit: float | Callable[[Mapping[str, Any]], float | None] | None = None
    second: bool | Callable[[Mapping[str, Any]], bool] = True
    peers: tuple[Peer, ...] = ()
    rows_are_independent: bool = True
    whole: bool = False
    tiny: tuple[int, ...] = (3, 2)
    stopped: tuple[str, ...] = ()
    variant: str = ""

    row_axes: tuple[int | None, ...] = ()

    @property
    def title(self) -> str:
        """The loss's name and the variant's."""
        return self.name + (f"/{self.variant}" if self.variant else "")

    def rows(self, arrays: list[Any], chosen: Any) -> list[Any]:
        """The arguments of the losses that `chosen` counts up, which may repeat."""
        axes = self.row_axes or [None if d.level == "class" else 0 for d in self.draws]
        chosen = np.asarray(chosen, np.intp)
        return [
            a if axis is None else np.take(a, chosen, axis=axis)
            for a, axis in zip(arrays, axes, strict=False)
        ]

    def refuses(self, arguments: Sequence[Any]) -> bool:
        """Whether a number among the arguments, behind which arrays come, is outside its domain."""
        domains = self.loss.formula.domains
        names = (*self.loss.formula.arguments, *self.arrays)
        return any(
            np.any(DOMAINS[domains[name]].outside(np, np.asarray(argument, float)))
            for name, argument in zip(names, arguments, strict=False)
            if name in domains
        )

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.loss.formula.name


class Case(NamedTuple):
    """A specimen with one set of options."""

    specimen: Specimen
    options: Mapping[str, Any]
    with_arrays: bool = False

    @property
    def loss(self) -> tw.Loss:
        """The loss."""
        return self.specimen.loss

    @property
    def is_further(self) -> bool:
        """Whether other options of the same loss come before these."""
        return self.options is not self.specimen.options[0]

    @property
    def second(self) -> bool:
        """Whether its second derivative is not 0 everywhere."""
        second = self.specimen.second
        return second(self.options) if callable(second) else second

    @property
    def id(self) -> str:
        """`huber_loss[delta=0.5]`."""
        told = [f"{name}={value}" for name, value in self.options.items()]
        told += list(self.specimen.arrays) if self.with_arrays else []
        return self.specimen.title + (f"[{','.join(told)}]" if told else "")

    def limit(self, usual: float) -> float:
        """How many ulp a result may be off."""
        about = self.specimen.limit
        return (about(self.options) if callable(about) else about) or usual

    def draw(
        self, random: np.random.Generator, shape: Any = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Ordinary arguments and options, in float64 and int64."""
        shape = self.specimen.shape if shape is None else shape
        arrays = [drawn(draw, random, shape) for draw in self.specimen.draws]
        options = dict(self.options)
        if self.with_arrays:
            more = {name: drawn(d, random, shape) for name, d in self.specimen.arrays.items()}
            options.update(more)
        return arrays, options


def drawn(draw: Draw, random: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """An array; labels are given the elements' shape, other numbers a row the rows'."""
    if draw.level == "class":
        return np.asarray(draw.ordinary(random, shape[-1:]))
    if draw.level == "row" and draw.real:
        return np.asarray(draw.ordinary(random, shape[:-1]))
    return np.asarray(draw.ordinary(random, shape))


SPECIMENS: dict[str, Specimen] = {}


def register(loss: tw.Loss, *draws: Draw, **about: Any) -> Specimen:
    """Test a loss; `about` are the attributes of a `Specimen`."""
    laws = frozenset(about.pop("laws", ()))
    assert laws <= LAWS, f"unknown laws: {laws - LAWS}"
    specimen = Specimen(loss, draws, laws=laws, **about)
    assert specimen.title not in SPECIMENS, f"{specimen.title} is registered twice"
    SPECIMENS[specimen.title] = specimen
    return specimen


def cases() -> list[Case]:
    """Every case of every specimen."""
    load()
    found = []
    for name in sorted(SPECIMENS):
        specimen = SPECIMENS[name]
        found += [Case(specimen, options) for options in specimen.options]
        if specimen.arrays:
            found.append(Case(specimen, specimen.options[0], with_arrays=True))
    return found


def load() -> None:
    """Import every family's file."""
    from tests.battery import specimens

    for module in pkgutil.iter_modules(specimens.__path__):
        importlib.import_module(f"tests.battery.specimens.{module.name}")
