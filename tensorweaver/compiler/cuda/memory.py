"""How the dtypes of arrays are called in CUDA C."""

from __future__ import annotations

from typing import Any

__all__ = ["FLOATING", "HALVES", "MEMORY_TYPES", "REAL", "is_plain"]

REAL = {"float32": "float", "float64": "double"}
"""What kernels compute in."""

FLOATING = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
"""Bytes of a floating number."""

HALVES = ("float16", "bfloat16")
"""Floating numbers of 16 bits, under the same names in CUDA C."""

MEMORY_TYPES = {
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float",
    "float64": "double",
    "bool": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
}
"""What kernels read from memory, converting on the way."""


def is_plain(array: Any) -> bool:
    """Whether kernels can read, or write, an array where it lies."""
    dtype = array.dtype
    return (
        dtype.name in MEMORY_TYPES
        and dtype.isnative
        and all(stride % dtype.itemsize == 0 for stride in array.strides)
    )
