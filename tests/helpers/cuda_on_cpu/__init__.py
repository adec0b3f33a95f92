"""CUDA kernels on a machine without a GPU: run by its processor, and compiled for two GPUs."""

from tests.helpers.cuda_on_cpu.building import CompileError
from tests.helpers.cuda_on_cpu.runner import KernelError, Module, compile_on_cpu

__all__ = ["CompileError", "KernelError", "Module", "compile_on_cpu"]
