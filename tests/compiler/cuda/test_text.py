"""Lines of CUDA C: names, and numbers to the last digit."""

import math

import numpy as np
import pytest

from tensorweaver.compiler.cuda.text import Text, number


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-8, 2.5e37, 5e-324, 1e308, -0.0, 123456789.0])
def test_no_digit_is_lost(value):
    assert float(number(value, "double").strip("()")) == value
    with np.errstate(all="ignore"):
        nearest = np.float32(value)
    if np.isfinite(nearest):
        text = number(value, "float").strip("()")
        assert text.endswith("f")
        assert np.float32(text[:-1]) == nearest
        assert np.signbit(np.float32(text[:-1])) == np.signbit(nearest)


@pytest.mark.parametrize("kind", ["float", "double"])
def test_what_has_no_digits_has_a_name(kind):
    assert number(math.inf, kind) == f"infinity<{kind}>()"
    assert number(-math.inf, kind) == f"(-infinity<{kind}>())"
    assert number(math.nan, kind) == f"not_a_number<{kind}>()"


def test_beyond_the_range_of_float_lies_infinity():
    assert number(1e39, "float") == "infinity<float>()"


def test_integers_and_truth_values():
    assert number(-100, "long long") == "(-100LL)"
    assert number(7, "long long") == "7LL"
    assert (number(True, "bool"), number(False, "bool")) == ("true", "false")


def test_a_name_is_taken_until_its_block_ends():
    text = Text({"load"})
    assert text.fresh("error") == "error"
    with text.block("for (;;)"):
        assert text.fresh("error") == "error_2"
        assert text.fresh("square") == "square"
    assert text.fresh("square") == "square"
    assert str(text) == "for (;;) {\n}\n"


@pytest.mark.parametrize("wanted", ["load", "double", "register"])
def test_words_of_the_language_and_of_the_preamble_are_not_taken(wanted):
    assert Text({"load"}).fresh(wanted) == f"{wanted}_2"


@pytest.mark.parametrize("wanted", ["Größe", "_hidden", "__x", ""])
def test_what_is_no_plain_name_gets_one(wanted):
    assert Text().fresh(wanted) == "value"
