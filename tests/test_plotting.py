"""Pictures of losses: what is drawn, read back from the axes."""

import sys

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.plotting import PlottingUnavailableError, plot_loss, plot_loss_surface
from tests.helpers.compare import assert_close

pytest.importorskip("matplotlib", reason="without Matplotlib there is nothing to draw on")


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure(layout="constrained").subplots()


def curves(ax):
    """Label -> (x, y) of the lines that stand in the legend."""
    shown = {text.get_text() for text in ax.get_legend().get_texts()}
    lines = {line.get_label(): line.get_data() for line in ax.get_lines()}
    return {label: lines[label] for label in shown}


def bowl(w, b):
    """Lowest, 0, at (1, 2)."""
    return (w - 1.0) ** 2 + 0.1 * (b - 2.0) ** 2


# -------------------------------------------------------------------------------- curves
def test_curve_and_gradient_are_those_of_the_loss(ax):
    assert plot_loss(tw.huber_loss, targets=1.0, span=(-2, 4), points=61, delta=0.5, ax=ax) is ax
    drawn = curves(ax)
    assert set(drawn) == {"huber_loss(delta=0.5)", "gradient"}
    x, y = drawn["huber_loss(delta=0.5)"]
    assert_close(x, np.linspace(-2, 4, 61))
    distance = np.abs(x - 1.0)
    truth = np.where(distance <= 0.5, 0.5 * distance**2, 0.5 * (distance - 0.25))
    assert_close(y, truth, atol=1e-15)
    assert_close(drawn["gradient"][1], np.clip(x - 1.0, -0.5, 0.5), atol=1e-15)
    assert ax.get_xlabel() == "predictions, where the target is 1"


def test_gradient_can_be_left_out(ax):
    plot_loss(tw.l1_loss, gradient=False, ax=ax)
    assert set(curves(ax)) == {"l1_loss"}


def test_infinite_losses_are_gaps(ax):
    plot_loss(tw.binary_cross_entropy_loss, targets=1.0, span=(0.0, 1.0), points=3, ax=ax)
    _, y = curves(ax)["binary_cross_entropy_loss"]
    assert np.isnan(y[0])
    assert_close(y[1:], [np.log(2), 0.0])


def test_a_loss_of_ones_own_is_drawn(ax):
    @tw.pointwise
    def quartic_loss(guesses, truth):
        return (guesses - truth) ** 4

    plot_loss(quartic_loss, span=(-1, 1), points=3, ax=ax)
    assert curves(ax)["quartic_loss"][1].tolist() == [1.0, 0.0, 1.0]
    assert curves(ax)["gradient"][1].tolist() == [-4.0, 0.0, 4.0]
    assert ax.get_xlabel().startswith("guesses")


def test_a_loss_over_classes_has_no_curve(ax):
    with pytest.raises(tw.ArgumentError, match="cross_entropy_loss couples a row of classes"):
        plot_loss(tw.cross_entropy_loss, ax=ax)


@pytest.mark.parametrize("span", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_an_empty_span_is_refused(span, ax):
    with pytest.raises(tw.ArgumentError, match="span must be two finite numbers"):
        plot_loss(tw.mse_loss, span=span, ax=ax)


def test_one_point_is_no_curve(ax):
    with pytest.raises(tw.ArgumentError, match="points must be at least 2, got 1"):
        plot_loss(tw.mse_loss, points=1, ax=ax)


# -------------------------------------------------------------------------------- surfaces
def test_surface_with_path_and_goal(ax):
    path = [(0.0, 0.0), (0.5, 1.5), (1.0, 2.0)]
    drawn = plot_loss_surface(bowl, (-1, 3), (0, 4), path, ax, goal=(1.0, 2.0), labels=("k", "m"))
    assert drawn is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("k", "m")
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 3), (0, 4))
    marked = {label: np.transpose(points).tolist() for label, points in curves(ax).items()}
    assert marked == {
        "path": [list(step) for step in path],
        "start": [[0.0, 0.0]],
        "end": [[1.0, 2.0]],
        "goal": [[1.0, 2.0]],
    }
    ax.figure.canvas.draw()


def contour_levels(ax):
    from matplotlib.contour import ContourSet

    filled = next(
        each for each in ax.get_children() if isinstance(each, ContourSet) and each.filled
    )
    return np.asarray(filled.levels), type(filled.norm).__name__


def test_levels_of_a_loss_are_logarithmic(ax):
    plot_loss_surface(bowl, (-1, 3), (0, 4), ax=ax, points=41)
    levels, norm = contour_levels(ax)
    assert norm == "LogNorm"
    ratios = levels[1:] / levels[:-1]
    assert_close(ratios, np.full_like(ratios, ratios[0]), rtol=1e-9)
    assert levels[-1] == bowl(-1.0, 0.0)
    assert levels[0] >= 1e-5 * levels[-1] * (1 - 1e-12)
    assert ax.get_legend() is None


def test_levels_are_even_where_the_function_is_negative(ax):
    plot_loss_surface(lambda w, b: bowl(w, b) - 1.0, (-1, 3), (0, 4), ax=ax, points=41)
    levels, norm = contour_levels(ax)
    assert norm == "Normalize"
    assert_close(np.diff(levels), np.full(len(levels) - 1, np.diff(levels)[0]), rtol=1e-9)
    assert levels[0] == -1.0


def test_what_is_infinite_is_left_blank(ax):
    def walled(w, b):
        return np.where(w > 2.0, np.inf, bowl(w, b))

    plot_loss_surface(walled, (-1, 3), (0, 4), ax=ax, points=41)
    levels, _ = contour_levels(ax)
    assert np.isfinite(levels).all()
    ax.figure.canvas.draw()


def test_zeros_and_one_height_are_drawn(ax):
    plot_loss_surface(lambda w, b: np.where(w + b > 1, 2.0, 0.0), (0, 1), (0, 1), ax=ax, points=5)
    levels, norm = contour_levels(ax)
    assert norm == "Normalize"
    assert (levels[0], levels[-1]) == (0.0, 2.0)


def test_arrays_of_any_library_and_tensors_are_welcome(ax, to_array):
    def elsewhere(w, b):
        error = tw.Tensor(to_array(w)) - 1.0
        return error * error + tw.Tensor(to_array(b)) ** 2

    path = tw.Tensor(to_array([[0.0, 0.0], [1.0, 0.0]]))
    plot_loss_surface(elsewhere, (-1, 3), (-2, 2), path, ax, points=5)
    assert contour_levels(ax)[0][-1] == 8.0
    assert curves(ax)["end"][0].tolist() == [1.0]


@pytest.mark.parametrize("constant", [0.0, 3.0, np.nan])
def test_a_plain_has_no_landscape(constant, ax):
    with pytest.raises(tw.ArgumentError, match="the same, or not finite, everywhere"):
        plot_loss_surface(lambda w, b: w * 0 + constant, (0, 1), (0, 1), ax=ax)


def test_the_function_must_keep_the_shape(ax):
    with pytest.raises(tw.ShapeError, match=r"must keep the shape \(5, 5\), it gave \(\)"):
        plot_loss_surface(lambda w, b: np.sum(w + b), (0, 1), (0, 1), ax=ax, points=5)


@pytest.mark.parametrize("path", [[], [1.0, 2.0], [[1.0, 2.0, 3.0]]])
def test_a_path_is_a_list_of_pairs(path, ax):
    with pytest.raises(tw.ShapeError, match=r"path must have shape \(steps, 2\)"):
        plot_loss_surface(bowl, (0, 1), (0, 1), path, ax)


@pytest.mark.parametrize("ranges", [((1, 0), (0, 1)), ((0, 1), (1, 1))])
def test_an_empty_range_is_refused(ranges, ax):
    with pytest.raises(tw.ArgumentError, match=r"_range must be two finite numbers"):
        plot_loss_surface(bowl, ranges[0], ranges[1], ax=ax)


# -------------------------------------------------------------------------------- Matplotlib itself
def test_new_axes_are_made_where_none_are_given():
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    ax = plot_loss(tw.mse_loss)
    try:
        assert ax.figure.number in plt.get_fignums()
        assert "mse_loss" in curves(ax)
    finally:
        plt.close(ax.figure)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    from tensorweaver.backends.importing import load

    load.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "tensorweaver\[plot\]"') as caught:
        plot_loss(tw.mse_loss)
    assert isinstance(caught.value, PlottingUnavailableError)
    with pytest.raises(PlottingUnavailableError):
        plot_loss_surface(bowl, (0, 1), (0, 1))


def test_importing_the_package_or_this_module_loads_no_matplotlib():
    import subprocess

    probe = "import sys, tensorweaver.plotting; print('matplotlib' in sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert finished.stdout == "False\n"
