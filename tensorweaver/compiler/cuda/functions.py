"""The functions of the array API in CUDA C, by name, for real numbers and for whole ones.

`{f}` ends the name of a function of C's library: `f` for float, nothing for double. CUDA documents
each of those used here to be within 2 ulp without fast-math flags (`acosh` and `asinh` of double:
3). The float versions of the others are not; they go through double and are rounded once.
"""

from __future__ import annotations

import re

__all__ = ["CALLED", "HELPERS", "INTEGER_EXPRESSIONS", "REAL_EXPRESSIONS"]

OPERATORS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "negative": "-{0}",
    "positive": "{0}",
    "spread": "{0}",
    "square": "{0} * {0}",
    "maximum": "maximum({0}, {1})",
    "minimum": "minimum({0}, {1})",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "logical_and": "{0} && {1}",
    "logical_or": "{0} || {1}",
    "logical_xor": "{0} != {1}",
    "logical_not": "!{0}",
    "where": "{0} ? {1} : {2}",
}
"""What real and whole numbers have in common."""

REAL_EXPRESSIONS = OPERATORS | {
    "divide": "{0} / {1}",
    "reciprocal": "1 / {0}",
    "abs": "fabs{f}({0})",
    "exp": "exp{f}({0})",
    "expm1": "expm1{f}({0})",
    "log": "log{f}({0})",
    "log1p": "log1p{f}({0})",
    "log2": "log2{f}({0})",
    "log10": "log10{f}({0})",
    "sqrt": "sqrt{f}({0})",
    "tanh": "tanh{f}({0})",
    "sinh": "sinh(double({0}))",
    "cosh": "cosh{f}({0})",
    "sin": "sin{f}({0})",
    "cos": "cos{f}({0})",
    "tan": "tan(double({0}))",
    "asin": "asin{f}({0})",
    "acos": "acos{f}({0})",
    "atan": "atan{f}({0})",
    "asinh": "asinh(double({0}))",
    "acosh": "acosh(double({0}))",
    "atanh": "atanh(double({0}))",
    "pow": "pow(double({0}), double({1}))",
    "hypot": "hypot(double({0}), double({1}))",
    "atan2": "atan2(double({0}), double({1}))",
    "logaddexp": "logaddexp({0}, {1})",
    "remainder": "remainder_of({0}, {1})",
    "floor_divide": "floor_quotient({0}, {1})",
    "sign": "sign_of({0})",
    "floor": "floor{f}({0})",
    "ceil": "ceil{f}({0})",
    "trunc": "trunc{f}({0})",
    "round": "rint{f}({0})",  # half to even
    "copysign": "copysign{f}({0}, {1})",
    "isnan": "{0} != {0}",
    "isinf": "fabs{f}({0}) == infinity<real>()",
    "isfinite": "fabs{f}({0}) < infinity<real>()",
    "signbit": "copysign{f}(1, {0}) < 0",
}

INTEGER_EXPRESSIONS = OPERATORS | {
    "abs": "({0} < 0 ? -{0} : {0})",
    "remainder": "remainder_of({0}, {1})",
    "floor_divide": "floor_quotient({0}, {1})",
    "sign": "({0} > 0) - ({0} < 0)",
    "isnan": "false",
    "isinf": "false",
    "isfinite": "true",
    "signbit": "{0} < 0",
}

HELPERS = {
    "logaddexp": """
// The larger and log(1 + e**-|x - y|); equal infinities have no difference.
__device__ __forceinline__ float logaddexp(float x, float y) {
    if (x == y) return x + 0.693147182464599609375f;
    return (x > y ? x : y) + log1pf(expf(-fabsf(x - y)));
}
__device__ __forceinline__ double logaddexp(double x, double y) {
    if (x == y) return x + 0.693147180559945309417232121458;
    return (x > y ? x : y) + log1p(exp(-fabs(x - y)));
}
""",
    "sign_of": """
// 1, -1, or 0 for both zeros; NaN stays NaN.
__device__ __forceinline__ real sign_of(real x) {
    return x > 0 ? real(1) : x < 0 ? real(-1) : x == 0 ? real(0) : x;
}
""",
    "remainder_of": """
// What is left of a division that rounds down, of the divisor's sign.
__device__ __forceinline__ double remainder_of(double x, double y) {
    const double rest = fmod(x, y);
    if (rest == 0) return copysign(rest, y);
    return (rest < 0) != (y < 0) ? rest + y : rest;
}
__device__ __forceinline__ long long remainder_of(long long x, long long y) {
    if (y == 0 || y == -1) return 0;
    const long long rest = x % y;
    return rest != 0 && (rest ^ y) < 0 ? rest + y : rest;
}
""",
    "floor_quotient": """
// The quotient rounded down: an integer but for rounding.
__device__ __forceinline__ double floor_quotient(double x, double y) {
    const double rest = fmod(x, y);
    double quotient = (x - rest) / y;
    if (rest != 0 && (rest < 0) != (y < 0)) quotient -= 1;
    const double below = floor(quotient);
    const double whole = quotient - below > 0.5 ? below + 1 : below;
    return y == 0 ? x / y : quotient == 0 ? copysign(quotient, x / y) : whole;
}
__device__ __forceinline__ long long floor_quotient(long long x, long long y) {
    if (y == 0) return 0;
    if (y == -1) return -x;
    const long long quotient = x / y;
    return x % y != 0 && (x ^ y) < 0 ? quotient - 1 : quotient;
}
""",
}
"""What CUDA C does not have as the array API does."""

CALLED = frozenset(
    name
    for expression in REAL_EXPRESSIONS.values()
    for suffix in ("", "f")
    for name in re.findall(r"[a-z]\w*", expression.replace("{f}", suffix))
)
"""The functions that expressions call: no variable of a kernel hides one of them."""
