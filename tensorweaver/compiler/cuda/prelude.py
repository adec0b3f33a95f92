"""What every kernel's text begins with: numbers in memory, reductions, and sums on their way out.

The text is CUDA C and needs no header. `TENSORWEAVER_CUDA_ON_CPU` is defined where a C++ compiler
without CUDA reads it.
"""

from __future__ import annotations

import re

from tensorweaver.compiler.cuda.quick import QUICK

__all__ = ["FINISH", "RESERVED", "preamble"]

NUMBERS = """
struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };

#ifndef TENSORWEAVER_CUDA_ON_CPU
__device__ __forceinline__ float half_to_float(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
__device__ __forceinline__ unsigned short float_to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
#endif

template <typename T> __device__ T infinity();
template <> __device__ __forceinline__ float infinity<float>() {
    return __int_as_float(0x7f800000);
}
template <> __device__ __forceinline__ double infinity<double>() {
    return __longlong_as_double(0x7ff0000000000000LL);
}
template <typename T> __device__ T not_a_number();
template <> __device__ __forceinline__ float not_a_number<float>() {
    return __int_as_float(0x7fc00000);
}
template <> __device__ __forceinline__ double not_a_number<double>() {
    return __longlong_as_double(0x7ff8000000000000LL);
}

// A number in memory as one to compute with, and back, rounded to nearest.
template <typename T> __device__ __forceinline__ real number(T x) { return static_cast<real>(x); }
__device__ __forceinline__ real number(float16 x) { return half_to_float(x.bits); }
__device__ __forceinline__ real number(bfloat16 x) {
    return __int_as_float(static_cast<int>(static_cast<unsigned int>(x.bits) << 16));
}
template <typename T> __device__ __forceinline__ long long whole(T x) {
    return static_cast<long long>(x);
}
template <typename T> __device__ __forceinline__ bool truth(T x) { return x != 0; }
template <typename T> __device__ __forceinline__ void put(real x, T &place) {
    place = static_cast<T>(x);
}
__device__ __forceinline__ void put(real x, float16 &place) {
    place.bits = float_to_half(static_cast<float>(x));
}
__device__ __forceinline__ void put(real x, bfloat16 &place) {
    const unsigned int bits = static_cast<unsigned int>(__float_as_int(static_cast<float>(x)));
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const unsigned int rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    place.bits = static_cast<unsigned short>((is_nan ? bits | 0x400000u : rounded) >> 16);
}

// The larger and the smaller of two numbers: NaN if either is, and +0 above -0. Newer devices have
// an instruction for it.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ __forceinline__ float maximum(float x, float y) {
    float larger;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(x), "f"(y));
    return larger;
}
__device__ __forceinline__ float minimum(float x, float y) {
    float smaller;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(smaller) : "f"(x), "f"(y));
    return smaller;
}
#else
__device__ __forceinline__ float maximum(float x, float y) {
    const float same = __int_as_float(__float_as_int(x) & __float_as_int(y));
    return x > y || x != x ? x : x == y ? same : y;
}
__device__ __forceinline__ float minimum(float x, float y) {
    const float same = __int_as_float(__float_as_int(x) | __float_as_int(y));
    return x < y || x != x ? x : x == y ? same : y;
}
#endif
__device__ __forceinline__ double maximum(double x, double y) {
    const long long bits = __double_as_longlong(x) & __double_as_longlong(y);
    return x > y || x != x ? x : x == y ? __longlong_as_double(bits) : y;
}
__device__ __forceinline__ double minimum(double x, double y) {
    const long long bits = __double_as_longlong(x) | __double_as_longlong(y);
    return x < y || x != x ? x : x == y ? __longlong_as_double(bits) : y;
}
__device__ __forceinline__ long long maximum(long long x, long long y) { return x > y ? x : y; }
__device__ __forceinline__ long long minimum(long long x, long long y) { return x < y ? x : y; }
"""

ARRAYS = """
// Neighbours in memory, read and written together where they are aligned.
__device__ constexpr int alignment(int bytes) {
    return (bytes & -bytes) < 16 ? bytes & -bytes : 16;
}
template <typename T> struct Half { static constexpr bool is = false; };
template <> struct Half<float16> { static constexpr bool is = true; };
template <> struct Half<bfloat16> { static constexpr bool is = true; };
template <typename T, int N, bool pairs = Half<T>::is && N % 2 == 0>
struct alignas(alignment(sizeof(T) * N)) Pack {
    T all[N];
    __device__ __forceinline__ T at(int n) const { return all[n]; }
    __device__ __forceinline__ void set(int n, T x) { all[n] = x; }
};

// Two numbers of half precision share a register.
template <typename T, int N> struct alignas(alignment(sizeof(T) * N)) Pack<T, N, true> {
    unsigned int all[N / 2];
    __device__ __forceinline__ T at(int n) const {
        return T{static_cast<unsigned short>(all[n / 2] >> n % 2 * 16)};
    }
    __device__ __forceinline__ void set(int n, T x) {
        const unsigned int bits = x.bits;
        all[n / 2] = n % 2 ? (all[n / 2] & 0xffffu) | bits << 16 : bits;
    }
};

// Numbers as they are in memory; newer devices have an instruction for two of them.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ __forceinline__ unsigned int pair_of(float x, float y, bfloat16) {
    unsigned int pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(y), "f"(x));
    return pair;
}
__device__ __forceinline__ unsigned int pair_of(float x, float y, float16) {
    unsigned int pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(y), "f"(x));
    return pair;
}
#else
template <typename T> __device__ __forceinline__ unsigned int pair_of(float x, float y, T) {
    T first, second;
    put(x, first);
    put(y, second);
    return first.bits | static_cast<unsigned int>(second.bits) << 16;
}
#endif
template <typename T, int N>
__device__ __forceinline__ void pack(const real (&values)[N], Pack<T, N, false> &into) {
#pragma unroll
    for (int n = 0; n < N; ++n) put(values[n], into.all[n]);
}
template <typename T, int N>
__device__ __forceinline__ void pack(const real (&values)[N], Pack<T, N, true> &into) {
#pragma unroll
    for (int n = 0; n < N; n += 2)
        into.all[n / 2] = pair_of(
            static_cast<float>(values[n]), static_cast<float>(values[n + 1]), T()
        );
}

template <int N, typename T> __device__ __forceinline__ Pack<T, N> vector(const T *aligned) {
    return *reinterpret_cast<const Pack<T, N> *>(aligned);
}
// In global memory, by one instruction: the compiler may take four.
__device__ __forceinline__ void store_16(uint4 *aligned, uint4 words) {
#ifdef TENSORWEAVER_CUDA_ON_CPU
    *aligned = words;
#else
    asm volatile(
        "{ .reg .u64 to; cvta.to.global.u64 to, %0; st.global.v4.b32 [to], {%1, %2, %3, %4}; }"
        :: "l"(aligned), "r"(words.x), "r"(words.y), "r"(words.z), "r"(words.w) : "memory"
    );
#endif
}
template <typename T, int N>
__device__ __forceinline__ void store(T *aligned, const real (&values)[N]) {
    Pack<T, N> packed;
    pack(values, packed);
    if (sizeof(packed) % 16 == 0) {
        const uint4 *words = reinterpret_cast<const uint4 *>(&packed);
#pragma unroll
        for (int i = 0; i < static_cast<int>(sizeof(packed) / 16); ++i)
            store_16(reinterpret_cast<uint4 *>(aligned) + i, words[i]);
    } else {
        *reinterpret_cast<Pack<T, N> *>(aligned) = packed;
    }
}

// Neighbours of a tile, whose places `begin` to `end` are a row's; what lies beyond is read as 0.
template <int N, typename T>
__device__ __forceinline__ Pack<T, N> load(
    const T *tile, int at, int begin, int end, bool aligned
) {
    if (aligned && at >= begin && at + N <= end) return vector<N>(tile + at);
    Pack<T, N> found;
#pragma unroll
    for (int n = 0; n < N; ++n)
        found.set(n, at + n >= begin && at + n < end ? tile[at + n] : T());
    return found;
}

template <typename T, int N>
__device__ __forceinline__ void store(
    T *tile, int at, int begin, int end, bool aligned, const real (&values)[N]
) {
    if (aligned && at >= begin && at + N <= end) {
        store(tile + at, values);
        return;
    }
#pragma unroll
    for (int n = 0; n < N; ++n)
        if (at + n >= begin && at + n < end) put(values[n], tile[at + n]);
}

// The same with elements `step` apart, one at a time.
template <typename T>
__device__ __forceinline__ Pack<T, 1> load_apart(
    const T *row, long long place, long long size, long long step
) {
    return Pack<T, 1>{{place < size ? row[place * step] : T()}};
}

template <typename T>
__device__ __forceinline__ void store_apart(
    T *row, long long place, long long size, long long step, const real (&value)[1]
) {
    if (place < size) put(value[0], *(row + place * step));
}

// Rows of a warp between global and shared memory, in the order of memory.
struct Copying {
    template <typename T>
    static __device__ __forceinline__ void some(T *to, const T *from, int count) {
        for (int i = threadIdx.x % 32; i < count; i += 32) to[i] = from[i];
    }
    template <int BYTES>
    static __device__ __forceinline__ void all(void *to, const void *from) {
        constexpr int vectors = BYTES / 16, turns = (vectors + 31) / 32;
        uint4 read[turns];
#pragma unroll
        for (int i = 0; i < turns; ++i) {
            const int at = threadIdx.x % 32 + i * 32;
            if (at < vectors) read[i] = static_cast<const uint4 *>(from)[at];
        }
#pragma unroll
        for (int i = 0; i < turns; ++i) {
            const int at = threadIdx.x % 32 + i * 32;
            if (at < vectors) static_cast<uint4 *>(to)[at] = read[i];
        }
    }
};
__device__ __forceinline__ bool by_16(const void *address) {
    return reinterpret_cast<unsigned long long>(address) % 16 == 0;
}
template <int N, typename T>
__device__ __forceinline__ void stage_in(T *to, const T *from, int rows) {
    if (rows == 32 && by_16(from)) Copying::all<32 * N * sizeof(T)>(to, from);
    else Copying::some(to, from, rows * N);
}
template <int N, typename T>
__device__ __forceinline__ void stage_out(const T *from, T *to, int rows) {
    if (rows == 32 && by_16(to)) Copying::all<32 * N * sizeof(T)>(to, from);
    else Copying::some(to, from, rows * N);
}
template <typename T, int N>
__device__ __forceinline__ void stage(T *row, const real (&values)[N]) {
    Pack<T, N> packed;
    pack(values, packed);
    *reinterpret_cast<Pack<T, N> *>(row) = packed;
}

// What is known for a whole row, not to be found anew for every tile.
__device__ __forceinline__ bool settled(bool known) {
    int x = known;
#ifndef TENSORWEAVER_CUDA_ON_CPU
    asm volatile("" : "+r"(x));
#endif
    return x != 0;
}
__device__ __forceinline__ long long settled(long long x) {
#ifndef TENSORWEAVER_CUDA_ON_CPU
    asm volatile("" : "+l"(x));
#endif
    return x;
}

// How many places before a row begins the aligned address is.
template <int N, typename T> __device__ __forceinline__ int phase_of(const T *row) {
    return static_cast<int>(reinterpret_cast<unsigned long long>(row) / sizeof(T) % N);
}

// The element at a label, whatever the label is.
template <typename T>
__device__ __forceinline__ real at_label(
    const T *row, long long label, long long classes, long long step
) {
    if (classes < 1) return not_a_number<real>();
    return number(row[minimum(maximum(label, 0LL), classes - 1) * step]);
}
"""

REDUCTIONS = """
struct Maximum {
    real found;
    static __device__ __forceinline__ Maximum none() { return Maximum{-infinity<real>()}; }
    __device__ __forceinline__ void add(real x) { found = maximum(found, x); }
    __device__ __forceinline__ void merge(const Maximum &other) { add(other.found); }
    __device__ __forceinline__ Maximum from(int step) const {
        return Maximum{__shfl_xor_sync(0xffffffffu, found, step)};
    }
    __device__ __forceinline__ real value() const { return found; }
};

struct Minimum {
    real found;
    static __device__ __forceinline__ Minimum none() { return Minimum{infinity<real>()}; }
    __device__ __forceinline__ void add(real x) { found = minimum(found, x); }
    __device__ __forceinline__ void merge(const Minimum &other) { add(other.found); }
    __device__ __forceinline__ Minimum from(int step) const {
        return Minimum{__shfl_xor_sync(0xffffffffu, found, step)};
    }
    __device__ __forceinline__ real value() const { return found; }
};

struct Product {
    real found;
    static __device__ __forceinline__ Product none() { return Product{1}; }
    __device__ __forceinline__ void add(real x) { found *= x; }
    __device__ __forceinline__ void merge(const Product &other) { add(other.found); }
    __device__ __forceinline__ Product from(int step) const {
        return Product{__shfl_xor_sync(0xffffffffu, found, step)};
    }
    __device__ __forceinline__ real value() const { return found; }
};

// The reduction over a group of threads, the same in each of them: a power of two up to a warp, or
// the whole block. All threads of the block come here.
template <typename A> __device__ __forceinline__ A over_group(A mine, int group) {
    for (int step = 1; step < group && step < 32; step *= 2) mine.merge(mine.from(step));
    if (group > 32) {
        __shared__ A warps[32];
        __syncthreads();
        if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = mine;
        __syncthreads();
        mine = warps[threadIdx.x % (group / 32)];
        for (int step = 1; step < group / 32; step *= 2) mine.merge(mine.from(step));
    }
    return mine;
}

__device__ __forceinline__ void wait_for_group(int group) {
    if (group > 32) __syncthreads();
    else __syncwarp(0xffffffffu);
}
"""

SUMS = {
    "float": """
// A sum of float32 is kept in float64.
struct Sum {
    double sum;
    static __device__ __forceinline__ Sum none() { return Sum{0.0}; }
    __device__ __forceinline__ void add(double x) { sum += x; }
    __device__ __forceinline__ void merge(const Sum &other) { sum += other.sum; }
    __device__ __forceinline__ void scale(double factor) { sum *= factor; }
    __device__ __forceinline__ Sum from(int step) const {
        return Sum{__shfl_xor_sync(0xffffffffu, sum, step)};
    }
    __device__ __forceinline__ double total() const { return sum; }
    __device__ __forceinline__ real value() const { return static_cast<real>(sum); }
};
""",
    "double": """
// A sum, and beside it what its additions rounded off (Knuth's two-sum).
struct Sum {
    double sum, lost;
    static __device__ __forceinline__ Sum none() { return Sum{0.0, 0.0}; }
    __device__ __forceinline__ double take(double x) {
        const double before = sum;
        sum = before + x;
        const double of_x = sum - before;
        return (before - (sum - of_x)) + (x - of_x);
    }
    __device__ __forceinline__ void add(double x) { lost += take(x); }
    __device__ __forceinline__ void merge(const Sum &other) {
        const double both = lost + other.lost;
        lost = both + take(other.sum);
    }
    __device__ __forceinline__ void scale(double factor) {
        sum *= factor;
        lost *= factor;
    }
    __device__ __forceinline__ Sum from(int step) const {
        return Sum{__shfl_xor_sync(0xffffffffu, sum, step),
                   __shfl_xor_sync(0xffffffffu, lost, step)};
    }
    // Infinities and NaN lose nothing.
    __device__ __forceinline__ double total() const {
        return fabs(sum) < infinity<double>() ? sum + lost : sum;
    }
    __device__ __forceinline__ real value() const { return total(); }
};
""",
}

RESULTS = """
// A total on its way out: over the divisor, where over nothing is 0 but for NaN; or by itself, with
// one over it behind it.
__device__ __forceinline__ void settle(
    double total, double divisor, const double *divisor_at, real *quotient, double *count
) {
    if (quotient) {
        if (divisor_at) divisor = *divisor_at;
        const double over_nothing = total != total ? total : 0.0;
        *quotient = static_cast<real>(divisor != 0.0 ? total / divisor : over_nothing);
    }
    if (count) {
        count[0] = total;
        count[1] = total != 0.0 ? 1.0 / total : 0.0;
    }
}
"""

ONLINE = """
// Sums of what lies below a maximum, when that goes from one value to another. What was summed
// below -inf was nothing.
__device__ __forceinline__ float decay(float x) { return expf(x); }
__device__ __forceinline__ double decay(double x) { return exp(x); }
__device__ __forceinline__ void follow(Sum &sum, real from, real to) {
    if (from == to) return;
    if (from == -infinity<real>()) sum = Sum::none();
    else sum.scale(decay(from - to));
}
// `largest` is the sum over those elements that were the maximum.
__device__ __forceinline__ void join(Sum &sum, Sum &largest, real from, real to) {
    if (from == to) return;
    sum.merge(largest);
    largest = Sum::none();
}
__device__ __forceinline__ void leave(Sum &largest, real from, real to) {
    if (from != to) largest = Sum::none();
}
"""

FINISH = """
// The sum of all blocks' sums, in one block.
extern "C" __global__ void __launch_bounds__(256) finish(
    long long count, const Sum *partial, double divisor, const double *divisor_at, real *quotient,
    double *total
) {
    Sum sum = Sum::none();
    for (long long i = threadIdx.x; i < count; i += blockDim.x) sum.merge(partial[i]);
    sum = over_group(sum, blockDim.x);
    if (threadIdx.x == 0) settle(sum.total(), divisor, divisor_at, quotient, total);
}
"""


def preamble(real: str, functions: str, *, online: bool) -> str:
    """The text before a kernel that computes in `float` or `double`."""
    parts = [f"typedef {real} real;\n", NUMBERS, functions, ARRAYS, REDUCTIONS, SUMS[real], RESULTS]
    parts += [QUICK] if real == "float" else []
    return "".join([*parts, *([ONLINE] if online else [])])


CUDA = ("threadIdx", "blockIdx", "blockDim", "gridDim")
RESERVED = frozenset(
    re.findall(
        r"^(?:struct|template|__device__)[^;]*?(\w+)(?=[({ ]*[({])",
        "".join([NUMBERS, ARRAYS, REDUCTIONS, *SUMS.values(), RESULTS, QUICK, ONLINE]),
        re.MULTILINE,
    )
) | {"real", "Pack", "Inverse", "Half", "Copying", "finish", "alignment", *CUDA}
"""The functions and types of the preamble: no variable of a kernel hides one of them."""
