"""Every refusal names the loss, the argument, what came and what would be right."""

from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.loss.cases import labels, logits

X = np.asarray([1.0, 2.0])
Y = np.asarray([0.0, 4.0])
MSE, CE, NLL = tw.mse_loss, tw.cross_entropy_loss, tw.nll_loss
BOTH: Any = ("predictions", "targets")
NUMBER: Any = 0
ROWS_OF_8 = np.zeros((8, 1))

# What is called, the error, the whole message as a pattern.
REFUSALS = {
    "no array": (
        lambda: MSE("one", [1.0]),
        tw.DTypeError,
        r"mse_loss: predictions: expected an array, a number or a nested list of numbers, got str",
    ),
    "misspelt backend": (
        lambda: MSE([1.0], [1.0], backend="numppy"),
        tw.BackendError,
        r"mse_loss: unknown backend 'numppy': .*did you mean \"numpy\"",
    ),
    "backend that is no name": (
        lambda: MSE.grad([1.0], [1.0], backend=["numpy"]),
        tw.BackendError,
        r"mse_loss: unknown backend \['numpy'\]: known are numpy, cupy",
    ),
    "clip that is no number": (
        lambda: tw.binary_cross_entropy_loss([0.5], [1.0], clip="a"),
        tw.ArgumentError,
        r"binary_cross_entropy_loss: clip must be in \[0, 0.5\), got 'a'",
    ),
    "targets too small": (
        lambda: MSE(ROWS_OF_8, np.zeros(8)),
        tw.ShapeError,
        (
            r"mse_loss: targets of shape \(8,\) does not fit predictions of shape \(8, 1\); "
            r"give targets the shape \(8, 1\), or one that broadcasts to it"
        ),
    ),
    "targets enlarge": (
        lambda: MSE(np.zeros(8), ROWS_OF_8),
        tw.ShapeError,
        r"mse_loss: targets of shape \(8, 1\) does not fit predictions of shape \(8,\)",
    ),
    "targets enlarge an axis": (
        lambda: MSE(np.zeros((1, 3)), np.zeros((2, 3))),
        tw.ShapeError,
        r"targets of shape \(2, 3\) does not fit predictions of shape \(1, 3\)",
    ),
    "integer predictions": (
        lambda: MSE(np.asarray([1, 2]), Y),
        tw.DTypeError,
        (
            "mse_loss: predictions must be floating point, got int64; convert predictions to a "
            "floating dtype such as float32"
        ),
    ),
    "boolean logits": (
        lambda: CE(np.zeros((2, 3), bool), [0, 1]),
        tw.DTypeError,
        "cross_entropy_loss: logits must be floating point, got bool",
    ),
    "complex predictions": (
        lambda: MSE(X + 1j, Y),
        tw.DTypeError,
        r"mse_loss: predictions is complex \(complex128\); use real numbers",
    ),
    "complex targets": (lambda: MSE(X, Y + 1j), tw.DTypeError, "targets is complex"),
    "complex weights": (
        lambda: MSE(X, Y, sample_weight=X + 1j),
        tw.DTypeError,
        "mse_loss: sample_weight must be real, got complex128",
    ),
    "label too large": (
        lambda: CE(logits, np.asarray([0, 1, 2, 4, 9])),
        tw.LabelError,
        (
            r"cross_entropy_loss: targets\[3\] is 4, but the 4 classes are 0 to 3 "
            r"\(or ignore_index=-100\)"
        ),
    ),
    "label negative": (
        lambda: NLL(logits, np.asarray([0, -1, 2, 3, 9]), ignore_index=None),
        tw.LabelError,
        r"nll_loss: targets\[1\] is -1, but the 4 classes are 0 to 3$",
    ),
    "label of a position": (
        lambda: CE(np.zeros((2, 3, 2)), np.asarray([[0, 1, 0], [1, 0, 2]])),
        tw.LabelError,
        r"targets\[1, 2\] is 2, but the 2 classes are 0 to 1",
    ),
    "label unsigned": (
        lambda: CE(logits, np.asarray([0, 1, 200, 3, 1], np.uint8)),
        tw.LabelError,
        r"targets\[2\] is 200",
    ),
    "labels floating": (
        lambda: NLL(logits, labels.astype(float)),
        tw.DTypeError,
        (
            "nll_loss: targets must be integer class indices, got float64; convert them to "
            "an integer dtype such as int64"
        ),
    ),
    "labels of another length": (
        lambda: CE(logits, labels[:4]),
        tw.ShapeError,
        (
            r"cross_entropy_loss: targets of shape \(4,\) does not fit logits of shape \(5, 4\) "
            r"with its classes on axis 1; give targets the shape \(5,\)"
        ),
    ),
    "labels with a class axis": (
        lambda: NLL(logits, labels[:, None]),
        tw.ShapeError,
        r"nll_loss: targets of shape \(5, 1\) does not fit",
    ),
    "no classes": (
        lambda: CE(np.zeros((2, 0)), np.zeros(2, int)),
        tw.ShapeError,
        r"cross_entropy_loss: logits of shape \(2, 0\) has no classes on its axis",
    ),
    "no axis": (
        lambda: CE(np.asarray(1.0), np.asarray(0)),
        tw.ShapeError,
        "cross_entropy_loss: logits needs an axis of classes, got a single number",
    ),
    "axis out of range": (
        lambda: CE(logits, labels, axis=2),
        tw.ArgumentError,
        "cross_entropy_loss: axis must be an integer from -2 to 1, got 2",
    ),
    "axis not whole": (
        lambda: CE(logits, labels, axis=0.5),
        tw.ArgumentError,
        "axis must be an integer from -2 to 1, got 0.5",
    ),
    "weight of another length": (
        lambda: CE(logits, labels, weight=np.ones(3)),
        tw.ShapeError,
        (
            r"cross_entropy_loss: weight holds one number a class: its shape must be \(4,\), got "
            r"\(3,\)"
        ),
    ),
    "unknown reduction": (
        lambda: MSE(X, Y, reduction="average"),
        tw.ArgumentError,
        "mse_loss: reduction must be one of 'mean', 'sum', 'none', got 'average'",
    ),
    "no reduction": (lambda: MSE(X, Y, reduction=None), tw.ArgumentError, "got None"),
    "unknown option": (
        lambda: MSE(X, Y, delta=1.0),
        TypeError,
        r"mse_loss\(\) has no argument 'delta'; it takes predictions, targets, reduction",
    ),
    "axis of a pointwise loss": (
        lambda: MSE(X, Y, axis=0),
        TypeError,
        "has no argument 'axis'",
    ),
    "argument missing": (
        lambda: MSE(X),
        TypeError,
        r"mse_loss\(\) takes predictions, targets: targets is missing",
    ),
    "misspelt": (
        lambda: MSE(X, target=Y),
        TypeError,
        r"takes predictions, targets: targets is missing, and there is no argument 'target'",
    ),
    "wrt by number": (
        lambda: MSE.grad(X, Y, wrt=NUMBER),
        ValueError,
        r"mse_loss: wrt must be one name, or different names, got 0",
    ),
    "argument too many": (lambda: MSE(X, Y, X), TypeError, "got 3 arrays"),
    "argument None": (
        lambda: MSE(X, None),
        tw.ArgumentError,
        "mse_loss: targets is None; give it an array",
    ),
    "option out of range": (
        lambda: CE(logits, labels, label_smoothing=1.5),
        tw.ArgumentError,
        r"label_smoothing must be in \[0, 1\], got 1.5",
    ),
    "option an array": (
        lambda: tw.huber_loss(X, Y, delta=np.ones(2)),
        tw.ArgumentError,
        r"huber_loss: delta must be a number or a string, got ndarray.*arrays=\(\"delta\",\)",
    ),
    "function of a word": (
        lambda: tw.softmax("a"),
        tw.DTypeError,
        "softmax: x: expected an array, a number or a nested list of numbers, got str",
    ),
    "wrt unknown": (
        lambda: MSE.grad(X, Y, wrt="weights"),
        tw.ArgumentError,
        "mse_loss: wrt must be among predictions, targets, got 'weights'",
    ),
    "wrt labels": (
        lambda: CE.grad(logits, labels, wrt="targets"),
        tw.ArgumentError,
        "cross_entropy_loss: wrt must be among logits, got 'targets'",
    ),
    "wrt two for a hessian": (
        lambda: MSE.hessian_diag(X, Y, wrt=BOTH),
        tw.ArgumentError,
        "mse_loss: second derivatives are by one argument: wrt must be a name",
    ),
    "vector of another shape": (
        lambda: MSE.hvp(X, Y, np.ones(3)),
        tw.ShapeError,
        r"mse_loss: vector has shape \(3,\), predictions \(2,\)",
    ),
    "hessian of a pointwise loss": (
        lambda: MSE.hessian(X, Y),
        tw.ArgumentError,
        "mse_loss couples no two elements: its Hessian is hessian_diag",
    ),
    "mask not boolean": (
        lambda: MSE(X, Y, where=np.asarray([1, 0])),
        tw.DTypeError,
        "mse_loss: where must be boolean, got int64",
    ),
    "mask of another shape": (
        lambda: MSE(X, Y, where=np.asarray([True, False, True])),
        tw.ShapeError,
        r"mse_loss: where of shape \(3,\) does not fit losses of shape \(2,\)",
    ),
    "weights beyond the losses": (
        lambda: CE(logits, labels, sample_weight=np.ones((5, 4))),
        tw.ShapeError,
        r"sample_weight of shape \(5, 4\) does not fit losses of shape \(5,\)",
    ),
    "text": (lambda: MSE("ab", Y), tw.DTypeError, "predictions: "),
    "ragged": (lambda: MSE([[1.0], [1.0, 2.0]], Y), tw.ShapeError, "predictions: "),
    "unknown backend": (
        lambda: MSE(X, Y, backend="torsh"),
        tw.BackendError,
        "torch",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name):
    call, error, message = REFUSALS[name]
    with pytest.raises(error, match=message):
        call()


def test_every_refusal_is_a_built_in_error_too():
    for name, builtin in {
        "targets too small": ValueError,
        "integer predictions": TypeError,
        "label too large": ValueError,
        "unknown reduction": ValueError,
        "unknown backend": RuntimeError,
    }.items():
        call, error, _ = REFUSALS[name]
        assert issubclass(error, builtin)
        with pytest.raises(tw.TensorWeaverError):
            call()


def test_mixed_libraries_are_named():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(
        tw.BackendError, match=r"predictions is.*NumPy.*targets is.*array-api-strict"
    ):
        tw.mse_loss(X, strict.asarray([0.0, 1.0]))


def test_mixed_devices_are_named():
    strict = pytest.importorskip("array_api_strict")
    here, there = (
        strict.asarray([0.0, 1.0], device=strict.Device(name)) for name in ("CPU_DEVICE", "device1")
    )
    with pytest.raises(tw.BackendError, match=r"CPU_DEVICE.*device1"):
        tw.mse_loss(here, there)


def test_a_missing_backend_says_what_to_install(monkeypatch):
    import tensorweaver.backends.cupy as home

    monkeypatch.setattr(
        home.CuPyBackend, "unavailable", lambda self: f"CuPy is not installed: {self.extra}"
    )
    with pytest.raises(tw.BackendUnavailableError, match=r"pip install .*tensorweaver\[cuda1"):
        tw.mse_loss(X, Y, backend="cupy")


def test_labels_are_refused_on_every_backend_that_can_look(backend, to_array):
    if backend in {"dask", "cupy"}:
        losses = tw.cross_entropy_loss(
            to_array(logits), to_array([0, 1, 2, 4, 9]), reduction="none"
        )
        host = tw.get_backend(backend).to_numpy(losses)
        assert np.isnan(host).tolist() == [False, False, False, True, True]
        return
    for method in (CE, CE.grad, CE.value_and_grad, CE.hessian_diag, CE.steps):
        with pytest.raises(tw.LabelError, match=r"targets\[3\] is 4"):
            method(to_array(logits), to_array([0, 1, 2, 4, 9]))


def test_a_refused_call_leaves_no_trace():
    for _ in range(2):
        with pytest.raises(tw.LabelError):
            CE(logits, np.asarray([0, 1, 2, 4, 9]))
        assert np.isfinite(CE(logits, labels))
        with pytest.raises(tw.ArgumentError):
            CE(logits, labels, label_smoothing=2.0)
        with pytest.raises(tw.ArgumentError):
            CE(logits, labels, reduction="all")
