"""Compile a function of `FUNCTIONS` into a loop over arrays, and call it."""

import ctypes
import functools
from typing import Any

import numpy as np
import pytest

from tensorweaver.compiler.llvm.functions import FUNCTIONS
from tensorweaver.compiler.llvm.vector import Body, Module, Type

__all__ = ["PREDICATES", "TARGETS", "compiled"]

llvm: Any = pytest.importorskip("llvmlite.binding", reason="llvmlite compiles the functions")

KINDS = {"float32": "float", "float64": "double"}
PREDICATES = ["isnan", "isinf", "isfinite", "signbit"]
LANES = {"float32": 32, "float64": 16}
#: What is compiled for: this machine, and x86 processors that do not fuse multiply and add.
TARGETS = {"host": "", "avx2": "+avx2,-fma", "sse2": "-avx,-fma"}

LOOP = """
define void @kernel({parameters}, i64 %n) {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{lines}
  %next = add i64 %i, {lanes}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}}
"""


def loop_text(name, kind, lanes, count):
    """A loop that calls the function on `lanes` numbers at a time of each of `count` arrays."""
    module = Module()
    body = Body(module)
    of = Type(kind, lanes)
    arguments = []
    for array in range(count):
        body.lines.append(f"%p{array} = getelementptr {kind}, ptr %a{array}, i64 %i")
        arguments.append(body.emit(of, f"load {of}, ptr %p{array}, align {of.size}"))
    write = FUNCTIONS[name]
    if name in PREDICATES:
        result = write(*arguments).to(kind)
    else:
        result = body.call_inline(f"tw.{name}", write, *arguments)
    body.lines.append(f"%out = getelementptr {kind}, ptr %r, i64 %i")
    body.lines.append(f"store {of} {result.name}, ptr %out, align {of.size}")
    parameters = ", ".join(f"ptr %{array}" for array in [*(f"a{i}" for i in range(count)), "r"])
    lines = "\n".join(f"  {line}" for line in body.lines)
    return LOOP.format(parameters=parameters, lines=lines, lanes=lanes) + str(module)


def machine(target):
    """LLVM's description of a processor; skips where this one could not run the code."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    processor, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    flat = features.flatten()
    if target != "host":
        if not llvm.get_process_triple().startswith("x86_64"):
            pytest.skip("the features are those of x86-64 processors")
        if target == "avx2" and not features.get("avx2"):
            pytest.skip("this processor has no AVX2")
        processor, flat = "x86-64", TARGETS[target]
    triple = llvm.Target.from_default_triple()
    return triple.create_target_machine(cpu=processor, features=flat, opt=3, codemodel="jitdefault")


@functools.cache
def compiled(name, dtype, target="host", count=1, lanes=None):
    """A function of arrays of one dtype, which runs the loop over them."""
    lanes = lanes or LANES[dtype]
    module = llvm.parse_assembly(loop_text(name, KINDS[dtype], lanes, count))
    module.verify()
    processor = machine(target)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(processor, options)
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, processor)
    engine.finalize_object()
    pointers = [ctypes.c_void_p] * (count + 1)
    kernel = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(
        engine.get_function_address("kernel")
    )

    def call(*arrays, engine=engine):  # the code lives as long as its engine
        size = arrays[0].size
        padded = -(-size // lanes) * lanes
        filled = [np.resize(array.astype(dtype, copy=False), padded) for array in arrays]
        result = np.empty(padded, dtype)
        kernel(*(array.ctypes.data for array in filled), result.ctypes.data, padded)
        return result[:size]

    return call
