import re

import numpy as np
import pytest

from tensorweaver import available_backends
from tests.examples.scripts import run_example

INSTALLED = [name for name in ("numpy", "torch", "jax", "dask") if name in available_backends()]
BACKENDS = [*INSTALLED, pytest.param("cupy", marks=pytest.mark.gpu)]

pytest.importorskip("matplotlib", reason="the example draws a picture")


@pytest.fixture(scope="module", params=BACKENDS)
def run(request, tmp_path_factory):
    """What the example printed on one backend, and the folder it ran in."""
    folder = tmp_path_factory.mktemp(request.param)
    finished = run_example("temperature.py", "--backend", request.param, folder=folder)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, folder


def test_wrong_parameters(run):
    printed, _ = run
    assert "w = 0.5, b = 10.0\n" in printed
    assert "\n[[10.0], [20.0], [28.5], [60.0]]\n" in printed
    assert "Loss on these two: 11794.0\n" in printed


def test_right_parameters(run):
    printed, _ = run
    assert "w = 1.8, b = 32.0\n" in printed
    assert "\n[[32.0], [212.0]]\nLoss: 0.0\n" in printed


def test_every_step_of_the_loss_is_shown(run):
    printed, _ = run
    steps = dict(re.findall(r"^  (\w+) += (.+)$", printed, flags=re.MULTILINE))
    assert steps == {
        "predictions": "[[10.0], [60.0]]",
        "targets": "[[32.0], [212.0]]",
        "difference": "[[-22.0], [-152.0]]",
        "squared": "[[484.0], [23104.0]]",
        "mean": "11794.0",
    }


def test_slopes_are_those_by_hand(run):
    printed, _ = run
    assert "slope by w: [[-15200.0]], slope by b: [-174.0]\n" in printed


def test_descent_goes_down_to_the_right_parameters(run):
    printed, _ = run
    rows = re.findall(r"^ *(\d+) +(\d+\.\d+) +(\d+\.\d+) +(\d+\.\d+)$", printed, flags=re.MULTILINE)
    steps, losses, weights, biases = np.array(rows, dtype=float).T
    assert steps[0] == 0
    squares = 22**2 + 48**2 + 70.1**2 + 152**2
    assert losses[0] == pytest.approx(squares / 4, abs=1e-3)
    assert all(np.diff(losses[losses > 1e-5]) < 0)
    assert losses[-1] < 1e-6
    assert (weights[0], biases[0]) == (0.5, 10.0)
    assert (weights[-1], biases[-1]) == (1.8, 32.0)
    assert "Learned: w = 1.8000, b = 32.0000\n" in printed


def test_the_picture_shows_the_landscape(run):
    from matplotlib.image import imread

    _, folder = run
    assert [path.name for path in folder.iterdir()] == ["temperature_loss.png"]
    picture = imread(folder / "temperature_loss.png")
    height, width = picture.shape[:2]
    assert 600 <= height <= 1600
    assert 800 <= width <= 2400
    colours = np.unique((picture[..., :3] * 255).astype(int).reshape(-1, 3), axis=0)
    assert len(colours) > 200
    white = np.all(picture[..., :3] == 1.0, axis=-1).mean()
    assert 0.05 < white < 0.5  # margins, not an empty page
    assert has_colour(picture, "#ffb454"), "the start is marked"
    assert has_colour(picture, "#7ef2c4"), "the goal is marked"


def has_colour(picture, wanted):
    from matplotlib.colors import to_rgb

    return bool(np.any(np.all(np.abs(picture[..., :3] - to_rgb(wanted)) < 0.005, axis=-1)))


def test_the_picture_goes_where_it_is_told(tmp_path):
    finished = run_example("temperature.py", "--output", "surface.png", folder=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["surface.png"]


def test_an_unknown_backend_is_named_and_nothing_is_drawn(tmp_path):
    finished = run_example("temperature.py", "--backend", "nump", folder=tmp_path)
    assert finished.returncode == 2
    assert "unknown backend 'nump'" in finished.stderr
    assert 'did you mean "numpy"?' in finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []
