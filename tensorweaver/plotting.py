"""Pictures of losses: a curve with its gradient, a surface over two parameters.

Import it by name, `from tensorweaver.plotting import plot_loss_surface`; Matplotlib is imported
when something is drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorweaver.backends import backend_of, get_backend
from tensorweaver.backends.importing import load
from tensorweaver.errors import ArgumentError, ShapeError, TensorWeaverError
from tensorweaver.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.loss import Loss

__all__ = ["PlottingUnavailableError", "plot_loss", "plot_loss_surface"]

Interval = tuple[float, float]
Host = np.ndarray[Any, Any]

LEVELS = 40
DECADES = 5.0
"""How far below the highest loss the levels go; what is lower has the colour of the lowest."""

COLOURS = "magma"
PATH_COLOUR = "#ffffff"
SHADOW = "#1b1035"
GOAL_COLOUR = "#7ef2c4"


class PlottingUnavailableError(TensorWeaverError, ImportError):
    """Matplotlib is not installed."""


def plot_loss(
    loss: Loss,
    *,
    targets: float = 0.0,
    span: Interval = (-3.0, 3.0),
    points: int = 601,
    gradient: bool = True,
    ax: Any = None,
    **options: Any,
) -> Any:
    """Draw a pointwise loss over its predictions, with its gradient dashed.

    Parameters
    ----------
    loss
        A loss made by `pointwise`; one that couples a row of classes has no curve.
    targets
        The number that is to be predicted.
    span
        The lowest and the highest prediction drawn.
    points
        How many predictions are drawn. An odd number puts one in the middle of `span`.
    gradient
        Whether the gradient is drawn as well.
    ax
        The Matplotlib axes to draw on; new ones by default.
    **options
        The loss's own options, such as `delta=2.0`.

    Returns
    -------
    matplotlib.axes.Axes
        With a line for the loss, one for the gradient, and a legend. What is not finite is a gap.

    Raises
    ------
    ArgumentError
        For a loss over classes, an empty span, or fewer than two points.
    PlottingUnavailableError
        Without Matplotlib; it is an `ImportError` too.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> from matplotlib.figure import Figure
    >>> from tensorweaver.plotting import plot_loss
    >>> ax = plot_loss(tw.huber_loss, delta=0.5, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['huber_loss(delta=0.5)', 'gradient']
    """
    if loss.formula.rowwise:
        message = f"plot_loss: {loss.formula.name} couples a row of classes; it has no curve"
        raise ArgumentError(message)
    predictions = grid("span", span, points)
    truth = np.full_like(predictions, targets)
    ax = new_axes() if ax is None else ax
    told = ", ".join(f"{name}={value}" for name, value in options.items())
    name = f"{loss.formula.name}({told})" if told else loss.formula.name
    values = loss(predictions, truth, reduction="none", **options)
    (curve,) = ax.plot(predictions, finite(values), label=name, linewidth=2.2)
    if gradient:
        slopes = loss.grad(predictions, truth, reduction="sum", **options)
        colour = curve.get_color()
        ax.plot(predictions, finite(slopes), "--", color=colour, label="gradient", linewidth=1.3)
    ax.axhline(0.0, color="0.75", linewidth=0.8, zorder=0)
    ax.set_xlabel(f"{loss.formula.arguments[0]}, where the target is {targets:g}")
    ax.set_ylabel("loss")
    ax.legend(frameon=False)
    return ax


def plot_loss_surface(
    function: Callable[[Host, Host], Any],
    w_range: Interval,
    b_range: Interval,
    path: Any = None,
    ax: Any = None,
    *,
    goal: Interval | None = None,
    labels: tuple[str, str] = ("w", "b"),
    points: int = 241,
) -> Any:
    """Draw a loss as a landscape over two parameters, with the way that a descent took.

    The levels of a loss that is nowhere negative are spaced logarithmically, so that the floor of
    the valley shows beside its walls; those of another are spaced evenly.

    Parameters
    ----------
    function
        `function(w, b)` gives the loss of every pair out of two arrays, in their common shape.
    w_range, b_range
        The lowest and the highest value of each parameter.
    path
        The `(w, b)` of each step, shape `(steps, 2)`; its start and its end are marked.
    ax
        The Matplotlib axes to draw on; new ones by default.
    goal
        The `(w, b)` to mark as the goal.
    labels
        What the parameters are called.
    points
        How many values of each parameter are drawn.

    Returns
    -------
    matplotlib.axes.Axes
        With filled contours and a colour bar beside it.

    Raises
    ------
    ArgumentError
        For an empty range, fewer than two points, or a loss that is the same everywhere.
    ShapeError
        If `function` does not keep the shape of its arguments, or `path` is not `(steps, 2)`.
    PlottingUnavailableError
        Without Matplotlib; it is an `ImportError` too.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> from matplotlib.figure import Figure
    >>> from tensorweaver.plotting import plot_loss_surface
    >>> def bowl(w, b):
    ...     return tw.mse_loss(w, 1.0, reduction="none") + tw.mse_loss(b, 2.0, reduction="none")
    >>> ax = Figure().subplots()
    >>> ax = plot_loss_surface(bowl, (-1, 3), (0, 4), path=[(0, 0), (1, 2)], ax=ax, points=11)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('w', 'b')
    """
    w, b = np.meshgrid(grid("w_range", w_range, points), grid("b_range", b_range, points))
    values = heights_over(function, w, b)
    steps = None if path is None else checked_path(path)
    levels, scale = levels_of(values)
    ax = new_axes() if ax is None else ax
    heights = finite(np.maximum(values, levels[0]))
    filled = ax.contourf(w, b, heights, levels=levels, norm=scale, cmap=COLOURS)
    ax.contour(
        w, b, heights, levels=levels[::4], norm=scale, colors="white", linewidths=0.6, alpha=0.5
    )
    draw_scale(filled, levels, ax, logarithmic=scale is not None)
    if steps is not None:
        draw_path(steps, ax)
    if goal is not None:
        draw_goal(goal, ax)
    if steps is not None or goal is not None:
        ax.legend(facecolor=SHADOW, framealpha=0.85, edgecolor="none", labelcolor="white")
    ax.set(xlim=w_range, ylim=b_range, xlabel=labels[0], ylabel=labels[1])
    return ax


# -- what is drawn ---------------------------------------------------------------------------
def draw_scale(filled: Any, levels: Host, ax: Any, *, logarithmic: bool) -> None:
    """The colour bar; a logarithmic one is marked at whole powers of ten."""
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02)
    if logarithmic:
        lowest, highest = np.log10(levels[[0, -1]])
        exponents = range(math.ceil(lowest), math.floor(highest) + 1)
        bar.set_ticks([10.0**n for n in exponents], labels=[f"$10^{{{n}}}$" for n in exponents])
        bar.ax.minorticks_off()
    bar.set_label("loss")
    bar.outline.set_visible(False)


def draw_path(steps: Host, ax: Any) -> None:
    """The way as a light line with a dark edge; its first point a ring, its last a dot."""
    w, b = steps[:, 0], steps[:, 1]
    ax.plot(w, b, color=SHADOW, linewidth=3.4, zorder=3)
    ax.plot(
        w, b, color=PATH_COLOUR, linewidth=1.5, marker="o", markersize=2.6, zorder=4, label="path"
    )
    ends = {"zorder": 6, "linestyle": "none", "markeredgecolor": SHADOW}
    ax.plot(w[:1], b[:1], marker="o", markersize=10, color="#ffb454", label="start", **ends)
    ax.plot(w[-1:], b[-1:], marker="o", markersize=6, color=PATH_COLOUR, label="end", **ends)


def draw_goal(goal: Interval, ax: Any) -> None:
    ax.plot(
        [goal[0]], [goal[1]], marker="*", markersize=19, color=GOAL_COLOUR, markeredgecolor=SHADOW,
        linestyle="none", zorder=5, label="goal",
    )  # fmt: skip


# -- what it is made of ----------------------------------------------------------------------
def levels_of(values: Host) -> tuple[Host, Any]:
    """The heights of the contours, and the logarithmic colour scale where they call for one."""
    colors = matplotlib_module("matplotlib.colors")
    known = values[np.isfinite(values)]
    lowest, highest = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if not lowest < highest:
        message = (
            "plot_loss_surface: the loss is the same, or not finite, everywhere in these ranges"
        )
        raise ArgumentError(message)
    if lowest < 0:
        return np.linspace(lowest, highest, LEVELS), None
    floor = max(float(known[known > 0].min()), highest * 10.0**-DECADES)
    if not floor < highest:  # zero but for one height
        return np.linspace(lowest, highest, LEVELS), None
    levels = np.geomspace(floor, highest, LEVELS)
    levels[-1] = highest
    return levels, colors.LogNorm(floor, highest)


def heights_over(function: Callable[[Host, Host], Any], w: Host, b: Host) -> Host:
    """The loss of every pair."""
    values = on_host(function(w, b))
    if values.shape != w.shape:
        message = (
            f"plot_loss_surface: function must keep the shape {w.shape}, it gave {values.shape}"
        )
        raise ShapeError(message)
    return values


def grid(name: str, span: Interval, points: int) -> Host:
    """Evenly spaced numbers over a span that has some."""
    low, high = span
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        message = f"{name} must be two finite numbers, the lower first, got {span!r}"
        raise ArgumentError(message)
    if points < 2:  # noqa: PLR2004 - a line has two ends
        message = f"points must be at least 2, got {points!r}"
        raise ArgumentError(message)
    return np.linspace(low, high, points)


def checked_path(path: Any) -> Host:
    steps = on_host(path).astype(float)
    if steps.ndim != 2 or steps.shape[1] != 2 or not len(steps):  # noqa: PLR2004 - pairs, in a list
        message = f"path must have shape (steps, 2), one (w, b) a step, got {steps.shape}"
        raise ShapeError(message)
    return steps


def on_host(values: Any) -> Host:
    """Arrays of any library, Tensors and lists, as NumPy has them."""
    if isinstance(values, Tensor):
        return values.numpy()
    return (backend_of(values) or get_backend("numpy")).to_numpy(values)


def finite(values: Host) -> Host:
    """What is infinite becomes NaN, of which Matplotlib makes a gap."""
    return np.where(np.isfinite(values), values, np.nan)


def new_axes() -> Any:
    return matplotlib_module("matplotlib.pyplot").subplots(layout="constrained")[1]


def matplotlib_module(name: str) -> Any:
    """A module of Matplotlib, or an error that says how to get it."""
    try:
        return load(name)
    except ImportError as error:
        message = f'plotting needs Matplotlib: pip install "tensorweaver[plot]" ({error})'
        raise PlottingUnavailableError(message) from error
