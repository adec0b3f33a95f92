"""The chapter's numbers, on every backend."""

import numpy as np

from tensorweaver.tensor import Tensor
from tests.helpers.compare import assert_close

CELSIUS = [[0.0], [20.0], [37.0], [100.0]]


def mse_loss(predictions, targets):
    diff = predictions - targets
    squared = diff**2
    return squared.mean()


def test_wrong_parameters_print_wrong_temperatures(backend, capsys):
    celsius = Tensor(CELSIUS, backend=backend)
    w, b = Tensor([[0.5]], backend=backend), Tensor([10.0], backend=backend)
    print(celsius @ w.T + b)  # noqa: T201 - as the chapter does
    assert capsys.readouterr().out == "[[10.0], [20.0], [28.5], [60.0]]\n"


def test_loss_of_wrong_and_right_parameters(backend):
    celsius = Tensor([[0.0], [100.0]], backend=backend)
    true = Tensor([[32.0], [212.0]], backend=backend)
    wrong = celsius @ Tensor([[0.5]], backend=backend).T + Tensor([10.0], backend=backend)
    assert wrong.flatten().tolist() == [10.0, 60.0]
    if backend != "strict":  # the standard has no method flatten, every other library has
        assert [float(each) for each in wrong.data.flatten()] == [10.0, 60.0]
    assert mse_loss(wrong, true).item() == 11794.0
    right = celsius @ Tensor([[1.8]], backend=backend).T + Tensor([32.0], backend=backend)
    assert mse_loss(right, true).item() == 0.0


def test_gradients_by_hand(to_array, backend):
    celsius, true = to_array([[0.0], [100.0]]), to_array([[32.0], [212.0]])
    w = Tensor(to_array([[0.5]]), requires_grad=True)
    b = Tensor(to_array([10.0]), requires_grad=True)
    loss = mse_loss(Tensor(celsius) @ w.T + b, Tensor(true))
    assert loss.requires_grad
    assert loss.backend == backend
    loss.backward()
    # 2/n sum(error x) and 2/n sum(error), with errors -22 and -152.
    assert_close(w.grad, [[-15200.0]], dtype="float64")
    assert_close(b.grad, [-174.0], dtype="float64")


def test_gradient_descent_finds_the_conversion():
    celsius = Tensor([[0.0], [0.2], [0.37], [1.0]])
    true = Tensor([[32.0], [68.0], [98.6], [212.0]])
    w, b = Tensor([[0.5]], requires_grad=True), Tensor([10.0], requires_grad=True)
    for _ in range(2000):
        w.zero_grad()
        b.zero_grad()
        mse_loss(celsius @ w.T + b, true).backward()
        w.data -= 0.5 * w.grad
        b.data -= 0.5 * b.grad
    assert_close(w.data, np.array([[180.0]]), rtol=1e-9)
    assert_close(b.data, np.array([32.0]), rtol=1e-9)
