"""Every check of this project, as sessions: `nox` runs the cheap ones, `nox -t matrix` the others.

What stands after `--` goes to pytest: `nox -s torch -- -k huber --seed 7`. Environments are kept
between runs, and shared by sessions that need the same packages; `nox -R` skips even the look
whether they are complete. A session whose Python is not installed is skipped, never failed.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)

#: What another release of Python or NumPy does not change: how exact the numbers are, CUDA kernels,
#: what the battery asks of the losses but for `test_backends.py`, which computes each, that engines
#: agree call by call, for `test_random_calls.py` asks of every kind; nor the code itself.
ONCE = [f"battery/test_{name}.py" for name in ("accuracy", "inputs", "laws", "peers")]
ONCE += [f"loss/engines/test_{name}.py" for name in ("agreement", "layouts", "sizes", "memory")]
ONCE += ["accuracy", "architecture", "benchmarks", "compiler/cuda", "examples", "gpu"]
ONCE += ["helpers/cuda_on_cpu", "primitives/test_mutations.py"]
WITHOUT_ONCE = [f"--ignore=tests/{name}" for name in ONCE]

#: Losses of each family whose kernels, run on the CPU, are held to their textbook formulas.
ON_CUDA = ["asymmetric", "binomial_nll", "bpr", "categorical_hinge", "cosine_similarity"]
ON_CUDA += ["crps_gaussian", "dice", "dpo", "gaussian_kl", "generalized_cross_entropy", "welsch"]

#: Where Linux, and Windows' Linux, show that there is a GPU.
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg")

#: Rows of the benchmark that show that it runs: of elements, classes, a sequence, rows compared.
QUICK_ROWS = ["mse", "sigmoid_focal", "ce_65536x10", "ctc_500x32x1000", "info_nce"]

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["numpy", "strict", "lint", "typing", "examples"]


def group(*names: str) -> tuple[str, ...]:
    """The requirements of dependency groups, for pips that do not know groups."""
    return nox.project.dependency_groups(PROJECT, *names)


def install(session: nox.Session, *arguments: str) -> None:
    """Install into the session's environment; under `--no-venv` nothing is installed."""
    if session.venv_backend != "none":
        session.install(*arguments)


def run(session: nox.Session, *command: str, within: str | None = None) -> None:
    """Run `python command` here, or `within` the environment that a required session made.

    Where there is no such environment, as under `--no-venv`, it is nox's own Python.
    """
    if within is None:
        python = sys.executable if session.venv_backend == "none" else "python"
    else:
        folder = session.cache_dir.parent / within / ("Scripts" if os.name == "nt" else "bin")
        python = shutil.which("python", path=str(folder)) or sys.executable
    session.run(python, *command)


def run_tests(
    session: nox.Session, *arguments: str, within: str | None = None, one_in: int = 1
) -> None:
    """Run pytest with one worker a core, under CI only `one_in` some of the tests; what follows
    `--` comes last and wins.
    """
    # Neighbours share fixtures and kernels, so a worker gets them together.
    workers = ["-n", "auto", "--dist", "worksteal"]
    if one_in > 1 and os.environ.get("CI"):
        workers += ["--one-in", str(one_in)]
    run(session, "-m", "pytest", *workers, *arguments, *session.posargs, within=within)


# ---------------------------------------------------------------------- shared environments
@nox.session
def light(session: nox.Session) -> None:
    """Make the environment of numpy, strict, dask, lint and typing."""
    install(session, "-e", ".[test,dask]", *group("lint", "typing"))


@nox.session
def frameworks(session: nox.Session) -> None:
    """Make the environment of torch, jax and bench: PyTorch, JAX, Dask and optax side by side."""
    install(session, "-e", ".[test,dask]", *group("frameworks"))


# ---------------------------------------------------------------------- one a backend
@nox.session(venv_backend="none", requires=["light"])
def numpy(session: nox.Session) -> None:
    """Run the whole suite on NumPy."""
    run_tests(session, "--backend", "numpy", within="light")


@nox.session(venv_backend="none", requires=["light"])
def strict(session: nox.Session) -> None:
    """Run the tests of the matrix on array-api-strict, on its second device."""
    run_tests(session, "--require-backend", "--backend", "strict", "-m", "matrix", within="light")


@nox.session(venv_backend="none", requires=["light"], tags=["matrix"])
@nox.parametrize("engine", ["interpret", "blocks", "llvm"])
def engines(session: nox.Session, engine: str) -> None:
    """Run every test that an engine computes in with one for all calls, whatever their size.

    `numpy` interprets what is small, so `interpret` runs those alone whose arrays are large; and
    `llvm` leaves the losses one by one, of which each has a kernel, to the battery. Under CI one in
    three, for there `numpy` and its battery ask each engine too.
    """
    names = ["accuracy", "loss", "test_check.py", "test_functions.py"]
    names += ["losses/test_peer_failures.py" if engine == "llvm" else "losses"]
    if engine == "interpret":
        accuracy = ("functions", "half", "reductions")
        names = [f"accuracy/test_{name}.py" for name in accuracy]
        names += ["loss/test_looking_inside.py", "loss/test_threads.py"]
        names += ["losses/test_peer_failures.py"]
    chosen = ("--backend", "numpy", "--engine", engine, "--ignore=tests/loss/engines")
    some = 1 if engine == "interpret" else 3
    run_tests(session, *chosen, *(f"tests/{name}" for name in names), within="light", one_in=some)


@nox.session(venv_backend="none", requires=["light"], tags=["matrix"])
def dask(session: nox.Session) -> None:
    """Run the tests of the matrix on Dask, on arrays of several blocks; under CI every loss, and
    one in three of the other tests.
    """
    arguments = ("--require-backend", "--backend", "dask", "-m", "matrix")
    run_tests(session, *arguments, within="light", one_in=3)


@nox.session(venv_backend="none", requires=["frameworks"], tags=["matrix"])
def torch(session: nox.Session) -> None:
    """Run the tests of the matrix on PyTorch, and those that use PyTorch, JAX, Dask or optax; under
    CI every loss, and one in three of the other tests.
    """
    arguments = ("--require-backend", "--backend", "torch", "-m", "matrix or frameworks")
    run_tests(session, *arguments, within="frameworks", one_in=3)


@nox.session(venv_backend="none", requires=["frameworks"], tags=["matrix"])
def jax(session: nox.Session) -> None:
    """Run the tests of the matrix on JAX; under CI every loss, and one in three of the others."""
    arguments = ("--require-backend", "--backend", "jax", "-m", "matrix")
    run_tests(session, *arguments, within="frameworks", one_in=3)


@nox.session(tags=["matrix"])
def cupy(session: nox.Session) -> None:
    """Run the tests of the matrix on CuPy, for CUDA 13 or `TENSORWEAVER_CUDA`; no GPU: skip."""
    if not any(map(os.path.exists, GPU_FILES)) and shutil.which("nvidia-smi") is None:
        session.skip("no sign of an NVIDIA GPU here, and so nothing that CuPy could compute on")
    install(session, "-e", f".[test,cuda{os.environ.get('TENSORWEAVER_CUDA', '13')}]")
    run_tests(session, "--backend", "cupy", "-m", "matrix or gpu")


@nox.session(venv_backend="none")
def gpu(session: nox.Session) -> None:
    """Run the tests, compute-sanitizer and the benchmarks on a GPU, in nox's own environment,
    installing nothing; no GPU: it fails. With arguments after `--`, the tests alone.
    """
    arguments = ("--require-backend", "--backend", "cupy", "-m", "matrix or gpu")
    run(session, "-m", "pytest", *arguments, *session.posargs)
    if session.posargs:
        return
    session.env["TENSORWEAVER_TEST_KERNELS"] = "gpu"
    kernels = [f"tests/compiler/cuda/test_{name}.py" for name in ("kernels", "functions")]
    run(session, "-m", "pytest", *kernels)
    sanitize(session)
    run(session, "benchmarks/gpu.py", "--output", "benchmarks/results")


def sanitize(session: nox.Session) -> None:
    """Have NVIDIA's tool watch every form of kernel; without the tool, say so and go on."""
    tool = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path=str(Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"), "bin"))
    )
    if tool is None:
        session.warn("compute-sanitizer is not installed (it comes with CUDA's toolkit): left out")
        return
    for check in ("memcheck", "racecheck", "initcheck"):
        watched = (sys.executable, "tests/gpu/battery.py")
        session.run(tool, "--tool", check, "--error-exitcode", "1", *watched, external=True)


@nox.session(name="cuda-on-cpu", tags=["matrix"])
def cuda_on_cpu(session: nox.Session) -> None:
    """Run the CUDA kernels on the CPU, and compile them for two GPUs; needs g++ and no GPU."""
    install(session, "-e", ".[test]", *group("cuda-on-cpu"))
    session.env["TENSORWEAVER_REQUIRE_CUDA_ON_CPU"] = "1"  # no test may skip for want of a compiler
    shared = Path(session.create_tmp()).resolve() / "shared"  # each kernel is compiled once
    session.env["TENSORWEAVER_CACHE"] = os.environ.get("TENSORWEAVER_CACHE", str(shared))
    run_tests(session, "tests/helpers/cuda_on_cpu")
    names = ("backends", "shapes", "user_losses", "weights")
    paths = ["tests/accuracy", *(f"tests/loss/test_{name}.py" for name in names)]
    run_tests(session, "--engine", "cuda", *paths)
    run_tests(session, "--engine", "cuda", "tests/losses", one_in=4)  # a compilation each
    chosen = " or ".join(f"[{name}_loss-float32]" for name in ON_CUDA)
    run_tests(session, "--engine", "cuda", "tests/battery/test_accuracy.py", "-k", chosen)
    kernels = Path(session.create_tmp()).resolve() / "kernels"  # lines of this run alone count
    shutil.rmtree(kernels, ignore_errors=True)
    session.env["TENSORWEAVER_CACHE"] = str(kernels)
    covered = ("-p", "tests.helpers.cuda_on_cpu.report", "--least-kernel-lines", "92")
    run_tests(session, *covered, "tests/compiler/cuda")


@nox.session(venv_backend="none", requires=["frameworks"])
def battery(session: nox.Session) -> None:
    """Ask every loss everything on every backend that runs here, and print a table of it."""
    backends = ("--backend", "numpy,strict,torch,jax,dask")
    table = ("-p", "tests.battery.report", "tests/battery")
    session.env["TENSORWEAVER_TEST_THOROUGH"] = "1"
    run_tests(session, *backends, *table, within="frameworks")


# ---------------------------------------------------------------------- the code itself
@nox.session(venv_backend="none", requires=["light"])
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    run(session, "-m", "ruff", "check", ".", within="light")
    run(session, "-m", "ruff", "format", "--check", ".", within="light")


@nox.session(venv_backend="none", requires=["light"])
def typing(session: nox.Session) -> None:
    """Check types with mypy: strictly over the package, less so over the tests."""
    run(session, "-m", "mypy", within="light")


# ---------------------------------------------------------------------- as a user has it
@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples as the README says, against an ordinary installation."""
    install(session, ".[examples]")
    session.chdir(session.create_tmp())  # pictures land here, out of sight of the source
    for name in ("temperature.py", "iris.py"):
        session.run("python", str(ROOT / "examples" / name), env={"MPLBACKEND": "agg"})


@nox.session(tags=["matrix"])
def build(session: nox.Session) -> None:
    """Build the source archive and from it the wheel, which has every file of the package, and
    try it with the source out of sight: what reads files, imports, compiles, and the docstrings.
    """
    install(session, "build")
    stage = Path(session.create_tmp()).resolve() / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    hidden = shutil.ignore_patterns("tensorweaver", ".git", ".nox", ".venv*", ".*_cache", "dist")
    shutil.copytree(ROOT, stage, ignore=hidden)
    run(session, "-m", "build", "--outdir", str(stage / "dist"), str(ROOT))
    (wheel,) = (stage / "dist").glob("*.whl")
    check_contents(session, wheel)
    install(session, "--force-reinstall", "--no-deps", str(wheel))
    install(session, f"tensorweaver[test] @ {wheel.as_uri()}")
    session.chdir(stage)
    chosen = ["architecture", "backends", "loss/engines/test_choice.py", "test_functions.py"]
    chosen += ["loss/test_looking_inside.py", "loss/test_user_losses.py", "test_plotting.py"]
    run_tests(session, *(f"tests/{name}" for name in chosen), "--pyargs", "tensorweaver")


def check_contents(session: nox.Session, wheel: Path) -> None:
    """Fail where a file of the package is not in the wheel, or is another there."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        packed = {name: archive.read(name) for name in names}
    paths = [path for path in (ROOT / "tensorweaver").rglob("*") if path.is_file()]
    source = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in paths
        if path.parent.name != "__pycache__"
    }
    wrong = [name for name in sorted(packed | source) if packed.get(name) != source.get(name)]
    if wrong:
        session.error(f"the wheel and the source differ in {', '.join(wrong)}")


@nox.session(tags=["matrix"])
def minimums(session: nox.Session) -> None:
    """Run the suite on the oldest NumPy, array-api-compat and llvmlite that are allowed; under CI
    one test in three.
    """
    install(session, "-e", ".[test]", *group("minimums"))
    run_tests(session, "--backend", "numpy", *WITHOUT_ONCE, one_in=3)


@nox.session(python=PYTHONS[1:], tags=["matrix"])
def pythons(session: nox.Session) -> None:
    """Run the suite on the later Pythons that are installed; under CI one test in three."""
    install(session, "-e", ".[test]")
    run_tests(session, "--backend", "numpy", *WITHOUT_ONCE, one_in=3)


@nox.session(venv_backend="none", requires=["frameworks"], tags=["matrix"])
def bench(session: nox.Session) -> None:
    """Measure against PyTorch, JAX, scikit-learn and NumPy, into `benchmarks/results/`; no time is
    asserted. Under CI, or with `-- --quick`, one short round shows that it runs.
    """
    quick = bool(os.environ.get("CI")) or "--quick" in session.posargs
    for name in ("latency", "first_call", "cpu"):
        folder = Path("benchmarks")
        ends = ["--quick"] if quick else ["--output", str(folder / "results" / f"{name}.json")]
        ends += ["--rows", ",".join(QUICK_ROWS)] if quick and name == "cpu" else []
        script = str(folder / f"{name}.py")
        run(session, script, *ends, *session.posargs, within="frameworks")
