"""Whatever is asked of a loss, the engines answer what the interpreted one does, and alone."""

import numpy as np
import pytest

import tensorweaver as tw
from tensorweaver.compiler.blocks import BlockKernel
from tensorweaver.compiler.engines import fused_kernels
from tensorweaver.loss.plan import Plan
from tests.battery.select import THOROUGH
from tests.loss.cases import CASES
from tests.loss.engines.calls import (
    KINDS,
    REAL_DTYPES,
    ask,
    assert_agree,
    computed_by,
    in_dtype,
    tiled,
)

FEW = ["mean", "value and gradient"]
#: In sums larger numbers may cancel; half precision is computed in float32 and rounded once.
STEPS = {"float64": 8, "float32": 8, "float16": 1, "bfloat16": 1}
ULP = {"float64": 4, "float32": 4, "float16": 1, "bfloat16": 1}


def agree(engine, kinds, loss, arrays, options, *, dtype="float64"):
    """Ask both engines."""
    __tracebackhide__ = True
    for kind in kinds:
        with computed_by("interpret"):
            expected = ask(kind, loss, arrays, options)
        with computed_by(engine):
            found = ask(kind, loss, arrays, options)
        assert_agree(found, expected, ulp=ULP[dtype], steps=STEPS[dtype])


# ------------------------------------------------------------------------- who computes
@pytest.fixture
def runs(engine, monkeypatch):
    """A list that grows whenever a kernel of the chosen engine computes; interpreted ones raise."""
    kernels = fused_kernels(engine)
    found: list[str] = []

    def counted(original):
        def run(self, *arguments):
            found.append(self.engine)
            return original(self, *arguments)

        return run

    def interpreted(self, *arguments):
        message = f"an interpreted kernel was asked for: {arguments}"
        raise AssertionError(message)

    for name in ["run"] if kernels is BlockKernel else ["run_whole", "run_block"]:
        monkeypatch.setattr(kernels, name, counted(getattr(kernels, name)))
    monkeypatch.setattr(Plan, "kernel", interpreted)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_chosen_engine_computes_and_no_other(name, engine, runs):
    case = CASES[name]
    arrays, options = in_dtype(case, "float64")
    for kind in KINDS:
        runs.clear()
        ask(kind, case.loss, arrays, options)
        assert set(runs) == {engine}, kind
    if case.loss.formula.rowwise:
        runs.clear()
        case.loss.hessian(*arrays, **options)
        assert set(runs) == {engine}


@pytest.mark.parametrize("name", CASES)
def test_the_chosen_engine_computes_with_weights_and_masks(name, engine, runs):
    case = CASES[name]
    arrays, options = in_dtype(case, "float64")
    options |= {"sample_weight": np.arange(5.0), "where": np.arange(5) != 3}
    for kind in ("mean", "value and gradient", "backward of losses"):
        runs.clear()
        ask(kind, case.loss, arrays, options)
        assert set(runs) == {engine}, kind


@pytest.mark.parametrize("name", ["mse", "ce, all"])
def test_left_alone_large_arrays_are_computed_by_an_engine(name, engine, runs):
    case = CASES[name]
    arrays, options = tiled(case, "float32", 4000)
    tw.set_engine(None)
    if case.loss.engine(*arrays, **options).name != engine:
        pytest.skip("llvmlite is installed, and so blocks are not the first choice")
    ask("value and gradient", case.loss, arrays, options)
    assert set(runs) == {engine}


# ------------------------------------------------------------------------- agreement
#: Half precision is converted on the way in and out, whatever lies between: one of each kind.
HALF_TOO = ["mse", "huber", "bce, weight", "bce of logits, weights", "kl, log target"]
HALF_TOO += ["ce, ignored", "ce, all", "ce, probabilities, all", "nll, all"]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, d) for n in CASES for d in REAL_DTYPES if d in {"float64", "float32"} or n in HALF_TOO],
)
def test_every_kind_of_call_in_every_dtype(name, dtype, engine):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    case = CASES[name]
    kinds = KINDS if dtype == "float64" else ["mean", "none", "value and gradient", "diagonal"]
    agree(engine, kinds, case.loss, *in_dtype(case, dtype), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_many_rows(name, dtype, engine):
    case = CASES[name]
    kinds = ["mean", "none", "value and gradient", "diagonal"]
    agree(engine, kinds, case.loss, *tiled(case, dtype, 67), dtype=dtype)


@pytest.mark.parametrize("name", CASES)
def test_weights_and_masks(name, engine):
    case = CASES[name]
    arrays, options = in_dtype(case, "float64")
    shape = case.loss(*arrays, reduction="none", **options).shape
    weights = np.linspace(0.0, 2.0, int(np.prod(shape))).reshape(shape)
    mask = weights != weights.flat[3]
    first = weights.mean(axis=tuple(range(1, weights.ndim)))
    for kinds, sample_weight, where in [
        (KINDS, weights, mask),
        (FEW, first, None),
        (FEW, None, mask[(slice(None), *(0,) * (mask.ndim - 1))]),
        (FEW, weights.astype(np.float32), mask),
        (FEW, np.round(weights).astype(np.int64), None),
    ]:
        more = {**options, "sample_weight": sample_weight, "where": where}
        agree(engine, kinds, case.loss, arrays, {k: v for k, v in more.items() if v is not None})


@pytest.mark.parametrize("name", CASES)
def test_gradients_by_every_argument(name, engine):
    case = CASES[name]
    arrays, options = in_dtype(case, "float32")
    options["sample_weight"] = np.linspace(0.5, 2.0, 5, dtype=np.float32)
    given = dict(zip(case.loss.formula.arguments, arrays, strict=True)) | options
    real = tuple(k for k, v in given.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f")
    alone = real if THOROUGH or engine != "llvm" else real[-1:]  # a kernel each
    for reduction in ("mean", "sum", "none"):
        for wrt in (*alone, real[::-1]) if reduction == "mean" else (real,):
            with computed_by("interpret"):
                wanted = case.loss.value_and_grad(*arrays, wrt=wrt, reduction=reduction, **options)
            value, gradients = case.loss.value_and_grad(
                *arrays, wrt=wrt, reduction=reduction, **options
            )
            several = isinstance(wrt, tuple)
            found = [value, *(gradients if several else [gradients])]
            expected = [wanted[0], *(wanted[1] if several else [wanted[1]])]
            assert_agree(found, expected, ulp=8, steps=16)


POINTWISE = [name for name, case in CASES.items() if not case.loss.formula.rowwise]


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4), (5, 1), (5, 4)])
@pytest.mark.parametrize("name", [n for n in POINTWISE if "weight" not in n])
def test_targets_that_broadcast(name, shape, engine):
    case = CASES[name]
    predictions, targets = case.arrays
    small = targets[tuple(slice(n) for n in (1, 1, *shape)[-2:])].reshape(shape)
    agree(engine, KINDS, case.loss, [predictions, small], dict(case.options))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64"])
@pytest.mark.parametrize("name", ["mse", "huber", "bce", "bce of logits", "ce, probabilities"])
def test_targets_that_are_whole_numbers(name, dtype, engine):
    case = CASES[name]
    targets = (np.arange(20).reshape(5, 4) % 3 == 0).astype(dtype)
    agree(engine, KINDS, case.loss, [case.arrays[0], targets], {})


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
@pytest.mark.parametrize("name", ["ce", "ce, weight", "nll"])
def test_labels_of_every_dtype(name, dtype, engine):
    case = CASES[name]
    arrays = [case.arrays[0], case.arrays[1].astype(dtype)]
    agree(engine, FEW, case.loss, arrays, dict(case.options))


@pytest.mark.parametrize("ignored", [None, -1, 0, 3, 100, 2**31 + 7])
def test_labels_that_are_ignored(ignored, engine):
    case = CASES["ce, all"]
    labels = np.asarray([0, 3, 1, 2, 3])
    if ignored is not None:
        labels[[1, 4]] = ignored
    options = {**case.options, "ignore_index": ignored}
    kinds = KINDS if ignored in {None, 3} or engine != "llvm" else FEW  # a kernel each
    agree(engine, kinds, case.loss, [case.arrays[0], labels], options)


def test_rows_of_which_none_is_left(engine):
    case = CASES["ce"]
    labels = np.full(5, -100)
    for options in ({}, {"where": np.zeros(5, bool)}, {"sample_weight": np.zeros(5)}):
        arrays = [case.arrays[0], labels if not options else case.arrays[1]]
        value, gradient = case.loss.value_and_grad(*arrays, **options)
        assert value == 0.0
        assert not gradient.any()


# ------------------------------------------------------------------------- any number of axes
@pytest.mark.parametrize("shape", [(4,), (5, 4), (3, 4, 2), (2, 4, 3, 2)])
@pytest.mark.parametrize("name", ["ce, all", "ce, probabilities, all", "nll, all"])
def test_classes_on_any_axis(name, shape, engine, rng):
    case = CASES[name]
    for axis in range(-len(shape), len(shape)):
        full = list(shape)
        at = shape.index(4)
        full[at], full[axis] = full[axis], full[at]
        rows = tuple(np.delete(full, axis))
        x = -rng.random(full)  # of one sign, so that sums do not cancel
        probabilities = "probabilities" in name
        targets = rng.random(full) if probabilities else np.asarray(rng.integers(0, 4, size=rows))
        options = {**case.options, "axis": axis, "where": np.asarray(rng.random(rows) < 0.8)}
        kinds = list(KINDS) if rows else ["mean", "none", "gradient", "value and gradient"]
        agree(engine, kinds, case.loss, [x, targets], options)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 1, 4), (2, 3, 2, 3)])
@pytest.mark.parametrize("name", ["mse", "bce of logits", "kl"])
def test_elements_of_any_shape(name, shape, engine, rng):
    x, t = rng.normal(size=shape), 0.1 + 0.8 * rng.random(shape)
    agree(engine, KINDS, CASES[name].loss, [np.asarray(x), np.asarray(t)], {})


# ------------------------------------------------------------------------- formulas of users
@tw.pointwise
def sawtooth(x, y):
    xp = tw.array_namespace(x, y)
    folded = xp.abs(x - xp.floor(x) - 0.5)
    return xp.where(y > 0, folded * xp.exp(-xp.abs(y)), xp.log1p(folded) + xp.tanh(y))


@tw.pointwise
def two_losses_of_one(x, y):
    xp = tw.array_namespace(x, y)
    return xp.maximum(x, y) ** 3 + xp.sqrt(xp.abs(x) + 1) / (2 + xp.sin(y)) + xp.atan(x * y)


@tw.rowwise
def spread_of_row(x, y):
    xp = tw.array_namespace(x, y)
    low, high = xp.min(x, axis=-1, keepdims=True), xp.max(x, axis=-1, keepdims=True)
    return xp.sum(y * (x - low) / (1 + high - low), axis=-1)


@tw.rowwise
def standardized(x, y):
    xp = tw.array_namespace(x, y)
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return (centred / (1 + xp.std(x, axis=-1, keepdims=True)) - y) ** 2


@tw.rowwise
def product_of_row(x, y):
    xp = tw.array_namespace(x, y)
    return xp.prod(1 + x * y / 8, axis=-1) + xp.logsumexp(x, axis=-1)


@tw.rowwise(roles={"scale": "row", "bias": "class"}, wrt=("x", "scale", "bias"))
def scaled_and_shifted(x, scale, bias):
    xp = tw.array_namespace(x, scale, bias)
    return xp.sum(xp.exp(-((x * scale + bias) ** 2)), axis=-1)


@pytest.mark.parametrize(
    ("classes", "dtype"),
    [(n, "float64") for n in (1, 4, 40, 1500)]
    + [(n, "float32") for n in ((1, 4, 40, 1500) if THOROUGH else (4, 1500))],
)
@pytest.mark.parametrize(
    "loss", [sawtooth, two_losses_of_one, spread_of_row, standardized, product_of_row]
)
def test_formulas_of_users(loss, dtype, classes, engine, rng):
    x, y = rng.normal(size=(2, 7, classes)).astype(dtype)
    kinds = ["mean", "none", "value and gradient", "backward", "backward of losses", "product"]
    for kind in kinds:
        with computed_by("interpret"):
            expected = ask(kind, loss, [x, y], {})
        assert_agree(ask(kind, loss, [x, y], {}), expected, ulp=8, steps=64)


@pytest.mark.parametrize("classes", [3, 50, 1100])
def test_arguments_a_row_and_a_class(classes, engine, rng):
    x, scale, bias = (rng.normal(size=s) for s in ((6, classes), (6,), (classes,)))
    with computed_by("interpret"):
        expected = scaled_and_shifted.value_and_grad(x, scale, bias)
    value, gradients = scaled_and_shifted.value_and_grad(x, scale, bias)
    assert_agree([value, *gradients], [expected[0], *expected[1]], ulp=8, steps=16)
