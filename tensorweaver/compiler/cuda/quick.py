"""Functions for numbers that are known to be usual, each at a fraction of the price of any number.

A division by the same number for a whole row is a product with its inverse in two parts, right to
the last digit but for one in a million. An exponential is the device's own power of two, which is
right to 2 ulp by CUDA's manual, times what rounding its argument lost. What is rounded to half
precision afterwards does without these corrections ("rough").

On the CPU the device's own functions are those of the stand-in, which err by as much.
"""

from __future__ import annotations

__all__ = ["QUICK"]

QUICK = """
#ifndef TENSORWEAVER_CUDA_ON_CPU
__device__ __forceinline__ float exp2_of_device(float x) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}
__device__ __forceinline__ float reciprocal_of_device(float x) {
    float inverse;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(x));
    return inverse;
}
#endif

// e**x for x from -87 to 0, and NaN.
__device__ __forceinline__ float exp_near(float x) {
    const float exponent = x * 1.44269502f;
    const float above = __fmaf_rn(exponent, -0.693147182f, x);
    const float lost = __fmaf_rn(exponent, 1.9046542e-09f, above);
    const float power = exp2_of_device(exponent);
    return __fmaf_rn(power, lost, power);
}
__device__ __forceinline__ float exp_rough(float x) { return exp2_of_device(x * 1.44269502f); }

// log(1 + x) for x from 0 to 1, and NaN: x, and a polynomial from its square on.
__device__ __forceinline__ float log1p_unit(float x) {
    float tail = 0.00536496f;
    tail = __fmaf_rn(tail, x, -0.030066358f);
    tail = __fmaf_rn(tail, x, 0.0792055f);
    tail = __fmaf_rn(tail, x, -0.13753888f);
    tail = __fmaf_rn(tail, x, 0.19153698f);
    tail = __fmaf_rn(tail, x, -0.24857175f);
    tail = __fmaf_rn(tail, x, 0.33321324f);
    tail = __fmaf_rn(tail, x, -0.49999648f);
    return __fmaf_rn(x * x, tail, x);
}

// One over a number neither tiny nor huge, in two parts. The first is cut short, so that the
// second has its sign and is not 0: a product with an infinity is that infinity.
struct Inverse {
    float high, low;
    static __device__ __forceinline__ bool usual(float x) {
        return fabsf(x) > 7.8886090522101181e-31f && fabsf(x) < 1.2676506002282294e+30f;
    }
    static __device__ __forceinline__ Inverse corrected(float x, float near) {
        const float high = near * 0.99999976f;
        return Inverse{high, __fmaf_rn(-x, high, 1.0f) * high};
    }
    static __device__ __forceinline__ Inverse of(float x) { return corrected(x, 1.0f / x); }
    // For x from 1 to 2, and NaN.
    static __device__ __forceinline__ Inverse of_unit(float x) {
        return corrected(x, reciprocal_of_device(x));
    }
    __device__ __forceinline__ float times(float x) const {
        return __fmaf_rn(x, high, x * low);
    }
    __device__ __forceinline__ float rough(float x) const { return x * high; }
};

// A sum by pairs, pairs of pairs, and so on; in float32 each rounds as the terms did.
template <int N> __device__ __forceinline__ float sum_of(float (&terms)[N]) {
#pragma unroll
    for (int step = 1; step < N; step *= 2)
#pragma unroll
        for (int n = 0; n + step < N; n += 2 * step) terms[n] += terms[n + step];
    return terms[0];
}

// The smallest of some neighbours; NaN if one is. Newer devices compare two at once.
template <typename T, int N>
__device__ __forceinline__ float least(const Pack<T, N, false> &pack) {
    float found = number(pack.at(0));
#pragma unroll
    for (int n = 1; n < N; ++n) found = minimum(found, number(pack.at(n)));
    return found;
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ __forceinline__ void lessen(unsigned int &pair, unsigned int other, bfloat16) {
    asm("min.NaN.bf16x2 %0, %0, %1;" : "+r"(pair) : "r"(other));
}
__device__ __forceinline__ void lessen(unsigned int &pair, unsigned int other, float16) {
    asm("min.NaN.f16x2 %0, %0, %1;" : "+r"(pair) : "r"(other));
}
template <typename T, int N>
__device__ __forceinline__ float least(const Pack<T, N, true> &pack) {
    Pack<T, 2> found{{pack.all[0]}};
#pragma unroll
    for (int n = 1; n < N / 2; ++n) lessen(found.all[0], pack.all[n], T());
    return minimum(number(found.at(0)), number(found.at(1)));
}
#else
template <typename T, int N>
__device__ __forceinline__ float least(const Pack<T, N, true> &pack) {
    float found = number(pack.at(0));
#pragma unroll
    for (int n = 1; n < N; ++n) found = minimum(found, number(pack.at(n)));
    return found;
}
#endif
"""
