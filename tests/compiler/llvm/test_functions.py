"""Every function of the LLVM engine against NumPy in a wider type, in units in the last place."""

import functools
import os

import numpy as np
import pytest

from tensorweaver.compiler.llvm.functions import FUNCTIONS
from tests.compiler.llvm.jit import PREDICATES, TARGETS, compiled
from tests.compiler.llvm.ulps import everywhere, ulps, widened

OWN = ["exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "sinh", "cosh"]
OF_C = ["sin", "cos", "tan", "asin", "acos", "atan", "asinh", "acosh", "atanh"]
EXACT = ["sqrt", "reciprocal", "square", "sign", "floor", "ceil", "trunc", "round", "abs"]
TWO = ["pow", "hypot", "atan2", "logaddexp"]
TWO_EXACT = ["remainder", "floor_divide", "copysign"]
EXTREMES = ["maximum", "minimum"]
IN_NUMPY = {"round": "rint", "pow": "power", "atan2": "arctan2"} | {
    name: name.replace("a", "arc", 1) for name in OF_C if name.startswith("a")
}
INF, NAN = np.inf, np.nan
EXHAUSTIVE = bool(os.environ.get("TENSORWEAVER_EXHAUSTIVE"))

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def in_numpy(name, *arrays):
    with np.errstate(all="ignore"):
        return getattr(np, IN_NUMPY.get(name, name))(*arrays)


@functools.cache
def numbers_and_truth(name, dtype):
    numbers = everywhere(dtype)
    return numbers, in_numpy(name, widened(numbers))


def report(name, dtype, target, numbers, error):
    worst = np.argmax(error)
    print(f"{name} {dtype} {target}: {error[worst]:.3f} ulp at {numbers[worst]!r}")  # noqa: T201
    return error[worst]


@pytest.mark.parametrize("target", TARGETS)
@dtypes
@pytest.mark.parametrize("name", OWN)
def test_own_functions_err_by_two_ulp_at_most(name, dtype, target):
    numbers, truth = numbers_and_truth(name, dtype)
    got = compiled(name, dtype, target)(numbers)
    assert report(name, dtype, target, numbers, ulps(got, truth)) <= 2


@pytest.mark.parametrize("target", TARGETS)
@dtypes
def test_log1p_unit_errs_by_two_ulp_at_most_from_0_to_1(dtype, target):
    numbers = everywhere(dtype)
    numbers = numbers[~(numbers < 0) & ~(numbers > 1) & ~np.signbit(numbers)]
    got = compiled("log1p_unit", dtype, target)(numbers)
    error = ulps(got, in_numpy("log1p", widened(numbers)))
    assert report("log1p_unit", dtype, target, numbers, error) <= 2


@pytest.mark.parametrize("target", TARGETS)
@dtypes
def test_decay_is_exp_below_0(dtype, target):
    """In every bit, so that whoever computes one and the other finds no difference."""
    numbers = everywhere(dtype)
    numbers = numbers[~(numbers > 0)]
    same(compiled("decay", dtype, target)(numbers), compiled("exp", dtype, target)(numbers))


@dtypes
@pytest.mark.parametrize("name", OF_C)
def test_functions_of_c_err_by_four_ulp_at_most(name, dtype):
    numbers, truth = numbers_and_truth(name, dtype)
    got = compiled(name, dtype)(numbers)
    assert report(name, dtype, "host", numbers, ulps(got, truth)) <= 4


@pytest.mark.parametrize("target", TARGETS)
@dtypes
@pytest.mark.parametrize("name", EXACT + PREDICATES)
def test_exact_functions_equal_numpy(name, dtype, target):
    numbers = everywhere(dtype)
    same(compiled(name, dtype, target)(numbers), in_numpy(name, numbers))


@dtypes
@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_number_of_lanes_changes_nothing(name, dtype, lanes):
    count = 2 if name in TWO + TWO_EXACT + EXTREMES else 1
    arrays = grid(dtype)[:count]
    few, many = (compiled(name, dtype, count=count, lanes=some)(*arrays) for some in (lanes, None))
    same(few, many)


def same(got, expected):
    """Equal in every bit, but for NaN, which may be any."""
    expected = np.asarray(expected).astype(got.dtype)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    numbers = ~np.isnan(got)
    whole = f"i{got.dtype.itemsize}"
    assert np.array_equal(got[numbers].view(whole), expected[numbers].view(whole))


SPECIAL = {
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (1e4, INF), (-1e4, 0)],
    "expm1": [(0, 0), (-0.0, -0.0), (INF, INF), (-INF, -1), (NAN, NAN), (1e4, INF), (-1e4, -1)],
    "log": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-INF, NAN), (-1, NAN), (NAN, NAN)],
    "log1p": [(0, 0), (-0.0, -0.0), (-1, -INF), (-2, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)],
    "log2": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (NAN, NAN), (8, 3)],
    "log10": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (NAN, NAN)],
    "tanh": [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (NAN, NAN), (1e4, 1), (-1e4, -1)],
    "sinh": [(0, 0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (NAN, NAN), (-1e4, -INF)],
    "cosh": [(0, 1), (-0.0, 1), (INF, INF), (-INF, INF), (NAN, NAN), (1e4, INF), (-1e4, INF)],
    "sign": [(0, 0), (-0.0, 0), (INF, 1), (-INF, -1), (NAN, NAN), (3, 1), (-3, -1)],
    "round": [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, -0.0), (-1.5, -2), (INF, INF), (NAN, NAN)],
}


@pytest.mark.parametrize("target", TARGETS)
@dtypes
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name, dtype, target):
    arguments, results = np.asarray(SPECIAL[name], dtype).T
    same(compiled(name, dtype, target)(arguments), results)


@dtypes
@pytest.mark.parametrize("name", ["log", "log1p", "log2", "log10"])
def test_logarithms_outside_their_domain_are_nan(name, dtype):
    edge = np.asarray(-1 if name == "log1p" else 0, dtype)
    numbers = [np.nextafter(edge, np.asarray(-np.inf, dtype)), edge - 1, -np.finfo(dtype).max]
    assert np.isnan(compiled(name, dtype)(np.asarray(numbers))).all()


@dtypes
def test_powers_of_two_have_whole_logarithms(dtype):
    limits = np.finfo(dtype)
    exponents = np.arange(limits.minexp - limits.nmant, limits.maxexp)
    same(compiled("log2", dtype)(np.ldexp(np.ones(1, dtype), exponents)), exponents)


@dtypes
@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "sinh", "cosh", "log", "log1p"])
def test_nan_with_any_payload_stays_nan(name, dtype):
    quiet = np.asarray([np.nan], dtype).view(f"u{np.dtype(dtype).itemsize}")
    payloads = quiet | np.arange(1, 5000, dtype=quiet.dtype)
    both = np.concatenate([payloads.view(dtype), -payloads.view(dtype)])
    assert np.isnan(compiled(name, dtype)(both)).all()


def grid(dtype):
    """Pairs of special numbers, and of ordinary ones."""
    limits = np.finfo(dtype)
    special = [0, 0.5, 1, 2, 2.5, 3, 1e3, limits.smallest_subnormal, limits.tiny, limits.max]
    values = np.asarray([*special, np.inf, np.nan], dtype)
    values = np.concatenate([values, -values])
    rng = np.random.default_rng(0)
    ordinary = rng.normal(size=(2, 20_000)) * 2.0 ** rng.uniform(-20, 8, (2, 20_000))
    pairs = np.concatenate([np.stack(np.meshgrid(values, values)).reshape(2, -1), ordinary], 1)
    return pairs.astype(dtype)


@dtypes
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers(name, dtype):
    x, y = grid(dtype)
    if name == "logaddexp":  # near 0, where both parts cancel, no digit is certain
        x, y = (np.where(np.isfinite(numbers), abs(numbers), numbers) for numbers in (x, y))
    truth = in_numpy(name, widened(x), widened(y))
    error = ulps(compiled(name, dtype, count=2)(x, y), truth)
    assert report(name, dtype, "host", np.stack([x, y], 1), error) <= 4


@pytest.mark.parametrize("target", TARGETS)
@dtypes
@pytest.mark.parametrize("ratio", [1.0, 0.3, 7e-4])
def test_a_hypotenuse_errs_by_two_ulp_at_most_however_long_its_legs_are(dtype, target, ratio):
    one = everywhere(dtype)
    with np.errstate(all="ignore"):
        other = one * one.dtype.type(ratio)
    truth = in_numpy("hypot", widened(one), widened(other))
    got = compiled("hypot", dtype, target, count=2)(one, other)
    assert report("hypot", dtype, target, one, ulps(got, truth)) <= 2


@dtypes
@pytest.mark.parametrize("name", TWO_EXACT)
def test_functions_of_two_numbers_equal_numpy(name, dtype):
    x, y = grid(dtype)
    same(compiled(name, dtype, count=2)(x, y), in_numpy(name, x, y))


@pytest.mark.parametrize("target", TARGETS)
@dtypes
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_are_nan_where_either_is(name, dtype, target):
    x, y = grid(dtype)
    got = compiled(name, dtype, target, count=2)(x, y)
    assert np.array_equal(got, in_numpy(name, x, y), equal_nan=True)


def test_every_function_is_tested():
    named = {*OWN, "decay", "log1p_unit", *OF_C, *EXACT, *PREDICATES, *TWO, *TWO_EXACT, *EXTREMES}
    assert named == FUNCTIONS.keys()


@pytest.mark.skipif(not EXHAUSTIVE, reason="minutes each: TENSORWEAVER_EXHAUSTIVE=1 runs it")
@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh"])
def test_every_float32(name):
    function = compiled(name, "float32")
    worst = 0.0
    size = 1 << 21
    for start in range(0, 1 << 32, size):
        patterns = np.arange(start, start + size, dtype=np.uint64).astype(np.uint32)
        numbers = patterns.view(np.float32)
        truth = in_numpy(name, widened(numbers))
        got = function(numbers)
        with np.errstate(all="ignore"):
            rounded = truth.astype(np.float32)
        # Right to the last bit is most: those err by half a place at most.
        other = got.view(np.uint32) != rounded.view(np.uint32)
        worst = max(worst, ulps(got[other], truth[other]).max(initial=0.0))
    print(f"{name}: {worst:.4f} ulp at worst over all float32")  # noqa: T201
    assert 0 < worst <= 2
