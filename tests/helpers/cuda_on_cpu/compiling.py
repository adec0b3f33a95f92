"""Compile kernels for a GPU on a machine that has none, by NVRTC or else by nvcc."""

import ctypes
import functools
import importlib.util
import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.helpers.cuda_on_cpu.building import CompileError, leave_to_its_session, unavailable

__all__ = ["ARCHITECTURES", "Compilation", "Resources", "compile_for"]

ARCHITECTURES = ("sm_80", "sm_90")

#: As the package's launcher has them, and a report on what the kernels use.
OPTIONS = ("-std=c++17", "--ptxas-options=-v")


class Resources(NamedTuple):
    """What a kernel takes: registers of a thread, all else in bytes.

    Spills are the instructions that save registers and fetch them back, with those of the functions
    that the kernel calls. `shared` is what is declared, without dynamic shared memory; `constant`
    holds the arguments as well; `local` is a thread's memory for arrays that it indexes.
    """

    registers: int
    spill_stores: int
    spill_loads: int
    shared: int
    constant: int
    local: int


class Compilation(NamedTuple):
    """Machine code, what each kernel takes, and what the compiler warns of."""

    cubin: bytes
    resources: dict[str, Resources]
    warnings: list[str]


@functools.cache
def compile_for(source, architecture, *options):
    """The compilation of a text for an architecture such as "sm_80".

    CompileError where the compiler refuses it; skips where there is neither NVRTC nor nvcc. NVRTC
    comes with `pip install nvidia-cuda-nvrtc` or with CUDA's toolkit, which has nvcc as well.
    """
    leave_to_its_session()
    compile_text = compile_by_nvrtc if nvrtc() else compile_by_nvcc
    cubin, report = compile_text(source, (*OPTIONS, f"--gpu-architecture={architecture}", *options))
    warnings = [line for line in report.splitlines() if ": warning" in line]
    return Compilation(cubin, resources_of(report, section_sizes(cubin)), warnings)


# -------------------------------------------------------------------------------- compilers
@functools.cache
def nvrtc():
    """NVRTC's library, None where there is none."""
    for path in places_of_nvrtc():
        try:
            return ctypes.CDLL(str(path))
        except OSError:  # of another machine, or without its other half
            continue
    return None


def places_of_nvrtc():
    """Where NVRTC may lie: among Python's packages, in the toolkit, or where the system looks."""
    package = importlib.util.find_spec("nvidia")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield from sorted(Path(folder).glob("*/lib/libnvrtc.so.*"), reverse=True)
    toolkit = Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"))
    yield from sorted(toolkit.glob("lib64/libnvrtc.so.*"), reverse=True)
    yield "libnvrtc.so"


def compile_by_nvrtc(source, options):
    """A cubin and the compiler's report."""
    library = nvrtc()
    program = ctypes.c_void_p()
    ask(
        library,
        "CreateProgram",
        ctypes.byref(program),
        source.encode(),
        b"kernels.cu",
        0,
        None,
        None,
    )
    try:
        texts = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        code = library.nvrtcCompileProgram(program, len(options), texts)
        report = fetch(library, program, "ProgramLog").rstrip(b"\0").decode()
        if code:
            raise CompileError(report or f"NVRTC: error {code}")
        return fetch(library, program, "CUBIN"), report
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def fetch(library, program, what):
    """What NVRTC has made of a program."""
    size = ctypes.c_size_t()
    ask(library, f"Get{what}Size", program, ctypes.byref(size))
    content = ctypes.create_string_buffer(size.value)
    ask(library, f"Get{what}", program, content)
    return content.raw


def ask(library, name, *arguments):
    code = getattr(library, f"nvrtc{name}")(*arguments)
    if code:
        message = f"nvrtc{name}: error {code}"
        raise CompileError(message)


def compile_by_nvcc(source, options):
    """A cubin and the compiler's report."""
    compiler = shutil.which("nvcc")
    if compiler is None:
        unavailable("kernels are compiled by NVRTC or nvcc, and neither is here")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernels.cu").write_text(source, encoding="utf-8")
        command = [compiler, *options, "-cubin", "-o", "kernels.cubin", "kernels.cu"]
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        report = finished.stdout + finished.stderr
        if finished.returncode:
            raise CompileError(report)
        return Path(folder, "kernels.cubin").read_bytes(), report


# -------------------------------------------------------------------------------- the report
def resources_of(report, sizes):
    """What the report says of each kernel; constant memory stands in the cubin alone."""
    found = {}
    for part in report.split("Compiling entry function '")[1:]:
        name = part.partition("'")[0]
        spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
        found[name] = Resources(
            registers=number(r"Used (\d+) registers", part),
            spill_stores=sum(int(stores) for stores, _ in spills),
            spill_loads=sum(int(loads) for _, loads in spills),
            shared=number(r"(\d+) bytes smem", part),
            constant=sum(
                size
                for section, size in sizes.items()
                if re.fullmatch(rf"\.nv\.constant\d+\.{name}", section)
            ),
            local=number(r"(\d+) bytes stack frame", part),
        )
    return found


def number(pattern, text):
    """The number that a pattern finds, 0 where it finds none."""
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def section_sizes(cubin):
    """The size of each section of an ELF file of 64 bits, by its name."""
    (start,) = struct.unpack_from("<Q", cubin, 0x28)
    entry_size, count, names_at = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", cubin, start + i * entry_size) for i in range(count)]
    names = sections[names_at][4]
    return {
        cubin[names + name : cubin.index(b"\0", names + name)].decode(): size
        for name, _, _, _, _, size in sections
    }
