"""Every operation that reaches an engine has a spelling, and means what NumPy's does."""

import math

import numpy as np
import pytest

from tensorweaver.compiler.cuda.engine import CudaKernel
from tensorweaver.compiler.cuda.functions import INTEGER_EXPRESSIONS, REAL_EXPRESSIONS
from tensorweaver.compiler.graph import Graph, Level, as_real, input_node, operation
from tensorweaver.compiler.schedule import Output
from tensorweaver.primitives import VOCABULARY
from tests.helpers.compare import assert_close
from tests.helpers.cuda_engine import Launcher

BASIC = {
    name: row
    for name, row in VOCABULARY.items()
    if row.kind in {"elementwise", "predicate"} and row.formula is None
}
REAL = {name: row for name, row in BASIC.items() if name != "where" and "logical" not in name}
SPECIAL = (0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -2.5, 1e-30, 88.0, -104.0)
X, Y = input_node("x"), input_node("y")


def computed(names, values, dtype):
    """By name what one kernel makes of these values."""
    arity = REAL[names[0]].arity
    nodes = (X, Y)[:arity]
    results = tuple(as_real(operation(name, *nodes)) for name in names)
    outputs = (Output(Level.ELEMENT),) * len(results)
    kernel = CudaKernel(Graph(nodes, results), outputs, dtype, rowwise=False)
    filled = [np.full(values[0].shape, np.nan, dtype) for _ in names]
    kernel.queue(Launcher(), values[0].shape, 1, values[:arity], (), filled, divisor=1.0)
    return dict(zip(names, filled, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("arity", [1, 2])
def test_real_numbers(arity, dtype, rng):
    names = [name for name, row in REAL.items() if row.arity == arity]
    special = np.asarray(SPECIAL, dtype)
    ordinary = rng.uniform(-4, 4, (2, 500)).astype(dtype)
    values = [
        np.concatenate([np.repeat(special, special.size), ordinary[0]]),
        np.concatenate([np.tile(special, special.size), ordinary[1]]),
    ]
    found = computed(names, values, dtype)
    for name in names:
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(*values[:arity]).astype(dtype)
        assert_close(found[name], expected, ulp=4.0)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_extreme_tells_zeros_apart(name, dtype):
    zeros = np.asarray([0.0, -0.0, 0.0, -0.0], dtype), np.asarray([0.0, 0.0, -0.0, -0.0], dtype)
    found = computed([name], zeros, dtype)[name]
    wanted = [False, False, False, True] if name == "maximum" else [False, True, True, True]
    assert np.signbit(found).tolist() == wanted


def test_all_that_reaches_an_engine_has_a_spelling():
    assert set(BASIC) <= set(REAL_EXPRESSIONS)
    integers = {"add", "subtract", "multiply", "negative", "positive", "abs", "square", "sign"}
    integers |= {"where", "maximum", "minimum", "remainder", "floor_divide"}
    predicates = {name for name, row in BASIC.items() if row.kind == "predicate"}
    assert integers | predicates <= set(INTEGER_EXPRESSIONS)


def test_whole_numbers_divide_as_numpy_has_it():
    pairs = np.asarray([(x, y) for x in (-7, -1, 0, 3, 7, -(2**63)) for y in (-3, -1, 1, 2, 0)])
    nodes = [input_node(name, Level.ELEMENT, "integral") for name in ("x", "y")]
    names = ("remainder", "floor_divide")
    results = tuple(as_real(operation(name, *nodes)) for name in names)
    kernel = CudaKernel(
        Graph(tuple(nodes), results), (Output(Level.ELEMENT),) * 2, "float64", rowwise=False
    )
    values = list(pairs.T.copy())
    filled = [np.zeros(len(pairs)) for _ in names]
    kernel.queue(Launcher(), (len(pairs),), 1, values, (), filled, divisor=1.0)
    for name, result in zip(names, filled, strict=True):
        with np.errstate(all="ignore"):
            assert_close(result, getattr(np, name)(*values).astype(np.float64))
