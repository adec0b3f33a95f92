"""Gradients of tensor functions, by the tape and by finite differences."""

import numpy as np

from tensorweaver.tensor import Tensor
from tensorweaver.tensor.tape import no_grad

__all__ = ["STEP", "finite_differences", "tape_gradients"]

#: Every element of a result counts with a weight of its own, so that none can stand for another.
WEIGHTS = np.sin(np.arange(1.0, 1000.0))

STEP = 1e-4
#: Central differences of fourth order: what to multiply `f(x + k STEP)` by.
STENCIL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}


def tape_gradients(function, arrays):
    """The value of `function(*tensors)`, and the gradient of its weighted sum by each array.

    The weights go in as the cotangent: no operation but those of `function` takes part.
    """
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    out = function(*tensors)
    out.backward(WEIGHTS[: out.size].reshape(out.shape).tolist())
    return out, [tensor.grad for tensor in tensors]


def finite_differences(function, arrays):
    """The same gradients for NumPy arrays, from the values of `function` alone."""
    gradients = []
    with no_grad():
        for place, array in enumerate(arrays):
            gradient = np.zeros_like(array)
            for index in np.ndindex(array.shape):
                for steps, factor in STENCIL.items():
                    moved = array.copy()
                    moved[index] += steps * STEP
                    inputs = [*arrays[:place], moved, *arrays[place + 1 :]]
                    values = function(*(Tensor(each) for each in inputs)).numpy().ravel()
                    gradient[index] += factor * (values @ WEIGHTS[: values.size]) / STEP
            gradients.append(gradient)
    return gradients
