"""The forward probabilities of connectionist temporal classification, to look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorweaver.backends import arrange
from tensorweaver.errors import DTypeError
from tensorweaver.losses.sequence import ctc_lattice as lattice
from tensorweaver.losses.sequence.ctc import BATCHED, LABELS, check, prepared
from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import no_grad

__all__ = ["ctc_forward_log_probs"]

NAME = "ctc_forward_log_probs"


def ctc_forward_log_probs(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    *,
    blank: int = 0,
    backend: str | None = None,
) -> tuple[Any, Any]:
    """The logarithms of how probable all ways are that stand at each blank and at each label after
    each step: what `ctc_loss` adds up.

    Formula: `blanks[t, n, j]` is the logarithm of the sum, over the beginnings of alignments that
    after step `t` are at the blank before label `j`, of the probability along them; `labels[t, n,
    j]` the same at label `j`. With the last step and the number of labels S of a sequence,
    `ctc_loss` is `-logaddexp(blanks[-1, n, S], labels[-1, n, S - 1])`.

    Shapes: the arguments as for `ctc_loss`; `blanks` `(T, N, S + 1)` and `labels` `(T, N, S)`,
    without the N for one sequence. After a sequence's last step its numbers stay as they are;
    beyond its labels they are -inf.

    There is no gradient: it is `ctc_loss` that has one.

    Errors: as for `ctc_loss`.

    Same as: what optax's `ctc_loss_with_forward_probs` returns beside the loss, with these
    differences: optax adds to `blanks[-1]` the labels before them, has -1e5 for -inf, and takes
    padding for labels.

    Reference: A. Graves et al., Connectionist Temporal Classification, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorweaver as tw
    >>> log_probs = np.log([[[0.5, 0.5]], [[0.25, 0.75]]])
    >>> blanks, labels = tw.ctc_forward_log_probs(log_probs, [[1]], [2], [1])
    >>> np.exp(blanks[:, 0])
    array([[0.5  , 0.   ],
           [0.125, 0.125]])
    >>> np.exp(labels[:, 0])
    array([[0.5 ],
           [0.75]])
    """
    names = ("log_probs", *LABELS)
    given = [x.array if isinstance(x, Tensor) else x
             for x in (log_probs, targets, input_lengths, target_lengths)]  # fmt: skip
    home, arrays = arrange(given, names, backend)
    dtype = home.dtype_name(arrays[0].dtype)
    if not dtype.startswith(("float", "bfloat")):
        message = f"{NAME}: log_probs must be floating point, got {dtype}"
        raise DTypeError(message)
    for name, array in zip(names[1:], arrays[1:], strict=True):
        kind = home.dtype_name(array.dtype)
        if not kind.startswith(("int", "uint")):
            message = f"{NAME}: {name} must hold whole numbers, got {kind}"
            raise DTypeError(message)
    shown: dict[str, Any] = {"log_probs": tuple(arrays[0].shape)}
    for name, array in zip(names[1:], arrays[1:], strict=True):
        visible = home.visible(array)
        shown[name] = home.to_numpy(array) if visible else tuple(array.shape)
    check(shown, blank=blank, loss=NAME)
    wide = home.astype(arrays[0], "float32" if dtype in {"float16", "bfloat16"} else dtype)
    first, *rest = (Tensor.wrap(array, home) for array in (wide, *arrays[1:]))
    with no_grad(), np.errstate(all="ignore"):
        predictions, known = prepared(first, rest[0], rest[1], rest[2], blank)
        found = lattice.forward(predictions.array, known, blank)
    found = tuple(home.astype(x[: wide.shape[0], ...], dtype) for x in found)
    if not arrays[1].shape[-1]:  # the recursion has one label at least, which here is none
        found = (found[0][:, :, :1], found[1][:, :, :0])
    blanks, labels = found if wide.ndim == BATCHED else (x[:, 0, :] for x in found)
    return blanks, labels
