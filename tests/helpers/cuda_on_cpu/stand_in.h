// The dialect of CUDA C that this project's kernels are written in, for g++ -std=c++17.
//
// A kernel's text is compiled behind this header, with no other at hand: what the dialect lacks
// does not compile. Threads are fibers of one processor (machine.cpp); they change places only in
// the functions below that synchronise.

#pragma once

#define TENSORWEAVER_CUDA_ON_CPU

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// The module's thread-local storage thus holds its shared memory and nothing else: whether in a
// kernel, a function or a template, the machine finds it all in one piece, to fill it afresh.
#define __shared__ thread_local

// ------------------------------------------------------------------------------ the machine
struct uint3 { unsigned int x, y, z; };

extern "C" {
extern const uint3 threadIdx, blockIdx, blockDim, gridDim;

void cuda_on_cpu_barrier(int line);
unsigned long long cuda_on_cpu_rendezvous(int operation, unsigned int mask,
                                          unsigned long long value, int operand, int width,
                                          int line);
}

namespace cuda_on_cpu {

// As machine.cpp numbers them.
enum Operation { syncwarp, shuffle, shuffle_xor, shuffle_down, ballot, any, all };

template <class To, class From> inline To bits(From value)
{
    To result{};
    __builtin_memcpy(&result, &value, sizeof(From) < sizeof(To) ? sizeof(From) : sizeof(To));
    return result;
}

template <class T> struct Shuffled { static constexpr bool possible = false; };
template <> struct Shuffled<int> { static constexpr bool possible = true; };
template <> struct Shuffled<unsigned int> { static constexpr bool possible = true; };
template <> struct Shuffled<float> { static constexpr bool possible = true; };
template <> struct Shuffled<double> { static constexpr bool possible = true; };

template <class T>
inline T exchange(Operation operation, unsigned int mask, T value, int operand, int width, int line)
{
    static_assert(Shuffled<T>::possible, "shuffles take int, unsigned int, float and double");
    auto sent = bits<unsigned long long>(value);
    return bits<T>(cuda_on_cpu_rendezvous(operation, mask, sent, operand, width, line));
}

inline unsigned int vote(Operation operation, unsigned int mask, bool predicate, int line)
{
    return (unsigned int)cuda_on_cpu_rendezvous(operation, mask, predicate, 0, 32, line);
}

}  // namespace cuda_on_cpu

// The line of the call tells one barrier from another.
#define CUDA_ON_CPU_LINE int line = __builtin_LINE()

inline void __syncthreads(CUDA_ON_CPU_LINE) { cuda_on_cpu_barrier(line); }

inline void __syncwarp(unsigned int mask = 0xffffffffu, CUDA_ON_CPU_LINE)
{
    cuda_on_cpu_rendezvous(cuda_on_cpu::syncwarp, mask, 0, 0, 32, line);
}

template <class T>
inline T __shfl_sync(unsigned int mask, T value, int lane, int width = 32, CUDA_ON_CPU_LINE)
{
    return cuda_on_cpu::exchange(cuda_on_cpu::shuffle, mask, value, lane, width, line);
}

template <class T>
inline T __shfl_xor_sync(unsigned int mask, T value, int lanes, int width = 32, CUDA_ON_CPU_LINE)
{
    return cuda_on_cpu::exchange(cuda_on_cpu::shuffle_xor, mask, value, lanes, width, line);
}

template <class T>
inline T __shfl_down_sync(unsigned int mask, T value, unsigned int lanes, int width = 32,
                          CUDA_ON_CPU_LINE)
{
    return cuda_on_cpu::exchange(cuda_on_cpu::shuffle_down, mask, value, lanes, width, line);
}

inline unsigned int __ballot_sync(unsigned int mask, int predicate, CUDA_ON_CPU_LINE)
{
    return cuda_on_cpu::vote(cuda_on_cpu::ballot, mask, predicate, line);
}

inline int __any_sync(unsigned int mask, int predicate, CUDA_ON_CPU_LINE)
{
    return cuda_on_cpu::vote(cuda_on_cpu::any, mask, predicate, line);
}

inline int __all_sync(unsigned int mask, int predicate, CUDA_ON_CPU_LINE)
{
    return cuda_on_cpu::vote(cuda_on_cpu::all, mask, predicate, line);
}

// ------------------------------------------------------------------------------ vectors
struct __align__(8) float2 { float x, y; };
struct __align__(16) float4 { float x, y, z, w; };
struct __align__(16) double2 { double x, y; };
struct __align__(8) uint2 { unsigned int x, y; };
struct __align__(16) uint4 { unsigned int x, y, z, w; };
struct __align__(16) int4 { int x, y, z, w; };

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline uint2 make_uint2(unsigned int x, unsigned int y) { return {x, y}; }
inline uint4 make_uint4(unsigned int x, unsigned int y, unsigned int z, unsigned int w)
{
    return {x, y, z, w};
}
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

template <class T> __forceinline__ T __ldg(const T* place) { return *place; }
template <class T> __forceinline__ T __ldcs(const T* place) { return *place; }
template <class T> __forceinline__ void __stcs(T* place, T value) { *place = value; }

// ------------------------------------------------------------------------------ mathematics
// The functions of one and two arguments that CUDA has, as here, for float under both names.
#define CUDA_ON_CPU_UNARY(name)                         \
    extern "C" float name##f(float) noexcept;           \
    extern "C" double name(double) noexcept;            \
    inline float name(float x) { return name##f(x); }
#define CUDA_ON_CPU_BINARY(name)                                  \
    extern "C" float name##f(float, float) noexcept;              \
    extern "C" double name(double, double) noexcept;              \
    inline float name(float x, float y) { return name##f(x, y); }

CUDA_ON_CPU_UNARY(exp) CUDA_ON_CPU_UNARY(exp2) CUDA_ON_CPU_UNARY(expm1)
CUDA_ON_CPU_UNARY(log) CUDA_ON_CPU_UNARY(log2) CUDA_ON_CPU_UNARY(log10) CUDA_ON_CPU_UNARY(log1p)
CUDA_ON_CPU_UNARY(sqrt) CUDA_ON_CPU_UNARY(cbrt) CUDA_ON_CPU_UNARY(fabs)
CUDA_ON_CPU_UNARY(floor) CUDA_ON_CPU_UNARY(ceil) CUDA_ON_CPU_UNARY(trunc)
CUDA_ON_CPU_UNARY(rint) CUDA_ON_CPU_UNARY(round)
CUDA_ON_CPU_UNARY(sin) CUDA_ON_CPU_UNARY(cos) CUDA_ON_CPU_UNARY(tan)
CUDA_ON_CPU_UNARY(asin) CUDA_ON_CPU_UNARY(acos) CUDA_ON_CPU_UNARY(atan)
CUDA_ON_CPU_UNARY(sinh) CUDA_ON_CPU_UNARY(cosh) CUDA_ON_CPU_UNARY(tanh)
CUDA_ON_CPU_UNARY(asinh) CUDA_ON_CPU_UNARY(acosh) CUDA_ON_CPU_UNARY(atanh)
CUDA_ON_CPU_UNARY(erf) CUDA_ON_CPU_UNARY(erfc) CUDA_ON_CPU_UNARY(lgamma) CUDA_ON_CPU_UNARY(tgamma)
CUDA_ON_CPU_BINARY(pow) CUDA_ON_CPU_BINARY(atan2) CUDA_ON_CPU_BINARY(hypot)
CUDA_ON_CPU_BINARY(fmod) CUDA_ON_CPU_BINARY(copysign) CUDA_ON_CPU_BINARY(nextafter)

extern "C" float fmaf(float, float, float) noexcept;
extern "C" double fma(double, double, double) noexcept;
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }

inline bool isnan(float x) { return __builtin_isnan(x); }
inline bool isnan(double x) { return __builtin_isnan(x); }
inline bool isinf(float x) { return __builtin_isinf(x) != 0; }
inline bool isinf(double x) { return __builtin_isinf(x) != 0; }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
inline bool isfinite(double x) { return __builtin_isfinite(x); }
inline bool signbit(float x) { return __builtin_signbit(x) != 0; }
inline bool signbit(double x) { return __builtin_signbit(x) != 0; }

namespace cuda_on_cpu {

// A number beats NaN and +0 beats -0, as the instructions max and min have it; C leaves zeros open.
template <class T> inline T larger(T x, T y)
{
    if (x != x || y != y) return x != x ? y : x;
    return x > y || (x == y && !__builtin_signbit(x)) ? x : y;
}

template <class T> inline T smaller(T x, T y)
{
    if (x != x || y != y) return x != x ? y : x;
    return x < y || (x == y && __builtin_signbit(x)) ? x : y;
}

}  // namespace cuda_on_cpu

inline float fmaxf(float x, float y) { return cuda_on_cpu::larger(x, y); }
inline float fmax(float x, float y) { return cuda_on_cpu::larger(x, y); }
inline double fmax(double x, double y) { return cuda_on_cpu::larger(x, y); }
inline float fminf(float x, float y) { return cuda_on_cpu::smaller(x, y); }
inline float fmin(float x, float y) { return cuda_on_cpu::smaller(x, y); }
inline double fmin(double x, double y) { return cuda_on_cpu::smaller(x, y); }

#define CUDA_ON_CPU_ORDERED(type)                                  \
    inline type max(type x, type y) { return x > y ? x : y; }      \
    inline type min(type x, type y) { return x < y ? x : y; }

CUDA_ON_CPU_ORDERED(int) CUDA_ON_CPU_ORDERED(unsigned int)
CUDA_ON_CPU_ORDERED(long long) CUDA_ON_CPU_ORDERED(unsigned long long)

inline float __int_as_float(int x) { return cuda_on_cpu::bits<float>(x); }
inline int __float_as_int(float x) { return cuda_on_cpu::bits<int>(x); }
inline float __uint_as_float(unsigned int x) { return cuda_on_cpu::bits<float>(x); }
inline unsigned int __float_as_uint(float x) { return cuda_on_cpu::bits<unsigned int>(x); }
inline double __longlong_as_double(long long x) { return cuda_on_cpu::bits<double>(x); }
inline long long __double_as_longlong(double x) { return cuda_on_cpu::bits<long long>(x); }

// Rounded each by itself: what is not inlined cannot be contracted with what stands round it.
#define CUDA_ON_CPU_ROUNDED(type, name, operation) \
    static __attribute__((noinline)) type name(type x, type y) { return x operation y; }

CUDA_ON_CPU_ROUNDED(float, __fadd_rn, +) CUDA_ON_CPU_ROUNDED(float, __fsub_rn, -)
CUDA_ON_CPU_ROUNDED(float, __fmul_rn, *) CUDA_ON_CPU_ROUNDED(float, __fdiv_rn, /)
CUDA_ON_CPU_ROUNDED(double, __dadd_rn, +) CUDA_ON_CPU_ROUNDED(double, __dsub_rn, -)
CUDA_ON_CPU_ROUNDED(double, __dmul_rn, *) CUDA_ON_CPU_ROUNDED(double, __ddiv_rn, /)

inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

// ------------------------------------------------------------------------------ approximations
// The instructions ex2.approx.ftz and rcp.approx.ftz, as wrong as NVIDIA lets them be: by 2^-22.5 of
// the result and by 1 ulp, this way or that by the argument's bits; exact for powers of two.
// Subnormals are flushed.
inline float flushed(float x)
{
    return (__float_as_uint(x) & 0x7f800000u) ? x : __uint_as_float(__float_as_uint(x) & 0x80000000u);
}

// From -1 to 1, as if by chance.
inline double anything(float argument)
{
    return (__float_as_uint(argument) * 2654435761u >> 8) * (1.0 / (1 << 23)) - 1.0;
}

inline float exp2_of_device(float x)
{
    x = flushed(x);
    double exact = exp2((double)x);
    if (x == __builtin_rintf(x)) return flushed((float)exact);
    return flushed((float)(exact * (1.0 + 1.09e-7 * anything(x))));  // rounding adds 2^-24
}

inline float reciprocal_of_device(float x)
{
    x = flushed(x);
    double exact = 1.0 / (double)x;
    return flushed((float)(exact * (1.0 + 0x1p-24 * anything(x))));
}

// ------------------------------------------------------------------------------ half precision
inline float half_to_float(unsigned short half)
{
    unsigned int sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u, digits = half & 0x3ffu;
    if (exponent == 31)  // infinity, or a NaN, which is made quiet
        return __uint_as_float(sign | (digits ? 0x7fc00000u : 0x7f800000u) | digits << 13);
    if (exponent == 0) {  // zeros and subnormals: so many times 2^-24, which is exact
        float size = (float)digits * 0x1p-24f;
        return sign ? -size : size;
    }
    return __uint_as_float(sign | (exponent + 112) << 23 | digits << 13);
}

// To the nearest, to the even one of two: as the GPU does it, which has one NaN of this type.
inline unsigned short float_to_half(float number)
{
    unsigned int bits = __float_as_uint(number), sign = bits >> 16 & 0x8000u;
    unsigned int size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return 0x7fff;
    if (size >= 0x47800000u) return (unsigned short)(sign | 0x7c00u);  // 2^16 and more
    unsigned int kept = 0, rest = 0, tie = 0;
    if (size >= 0x38800000u) {  // 2^-14: a carry out of the digits goes up into the exponent
        kept = (size - 0x38000000u) >> 13;
        rest = size & 0x1fffu;
        tie = 0x1000u;
    } else if (size >= 0x33000000u) {  // 2^-25, half of the least subnormal
        unsigned int digits = (size & 0x7fffffu) | 0x800000u, shift = 126 - (size >> 23);
        kept = digits >> shift;
        rest = digits & ((1u << shift) - 1);
        tie = 1u << (shift - 1);
    }
    kept += rest > tie || (rest == tie && tie && (kept & 1u));
    return (unsigned short)(sign | kept);
}

// ------------------------------------------------------------------------------ the way in
// Below the kernels' text stands CUDA_ON_CPU_MODULE once and CUDA_ON_CPU_KERNEL for each of them.
// Memory that is no kernel's, which is not watched.
#define CUDA_ON_CPU_UNWATCHED __attribute__((no_sanitize("thread")))

namespace cuda_on_cpu {

// A type as Python sees it: i, u and f for numbers, b for bool, p for a pointer, s for all else.
struct Type { char kind; unsigned int size; };
struct Parameter { Type itself, pointee; };
struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    unsigned int bounds, count;
    const Parameter* parameters;
};

template <class T> struct KindOf { static constexpr char value = 's'; };
template <> struct KindOf<bool> { static constexpr char value = 'b'; };
template <> struct KindOf<int> { static constexpr char value = 'i'; };
template <> struct KindOf<long long> { static constexpr char value = 'i'; };
template <> struct KindOf<unsigned char> { static constexpr char value = 'u'; };
template <> struct KindOf<unsigned short> { static constexpr char value = 'u'; };
template <> struct KindOf<unsigned int> { static constexpr char value = 'u'; };
template <> struct KindOf<unsigned long long> { static constexpr char value = 'u'; };
template <> struct KindOf<float> { static constexpr char value = 'f'; };
template <> struct KindOf<double> { static constexpr char value = 'f'; };
template <class T> struct KindOf<const T> : KindOf<T> {};

template <class T> struct ParameterOf {
    static constexpr Parameter value{{KindOf<T>::value, sizeof(T)}, {'s', 0}};
};
template <class T> struct ParameterOf<T*> {
    static constexpr Parameter value{{'p', sizeof(T*)}, {KindOf<T>::value, sizeof(T)}};
};

template <unsigned int... places> struct Places {};
template <unsigned int count, unsigned int... places>
struct PlacesTo : PlacesTo<count - 1, count - 1, places...> {};
template <unsigned int... places> struct PlacesTo<0, places...> { using Type = Places<places...>; };

template <class... P, unsigned int... places>
CUDA_ON_CPU_UNWATCHED inline void call(void (*kernel)(P...), void** arguments, Places<places...>)
{
    kernel(*static_cast<P*>(arguments[places])...);
}

template <class... P>
CUDA_ON_CPU_UNWATCHED inline void call(void (*kernel)(P...), void** arguments)
{
    call(kernel, arguments, typename PlacesTo<sizeof...(P)>::Type{});
}

template <class... P> struct ParametersOf {
    static constexpr Parameter value[] = {ParameterOf<P>::value..., {}};
};

template <class... P>
constexpr Kernel describe(const char* name, void (*)(P...), void (*call)(void**), int bounds)
{
    return {name, call, (unsigned int)bounds, sizeof...(P), ParametersOf<P...>::value};
}

// As much dynamic shared memory as a block can be given on any GPU that is compiled for.
constexpr unsigned int dynamic_bytes = 227 * 1024;

}  // namespace cuda_on_cpu

// Counts of lines are saved once they are there, and not when the process ends, for the folder of a
// run may then be gone.
#ifdef CUDA_ON_CPU_COVERED
extern "C" void __gcov_dump();
extern "C" void __gcov_reset();
#define CUDA_ON_CPU_COUNT(begins) begins ? __gcov_reset() : __gcov_dump()
#else
#define CUDA_ON_CPU_COUNT(begins)
#endif

#define CUDA_ON_CPU_DOOR extern "C" CUDA_ON_CPU_UNWATCHED __attribute__((visibility("default")))

#define CUDA_ON_CPU_MODULE(dynamic)                                                       \
    static thread_local unsigned char cuda_on_cpu_anywhere;                               \
    CUDA_ON_CPU_DOOR void cuda_on_cpu_count(bool begins) { CUDA_ON_CPU_COUNT(begins); }   \
    CUDA_ON_CPU_DOOR void cuda_on_cpu_shared(void** anywhere, void** place)               \
    {                                                                                     \
        *anywhere = &cuda_on_cpu_anywhere;                                                \
        *place = dynamic;                                                                 \
    }

#define CUDA_ON_CPU_KERNEL(kernel, bounds)                                                \
    CUDA_ON_CPU_DOOR const cuda_on_cpu::Kernel* cuda_on_cpu_kernel_##kernel()             \
    {                                                                                     \
        static constexpr cuda_on_cpu::Kernel description = cuda_on_cpu::describe(         \
            #kernel, kernel, [](void** all) { cuda_on_cpu::call(kernel, all); }, bounds); \
        return &description;                                                              \
    }
