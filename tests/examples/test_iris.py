import re

import numpy as np
import pytest

from tensorweaver import available_backends
from tests.examples.scripts import run_example

# Dask plans every step anew, which takes minutes here; it runs the other example.
INSTALLED = [name for name in ("numpy", "torch", "jax") if name in available_backends()]
BACKENDS = [*INSTALLED, pytest.param("cupy", marks=pytest.mark.gpu)]

pytest.importorskip("sklearn", reason="the flowers come from scikit-learn")


@pytest.fixture(scope="module", params=BACKENDS)
def printed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    finished = run_example("iris.py", "--backend", request.param, folder=folder)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def accuracies(printed):
    """Percentage, right and total of each `Accuracy ...` line."""
    found = re.findall(r"^Accuracy on .*: (\d+\.\d)% \((\d+) of (\d+)\)$", printed, re.MULTILINE)
    return [(float(percent), int(right), int(total)) for percent, right, total in found]


def confusions(printed):
    rows = re.findall(r"^ +(?:setosa|versicolor|virginica)((?: +\d+){3})$", printed, re.MULTILINE)
    return np.array([row.split() for row in rows], dtype=int).reshape(-1, 3, 3)


def test_loss_falls_and_accuracy_rises(printed):
    rows = re.findall(r"^ *(\d+) +(\d+\.\d+) +(\d+\.\d)%$", printed, re.MULTILINE)
    steps, losses, shares = np.array(rows, dtype=float).T
    assert steps[0] == 0
    assert losses[0] == pytest.approx(np.log(3), abs=1e-5)
    assert shares[0] == 33.3
    assert all(np.diff(losses) < 0)
    assert losses[-1] < 0.06
    assert shares[-1] >= 97.0


def test_trained_flowers_are_told_apart(printed):
    percent, right, total = accuracies(printed)[0]
    assert total == 150
    assert percent == round(100 * right / total, 1)
    assert percent >= 97.0


def test_flowers_held_out_are_all_judged_once(printed):
    percent, right, total = accuracies(printed)[1]
    assert total == 150
    assert percent == round(100 * right / total, 1)
    assert 94.0 <= percent < accuracies(printed)[0][0]


def test_confusion_matrices_count_every_flower(printed):
    matrices = confusions(printed)
    assert len(matrices) == 2
    for matrix, (_, right, _) in zip(matrices, accuracies(printed), strict=True):
        assert matrix.sum(axis=1).tolist() == [50, 50, 50]
        assert np.trace(matrix) == right
        assert matrix[0].tolist() == [50, 0, 0]  # setosa is apart from the others


def test_the_same_numbers_come_out_every_time(tmp_path):
    first, second = (run_example("iris.py", folder=tmp_path).stdout for _ in range(2))
    assert len(accuracies(first)) == 2
    assert first == second


def test_an_unavailable_backend_says_what_is_missing(tmp_path):
    if "cupy" in available_backends():
        pytest.skip("CuPy and its GPU are here")
    finished = run_example("iris.py", "--backend", "cupy", folder=tmp_path)
    assert finished.returncode == 2
    assert 'backend "cupy" cannot be used here' in finished.stderr
    assert "Traceback" not in finished.stderr
