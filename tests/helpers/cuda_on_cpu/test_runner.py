"""Kernels run on the processor as on a GPU, and what would go wrong there is told."""

import ctypes
import threading

import numpy as np
import pytest

from tests.helpers.compare import assert_close
from tests.helpers.cuda_on_cpu import ArgumentError, KernelError, compile_on_cpu
from tests.helpers.cuda_on_cpu.faults import ALWAYS_TOLD, TOLD_IF_WATCHED
from tests.helpers.cuda_on_cpu.specimens import RIGHT, kernel

ORDERS = [None, 0, 1, 2, 3]
FILLS = [0xFF, 0x00, 0x3F]


def run(source, name, grid, block, arguments, **options):
    """Launch in every order, over shared memory full of this and that: the bits stay the same.

    So they do in a checked module; with fused products and sums they do but for rounding.
    """
    arrays = [each for each in arguments if isinstance(each, np.ndarray) and each.flags.writeable]
    before = [array.copy() for array in arrays]

    def results(module):
        found = {}
        for order in ORDERS:
            for fill in FILLS:
                for array, old in zip(arrays, before, strict=True):
                    array[...] = old
                module.launch(name, grid, block, arguments, order=order, fill=fill, **options)
                found[b"".join(array.tobytes() for array in arrays)] = [*map(np.copy, arrays)]
        return found

    fused = results(compile_on_cpu(source, fused=True))
    plain = results(compile_on_cpu(source))
    assert len(fused) == len(plain) == 1
    assert results(compile_on_cpu(source, checked=True)).keys() == plain.keys()
    for mine, exact in zip(*fused.values(), *plain.values(), strict=True):
        assert_close(mine, exact, of="gradient", atol=1e-30)


def frozen(values, dtype=np.float32):
    array = np.array(values, dtype)
    array.flags.writeable = False
    return array


# ------------------------------------------------------------------------- what is right
@pytest.mark.parametrize("count", [0, 1, 31, 257, 5000])
def test_sums_of_blocks(rng, count):
    values = frozen(rng.random(count))
    out = np.full(3, np.nan)
    run(RIGHT["block_sums"], "block_sums", (3,), (256,), (values, out, np.int64(count)))
    assert_close(np.sum(out), values.sum(dtype=np.float64), rtol=1e-12)


def test_sums_of_warps(rng):
    values = frozen(rng.integers(0, 1000, (2, 3, 32)))
    by_xor, by_down = np.full(192, np.nan, np.float32), np.full(6, np.nan, np.float32)
    run(RIGHT["warp_sums"], "warp_sums", (2,), (96,), (values, by_xor, by_down))
    sums = values.sum(axis=-1).reshape(6)
    assert_close(by_xor, np.repeat(sums, 32))
    assert_close(by_down, sums)


@pytest.mark.parametrize("columns", [1, 31, 33, 255, 257])
def test_softmax_in_one_pass(rng, columns):
    rows = frozen(rng.normal(0, 30, (3, columns)))
    out = np.full(rows.shape, np.nan, np.float32)
    arguments = (rows, out, np.int64(columns))
    run(RIGHT["softmax"], "softmax", (3,), (64,), arguments, shared_bytes=16)
    exponentials = np.exp(rows - rows.max(axis=1, keepdims=True).astype(np.float64))
    truth = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert_close(out, truth, dtype="float32", rtol=1e-5, atol=1e-30)


def test_histogram(rng):
    values = rng.integers(0, 16, 1000).astype(np.uint8)
    out = np.full(16, -1, np.int32)
    run(RIGHT["histogram"], "histogram", (1,), (64,), (values, out, np.int32(1000)))
    assert_close(out, np.bincount(values, minlength=16).astype(np.int32))


@pytest.mark.parametrize("negate", [False, True])
def test_vectors_of_sixteen_bytes(rng, negate):
    storage = np.frombuffer(bytearray(1024 + 16), np.uint8)
    start = -storage.ctypes.data % 16
    out = storage[start : start + 1024].view(np.float32)
    out[:] = values = rng.random(256, np.float32)
    arguments = (out, out, np.float32(3), np.bool_(negate))
    compile_on_cpu(RIGHT["scale"], checked=True).launch("scale", (2,), (32,), arguments)
    assert_close(out, values * np.float32(-3 if negate else 3), rtol=0)


def test_lanes_exchange_through_shared_memory():
    out = np.full(64, np.nan, np.float32)
    run(RIGHT["exchange"], "exchange", (1,), (64,), (out,))
    assert_close(out, np.tile(np.roll(np.arange(32), -1), 2).astype(np.float32))


def test_every_index_of_grid_and_block():
    body = """
    int block = blockIdx.x + gridDim.x * blockIdx.y;
    int thread = threadIdx.x + blockDim.x * threadIdx.y;
    out[block * blockDim.x * blockDim.y + thread] =
        1000 * blockIdx.x + 100 * blockIdx.y + 10 * threadIdx.x + threadIdx.y;
    """
    out = np.full((3, 2, 4, 5), -1, np.int32)
    run(kernel("indices", body, "int* out"), "indices", (2, 3), (5, 4), (out,))
    y, x, j, i = np.indices(out.shape)
    assert_close(out, (1000 * x + 100 * y + 10 * i + j).astype(np.int32))


SHUFFLES = {
    "__shfl_sync(0xffffffffu, lane, 3)": lambda lane: np.full(32, 3),
    "__shfl_sync(0xffffffffu, lane, 35)": lambda lane: np.full(32, 3),
    "__shfl_sync(0xffffffffu, lane, 3, 8)": lambda lane: lane // 8 * 8 + 3,
    "__shfl_xor_sync(0xffffffffu, lane, 5)": lambda lane: lane ^ 5,
    "__shfl_xor_sync(0xffffffffu, lane, 12, 8)": lambda lane: np.where(lane & 8, lane ^ 12, lane),
    "__shfl_down_sync(0xffffffffu, lane, 3)": lambda lane: np.where(lane < 29, lane + 3, lane),
    "__shfl_down_sync(0xffffffffu, lane, 35)": lambda lane: np.where(lane < 29, lane + 3, lane),
    "__shfl_down_sync(0xffffffffu, lane, 3, 4)": lambda lane: lane + 3 * (lane % 4 == 0),
    "(int)__ballot_sync(0xffffffffu, lane % 3 == 0)": lambda lane: np.full(32, 0x49249249),
    "__any_sync(0xffffffffu, lane == 31)": lambda lane: np.full(32, 1),
    "__any_sync(0xffffffffu, lane == 32)": lambda lane: np.full(32, 0),
    "__all_sync(0xffffffffu, lane < 32)": lambda lane: np.full(32, 1),
    "__all_sync(0xffffffffu, lane < 31)": lambda lane: np.full(32, 0),
}


@pytest.mark.parametrize("call", SHUFFLES)
def test_what_lanes_tell_each_other(call):
    out = np.full(32, -1, np.int32)
    body = f"int lane = threadIdx.x;\nout[lane] = {call};"
    run(kernel("tell", body, "int* out"), "tell", (1,), (32,), (out,))
    assert_close(out, SHUFFLES[call](np.arange(32)).astype(np.int32))


@pytest.mark.parametrize("kind", ["int", "unsigned int", "float", "double"])
def test_shuffles_of_every_type(kind):
    dtype = {"int": "i4", "unsigned int": "u4", "float": "f4", "double": "f8"}[kind]
    body = "out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, out[threadIdx.x], 31);"
    out = (np.arange(32) * 6e7).astype(dtype)
    expected = out[::-1].copy()
    run(kernel("turn", body, f"{kind}* out"), "turn", (1,), (32,), (out,))
    assert_close(out, expected, rtol=0)


def test_parts_of_a_warp_meet_apart():
    body = """
    unsigned int mine = threadIdx.x % 4 == 0 ? 0x11111111u : 0xeeeeeeeeu;
    int sum = 0;
    for (int other = 0; other < 32; ++other)
        if (mine >> other & 1) sum += __shfl_sync(mine, (int)threadIdx.x, other);
    out[threadIdx.x] = sum;
    """
    out = np.full(32, -1, np.int32)
    run(kernel("parts", body, "int* out"), "parts", (1,), (32,), (out,))
    lane = np.arange(32)
    assert_close(out, np.where(lane % 4 == 0, 112, 496 - 112).astype(np.int32))


def test_a_lane_that_is_not_there_gives_a_hostile_value():
    body = "out[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.0f, 1);"
    out = np.zeros(40, np.float32)
    compile_on_cpu(kernel("lonely", body)).launch("lonely", (1,), (40,), (out,))
    assert_close(out, np.where(np.arange(40) == 39, np.nan, 1).astype(np.float32))


def test_structures_are_passed_by_value():
    class Layout(ctypes.Structure):
        _fields_ = [("step", ctypes.c_longlong), ("factor", ctypes.c_float)]

    before = "struct Layout { long long step; float factor; };"
    body = "out[threadIdx.x * layout.step] = layout.factor;"
    source = kernel("laid", body, "float* out, Layout layout", before=before)
    out = np.zeros(8, np.float32)
    compile_on_cpu(source).launch("laid", (1,), (4,), (out, Layout(2, 0.5)))
    assert_close(out, np.tile(np.array([0.5, 0.0], np.float32), 4))


def test_shared_memory_of_templates_is_apart_in_each_and_in_each_module():
    text = """
    template <int number> __device__ int* place() {{ __shared__ int of[{size}]; return of; }}
    extern "C" __global__ void apart(int* out)
    {{
        place<1>()[threadIdx.x] = 1;
        place<2>()[threadIdx.x] = 2;
        __syncthreads();
        out[threadIdx.x] = place<1>()[63 - threadIdx.x] * 10 + place<2>()[63 - threadIdx.x];
    }}
    """
    for size in (64, 4096):
        out = np.zeros(64, np.int32)
        run(text.format(size=size), "apart", (1,), (64,), (out,))
        assert_close(out, np.full(64, 12, np.int32))


# ------------------------------------------------------------------------- what is wrong
def launch_wrong(fault, *, checked, order=None):
    out, given = np.zeros(64, np.float32), frozen(np.ones(64))
    module = compile_on_cpu(fault.source, checked=checked)
    module.launch("wrong", (2,), (64,), (out, given), shared_bytes=64, order=order)


@pytest.mark.parametrize("name", ALWAYS_TOLD)
def test_what_would_hang_or_crash_is_told(name):
    with pytest.raises(KernelError, match=ALWAYS_TOLD[name].message):
        launch_wrong(ALWAYS_TOLD[name], checked=False)
    for order in ORDERS:
        with pytest.raises(KernelError, match=r"^kernel wrong, block \(\d, 0, 0\), thread \("):
            launch_wrong(ALWAYS_TOLD[name], checked=True, order=order)


@pytest.mark.parametrize("name", TOLD_IF_WATCHED)
def test_what_would_go_unnoticed_is_told_of_a_checked_kernel(name):
    with pytest.raises(KernelError, match=TOLD_IF_WATCHED[name].message):
        launch_wrong(TOLD_IF_WATCHED[name], checked=True)
    for order in ORDERS:
        with pytest.raises(KernelError, match=r"^kernel wrong, block \(\d, 0, 0\), thread \("):
            launch_wrong(TOLD_IF_WATCHED[name], checked=True, order=order)


def test_a_machine_that_has_failed_runs_the_next_kernel(rng):
    with pytest.raises(KernelError):
        launch_wrong(ALWAYS_TOLD["a barrier behind an early return"], checked=False)
    test_sums_of_blocks(rng, 257)


def test_the_shuffled_order_shows_a_race():
    body = """
    __shared__ float values[64];
    values[threadIdx.x] = 1;
    __syncthreads();
    for (int half = 32; half > 0; half /= 2)
        if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
    out[threadIdx.x] = values[0];
    """
    module = compile_on_cpu(kernel("racy", body))
    results = set()
    for order in range(10):
        out = np.zeros(64, np.float32)
        module.launch("racy", (1,), (64,), (out,), order=order)
        results.add(out.tobytes())
    assert len(results) > 1


def test_the_shuffled_order_is_that_of_its_seed():
    body = """
    __shared__ int turn[1];
    if (threadIdx.x == 0) turn[0] = 0;
    __syncthreads();
    out[blockIdx.x * 64 + threadIdx.x] = turn[0]++;
    """
    module = compile_on_cpu(kernel("turns", body, "int* out"))

    def turns(order):
        out = np.full((3, 64), -1, np.int32)
        module.launch("turns", (3,), (64,), (out,), order=order)
        return out.tolist()

    assert turns(None) == [list(range(64))] * 3
    assert turns(5) == turns(5) != turns(6)
    assert all(sorted(turn) == list(range(64)) for turn in turns(5))
    assert turns(5)[0] != turns(5)[1]


def test_blocks_come_in_a_shuffled_order_and_each_once():
    source = kernel("count", "out[0] = out[0] * 3 + blockIdx.x; ++out[1];", "int* out")
    module = compile_on_cpu(source)

    def digits(order):
        out = np.zeros(2, np.int32)
        module.launch("count", (3,), (1,), (out,), order=order)
        return out.tolist()

    assert digits(None) == [5, 3]
    found = [digits(order) for order in range(40)]
    assert {count for _, count in found} == {3}
    assert len({number for number, _ in found}) == 6


@pytest.mark.parametrize("fill", FILLS)
def test_shared_memory_is_full_of_the_pattern_in_every_block(fill):
    body = """
    __shared__ unsigned char bytes[64];
    int place = blockIdx.x * 64 + threadIdx.x;
    out[2 * place] = bytes[threadIdx.x];
    out[2 * place + 1] = shared_memory[threadIdx.x];
    __syncthreads();
    bytes[threadIdx.x] = shared_memory[threadIdx.x] = 1;
    """
    before = "extern __shared__ __align__(16) unsigned char shared_memory[];"
    source = kernel("look", body, "unsigned char* out", before=before)
    out = np.full(256, 7, np.uint8)
    module = compile_on_cpu(source)
    module.launch("look", (2,), (64,), (out,), shared_bytes=64, fill=fill)
    assert_close(out, np.full(256, fill, np.uint8))


# ------------------------------------------------------------------------- launches
def test_memory_reached_by_a_number_is_named():
    source = kernel("reach", "out[threadIdx.x] = 1;")
    module = compile_on_cpu(source, checked=True)
    out = np.zeros(4, np.float32)
    address = np.uint64(out.ctypes.data)
    module.launch("reach", (1,), (4,), (address,), memory=[out])
    assert_close(out, np.ones(4, np.float32))
    with pytest.raises(KernelError, match="outside all arrays"):
        module.launch("reach", (1,), (4,), (address,))


PARAMETERS = "float* a, const double* b, unsigned short* c, int d, long long e, float f, bool g"
GOOD = {
    "a": np.zeros(1, np.float32),
    "b": np.zeros(1),
    "c": np.zeros(1, np.float16),
    "d": np.int32(0),
    "e": np.int64(0),
    "f": ctypes.c_float(0),
    "g": np.bool_(0),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a", np.zeros(1)),
        ("a", np.zeros(1, np.int32)),
        ("a", [1.0]),
        ("b", np.zeros(1, np.float32)),
        ("c", np.zeros(1, np.float32)),
        ("d", np.int64(0)),
        ("d", np.float32(0)),
        ("d", 0),
        ("d", np.zeros(1, np.int32)),
        ("e", np.int32(0)),
        ("e", None),
        ("f", 0.5),
        ("f", np.float64(0.5)),
        ("f", ctypes.c_double(0.5)),
        ("g", True),
    ],
)
def test_an_argument_of_another_type_is_refused(name, wrong):
    module = compile_on_cpu(kernel("typed", "", PARAMETERS))
    module.launch("typed", (1,), (1,), list(GOOD.values()))
    place = list(GOOD).index(name)
    with pytest.raises(ArgumentError, match=rf"kernel typed, argument {place}: got .*, expected"):
        module.launch("typed", (1,), (1,), list({**GOOD, name: wrong}.values()))


def test_the_number_of_arguments_is_checked():
    with pytest.raises(ArgumentError, match="2 arguments for 1 parameters"):
        compile_on_cpu(kernel("one", "")).launch("one", (1,), (1,), (None, None))


@pytest.mark.parametrize(
    ("grid", "block", "message"),
    [
        ((0,), (1,), r"grid \(0,\)"),
        ((1, 65536), (1,), "grid"),
        ((1, 1, 1, 1), (1,), "grid"),
        ((1,), (1025,), "block"),
        ((1,), (1, 1, 65), "block"),
        ((1,), (33, 32), "1056 threads a block, but it is bound to 1024"),
    ],
)
def test_a_launch_that_a_gpu_refuses_is_refused(grid, block, message):
    with pytest.raises(KernelError, match=f"kernel none: .*{message}"):
        compile_on_cpu(kernel("none", "")).launch("none", grid, block, (None,))


def test_the_bounds_that_a_kernel_declares_hold():
    source = kernel("bound", "").replace("void bound", "void __launch_bounds__(2 * 32, 4) bound")
    module = compile_on_cpu(source)
    module.launch("bound", (1,), (64,), (None,))
    with pytest.raises(KernelError, match="65 threads a block, but it is bound to 64"):
        module.launch("bound", (1,), (65,), (None,))


def test_no_more_shared_memory_than_there_is():
    module = compile_on_cpu(kernel("none", ""))
    module.launch("none", (1,), (1,), (None,), shared_bytes=227 * 1024)
    with pytest.raises(KernelError, match="232449 bytes of shared memory, but there are 232448"):
        module.launch("none", (1,), (1,), (None,), shared_bytes=227 * 1024 + 1)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(KernelError, match="no kernel 'other' in this module, which has none"):
        compile_on_cpu(kernel("none", "")).launch("other", (1,), (1,), (None,))


def test_threads_of_python_take_turns():
    module = compile_on_cpu(RIGHT["exchange"])
    outs = [np.zeros(64, np.float32) for _ in range(8)]

    def work(out):
        for _ in range(20):
            module.launch("exchange", (4,), (64,), (out,))

    workers = [threading.Thread(target=work, args=(out,)) for out in outs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for out in outs:
        assert_close(out, np.tile(np.roll(np.arange(32), -1), 2).astype(np.float32))
