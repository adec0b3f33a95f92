"""The same losses in other libraries, each in a line: for `peers=` of a specimen.

Every maker gives a `Peer`. What they share: `rename` translates the names of options, `fixed` are
options that the other library needs beside them, `factor` is what its losses are multiplied by,
`only` says for which options it has the loss, `rtol` how close it is.
"""

import os

import numpy as np

from tests.battery.specimen import Peer

__all__ = [
    "keras_loss",
    "optax_loss",
    "published",
    "sklearn_loss",
    "sklearn_metric",
    "torch_loss",
]

RTOL = 1e-10


def always(_options):
    return True


def named(options, rename, fixed):
    """The options by the other library's names."""
    rename = rename or {}
    return {**(fixed or {}), **{rename.get(name, name): value for name, value in options.items()}}


def torch_loss(name, *, rename=None, fixed=None, factor=1.0, only=always, rtol=RTOL):
    """`torch.nn.functional.NAME(predictions, targets, reduction="none")`."""

    def call(*arrays, **options):
        import torch

        function = getattr(torch.nn.functional, name)
        tensors = map(torch.tensor, arrays)
        found = function(*tensors, reduction="none", **named(options, rename, fixed))
        return factor * found.numpy()

    return Peer("torch", call, rtol, only)


def optax_loss(name, *, rename=None, fixed=None, factor=1.0, only=always, rtol=RTOL):
    """`optax.losses.NAME(predictions, targets)`."""

    def call(*arrays, **options):
        import optax

        function = getattr(optax.losses, name)
        return factor * np.asarray(function(*arrays, **named(options, rename, fixed)))

    return Peer("optax", call, rtol, only)


def sklearn_metric(name, *, rename=None, fixed=None, factor=1.0, only=always, rtol=RTOL):
    """`sklearn.metrics.NAME(targets, predictions)` of each element by itself: each is a column."""

    def call(predictions, targets, **options):
        from sklearn import metrics

        function = getattr(metrics, name)
        columns = np.reshape(targets, (1, -1)), np.reshape(predictions, (1, -1))
        given = named(options, rename, fixed)
        found = function(*columns, multioutput="raw_values", **given)
        return factor * found.reshape(predictions.shape)

    return Peer("sklearn", call, rtol, only)


def sklearn_loss(name, *, rename=None, fixed=None, factor=1.0, only=always, rtol=RTOL):
    """`sklearn._loss.loss.NAME(...).loss(targets, predictions)`; the options make the object.

    One number an element, or rows of classes with one label each.
    """

    def call(predictions, targets, **options):
        from sklearn._loss import loss as losses

        made = getattr(losses, name)(**named(options, rename, fixed))
        raw = predictions if predictions.shape != targets.shape else predictions.ravel()
        found = made.loss(targets.ravel().astype(float), np.ascontiguousarray(raw))
        return factor * found.reshape(targets.shape)

    return Peer("sklearn", call, rtol, only)


def keras_loss(
    name, *, rename=None, fixed=None, factor=1.0, only=always, rtol=1e-5, rows=False, seen=None
):
    """`keras.losses.NAME(targets, predictions)`, on Keras's NumPy, which ends in float32.

    Keras takes the mean over the last axis: one of a single element, but for losses over classes.
    `seen` turns our predictions into what Keras takes.
    """

    def call(predictions, targets, **options):
        os.environ.setdefault("KERAS_BACKEND", "numpy")
        import keras

        arrays = [targets, predictions if seen is None else seen(predictions)]
        given = arrays if rows else [array[..., None] for array in arrays]
        found = getattr(keras.losses, name)(*given, **named(options, rename, fixed))
        return factor * np.asarray(found)

    return Peer("keras", call, rtol, only)


def published(call, *, only=always, rtol=RTOL):
    """A formula as another project publishes it, in NumPy: `call(*arrays, **options)`."""
    return Peer("numpy", call, rtol, only)
