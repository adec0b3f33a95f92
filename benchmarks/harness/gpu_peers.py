"""The contestants on a GPU: TensorWeaver, the other libraries, and a copy on the device.

All of them read the same arrays, which other libraries take by DLPack.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

import tensorweaver as tw
from harness import formulas
from harness.gpu_rows import copies
from harness.measure import Contestant
from harness.peers import AbsentError, with_backward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.gpu_device import Numbers
    from harness.gpu_rows import Case

__all__ = ["PEERS", "GpuContestant", "absence", "copy_on_device", "ours", "peer"]

#: JAX takes memory as it needs it, and leaves others theirs.
JAX_SETTINGS = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


@dataclass(frozen=True)
class GpuContestant(Contestant):
    """Somebody who computes a case on a GPU.

    Attributes
    ----------
    waits
        Whether a call returns when the device is done, and the host's clock times it.
    torch
        PyTorch, where its allocator serves the contestant.
    """

    waits: bool = False
    torch: Any = None


def pair(result: Any) -> tuple[Any, Any]:
    """Loss and gradient, None for the gradient where there is a loss alone."""
    return result if isinstance(result, tuple) else (result, None)


# --------------------------------------------------------------------------------- CuPy's arrays
def from_cupy(numbers: Numbers) -> Callable[[Any], tuple[Any, Any]]:
    """Reads what TensorWeaver and CuPy return: the loss, and the first gradients."""

    def read(result: Any) -> tuple[Any, Any]:
        loss, gradient = pair(result)
        if gradient is None:
            return float(loss), None
        return float(loss), gradient[numbers.first].get().astype(np.float64)

    return read


def ours(case: Case, numbers: Numbers, cupy: Any) -> Iterator[GpuContestant]:
    """TensorWeaver; with a gradient, also into an array that is given."""
    loss = getattr(tw, case.formulas.ours)
    call = loss.value_and_grad if case.wants_gradient else loss
    arrays, read = numbers.arrays, from_cupy(numbers)
    yield GpuContestant("tensorweaver cuda", lambda: call(*arrays), read, "ours")
    if case.wants_gradient:
        out = cupy.empty_like(arrays[0])
        name = "tensorweaver cuda out="
        yield GpuContestant(name, lambda: call(*arrays, out=out), read, "ours_out")


def naive(case: Case, numbers: Numbers, cupy: Any) -> GpuContestant:
    """CuPy as people write it, one function after the other."""
    compute = NAIVE[case.formulas.ours]
    call = lambda: compute(cupy, *numbers.arrays, gradient=case.wants_gradient)  # noqa: E731
    return GpuContestant("cupy", call, from_cupy(numbers))


def naive_mse(xp: Any, predictions: Any, targets: Any, *, gradient: bool) -> Any:
    error = predictions - targets
    loss = xp.mean(error**2)
    return (loss, 2 * error / error.size) if gradient else loss


def naive_bce(xp: Any, logits: Any, targets: Any, *, gradient: bool) -> Any:
    loss = xp.mean(xp.maximum(logits, 0) - logits * targets + xp.log1p(xp.exp(-xp.abs(logits))))
    return (loss, (1 / (1 + xp.exp(-logits)) - targets) / logits.size) if gradient else loss


def naive_cross_entropy(xp: Any, logits: Any, labels: Any, *, gradient: bool) -> Any:
    rows = xp.arange(labels.size)
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    log_probabilities = shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))
    loss = -xp.mean(log_probabilities[rows, labels])
    if not gradient:
        return loss
    found = xp.exp(log_probabilities)
    found[rows, labels] -= 1
    found /= labels.size
    return loss, found


NAIVE = {
    formulas.MSE.ours: naive_mse,
    formulas.BINARY_CROSS_ENTROPY_WITH_LOGITS.ours: naive_bce,
    formulas.CROSS_ENTROPY.ours: naive_cross_entropy,
}


# ------------------------------------------------------------------------------------------ PyTorch
def torch_tensors(numbers: Numbers, cupy: Any) -> tuple[Any, list[Any]]:
    """PyTorch, and the case's arrays as its tensors."""
    import torch

    warnings.filterwarnings("ignore", message="reduction: 'mean' divides the total loss")

    def shared(array: Any) -> Any:
        if array.dtype.name == "bfloat16":
            return torch.from_dlpack(array.view(cupy.int16)).view(torch.bfloat16)
        return torch.from_dlpack(array)

    return torch, [shared(array) for array in numbers.arrays]


def from_torch(numbers: Numbers) -> Callable[[Any], tuple[Any, Any]]:
    """Reads what PyTorch returns."""

    def read(result: Any) -> tuple[Any, Any]:
        loss, gradients = pair(result)
        if gradients is None:
            return loss.item(), None
        (gradient,) = gradients
        return loss.item(), gradient[numbers.first].double().cpu().numpy()

    return read


def torch_eager(case: Case, numbers: Numbers, cupy: Any) -> GpuContestant:
    """PyTorch, one operation at a time."""
    torch, tensors = torch_tensors(numbers, cupy)
    spelled: Any = case.formulas.torch

    def loss(*given: Any) -> Any:
        return spelled(torch.nn.functional, *given)

    call: Callable[[], Any] = partial(loss, *tensors)
    if case.wants_gradient:
        call = with_backward(loss, tensors, case.formulas.wrt)
    return GpuContestant("torch", call, from_torch(numbers), torch=torch)


def torch_compile(case: Case, numbers: Numbers, cupy: Any) -> GpuContestant:
    """PyTorch with the loss compiled, and its gradient by `backward()`."""
    torch, tensors = torch_tensors(numbers, cupy)
    spelled: Any = case.formulas.torch
    torch.compiler.reset()

    def loss(*given: Any) -> Any:
        return spelled(torch.nn.functional, *given)

    compiled: Any = torch.compile(loss, dynamic=False)
    call: Callable[[], Any] = partial(compiled, *tensors)
    if case.wants_gradient:
        call = with_backward(compiled, tensors, case.formulas.wrt)
    note = "the loss compiled"
    return GpuContestant("torch.compile", call, from_torch(numbers), note=note, torch=torch)


def liger(case: Case, numbers: Numbers, cupy: Any) -> GpuContestant:
    """Liger-Kernel's cross-entropy, which writes the gradient over the logits that it is given."""
    from liger_kernel.transformers.functional import liger_cross_entropy

    torch, (logits, labels) = torch_tensors(numbers, cupy)
    spent = logits.clone().requires_grad_(case.wants_gradient)

    def prepare() -> None:
        with torch.no_grad():
            spent.copy_(logits)

    def call() -> Any:
        spent.grad = None
        loss = liger_cross_entropy(spent, labels)
        if not case.wants_gradient:
            return loss
        loss.backward()
        return loss, (spent.grad,)

    note = "into the logits' memory"
    return GpuContestant(
        "liger", call, from_torch(numbers), prepare=prepare, note=note, torch=torch
    )


# ---------------------------------------------------------------------------------------------- JAX
def jax(case: Case, numbers: Numbers, cupy: Any) -> GpuContestant:
    """JAX, jitted, with optax's losses, on streams of its own."""
    import jax as library
    import optax
    from jax import numpy as jnp

    spelled: Any = case.formulas.jax

    def taken(array: Any) -> Any:
        if array.dtype.name == "bfloat16":
            bits = library.dlpack.from_dlpack(array.view(cupy.uint16))
            return library.lax.bitcast_convert_type(bits, jnp.bfloat16)
        narrow = array.astype(cupy.int32) if array.dtype.kind == "i" else array
        return library.dlpack.from_dlpack(narrow)

    arrays = [taken(array) for array in numbers.arrays]

    def loss(*traced: Any) -> Any:
        return spelled(jnp, optax, *traced)

    compiled = library.jit(library.value_and_grad(loss) if case.wants_gradient else loss)

    def read(result: Any) -> tuple[Any, Any]:
        value, gradient = pair(result)
        if gradient is None:
            return float(value), None
        return float(value), np.asarray(gradient[numbers.first].astype(jnp.float32), np.float64)

    call = lambda: library.block_until_ready(compiled(*arrays))  # noqa: E731
    note = "jit, optax's loss; timed by the host's clock"
    return GpuContestant("jax", call, read, note=note, waits=True)


# -------------------------------------------------------------------------------------------- who
#: By the name on the command line: what it needs installed, and how it computes a case.
PEERS: dict[str, tuple[tuple[str, ...], Callable[[Case, Numbers, Any], GpuContestant]]] = {
    "torch": (("torch",), torch_eager),
    "compile": (("torch", "triton"), torch_compile),
    "liger": (("torch", "liger_kernel"), liger),
    "jax": (("jax", "optax"), jax),
    "cupy": ((), naive),
}


def absence(name: str, case: Case) -> str | None:
    """Why a peer cannot take part in a case, as far as is known before it is tried."""
    needs, _ = PEERS[name]
    missing = [package for package in needs if find_spec(package) is None]
    if missing:
        return f"{missing[0]} is not installed"
    if name == "liger" and not case.labelled:
        return "has no such loss"
    if "torch" in needs:
        import torch

        if not torch.cuda.is_available():
            return f"PyTorch {torch.__version__} sees no GPU"
    if name == "jax":
        for variable, value in JAX_SETTINGS.items():
            os.environ.setdefault(variable, value)
        import jax as library

        if library.default_backend() != "gpu":
            return f"JAX {library.__version__} sees no GPU"
    return None


def peer(name: str, case: Case, numbers: Numbers, cupy: Any) -> GpuContestant:
    """A peer by its name on the command line."""
    reason = absence(name, case)
    if reason is not None:
        raise AbsentError(reason)
    _, make = PEERS[name]
    return make(case, numbers, cupy)


def copy_on_device(case: Case, cupy: Any) -> GpuContestant:
    """A copy that moves as many bytes as the case must: half of them read, half of them written."""
    sizes = copies(case.bytes_moved)
    source = cupy.ones(max(sizes), cupy.uint8)
    target = cupy.zeros(max(sizes), cupy.uint8)

    def call() -> None:
        for size in sizes:
            target.data.copy_from_device_async(source.data, size)

    return GpuContestant("memcpy", call, lambda _: (None, None), "memcpy")
