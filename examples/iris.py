"""Tell three kinds of iris apart: softmax regression on Fisher's 150 flowers.

    python examples/iris.py
    python examples/iris.py --backend torch

Every flower is four measurements. A linear model gives each kind a score, the cross-entropy of the
scores says how wrong they are, and gradient descent on all flowers at once lowers it. Nothing here
is random: the same numbers come out every time.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.datasets import load_iris

import tensorweaver as tw

if TYPE_CHECKING:
    from collections.abc import Collection

RATE = 4.0
STEPS = 200
SHOWN = (0, 1, 10, 50, 100, STEPS)
FOLDS = 3

Host = np.ndarray[Any, Any]


class Model(NamedTuple):
    """Scores are `(measurements - centre) / spread @ w + b`."""

    centre: Host
    spread: Host
    w: tw.Tensor
    b: tw.Tensor

    def standardised(self, measurements: Host) -> tw.Tensor:
        """Each measurement about 0 and of size about 1, where the parameters are."""
        scaled = (measurements - self.centre) / self.spread
        return tw.Tensor(scaled, backend=self.w.backend, dtype=self.w.dtype)

    def predict(self, measurements: Host) -> Host:
        """The kind with the highest score."""
        return best(self.standardised(measurements) @ self.w + self.b)


def best(scores: tw.Tensor) -> Host:
    """The kind with the highest score, for each flower."""
    kinds: Host = scores.numpy().argmax(axis=1)
    return kinds


def settled(array: Any) -> Any:
    """The array with its numbers in it: lazy Dask would redo all earlier steps in every step."""
    return array.persist() if hasattr(array, "persist") else array


def fit(measurements: Host, kinds: Host, *, report: Collection[int] = ()) -> Model:
    """A model of these flowers, by gradient descent from zero; prints at the steps in `report`."""
    classes = int(kinds.max()) + 1
    model = Model(
        measurements.mean(axis=0),
        measurements.std(axis=0),
        tw.Tensor([[0.0] * classes] * measurements.shape[1], requires_grad=True),
        tw.Tensor([0.0] * classes, requires_grad=True),
    )
    inputs = model.standardised(measurements)
    labels = tw.Tensor(kinds, backend=inputs.backend)
    for step in range(STEPS + 1):
        scores = inputs @ model.w + model.b
        loss = tw.cross_entropy_loss(scores, labels)
        if step in report:
            accuracy = (best(scores) == kinds).mean()
            print(f"{step:4}  {loss.item():8.5f}  {accuracy:8.1%}")
        if step == STEPS:
            break
        loss.backward()
        for parameter in (model.w, model.b):
            parameter.data = settled(parameter.data - RATE * parameter.grad)
            parameter.zero_grad()
    return model


def predict_unseen(measurements: Host, kinds: Host) -> Host:
    """Each flower's kind according to a model that was trained without it."""
    predicted = np.empty_like(kinds)
    fold = (
        np.arange(len(kinds)) % FOLDS
    )  # the flowers are sorted by kind: each fold has some of all
    for held_out in range(FOLDS):
        unseen = fold == held_out
        model = fit(measurements[~unseen], kinds[~unseen])
        predicted[unseen] = model.predict(measurements[unseen])
    return predicted


def show_accuracy(title: str, kinds: Host, predicted: Host, names: list[str]) -> None:
    """The share of flowers named rightly, and how many of each kind were taken for which."""
    right = int((predicted == kinds).sum())
    print(f"\n{title}: {right / len(kinds):.1%} ({right} of {len(kinds)})\n")
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (kinds, predicted), 1)
    print(f"{'':>12}{''.join(f'{name:>12}' for name in names)}   (taken for)")
    for name, row in zip(names, counts, strict=True):
        print(f"{name:>12}{''.join(f'{count:12}' for count in row)}")


def main() -> None:
    """Train on all flowers; then see how models do on flowers that they were not trained on."""
    parser = argparse.ArgumentParser(description="Tell three kinds of iris apart.")
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, jax or dask (slow)")
    arguments = parser.parse_args()
    try:
        tw.set_backend(arguments.backend)
    except tw.BackendError as error:
        parser.error(str(error))
    flowers = load_iris()
    measurements, kinds = flowers.data, flowers.target
    names = [str(name) for name in flowers.target_names]

    print(f"1. Trained on all {len(kinds)} flowers\n")
    print("step      loss  accuracy")
    predicted = fit(measurements, kinds, report=SHOWN).predict(measurements)
    show_accuracy("Accuracy on the flowers it was trained on", kinds, predicted, names)

    print(f"\n2. Trained on two flowers of three, {FOLDS} times, each third held out once")
    predicted = predict_unseen(measurements, kinds)
    show_accuracy("Accuracy on flowers held out", kinds, predicted, names)
    print("\nThe second number is the one to expect of new flowers.")


if __name__ == "__main__":
    main()
