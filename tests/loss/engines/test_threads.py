"""The same bits on any number of threads, on every run, and whoever else computes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.loss.cases import CASES
from tests.loss.engines.calls import bits, computed_by, tiled
from tests.loss.engines.test_layouts import FORMS, map_arrays

ASKED = ["mse", "bce of logits, weights", "kl", "ce", "ce, all", "ce, probabilities, all"]
NUMBERS = (1, 2, 3, 7)


def answers(case, arrays, options):
    found = case.loss.value_and_grad(*arrays, **options)
    losses = case.loss(*arrays, reduction="none", **options)
    diagonal = case.loss.hessian_diag(*arrays, **options)
    total = case.loss(*arrays, reduction="sum", **options)
    return bits([*found, losses, diagonal, total])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", ASKED)
def test_the_same_bits_on_any_number_of_threads(name, dtype, engine, threads):
    case = CASES[name]
    arrays, options = tiled(case, dtype, 20_001)
    found = []
    for number in (*NUMBERS, *NUMBERS):
        threads(number)
        found.append(answers(case, arrays, options))
    assert found == found[:1] * len(found)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["mse", "ce, all"])
def test_the_same_bits_in_every_form(name, form, engine, threads):
    case = CASES[name]
    arrays, options = map_arrays(FORMS[form], *tiled(case, "float32", 10_007))
    found = []
    for number in NUMBERS:
        threads(number)
        found.append(answers(case, arrays, options))
    assert found == found[:1] * len(found)


@pytest.mark.parametrize("shape", [(2003, 70), (101, 1100), (3, 100_003), (1, 300_007)])
@pytest.mark.parametrize("form", ["read-only", "every second", "fortran"])
def test_the_same_bits_of_long_rows(shape, form, engine, threads, rng):
    x = rng.normal(size=shape).astype(np.float32)
    case = CASES["ce"]
    arrays, _ = map_arrays(FORMS[form], [x, rng.integers(0, shape[1], shape[0])], {})
    found = []
    for number in NUMBERS:
        threads(number)
        found.append(answers(case, arrays, {}))
    assert found == found[:1] * len(found)


def test_the_same_bits_in_place(engine, threads, rng):
    x, t = rng.normal(size=70_001), rng.random(70_001)
    found = []
    for number in NUMBERS:
        threads(number)
        own = x.copy()
        value, _ = tw.binary_cross_entropy_with_logits_loss.value_and_grad(own, t, out=own)
        found.append(bits([value, own]))
    assert found == found[:1] * len(found)


def test_several_threads_of_the_user(engine, threads):
    threads(3)
    work = [
        (CASES[name], *tiled(CASES[name], "float32", 4001 + 7 * i)) for i, name in enumerate(ASKED)
    ]
    expected = [answers(*each) for each in work]
    together = threading.Barrier(len(work), timeout=60)

    def compute(each):
        together.wait()
        return [answers(*each) for _ in range(4)]

    with ThreadPoolExecutor(len(work)) as pool:
        found = list(pool.map(compute, work))
    assert found == [[each] * 4 for each in expected]


def test_threads_that_end_leave_nothing_behind(engine):
    arrays, options = tiled(CASES["ce, all"], "float32", 4001)
    expected = answers(CASES["ce, all"], arrays, options)
    for _ in range(20):
        found: list[Any] = []
        thread = threading.Thread(
            target=lambda found=found: found.append(answers(CASES["ce, all"], arrays, options))
        )
        thread.start()
        thread.join(60)
        assert found == [expected]


def test_results_share_no_memory(engine, rng):
    x, t = rng.normal(size=(2, 100, 50))
    calls = [tw.cross_entropy_loss.value_and_grad(x, t, reduction="none") for _ in range(2)]
    arrays = [x, t, *(array for call in calls for array in call)]
    for i, first in enumerate(arrays):
        for second in arrays[:i]:
            assert not np.shares_memory(first, second)
    with computed_by("interpret"):
        wanted = tw.cross_entropy_loss(x, t, reduction="none")
    calls[0][0][:] = 0
    assert np.allclose(calls[1][0], wanted)
