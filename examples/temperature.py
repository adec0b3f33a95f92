"""Learn to convert degrees Celsius to Fahrenheit from four readings, and see every step of it.

    python examples/temperature.py
    python examples/temperature.py --backend torch --output surface.png

A straight line `fahrenheit = celsius w + b` starts with wrong parameters. The mean squared error
says how wrong, its gradient says which way is down, and gradient descent walks there: to w = 1.8
and b = 32.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import tensorweaver as tw

CELSIUS = [[0.0], [20.0], [37.0], [100.0]]
FAHRENHEIT = [[32.0], [68.0], [98.6], [212.0]]
FREEZING_AND_BOILING = [[0.0], [100.0]], [[32.0], [212.0]]

WRONG = (0.5, 10.0)
RIGHT = (1.8, 32.0)

# Readings are up to 100 times larger than the 1 that b is multiplied by. In units of 100 degrees
# one rate would serve both parameters; in degrees, w needs a rate smaller by 100 squared.
RATE_OF_B = 0.2
RATE_OF_W = RATE_OF_B / 100**2
STEPS = 300
SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, STEPS)


def parameters(values: tuple[float, float]) -> tuple[tw.Tensor, tw.Tensor]:
    """The weight, one row by one column, and the bias."""
    w, b = values
    return tw.Tensor([[w]], requires_grad=True), tw.Tensor([b], requires_grad=True)


def predict(celsius: tw.Tensor, w: tw.Tensor, b: tw.Tensor) -> tw.Tensor:
    """The model: a straight line."""
    return celsius @ w.T + b


def settled(array: Any) -> Any:
    """The array with its numbers in it: lazy Dask would redo all earlier steps in every step."""
    return array.persist() if hasattr(array, "persist") else array


def show_wrong_and_right() -> None:
    """What a loss measures: 11794.0 for wrong parameters, 0.0 for the right ones."""
    celsius, fahrenheit = map(tw.Tensor, FREEZING_AND_BOILING)

    print(f"1. Wrong parameters: w = {WRONG[0]}, b = {WRONG[1]}\n")
    print("Celsius 0, 20, 37 and 100 become")
    print(predict(tw.Tensor(CELSIUS), *parameters(WRONG)))
    predictions = predict(celsius, *parameters(WRONG))
    loss = tw.mse_loss(predictions, fahrenheit)
    print(f"\nWater freezes at 32 and boils at 212. Loss on these two: {loss.item()}\n")

    print(f"2. Right parameters: w = {RIGHT[0]}, b = {RIGHT[1]}\n")
    right = predict(celsius, *parameters(RIGHT))
    print(right)
    print(f"Loss: {tw.mse_loss(right, fahrenheit).item()}\n")

    print("3. Where 11794.0 comes from\n")
    tw.mse_loss.explain(predictions, fahrenheit)


def show_the_gradient() -> None:
    """Which way is down: the derivative of the loss by each parameter."""
    celsius, fahrenheit = map(tw.Tensor, FREEZING_AND_BOILING)
    w, b = parameters(WRONG)
    tw.mse_loss(predict(celsius, w, b), fahrenheit).backward()
    print("\n4. Which way is down\n")
    print(f"slope by w: {tw.Tensor(w.grad)}, slope by b: {tw.Tensor(b.grad)}")
    print("Both are negative: a larger w and a larger b lower the loss.\n")


def descend() -> list[tuple[float, float]]:
    """Walk downhill from the wrong parameters; every `(w, b)` on the way."""
    celsius, fahrenheit = tw.Tensor(CELSIUS), tw.Tensor(FAHRENHEIT)
    w, b = parameters(WRONG)
    path = [(w.item(), b.item())]
    print("5. Gradient descent on all four readings\n")
    print("step          loss        w         b")
    for step in range(STEPS + 1):
        loss = tw.mse_loss(predict(celsius, w, b), fahrenheit)
        if step in SHOWN:
            print(f"{step:4}  {loss.item():12.6f}  {w.item():7.4f}  {b.item():8.4f}")
        if step == STEPS:
            break
        loss.backward()
        w.data = settled(w.data - RATE_OF_W * w.grad)
        b.data = settled(b.data - RATE_OF_B * b.grad)
        w.zero_grad()
        b.zero_grad()
        path.append((w.item(), b.item()))
    print(f"\nLearned: w = {path[-1][0]:.4f}, b = {path[-1][1]:.4f}\n")
    return path


def landscape(w: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Any:
    """The loss on the four readings for every pair of parameters at once."""
    readings = len(CELSIUS)
    predictions = w[..., None] * np.reshape(CELSIUS, readings) + b[..., None]
    losses = tw.mse_loss(predictions, np.reshape(FAHRENHEIT, readings), reduction="none")
    return losses.mean(axis=-1)


def draw(path: list[tuple[float, float]], output: Path) -> None:
    """The landscape of the loss with the way down, as a picture."""
    from matplotlib.figure import Figure

    from tensorweaver.plotting import plot_loss_surface

    figure = Figure(figsize=(8, 6), layout="constrained")
    ax = figure.subplots()
    plot_loss_surface(landscape, (0.0, 3.2), (0.0, 80.0), path, ax, goal=RIGHT)
    ax.set_title("Mean squared error of fahrenheit = celsius · w + b", pad=12)
    figure.savefig(output, dpi=150)
    print(f"The loss over (w, b), with the way down: {output}")


def main() -> None:
    """The whole walk, on the chosen array library."""
    parser = argparse.ArgumentParser(description="Learn the Fahrenheit scale by gradient descent.")
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, jax or dask")
    parser.add_argument("--output", type=Path, default=Path("temperature_loss.png"))
    arguments = parser.parse_args()
    try:
        tw.set_backend(arguments.backend)
    except tw.BackendError as error:
        parser.error(str(error))
    show_wrong_and_right()
    show_the_gradient()
    draw(descend(), arguments.output)


if __name__ == "__main__":
    main()
