"""One loss, many threads: the same bits, whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

import tensorweaver as tw
from tests.loss.cases import CASES, convert, labels, logits

THREADS = 16


def at_once(function, arguments):
    """The results of `function` on every argument, each in a thread, all started together."""
    barrier = Barrier(THREADS)

    def run(argument):
        barrier.wait()
        return function(argument)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, arguments))


def test_the_first_calls_of_a_new_loss(to_array, to_numpy):
    def formula(predictions, targets, *, power=2):
        return tw.array_namespace(predictions).abs(predictions - targets) ** power

    for round_of_calls in range(5):
        loss = tw.pointwise(formula)
        x, y = to_array(logits), to_array(logits[::-1].copy())

        def call(place, loss=loss, x=x, y=y):
            value, gradient = loss.value_and_grad(x, y, power=2 + place % 2)
            return to_numpy(value).tobytes(), to_numpy(gradient).tobytes()

        results = at_once(call, range(THREADS))
        alone = [call(place) for place in (0, 1)]
        assert results == alone * (THREADS // 2), round_of_calls


def test_every_loss_at_once(to_array, to_numpy):
    cases = [CASES[name] for name in sorted(CASES)][:THREADS]

    def call(case):
        arrays, options = convert(case, to_array)
        value, gradient = case.loss.value_and_grad(*arrays, **options)
        diagonal = case.loss.hessian_diag(*arrays, **options)
        return [to_numpy(array).tobytes() for array in (value, gradient, diagonal)]

    expected = [call(case) for case in cases]
    for _ in range(3):
        assert at_once(call, cases) == expected


def test_results_do_not_share_memory_between_calls():
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(200, 10)) for _ in range(THREADS)]
    targets = np.tile(labels, 40) % 10
    expected = [tw.cross_entropy_loss.grad(batch, targets).tobytes() for batch in batches]
    found = at_once(lambda batch: tw.cross_entropy_loss.grad(batch, targets), batches)
    assert [gradient.tobytes() for gradient in found] == expected
    first, second = (tw.cross_entropy_loss.grad(batches[0], targets) for _ in range(2))
    assert not np.shares_memory(first, second)
