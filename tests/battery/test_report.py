"""The table says what came of the tests."""

from tests.battery.report import Table


def test_a_table_of_outcomes():
    table = Table()
    table.note("test_value_and_gradient_of_elements", "huber_loss[delta=0.25]-float32", "passed")
    table.note("test_value_and_gradient_of_elements", "huber_loss-float64", "passed")
    table.note("test_backends_agree", "huber_loss-torch", "passed")
    table.note("test_backends_agree", "torch-mse_loss", "skipped")
    table.note("test_engines_agree", "mse_loss-llvm", "failed")
    table.note("test_it_is_convex", "mse_loss", "passed")
    table.note("test_every_loss_is_registered", "", "passed")
    heading, huber, mse = (line.split() for line in table.lines())
    assert heading == ["mpmath", "laws", "torch", "llvm"]
    assert huber == ["huber", "2", "-", "1", "-"]
    assert mse == ["mse", "-", "1", "skip", "FAIL"]


def test_options_with_hyphens_do_not_hide_the_backend():
    table = Table()
    table.note("test_backends_agree", "general_robust_loss[alpha=-2.0]-jax", "passed")
    assert table.cell("general_robust", "jax") == "1"
