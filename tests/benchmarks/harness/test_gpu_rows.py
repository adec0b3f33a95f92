"""The rows, their bytes, their right numbers and the time for them; no GPU is needed."""

import ml_dtypes
import numpy as np
import pytest
from harness import gpu_rows
from harness.gpu_device import exact, narrow
from harness.gpu_peers import NAIVE
from harness.gpu_rows import ROWS, Budget, Case, copies, plan, right_numbers, slug
from harness.rows import Row

GIB = 1 << 30


def test_the_rows_are_those_that_are_to_be_reached():
    shapes = {row.shape for row in ROWS.values()}
    assert {(2**28,), (2**20, 10), (2**17, 1000), (8192, 32768)} < shapes
    assert {(8192, 128256), (16384, 131072)} < shapes
    cases = plan(list(ROWS), ["float32", "bfloat16"], ["value", "value_and_grad"], quick=False)
    assert len(cases) == 28
    assert [case.dtype for case in cases] == ["float32"] * 14 + ["bfloat16"] * 14


@pytest.mark.parametrize(
    ("row", "dtype", "value", "gradient"),
    [
        ("mse", "float32", 2 * GIB, GIB),
        ("mse", "bfloat16", GIB, GIB // 2),
        ("ce_1048576x10", "float32", (40 + 8) << 20, 40 << 20),
        ("ce_16384x131072", "bfloat16", 4 * GIB + 8 * 16384, 4 * GIB),
    ],
)
def test_the_fewest_bytes(row, dtype, value, gradient):
    assert Case(ROWS[row], dtype, "value").bytes_moved == value
    assert Case(ROWS[row], dtype, "value_and_grad").bytes_moved == value + gradient


@pytest.mark.parametrize("moved", [2, 48, 3 * GIB, 2 * GIB, 7 * GIB + 10])
def test_a_copy_moves_as_many_bytes(moved):
    sizes = copies(moved)
    assert 2 * sum(sizes) == moved
    assert max(sizes) <= GIB
    assert min(sizes) > 0


def test_what_does_not_fit_says_so():
    case = Case(ROWS["ce_16384x131072"], "float32", "value_and_grad")
    assert case.left_out(80 * GIB) is None
    assert case.left_out(16 * GIB) == "needs 26.0 GiB of the device's memory, 16.0 are free"
    assert Case(case.row, "float32", "value_and_grad", quick=True).left_out(GIB) is None


def test_a_device_names_a_file():
    assert slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"
    assert slug("Tesla V100-SXM2-16GB (x)") == "tesla-v100-sxm2-16gb-x"


def test_time_that_a_case_leaves_goes_to_the_others():
    now = iter([0.0, 0.0, 10.0, 90.0, 120.0, 120.0])
    budget = Budget(100.0, 4, lambda: next(now))
    assert budget.share() == 25
    assert budget.share() == 30
    assert budget.share() == 5
    assert budget.share() == 0
    assert budget.left == 0


# ------------------------------------------------------------------------------ right numbers
ARGUMENTS = {
    "mse": ((40,), (40,)),
    "bce_with_logits": ((40,), (40,)),
    "ce_1048576x10": ((7, 5), None),
}


@pytest.mark.parametrize("chunk", [6, 1 << 20])
@pytest.mark.parametrize("row", ARGUMENTS)
def test_right_numbers_are_those_of_plain_numpy(row, chunk, rng, monkeypatch):
    monkeypatch.setattr(gpu_rows, "CHUNK", chunk)
    shape, targets = ARGUMENTS[row]
    case = Case(Row(row, ROWS[row].formulas, shape), "float32", "value_and_grad")
    drawn = rng.random(targets) if targets else rng.integers(0, shape[1], shape[0])
    arrays = (4 * rng.normal(size=shape), drawn)
    loss, first = right_numbers(np, case, arrays, lambda array: array)
    expected, gradient = case.formulas.numpy_value_and_grad(*arrays)
    assert loss == pytest.approx(expected, rel=1e-12)
    seen = next(gpu_rows.chunks(shape))
    np.testing.assert_allclose(first, gradient[seen], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("row", ARGUMENTS)
def test_what_people_write_computes_the_same(row, rng):
    shape, targets = ARGUMENTS[row]
    drawn = rng.random(targets) if targets else rng.integers(0, shape[1], shape[0])
    arrays = (rng.normal(size=shape), drawn)
    formulas = ROWS[row].formulas
    loss, gradient = NAIVE[formulas.ours](np, *arrays, gradient=True)
    expected, expected_gradient = formulas.numpy_value_and_grad(*arrays)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12)
    alone = NAIVE[formulas.ours](np, *arrays, gradient=False)
    np.testing.assert_allclose(alone, formulas.numpy_value(*arrays), rtol=1e-12)


def test_bfloat16_by_its_bits(rng):
    numbers = rng.normal(size=10_000).astype(np.float32)
    found = narrow(np, numbers, "bfloat16")
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(found.astype(np.float32), numbers, rtol=2**-8)
    np.testing.assert_array_equal(exact(np)(found), found.astype(np.float64), strict=True)
    assert exact(np)(numbers).dtype == np.float64
