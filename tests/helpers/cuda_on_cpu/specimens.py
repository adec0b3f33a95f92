"""Kernels written by hand in the dialect, for the tests of the harness."""

import textwrap

__all__ = ["RIGHT", "kernel"]


def kernel(name, body, parameters="float* out", before=""):
    """The text of a kernel; its body begins on the fourth line."""
    indented = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return f'{before}\nextern "C" __global__ void {name}({parameters})\n{{\n{indented}\n}}\n'


BLOCK_SUM = r"""
template <class T> __device__ T block_sum(T value)
{
    __shared__ T sums[1024];
    sums[threadIdx.x] = value;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    T sum = sums[0];
    __syncthreads();
    return sum;
}

extern "C" __global__ void __launch_bounds__(256, 2)
block_sums(const float* __restrict__ values, double* __restrict__ out, long long count)
{
    double mine = 0;
    long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
        mine += __ldg(values + i);
    double sum = block_sum(mine);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
}
"""

WARP_SUM = r"""
extern "C" __global__ void warp_sums(const float* values, float* by_xor, float* by_down)
{
    unsigned int place = blockIdx.x * blockDim.x + threadIdx.x;
    float all = values[place], first = all;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        all += __shfl_xor_sync(0xffffffffu, all, step);
        first += __shfl_down_sync(0xffffffffu, first, step);
    }
    by_xor[place] = all;
    if (threadIdx.x % 32 == 0) by_down[place / 32] = first;
}
"""

SOFTMAX = r"""
extern __shared__ __align__(16) unsigned char shared_memory[];

struct __align__(8) Online { float maximum, sum; };

__device__ __forceinline__ Online join(Online a, Online b)
{
    float maximum = fmaxf(a.maximum, b.maximum);
    if (maximum == -__int_as_float(0x7f800000)) return {maximum, 0.0f};
    return {maximum, a.sum * expf(a.maximum - maximum) + b.sum * expf(b.maximum - maximum)};
}

// Each block takes a row, its maximum and its sum of exponentials in one pass.
extern "C" __global__ void softmax(const float* rows, float* out, long long columns)
{
    Online* partial = reinterpret_cast<Online*>(shared_memory);
    const float* row = rows + blockIdx.x * columns;
    Online mine = {-__int_as_float(0x7f800000), 0.0f};
    for (long long i = threadIdx.x; i < columns; i += blockDim.x) mine = join(mine, {row[i], 1.0f});
    for (int step = 16; step > 0; step /= 2)
        mine = join(mine, {__shfl_xor_sync(0xffffffffu, mine.maximum, step),
                           __shfl_xor_sync(0xffffffffu, mine.sum, step)});
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = mine;
    __syncthreads();
    for (unsigned int warp = 0; warp < blockDim.x / 32; ++warp)
        mine = warp == 0 ? partial[0] : join(mine, partial[warp]);
    for (long long i = threadIdx.x; i < columns; i += blockDim.x)
        out[blockIdx.x * columns + i] = expf(row[i] - mine.maximum) / mine.sum;
}
"""

HISTOGRAM = r"""
// Each thread counts into a column of its own, and the columns are added up behind a barrier.
extern "C" __global__ void histogram(const unsigned char* values, int* out, int count)
{
    __shared__ int counts[16][64];
    for (int bin = 0; bin < 16; ++bin) counts[bin][threadIdx.x] = 0;
    for (int i = threadIdx.x; i < count; i += 64) ++counts[values[i] & 15][threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 16) {
        int sum = 0;
        for (int thread = 0; thread < 64; ++thread) sum += counts[threadIdx.x][thread];
        out[threadIdx.x] = sum;
    }
}
"""

VECTORS = r"""
extern "C" __global__ void scale(const float* in, float* out, float factor, bool negate)
{
    unsigned int place = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    float4 four = __ldcs(reinterpret_cast<const float4*>(in + place));
    auto change = [=](float x) { return negate ? -factor * x : factor * x; };
    four = make_float4(change(four.x), change(four.y), change(four.z), change(four.w));
    __stcs(reinterpret_cast<float4*>(out + place), four);
}
"""

HALVES = r"""
#ifndef TENSORWEAVER_CUDA_ON_CPU
__device__ __forceinline__ float half_to_float(unsigned short half)
{
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(half));
    return number;
}
__device__ __forceinline__ unsigned short float_to_half(float number)
{
    unsigned short half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(number));
    return half;
}
#endif

extern "C" __global__ void widen(const unsigned short* in, float* out, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = half_to_float(in[i]);
}

extern "C" __global__ void narrow(const float* in, unsigned short* out, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = float_to_half(in[i]);
}
"""

WARP_EXCHANGE = kernel(
    "exchange",
    """
    __shared__ float values[64];
    unsigned int lane = threadIdx.x % 32;
    values[threadIdx.x] = (float)lane;
    __syncwarp();
    out[threadIdx.x] = values[threadIdx.x / 32 * 32 + (lane + 1) % 32];
    """,
)

#: Texts that every compiler must take, by the name of a kernel in them.
RIGHT = {
    "block_sums": BLOCK_SUM,
    "warp_sums": WARP_SUM,
    "softmax": SOFTMAX,
    "histogram": HISTOGRAM,
    "scale": VECTORS,
    "widen": HALVES,
    "exchange": WARP_EXCHANGE,
}
