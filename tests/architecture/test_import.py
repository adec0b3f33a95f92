"""`import tensorweaver` loads NumPy and array-api-compat, and nothing heavier."""

import json
import subprocess
import sys

HEAVY = {
    "cupy",
    "dask",
    "jax",
    "jaxlib",
    "lightgbm",
    "matplotlib",
    "numba",
    "pandas",
    "scipy",
    "sklearn",
    "torch",
    "xgboost",
}


def packages_after(statement):
    """The top-level packages that a fresh interpreter has loaded after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", code]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    modules = json.loads(finished.stdout.splitlines()[-1])
    return {name.partition(".")[0] for name in modules}


def test_nothing_heavy_is_loaded():
    loaded = packages_after("import tensorweaver")
    assert "tensorweaver" in loaded
    assert loaded & HEAVY == set()


def test_no_other_package_comes_along():
    own = packages_after("import tensorweaver") - packages_after("import numpy, array_api_compat")
    assert own - set(sys.stdlib_module_names) == {"tensorweaver"}


def test_a_heavy_import_would_be_seen():
    assert packages_after("import sklearn") & HEAVY >= {"sklearn", "scipy"}
