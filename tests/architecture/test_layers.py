"""Imports point down: a table says who is above whom, and every import is held to it."""

import graphlib

import pytest

from tests.architecture.source import imports, package_sources

LOSS = {"accumulator", "check", "functions", "loss"}

# A part may import the parts of lower layers. Parts in one set may also import each other; parts
# of one layer in different sets may not.
LAYERS = [
    [{"errors"}],
    [{"backends"}, {"primitives"}],
    [{"tensor"}, {"compiler"}],
    [LOSS],
    [{"losses"}, {"integrations"}, {"plotting"}],
]
FACE = "tensorweaver"
USERS = {"tensorweaver.cli": {FACE}, "tensorweaver.__main__": {FACE, "tensorweaver.cli"}}


def place(part):
    """The layer of a part and the set it belongs to; `None` for an unknown part."""
    for number, layer in enumerate(LAYERS):
        for together in layer:
            if part in together:
                return number, together
    return None


def part_of(module):
    return module.split(".")[1]


def violations(sources):
    """What is wrong with the imports of a package, given as module name to source, a line each."""
    found = []
    for module, source in sources.items():
        own = None if module in {FACE, *USERS} else place(part_of(module))
        if own is None and module not in {FACE, *USERS}:
            found.append(f"{module}: no layer is known for it, add it to LAYERS")
            continue
        for target, line in imports(module, source, set(sources)):
            if not allowed(module, own, target):
                found.append(f"{module}:{line} must not import {target}")
    return found


def allowed(module, own, target):
    if module in USERS:
        return target in USERS[module]
    if target == FACE or target in USERS:
        return False
    other = place(part_of(target))
    if other is None:
        return False
    return module == FACE or other[0] < own[0] or part_of(target) in own[1]


def import_cycle(sources):
    """The modules of one import cycle, in order; empty where there is none."""
    graph = {
        module: {target for target, _ in imports(module, source, set(sources)) if target != module}
        for module, source in sources.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_imports_point_down():
    assert violations(package_sources()) == []


def test_no_modules_import_each_other_in_a_circle():
    assert import_cycle(package_sources()) == []


PLANTED = {
    "upwards": ("backends.numpy", "from tensorweaver.loss import Loss"),
    "upwards in a function": ("tensor", "def f():\n    import tensorweaver.losses.mse"),
    "upwards for types alone": (
        "errors",
        "if TYPE_CHECKING:\n    from tensorweaver.tensor import Tensor",
    ),
    "upwards by name": ("compiler.graph", "importlib.import_module('tensorweaver.loss')"),
    "upwards, relative": ("compiler.graph", "from ..loss import Loss"),
    "beside": ("primitives.table", "from tensorweaver.backends import get_backend"),
    "beside, relative": ("losses.mse", "from ..integrations.scipy import minimise"),
    "eager from compiled": ("compiler.trace", "from tensorweaver.tensor import Tensor"),
    "the face, by name": ("loss", "from tensorweaver import Tensor"),
    "the face, beside a module": ("loss", "from tensorweaver import errors, Tensor"),
    "the face, whole": ("loss", "import tensorweaver as tw"),
    "the face, relative": ("loss", "from . import Tensor"),
    "upwards, through the face": ("tensor", "from tensorweaver import loss"),
    "a user of the package": ("loss", "from tensorweaver.cli import main"),
    "a user goes behind the face": ("cli", "from tensorweaver.loss import Loss"),
    "an unknown module": ("helpers", ""),
    "from an unknown module": ("loss", "from tensorweaver.helpers import tidy"),
}
KNOWN = [
    "",
    "errors",
    "backends",
    "backends.numpy",
    "primitives",
    "tensor",
    "compiler",
    "compiler.graph",
    "loss",
    "losses",
    "losses.mse",
    "integrations",
    "integrations.scipy",
    "cli",
]


def package_with(planted, source):
    names = {"tensorweaver" + (f".{name}" if name else "") for name in KNOWN}
    return dict.fromkeys(sorted(names), "") | {f"tensorweaver.{planted}": source}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_found(case):
    planted, source = PLANTED[case]
    (found,) = violations(package_with(planted, source))
    assert found.startswith(f"tensorweaver.{planted}:")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("loss", "from tensorweaver.errors import ShapeError\nimport tensorweaver.compiler.graph"),
        ("loss", "from tensorweaver import errors, tensor"),
        ("loss", "from tensorweaver.accumulator import Accumulator"),
        ("compiler.graph", "from .trace import Tracer\nfrom ..errors import TraceError"),
        ("compiler", "from .graph import Node"),
        ("cli", "import tensorweaver as tw\nfrom tensorweaver import mse_loss"),
        ("__main__", "from tensorweaver.cli import main"),
        ("tensor", "import numpy\nfrom array_api_compat import device\nimport tensorweaverish"),
    ],
)
def test_what_is_allowed_is_not_reported(module, source):
    assert violations(package_with(module, source)) == []


def test_a_planted_circle_is_found():
    sources = package_with("compiler.graph", "from tensorweaver.compiler.trace import Tracer")
    sources["tensorweaver.compiler.trace"] = (
        "def f():\n    from tensorweaver.compiler.graph import Node"
    )
    assert set(import_cycle(sources)) == {
        "tensorweaver.compiler.graph",
        "tensorweaver.compiler.trace",
    }
