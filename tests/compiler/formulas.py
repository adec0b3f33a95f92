"""Formulas of every kind, for the tests of the passes."""

from __future__ import annotations

from typing import Any

from tensorweaver import cross_entropy_loss, huber_loss, mse_loss
from tensorweaver.backends import array_namespace
from tensorweaver.compiler.graph import Level, Node, input_node

__all__ = ["FORMULAS"]

X = input_node("x")
Y = input_node("y")
ROW_VALUE = input_node("r", Level.ROW)
LABELS = input_node("labels", Level.ROW, "integral")


def logarithm_where_positive(x, y):
    xp = array_namespace(x)
    return xp.where(x > 0, xp.log(x), 0.0) * y


def coupled_rows(x, y):
    xp = array_namespace(x)
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    scaled = centred / xp.std(x, axis=-1, keepdims=True)
    return xp.sum(xp.softmax(scaled, axis=-1) * y, axis=-1)


def row_beside_elements(x, r):
    xp = array_namespace(x)
    return xp.logsumexp(x * r, axis=-1, keepdims=True) - xp.max(x, axis=-1, keepdims=True) * r


def sum_of_log_softmax(x):
    xp = array_namespace(x)
    return xp.sum(xp.log_softmax(x, axis=-1), axis=-1)


def labelled(x, labels):
    return cross_entropy_loss.formula.function(x, labels, ignore_index=1, label_smoothing=0.25)


def soft_labelled(x, y):
    return cross_entropy_loss.formula.function(x, y, ignore_index=None, label_smoothing=0.25)


FORMULAS: dict[str, tuple[Any, tuple[Node, ...]]] = {
    "mse": (mse_loss.formula.function, (X, Y)),
    "huber": (huber_loss.formula.function, (X, Y)),
    "logarithm_where_positive": (logarithm_where_positive, (X, Y)),
    "coupled_rows": (coupled_rows, (X, Y)),
    "row_beside_elements": (row_beside_elements, (X, ROW_VALUE)),
    "sum_of_log_softmax": (sum_of_log_softmax, (X,)),
    "labelled": (labelled, (X, LABELS)),
    "soft_labelled": (soft_labelled, (X, Y)),
}
