"""What the header offers is what a GPU has, to the bit where a GPU is exact."""

import mpmath
import numpy as np
import pytest

from tests.helpers.compare import assert_close
from tests.helpers.cuda_on_cpu import (
    ARCHITECTURES,
    CompileError,
    compile_for,
    compile_on_cpu,
)
from tests.helpers.cuda_on_cpu.specimens import RIGHT, kernel

INFINITY, NAN = float("inf"), float("nan")


def launch_over(source, name, given, out):
    """Run a kernel with one thread an element."""
    grid = (-(-given.size // 256),)
    compile_on_cpu(source).launch(name, grid, (256,), (given, out, np.int32(given.size)))
    return out


# ------------------------------------------------------------------------- half precision
def narrowed(numbers):
    out = np.zeros(numbers.shape, np.uint16)
    return launch_over(RIGHT["widen"], "narrow", numbers, out)


def test_every_half_is_widened_as_numpy_does_it():
    halves = np.arange(2**16).astype(np.uint16)
    out = launch_over(RIGHT["widen"], "widen", halves, np.zeros(2**16, np.float32))
    expected = halves.view(np.float16)
    numbers = ~np.isnan(expected)
    expected = expected[numbers].astype(np.float32)
    assert_close(out[numbers].view(np.int32), expected.view(np.int32))  # the zeros' signs as well
    assert np.isnan(out[~numbers]).all()


def test_every_half_comes_back_from_its_float():
    halves = np.arange(2**16).astype(np.uint16)
    numbers = ~np.isnan(halves.view(np.float16))
    back = narrowed(launch_over(RIGHT["widen"], "widen", halves, np.zeros(2**16, np.float32)))
    assert (back == halves)[numbers].all()
    assert (back == 0x7FFF)[~numbers].all()


def test_floats_are_narrowed_as_numpy_does_it(rng):
    halves = np.arange(2**15).astype(np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].astype(np.float32)
    ties = (halves[:-1] + halves[1:]) / 2
    around = np.concatenate([np.nextafter(ties, ends) for ends in np.array([-1, 1e9], np.float32)])
    limits = np.array([65519.99, 65520, 65536, 1e38, INFINITY, 2**-25, 2**-26, 1e-45], np.float32)
    bits = rng.integers(0, 2**32, 300_000).astype(np.uint32).view(np.float32)
    numbers = np.concatenate([ties, around, limits, bits[~np.isnan(bits)]])
    numbers = np.concatenate([numbers, -numbers])
    with np.errstate(over="ignore", under="ignore"):
        expected = numbers.astype(np.float16).view(np.uint16)
    assert_close(narrowed(numbers), expected)


def test_a_nan_of_any_bits_stays_one():
    nans = np.array([0x7F800001, 0x7FC00000, 0xFF800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(narrowed(nans).view(np.float16)).all()


# ------------------------------------------------------------------------- functions
#: At x = 0.625 and y = -0.5; `acosh` begins at 1.
FUNCTIONS = {
    "exp(x)": mpmath.exp(0.625),
    "exp2(x)": mpmath.mpf(2) ** 0.625,
    "expm1(x)": mpmath.expm1(0.625),
    "log(x)": mpmath.log(0.625),
    "log2(x)": mpmath.log(0.625, 2),
    "log10(x)": mpmath.log10(0.625),
    "log1p(x)": mpmath.log1p(0.625),
    "sqrt(x)": mpmath.sqrt(0.625),
    "cbrt(x)": mpmath.cbrt(0.625),
    "fabs(y)": 0.5,
    "floor(y)": -1.0,
    "ceil(x)": 1.0,
    "trunc(y)": 0.0,
    "rint(y * 5)": -2.0,
    "round(y * 5)": -3.0,
    "sin(x)": mpmath.sin(0.625),
    "cos(x)": mpmath.cos(0.625),
    "tan(x)": mpmath.tan(0.625),
    "asin(x)": mpmath.asin(0.625),
    "acos(x)": mpmath.acos(0.625),
    "atan(x)": mpmath.atan(0.625),
    "sinh(x)": mpmath.sinh(0.625),
    "cosh(x)": mpmath.cosh(0.625),
    "tanh(x)": mpmath.tanh(0.625),
    "asinh(x)": mpmath.asinh(0.625),
    "acosh(x + 1)": mpmath.acosh(1.625),
    "atanh(x)": mpmath.atanh(0.625),
    "erf(x)": mpmath.erf(0.625),
    "erfc(x)": mpmath.erfc(0.625),
    "lgamma(x)": mpmath.loggamma(0.625),
    "tgamma(x)": mpmath.gamma(0.625),
    "pow(x, y)": mpmath.mpf(0.625) ** -0.5,
    "hypot(x, y)": mpmath.hypot(0.625, 0.5),
    "atan2(y, x)": mpmath.atan2(-0.5, 0.625),
    "fmod(x, y)": 0.125,
    "copysign(x, y)": -0.625,
    "nextafter(x, x)": 0.625,
    "fmax(x, y)": 0.625,
    "fmin(x, y)": -0.5,
    "fma(x, y, y)": -0.8125,
}
#: At x = 0.625, y = -0.5, and with a NaN, an infinity and -0.
EXACT = {
    "fmax(nan, y)": -0.5,
    "fmax(x, nan)": 0.625,
    "fmin(nan, nan)": NAN,
    "1 / fmax(zero, -zero)": INFINITY,
    "1 / fmax(-zero, zero)": INFINITY,
    "1 / fmin(zero, -zero)": -INFINITY,
    "1 / fmin(-zero, zero)": -INFINITY,
    "isnan(nan) + isnan(infinity) * 2 + isnan(x) * 4": 1,
    "isinf(nan) + isinf(-infinity) * 2 + isinf(x) * 4": 2,
    "isfinite(nan) + isfinite(infinity) * 2 + isfinite(x) * 4": 4,
    "signbit(-zero) + signbit(x) * 2 + signbit(y) * 4": 5,
    "min(3, -4) + max(5, -6)": 1,
    "max(3u, 4u) + min(1u << 31, 1u) + max(1LL << 40, 0LL) / (1LL << 40)": 6,
    "max(~0ULL, 0ULL) == ~0ULL": 1,
    "__int_as_float(0x3f800000)": 1,
    "__float_as_int(-2.0f) == (int)0xc0000000": 1,
    "__uint_as_float(0xbf800000u)": -1,
    "__float_as_uint(-2.0f) == 0xc0000000u": 1,
    "__longlong_as_double(0x3ff0000000000000LL)": 1,
    "__double_as_longlong(-2.0) == (long long)0xc000000000000000ULL": 1,
    "__fadd_rn(x, y) + __fsub_rn(x, y)": 1.25,
    "__fmul_rn(x, y)": -0.3125,
    "__fdiv_rn(x, y)": -1.25,
    "__fmaf_rn(x, y, y)": -0.8125,
    "__dadd_rn(x, y) + __dsub_rn(x, y)": 1.25,
    "__dmul_rn(x, y)": -0.3125,
    "__ddiv_rn(x, y)": -1.25,
    "__fma_rn(x, y, y)": -0.8125,
    "make_float2(1, 2).y + make_double2(1, 2).y + make_uint2(1, 2).y": 6,
    "make_float4(1, 2, 3, 4).w + make_int4(1, 2, 3, 4).w + make_uint4(1, 2, 3, 4).w": 12,
}


def evaluation(expressions, kind):
    """A kernel with the values of expressions in x, y and some special numbers."""
    numbers = "float zero = 0, infinity = 1 / zero, nan = infinity - infinity;"
    lines = [f"out[{place}] = {text};" for place, text in enumerate(expressions)]
    body = "\n".join([numbers, *lines])
    return kernel("evaluate", body, f"{kind}* out, {kind} x, {kind} y")


def values(source, dtype, count):
    out = np.full(count, -77, dtype)
    compile_on_cpu(source).launch("evaluate", (1,), (1,), (out, dtype(0.625), dtype(-0.5)))
    return out


def with_suffix(text):
    name, rest = text.split("(", 1)
    return f"{name}f({rest}"


@pytest.mark.parametrize("kind", ["float", "double"])
def test_functions_are_those_of_mathematics(kind):
    texts = list(FUNCTIONS)
    if kind == "float":
        texts += [with_suffix(text) for text in texts]
    truth = [float(number) for number in FUNCTIONS.values()] * (len(texts) // len(FUNCTIONS))
    dtype = np.float32 if kind == "float" else np.float64
    assert_close(values(evaluation(texts, kind), dtype, len(texts)), truth, ulp=2)


def test_what_is_exact_is_exact():
    out = values(evaluation(EXACT, "float"), np.float32, len(EXACT))
    assert_close(out, list(EXACT.values()), rtol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["float", "double"])
def test_a_gpu_has_the_same_functions(kind, architecture):
    texts = [*FUNCTIONS]
    if kind == "float":
        texts += [*map(with_suffix, FUNCTIONS), *EXACT]
    assert compile_for(evaluation(texts, kind), architecture).resources["evaluate"].registers > 0


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(
    ("expression", "loses"),
    [
        ("x * x + y", {False: True, True: False}),
        ("__fadd_rn(x * x, y)", {False: True, True: True}),
        ("__fmul_rn(x, x) + y", {False: True, True: True}),
        ("fmaf(x, x, y)", {False: False, True: False}),
    ],
)
def test_products_and_sums_are_fused_on_demand(expression, loses, checked):
    source = kernel("rounds", f"out[0] = {expression};", "float* out, float x, float y")
    x = np.float32(1 + 2**-23)
    for fused, zero in loses.items():
        out = np.full(1, NAN, np.float32)
        module = compile_on_cpu(source, fused=fused, checked=checked)
        module.launch("rounds", (1,), (1,), (out, x, -(x * x)))
        assert_close(out, [0.0 if zero else 2.0**-46], rtol=0)


# ------------------------------------------------------------------------- what it lacks
LACKING = {
    "out[0] = __expf(1.0f);": "__expf",
    "atomicAdd(out, 1.0f);": "atomicAdd",
    'printf("%d", 1);': "printf",
    "out[0] = __shfl_up_sync(0xffffffffu, 1.0f, 1);": "__shfl_up_sync",
    "out[0] = threadIdx.x + warpSize;": "warpSize",
    "out[0] = __shfl_sync(0xffffffffu, 1LL, 1);": "shuffles take int, unsigned int, float and",
    "__half half;": "__half",
    "size_t size = 1;": "size_t",
    "float many[threadIdx.x + 1];": "variable length array",
    "auto choose = [](auto x) { return x ?: 1; };": "ISO C",
    "out[0] = exp(1);": "ambiguous",
    "out[0] = max(1, 2u);": "ambiguous",
    "threadIdx.x = 1;": "read-only",
}


@pytest.mark.parametrize("body", LACKING)
def test_what_the_dialect_lacks_does_not_compile(body):
    with pytest.raises(CompileError, match=LACKING[body]):
        compile_on_cpu(kernel("lacking", body))


def test_no_header_can_be_included():
    with pytest.raises(CompileError, match=r"math\.h"):
        compile_on_cpu(kernel("includes", "", before="#include <math.h>"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("__global__ void mangled(float* out) {}", "1 kernels, 0 of the form"),
        ("__device__ void nothing() {}", "0 kernels, 0 of the form"),
        ('// extern "C" __global__ void commented(int x) {}', "0 kernels"),
        (kernel("b", "", before="extern __shared__ float other[];"), "shared_memory"),
        (kernel("b", "int x = 1 +;"), r"kernels\.cu:4"),
        (kernel("b", "if (out = 0) return;"), "suggest parentheses"),
    ],
)
def test_what_is_no_module_of_kernels_is_refused(source, message):
    with pytest.raises(CompileError, match=message):
        compile_on_cpu(source)
