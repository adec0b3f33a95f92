"""CUDA kernels on a machine without a GPU: run by its processor, and compiled for two GPUs."""

from tests.helpers.cuda_on_cpu.arguments import ArgumentError
from tests.helpers.cuda_on_cpu.building import CompileError
from tests.helpers.cuda_on_cpu.compiling import ARCHITECTURES, Resources, compile_for
from tests.helpers.cuda_on_cpu.far import far_apart
from tests.helpers.cuda_on_cpu.runner import KernelError, Module, compile_on_cpu

__all__ = [
    "ARCHITECTURES",
    "ArgumentError",
    "CompileError",
    "KernelError",
    "Module",
    "Resources",
    "compile_for",
    "compile_on_cpu",
    "far_apart",
]
