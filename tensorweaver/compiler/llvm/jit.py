"""Text to machine code, by llvmlite, kept on disk for the next process."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from tensorweaver.compiler import cache

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Machine", "compile_text", "converts_halves", "host"]

PROTOTYPE = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)
lock = threading.RLock()
"""Compiling is done by one thread at a time, and never while the process forks: a child that
inherited LLVM's own locks would wait for ever."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )

linked: list[Any] = []
"""What holds the machine code in memory; kernels live as long as the process."""


class Machine(NamedTuple):
    """What code is compiled for."""

    triple: str
    processor: str
    features: str
    compiler: str


def binding() -> Any:
    """LLVM as llvmlite offers it, ready to compile for the machine at hand."""
    import llvmlite.binding as llvm

    prepare_targets(llvm)
    return llvm


@functools.cache
def prepare_targets(llvm: Any) -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@functools.cache
def host() -> Machine:
    """The machine that this process runs on."""
    import llvmlite

    llvm = binding()
    return Machine(
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}",
    )


def converts_halves() -> bool:
    """Whether the processor has instructions for float16: LLVM would call functions that are not
    there.
    """
    machine = host()
    return "+f16c" in machine.features or not machine.triple.startswith(("x86", "i386", "i686"))


@functools.lru_cache(maxsize=1024)
def compile_text(text: str, name: str) -> Callable[..., None]:
    """The function `name` of the text; calling it leaves other threads free to run."""
    with lock:
        machine = host()
        key = "\n".join((*machine, name, text))
        code = cache.load(key)
        function = None if code is None else link(code, name)
        if function is None:
            code = machine_code(text, machine)
            cache.store(key, code)
            function = link(code, name)
        if function is None:
            message = f"LLVM compiled no function {name!r}"
            raise RuntimeError(message)
        return function


def target(machine: Machine) -> Any:
    """LLVM's code generator for the machine."""
    found = binding().Target.from_triple(machine.triple)
    return found.create_target_machine(
        cpu=machine.processor, features=machine.features, opt=2, codemodel="jitdefault", jit=True
    )


def machine_code(text: str, machine: Machine) -> bytes:
    """An object file. Vectors are written out, so LLVM need not look for any."""
    llvm = binding()
    module = llvm.parse_assembly(text)
    module.verify()
    generator = target(machine)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = False
    tuning.slp_vectorization = False
    passes = llvm.create_pass_builder(generator, tuning)
    passes.getModulePassManager().run(module, passes)
    code: bytes = generator.emit_object(module)
    return code


def link(code: bytes, name: str) -> Callable[..., None] | None:
    """The function in memory; None where the code does not hold it."""
    llvm = binding()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target(host()))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(name)
    if not address:
        return None
    linked.append(engine)
    return PROTOTYPE(address)
