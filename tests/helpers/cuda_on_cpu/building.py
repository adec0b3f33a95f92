"""From the text of kernels to a shared library, by g++.

What is built is kept under the hash of all it depends on: in the run's `TENSORWEAVER_CACHE`, which
all of its processes share, else in a folder that goes with this process.
"""

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

__all__ = [
    "CHECKED",
    "COVERED",
    "EXACT",
    "FUSED",
    "CompileError",
    "build_kernels",
    "build_machine",
    "compiler",
    "folder",
    "fusing",
    "leave_to_its_session",
    "line_of",
    "require_linux",
    "source_in",
    "unavailable",
]

HERE = Path(__file__).parent
HEADER = HERE / "stand_in.h"
MACHINE = [HERE / name for name in ("machine.cpp", "failing.cpp", "watch.cpp", "machine.h")]

COMMON = ("-std=c++17", "-fPIC", "-U_FORTIFY_SOURCE")
#: No header but the stand-in is at hand, and no function that it does not declare.
KERNELS = (
    *COMMON,
    "-g1",
    "-nostdinc",
    "-nostdinc++",
    "-fstack-clash-protection",  # finds the guard below the stack, however far below
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-extern-tls-init",
    "-fno-asynchronous-unwind-tables",
    "-fvisibility=hidden",  # modules in one process share nothing, nor do their templates
    "-fno-gnu-unique",
    "-Wall",
    "-Wpedantic",  # the extensions of g++ are not those of CUDA's compilers
    "-Wno-unused",  # a text may have more functions than its kernels call
    "-Wno-sign-compare",  # indices of CUDA are unsigned
    "-Wno-unknown-pragmas",  # unroll
)
#: Products and sums rounded each by itself; or fused where they can be, which takes an optimiser.
EXACT = ("-O0", "-ffp-contract=off")
FUSED = ("-O1", "-fexpensive-optimizations", "-ffp-contract=fast")
#: The machine has the functions that these options call; none of the compiler's own are linked.
CHECKED = (
    "-fsanitize=thread",
    "-fsanitize=undefined",
    "-fno-sanitize=alignment",  # the watch says which address
    "-fsanitize-undefined-trap-on-error",
)
COVERED = ("--coverage", "-DCUDA_ON_CPU_COVERED")

ENTRY = re.compile(
    r"""extern \s+ "C" \s+ __global__ \s+
    (?:__launch_bounds__ \s* \( (?P<before>[^()]*) \) \s*)? void \s+
    (?:__launch_bounds__ \s* \( (?P<after>[^()]*) \) \s*)? (?P<name>\w+) \s* \(""",
    re.VERBOSE,
)
BEHIND = '#line 1 "behind the kernels"'
#: g++ itself makes a conversion of C++20 for shared memory of no declared size; not every release
#: has a name for that.
QUIET = ("-Wpragmas", "-Wc++20-extensions")

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
DYNAMIC = re.compile(
    r"extern\s+__shared__\s+__align__\(16\)\s+unsigned\s+char\s+shared_memory\[\];"
)


class CompileError(Exception):
    """A kernel's text is not of the dialect; the message is the compiler's."""


@functools.cache
def compiler():
    """The path of g++, or of what `CXX` names; skips where there is none."""
    require_linux()
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        unavailable(f"kernels run on the CPU through g++, and there is no {name}")
    return path


@functools.cache
def version():
    return subprocess.run([compiler(), "--version"], check=True, capture_output=True).stdout


def fusing():
    """The options that have products and sums fused; skips on a processor that cannot."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return FUSED
    if " fma " not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        unavailable("this processor has no instructions that fuse products and sums")
    return (*FUSED, "-mfma")


def require_linux():
    """Skip on other systems."""
    leave_to_its_session()
    if not sys.platform.startswith("linux"):
        unavailable(f"CUDA kernels run on the CPU on Linux only, and this is {sys.platform}")


def leave_to_its_session():
    """Skip where CI is about something else: kernels are compiled in one of its sessions."""
    if os.environ.get("CI") and not os.environ.get("TENSORWEAVER_REQUIRE_CUDA_ON_CPU"):
        pytest.skip("CI compiles and runs the CUDA kernels in nox -s cuda-on-cpu alone")


def unavailable(reason):
    """Skip with the reason; where a session is about nothing else, fail."""
    if os.environ.get("TENSORWEAVER_REQUIRE_CUDA_ON_CPU"):
        pytest.fail(reason)
    pytest.skip(reason)


@functools.cache
def own_folder():
    """A folder that goes with this process."""
    return tempfile.TemporaryDirectory(prefix="tensorweaver-cuda-on-cpu-")


@functools.cache
def folder():
    """Where what is built is kept."""
    shared = os.environ.get("TENSORWEAVER_CACHE", "off")
    if shared.strip().lower() in {"", "off"}:
        return Path(own_folder().name)
    place = Path(shared).expanduser().absolute() / "cuda-on-cpu"
    place.mkdir(parents=True, exist_ok=True)
    return place


def code_of(source):
    """The text without its comments, of the same length and lines."""
    return COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)


def build_machine():
    """The library in which kernels run."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in MACHINE}
    sources = [name for name in texts if name.endswith(".cpp")]
    return build("machine", texts, [[*COMMON, "-O2", "-shared", *sources, "-o", "machine.so"]])


def build_kernels(source, *options):
    """The library of a kernel's text, and the names of its kernels."""
    code = code_of(source)
    entries = list(ENTRY.finditer(code))
    if not entries or len(entries) != code.count("__global__"):
        message = (
            f"{code.count('__global__')} kernels, {len(entries)} of the form "
            f'extern "C" __global__ void [__launch_bounds__(…)] NAME(…); there must be at least '
            f"one, and no other"
        )
        raise CompileError(message)
    texts = {"stand_in.h": HEADER.read_text(encoding="utf-8")}
    texts["kernels.cu"] = f"{source}\n{way_in(code, entries)}"
    machine = build_machine()
    compile_it = [*KERNELS, "-include", "stand_in.h", *options, "-c", "-x", "c++", "kernels.cu"]
    link = ["-shared", "-Wl,--no-undefined", "kernels.o", str(machine), "-lm", "-o", "kernels.so"]
    if COVERED[0] in options:
        link.append(COVERED[0])
    return build("kernels", texts, [compile_it, link]), [entry["name"] for entry in entries]


def way_in(code, entries):
    """What stands below the kernels, so that Python can call them."""
    lines = [BEHIND, *map('#pragma GCC diagnostic ignored "{}"'.format, QUIET)]
    dynamic = "nullptr"
    if re.search(r"extern\s+__shared__", code):
        if not DYNAMIC.search(code):
            message = (
                "dynamic shared memory is declared as "
                "extern __shared__ __align__(16) unsigned char shared_memory[]; and not otherwise"
            )
            raise CompileError(message)
        dynamic = "shared_memory"
        size = "cuda_on_cpu::dynamic_bytes"
        lines.append(f"thread_local __align__(16) unsigned char {dynamic}[{size}];")
    lines.append(f"CUDA_ON_CPU_MODULE({dynamic})")
    for entry in entries:
        bounds = (entry["before"] or entry["after"] or "0").partition(",")[0]
        lines.append(f"CUDA_ON_CPU_KERNEL({entry['name']}, {bounds})")
    return "\n".join([*lines, ""])


def source_in(place):
    """The source of the kernels that are built in a folder."""
    return (place / "kernels.cu").read_text(encoding="utf-8").partition(f"\n{BEHIND}\n")[0]


def build(kind, texts, commands):
    """The path of the library that the commands make of files with these texts.

    It is made in a folder of this process's own, to which a link is set when all is there: so
    nobody sees half of it, and who comes second takes what the first has made.
    """
    parts = [version(), kind.encode(), repr((texts, commands)).encode()]
    name = hashlib.blake2b(b"".join(parts), digest_size=12).hexdigest()
    link = folder() / f"{kind}-{name}"
    if not link.exists():
        own = Path(tempfile.mkdtemp(prefix=f"{link.name}-", dir=folder()))
        for file, text in texts.items():
            (own / file).write_text(text, encoding="utf-8")
        try:
            for command in commands:
                run(command, own)
        except CompileError:
            shutil.rmtree(own)
            raise
        with contextlib.suppress(FileExistsError):
            link.symlink_to(own.name)
    return link.resolve() / f"{kind}.so"


def run(command, place):
    """Run the compiler; its complaints, of errors and warnings alike, are raised."""
    finished = subprocess.run(
        [compiler(), *command], cwd=place, capture_output=True, text=True, check=False
    )
    if finished.returncode or finished.stderr:
        raise CompileError(finished.stderr)


def line_of(path, place):
    """At which line of the kernels' text a place in the library lies, to end a message with."""
    tool = shutil.which("addr2line")
    if not place or tool is None:
        return ""
    # The place itself, and where that is inlined.
    command = [tool, "--inlines", "-e", str(path), hex(place)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"kernels\.cu:(\d+)", answer)
    return f"; line {found[1]} of the text" if found else ""
