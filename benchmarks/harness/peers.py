"""The contestants of a case: TensorWeaver's engines, the other libraries, and memcpy."""

from __future__ import annotations

import os
import warnings
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

import tensorweaver as tw
from harness.measure import Contestant, cores, milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from harness.rows import Case

__all__ = ["COMPILERS", "ENGINES", "PEERS", "AbsentError", "memcpy", "ours", "peer", "set_engine"]

#: The engines that compile, which are measured unless others are asked for, and the one that does
#: not.
COMPILERS = ("llvm", "blocks")
ENGINES = (*COMPILERS, "interpret")
#: Calls of each way to use torch.compile before the faster one is kept.
TRIALS = 5


class AbsentError(Exception):
    """Why a contestant does not take part."""


def as_numpy(result: Any) -> tuple[Any, Any]:
    """Loss and gradients of what NumPy, JAX and TensorWeaver return."""
    loss, gradients = result if isinstance(result, tuple) else (result, ())
    return loss, tuple(map(np.asarray, several(gradients)))


def several(gradients: Any) -> tuple[Any, ...]:
    """A tuple of gradients, also of a single one."""
    return tuple(gradients) if isinstance(gradients, tuple | list) else (gradients,)


# ------------------------------------------------------------------------------------- TensorWeaver
def set_engine(name: str | None) -> None:
    """Choose TensorWeaver's engine, or say why it is not to be had."""
    try:
        tw.set_engine(name)
    except tw.TensorWeaverError as error:
        raise AbsentError(str(error)) from error


def ours(case: Case, engine: str, arrays: tuple[np.ndarray, ...]) -> Iterator[Contestant]:
    """TensorWeaver on one of its engines; with a gradient, also into an array that is given."""
    set_engine(engine)
    loss = getattr(tw, case.formulas.ours)
    call = partial(loss.value_and_grad if case.wants_gradient else loss, **case.formulas.options)
    name = f"tensorweaver {engine}"

    def prepare() -> None:
        set_engine(engine)

    yield Contestant(name, lambda: call(*arrays), as_numpy, "ours", prepare)
    if case.wants_gradient:
        rooms = tuple(map(np.zeros_like, case.by))
        out = rooms if len(rooms) > 1 else rooms[0]
        yield Contestant(
            f"{name} out=", lambda: call(*arrays, out=out), as_numpy, "ours_out", prepare
        )


def corrected(read: Callable[[Any], tuple[Any, Any]], case: Case) -> Callable[[Any], Any]:
    """What a peer returns, with the gradient that the loss has here."""
    correct = case.formulas.peer_gradient
    if correct is None:
        return read

    def reading(result: Any) -> tuple[Any, Any]:
        loss, gradients = read(result)
        return loss, tuple(correct(gradient, *case.arrays) for gradient in gradients)

    return reading


# ------------------------------------------------------------------------------------------ PyTorch
def torch_loss(case: Case) -> tuple[Callable[..., Any], list[Any]]:
    """PyTorch's loss and its tensors."""
    # Compiling in this process alone: a pool of compilers would still be there while we measure.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch
    from torch.nn import functional

    torch.set_num_threads(cores())
    # Its mean over all elements is what is wanted here.
    warnings.filterwarnings("ignore", message="reduction: 'mean' divides the total loss")
    spelled = case.formulas.torch
    if spelled is None:
        raise AbsentError("has no such loss")

    def loss(*tensors: Any) -> Any:
        return spelled(functional, *tensors)

    return loss, [torch.from_numpy(array) for array in case.copies]


def with_backward(
    loss: Callable[..., Any], tensors: list[Any], wrt: tuple[int, ...]
) -> Callable[[], Any]:
    """The loss and its gradients, as a training loop gets them."""

    def call() -> Any:
        leaves = list(tensors)
        for place in wrt:
            leaves[place] = tensors[place].detach().requires_grad_()
        value = loss(*leaves)
        value.backward()
        return value, tuple(leaves[place].grad for place in wrt)

    return call


def from_torch(result: Any) -> tuple[Any, Any]:
    """Loss and gradients of what PyTorch returns."""
    loss, gradients = result if isinstance(result, tuple) else (result, ())
    return loss.item(), tuple(gradient.numpy() for gradient in gradients)


def torch_eager(case: Case) -> Contestant:
    """PyTorch, one operation at a time."""
    loss, tensors = torch_loss(case)
    call: Callable[[], Any] = partial(loss, *tensors)
    if case.wants_gradient:
        call = with_backward(loss, tensors, case.formulas.wrt)
    return Contestant("torch", call, corrected(from_torch, case))


def torch_compile(case: Case) -> Contestant:
    """PyTorch compiled, in the faster of the ways in which people compile a loss."""
    loss, tensors = torch_loss(case)
    import torch

    torch.compiler.reset()
    compiled: Any = torch.compile(loss)
    ways: list[tuple[str, Callable[[], Any]]] = [("the loss compiled", lambda: compiled(*tensors))]
    if case.wants_gradient:
        wrt = case.formulas.wrt
        both: Any = torch.compile(torch.func.grad_and_value(loss, argnums=wrt))
        ways = [
            ("the loss compiled, then backward()", with_backward(compiled, tensors, wrt)),
            ("grad_and_value compiled", lambda: both(*tensors)[::-1]),
        ]
    found, failures = [], []
    for note, call in ways:
        read = corrected(from_torch, case)
        contestant = Contestant("torch.compile", call, read, note=note)
        try:
            call()
        except Exception as error:  # noqa: BLE001 - no C++ compiler, or a loss it cannot compile
            failures.append(f"{note}: {str(error).strip().partition(chr(10))[0]}")
        else:
            found.append(contestant)
    if not found:
        raise AbsentError("; ".join(failures))
    return faster(found)


def faster(contestants: list[Contestant]) -> Contestant:
    """The one with the quickest of a few calls in turn."""
    rounds = [[milliseconds(contestant) for contestant in contestants] for _ in range(TRIALS)]
    quickest = [min(column) for column in zip(*rounds, strict=True)]
    return contestants[quickest.index(min(quickest))]


# ---------------------------------------------------------------------------------- other libraries
def jax(case: Case) -> Contestant:
    """JAX, jitted, with optax's losses."""
    import jax as library
    import optax
    from jax import numpy as jnp

    spelled = case.formulas.jax
    if spelled is None:
        raise AbsentError("has no such loss")
    library.config.update("jax_enable_x64", val=True)
    arrays = [jnp.array(array, copy=True) for array in case.arrays]

    def loss(*traced: Any) -> Any:
        return spelled(jnp, optax, *traced)

    both = library.value_and_grad(loss, argnums=case.formulas.wrt)
    compiled = library.jit(both if case.wants_gradient else loss)
    return Contestant(
        "jax",
        lambda: library.block_until_ready(compiled(*arrays)),
        corrected(as_numpy, case),
        note="jit, optax's loss",
    )


def sklearn(case: Case) -> Contestant:
    """scikit-learn's own losses, into arrays that are there already."""
    from sklearn._loss import loss as losses

    if case.formulas.sklearn is None:
        raise AbsentError("has no such loss")
    loss = case.formulas.sklearn(losses, case.shape)
    predictions, targets = case.copies
    targets = targets.astype(case.dtype, copy=False)
    losses_out, gradient_out = np.zeros_like(targets), np.zeros_like(predictions)
    factor, threads = case.formulas.sklearn_factor, cores()

    def value() -> Any:
        return loss.loss(targets, predictions, loss_out=losses_out, n_threads=threads)

    def value_and_grad() -> Any:
        return loss.loss_gradient(
            targets,
            predictions,
            loss_out=losses_out,
            gradient_out=gradient_out,
            n_threads=threads,
        )

    def read(result: Any) -> tuple[Any, Any]:
        if not case.wants_gradient:
            return factor * result.mean(dtype=np.float64), ()
        each, gradient = result
        return factor * each.mean(dtype=np.float64), (factor / each.size * gradient,)

    return Contestant(
        "sklearn",
        value_and_grad if case.wants_gradient else value,
        read,
        note="not averaged, into arrays that are there already",
    )


def numpy(case: Case) -> Contestant:
    """Plain NumPy."""
    arrays = case.copies
    formulas = case.formulas
    call = formulas.numpy_value_and_grad if case.wants_gradient else formulas.numpy_value
    return Contestant("numpy", lambda: call(*arrays), as_numpy)


#: By the name on the command line: what it needs installed, and how it computes a case.
PEERS: dict[str, tuple[tuple[str, ...], Callable[[Case], Contestant]]] = {
    "torch": (("torch",), torch_eager),
    "compile": (("torch",), torch_compile),
    "jax": (("jax", "optax"), jax),
    "sklearn": (("sklearn",), sklearn),
    "numpy": ((), numpy),
}


def peer(name: str, case: Case) -> Contestant:
    """A peer by its name on the command line."""
    needs, make = PEERS[name]
    missing = [package for package in needs if find_spec(package) is None]
    if missing:
        raise AbsentError(f"{missing[0]} is not installed")
    return make(case)


# ------------------------------------------------------------------------------------------- memcpy
def memcpy(case: Case, pool: ThreadPoolExecutor) -> Contestant:
    """A copy that moves as many bytes as the case must, by as many threads as there are cores.

    To copy is to read and to write, so half of the bytes are copied.
    """
    source = np.ones(case.bytes_moved // 2, np.uint8)
    target = np.zeros_like(source)
    (first, *others) = zip(
        np.array_split(target, cores()), np.array_split(source, cores()), strict=True
    )

    def call() -> None:
        waiting = [pool.submit(np.copyto, *share) for share in others]
        np.copyto(*first)
        for share in waiting:
            share.result()

    return Contestant("memcpy", call, lambda _: (None, ()), "memcpy")
