"""The blocked NumPy engine, held to the interpreted one."""

import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensorweaver.backends import get_backend
from tensorweaver.compiler import block_function, blocks, parallel
from tensorweaver.compiler import long_rows as long_rows_module
from tensorweaver.compiler.block_function import copy_where, log1p_unit, sign
from tensorweaver.compiler.blocks import BlockKernel
from tensorweaver.compiler.compile import prepare
from tensorweaver.compiler.emit_python import emit_python
from tensorweaver.compiler.graph import Level
from tensorweaver.compiler.interpret import bind
from tensorweaver.compiler.kernel import Setting
from tensorweaver.compiler.schedule import Output
from tensorweaver.compiler.trace import ROW_SIZE
from tensorweaver.loss.options import chosen_options
from tensorweaver.loss.variant import VariantKey, variant_of
from tests.helpers.compare import assert_close
from tests.loss.cases import CASES

TOTAL = Output(Level.SCALAR, total=True)
KINDS = ("value", "losses", "value_and_gradient", "hessian_diagonal")
TIMES = 9
SEED = 0.125


class Question:
    """One kind of thing asked of a loss, on many copies of a case's rows.

    `longer` is how many times the classes are repeated.
    """

    def __init__(self, name, kind, dtype, longer=1):
        case = CASES[name]
        self.formula = formula = case.loss.formula
        options = {k: v for k, v in case.options.items() if not isinstance(v, np.ndarray)}
        given = dict(zip(formula.arguments, case.arrays, strict=True)) | {
            k: v for k, v in case.options.items() if isinstance(v, np.ndarray)
        }
        roles: tuple[Any, ...] = tuple(
            None if name not in given else "element" if given[name].dtype.kind == "f" else "label"
            for name in formula.array_names
        )
        key = VariantKey(roles, False, False, False, chosen_options(formula, options))
        wrt = () if kind in ("value", "losses") else (formula.arguments[0],)
        variant = variant_of(formula, key)
        self.graph = prepare(variant.graph("value" if kind == "losses" else kind, wrt))
        self.dtype = dtype
        self.full = (5 * TIMES, 4 * longer)
        self.inputs = {
            variant.nodes[name]: self.enlarged(array, longer) for name, array in given.items()
        }
        level = Level.ROW if variant.value.outputs[0].level is Level.ROW else Level.ELEMENT
        self.outputs = {
            "value": (TOTAL,),
            "losses": (Output(level),),
            "value_and_gradient": (TOTAL, Output(Level.ELEMENT)),
            "hessian_diagonal": (Output(Level.ELEMENT),),
        }[kind]
        self.kernel = BlockKernel(self.graph, self.outputs, dtype, rowwise=formula.rowwise)

    def enlarged(self, array, longer):
        if array.dtype.kind == "i":
            return np.tile(array, TIMES)
        whole = np.tile(np.broadcast_to(array, (5, 4)), (TIMES, longer))
        return whole.astype(self.dtype)

    @property
    def shape(self):
        return self.full[:-1] if self.formula.rowwise else self.full

    def arrays(self):
        return [self.inputs[node] for node in self.kernel.arrays]

    def scalars(self):
        return [SEED for _ in self.kernel.scalars]

    def room(self):
        shapes = [
            self.full if output.level is Level.ELEMENT else self.full[:-1]
            for output in self.outputs
            if not output.total
        ]
        return [np.empty(shape, self.dtype) for shape in shapes]

    def run(self, arrays=None, results=None):
        """The totals, then the arrays."""
        results = self.room() if results is None else results
        arrays = self.arrays() if arrays is None else arrays
        totals = self.kernel(self.shape, self.full[-1], arrays, self.scalars(), results)
        return [*totals, *results]

    def expected(self):
        """The same from the interpreted engine."""
        setting = Setting(get_backend("numpy"), self.dtype, "int64")
        kernel = bind(emit_python(self.graph), setting)
        values = []
        for node in self.graph.inputs:
            if node is ROW_SIZE:
                values.append(self.full[-1])
            elif node.level is Level.SCALAR:
                values.append(SEED)
            else:
                array = self.inputs[node]
                values.append(array[:, None] if node.level is Level.ROW else array)
        with np.errstate(all="ignore"):
            found = kernel(*values)
        found = found if isinstance(found, tuple) else (found,)
        whole: list[Any] = []
        for node, output, result in zip(self.graph.outputs, self.outputs, found, strict=True):
            level = node.level if output.total else output.level
            shape = self.full if level is Level.ELEMENT else (self.full[0], 1)
            value = np.broadcast_to(result, shape)
            if output.total:
                whole.append(float(value.sum(dtype=np.float64)))
            else:
                whole.append(value if level is Level.ELEMENT else value[:, 0])
        return whole

    def check(self, found, *, ulp=64):
        for actual, wanted in zip(found, self.expected(), strict=True):
            if isinstance(wanted, float):
                assert_close(np.asarray(actual), np.asarray(wanted), of="value", rtol=1e-5)
            else:
                epsilon = np.finfo(self.dtype).eps
                size = float(np.max(np.abs(wanted)))
                assert_close(actual, wanted.astype(actual.dtype), ulp=ulp, atol=4 * epsilon * size)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of so few elements that every case has many."""
    monkeypatch.setattr(block_function, "SMALLEST", 200)
    monkeypatch.setattr(block_function, "LARGEST", 200)


@pytest.fixture
def long_rows(monkeypatch):
    """Rows of more than a few elements count as long."""
    monkeypatch.setattr(block_function, "SMALLEST", 96)
    monkeypatch.setattr(block_function, "LARGEST", 96)
    monkeypatch.setattr(block_function, "MOST_MEMORY", 256)
    monkeypatch.setattr(long_rows_module, "GROUP", 100)


@pytest.fixture
def threads():
    """Threads to choose; the choice is taken back."""
    yield parallel.set_num_threads
    parallel.set_num_threads(None)


EVERY = list(itertools.product(CASES, KINDS, ("float32", "float64")))


@pytest.mark.parametrize(("name", "kind", "dtype"), EVERY)
def test_every_loss_in_blocks_is_what_it_is_interpreted(name, kind, dtype, small_blocks):
    question = Question(name, kind, dtype)
    question.check(question.run())


@pytest.mark.parametrize(("name", "kind", "dtype"), EVERY)
def test_every_loss_in_rows_of_contiguous_classes(name, kind, dtype, small_blocks, monkeypatch):
    monkeypatch.setattr(blocks, "ACROSS", 0)
    question = Question(name, kind, dtype)
    question.check(question.run())


LONG = [each for each in EVERY if CASES[each[0]].loss.formula.rowwise]


@pytest.mark.parametrize(("name", "kind", "dtype"), LONG)
def test_every_loss_of_long_rows(name, kind, dtype, long_rows):
    question = Question(name, kind, dtype, longer=20)
    assert question.full[-1] > question.kernel.longest
    question.check(question.run())


# ------------------------------------------------------------------------- how arrays may lie
def strided(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def padded(array):
    wide = np.zeros((*array.shape[:-1], array.shape[-1] + 3), array.dtype)
    wide[..., 1:-2] = array
    return wide[..., 1:-2]


def misaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS: dict[str, Callable[..., Any]] = {
    "strided": strided,
    "padded": padded,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "fortran": np.asfortranarray,
    "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "misaligned": misaligned,
    "read-only": read_only,
}
ASKED = [
    "mse", "bce of logits, weights", "ce", "ce, all", "ce, probabilities", "nll, all",
]  # fmt: skip


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ASKED)
def test_arrays_may_lie_as_they_like(name, form, turned, small_blocks, monkeypatch):
    monkeypatch.setattr(blocks, "ACROSS", 64 if turned else 0)
    question = Question(name, "value_and_gradient", "float32")
    expected = question.run()
    arrays = [FORMS[form](array) for array in question.arrays()]
    before = [array.copy() for array in arrays]
    found = question.run(arrays)
    question.check(found)
    for array, copy in zip(arrays, before, strict=True):
        assert_close(array, copy, ulp=0)
    assert_close(found[1], expected[1], ulp=0)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "read-only"])
@pytest.mark.parametrize("name", ASKED)
def test_results_may_lie_as_they_like(name, form, small_blocks):
    question = Question(name, "value_and_gradient", "float32")
    expected = question.run()
    result = FORMS[form](np.zeros(question.full, np.float32))
    total, _ = question.run(results=[result])
    assert total == expected[0]
    assert np.array_equal(result, expected[1])


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_long_rows_may_lie_as_they_like(form, long_rows):
    question = Question("ce, all", "value_and_gradient", "float32", longer=20)
    expected = question.run()
    found = question.run([FORMS[form](array) for array in question.arrays()])
    assert found[0] == expected[0]
    assert_close(found[1], expected[1], ulp=0)


@pytest.mark.parametrize("longer", [1, 40])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_are_converted_on_the_way(dtype, longer, long_rows):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    question = Question("ce", "value_and_gradient", "float32", longer=longer)
    other = [a.astype(dtype) if a.dtype.kind == "f" else a for a in question.arrays()]
    again = [a.astype("float32") if a.dtype.kind != "i" else a for a in other]
    expected = question.run(again)
    result = np.zeros(question.full, dtype)
    total, _ = question.run(other, [result])
    assert total == expected[0]
    assert np.array_equal(result, expected[1].astype(dtype))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["mse", "ce, probabilities"])
def test_broadcast_arrays_are_read_as_they_are(name, axis, small_blocks):
    question = Question(name, "value_and_gradient", "float64")
    first, second = question.arrays()
    column = np.broadcast_to(second[:1] if axis == 0 else second[:, :1], second.shape)
    expected = question.run([first, column.copy()])
    found = question.run([first, column])
    assert_close(found[1], expected[1], ulp=0)
    assert found[0] == expected[0]


def test_a_file_in_memory(tmp_path, small_blocks):
    question = Question("ce", "value_and_gradient", "float32")
    expected = question.run()
    arrays = []
    for number, array in enumerate(question.arrays()):
        np.save(tmp_path / f"{number}.npy", array)
        arrays.append(np.load(tmp_path / f"{number}.npy", mmap_mode="r"))
    assert_close(question.run(arrays)[1], expected[1], ulp=0)


@pytest.mark.parametrize("shape", [(), (1,), (3, 15), (5, 3, 3), (45, 1)])
@pytest.mark.parametrize("name", ["mse", "ce"])
def test_any_number_of_axes(name, shape, small_blocks):
    question = Question(name, "value_and_gradient", "float64")
    count = int(np.prod(shape, dtype=int))
    arrays = [array[:count] for array in question.arrays()]
    shaped = [array.reshape(shape + array.shape[1:]) for array in arrays]
    results = [np.empty((count, 4)), np.empty((*shape, 4))]
    kernel, rowwise = question.kernel, question.formula.rowwise
    flat_shape, full_shape = ((count,), shape) if rowwise else ((count, 4), (*shape, 4))
    flat = kernel(flat_shape, 4, arrays, [SEED], results[:1])
    found = kernel(full_shape, 4, shaped, [SEED], results[1:])
    assert_close(results[1].reshape(count, 4), results[0], ulp=0)
    assert_close(np.asarray(found), np.asarray(flat), rtol=1e-14)


def test_a_single_number():
    question = Question("mse", "value_and_gradient", "float64")
    result = np.empty(())
    found = question.kernel((), 1, [np.asarray(3.0), np.asarray(1.0)], [0.5], [result])
    assert found == [4.0]
    assert result == 2.0


# ------------------------------------------------------------------------- in place
@pytest.mark.parametrize("fixture", ["small_blocks", "long_rows"])
@pytest.mark.parametrize("name", ASKED)
def test_a_result_may_be_an_input(name, fixture, request):
    request.getfixturevalue(fixture)
    question = Question(name, "value_and_gradient", "float32", longer=8)
    expected = question.run()
    arrays = question.arrays()
    arrays[0] = arrays[0].copy()
    total, result = question.run(arrays, [arrays[0]])
    assert total == expected[0]
    assert_close(result, expected[1], ulp=0)


# ------------------------------------------------------------------------- threads
@pytest.mark.parametrize("fixture", ["small_blocks", "long_rows"])
@pytest.mark.parametrize("name", ["mse", "ce, all"])
def test_the_same_bits_for_every_number_of_threads(name, fixture, request, threads):
    request.getfixturevalue(fixture)
    question = Question(name, "value_and_gradient", "float32", longer=16)
    threads(1)
    total, gradient = question.run()
    for number in (1, 2, 3):
        threads(number)
        again, same = question.run()
        assert again == total
        assert np.array_equal(same, gradient)


# ------------------------------------------------------------------------- memory and accuracy
@pytest.mark.parametrize("name", ["mse", "bce of logits", "ce", "ce, all"])
@pytest.mark.parametrize("shape", [(1 << 20, 8), (2, 1 << 22)])
def test_nothing_of_the_size_of_the_arrays_is_made(name, shape, threads):
    threads(2)
    question = Question(name, "value_and_gradient", "float32")
    arrays = [
        np.zeros(shape, array.dtype) if array.ndim == 2 else np.zeros(shape[0], array.dtype)
        for array in question.arrays()
    ]
    result = np.full(shape, np.nan, np.float32)
    rows = shape[:-1] if question.formula.rowwise else shape
    tracemalloc.start()
    question.kernel(rows, shape[-1], arrays, [SEED], [result])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20 < result.nbytes
    assert np.all(np.isfinite(result))


@pytest.mark.parametrize("name", CASES)
def test_a_block_fits_the_cache_whatever_the_graph(name):
    function = Question(name, "hessian_diagonal", "float64").kernel.function
    assert function.size(1 << 40) * function.bytes_at_most <= block_function.MOST_MEMORY


def test_sums_of_very_long_rows_are_exact_to_a_few_steps(rng):
    classes = 1 << 22
    question = Question("ce", "losses", "float32")
    x = rng.normal(size=(1, classes)).astype(np.float32)
    result = np.empty(1, np.float32)
    assert classes > question.kernel.longest
    question.kernel((1,), classes, [x, np.asarray([5])], [], [result])
    wide = x.astype(np.float64)[0]
    assert_close(
        result, np.asarray([np.log(np.sum(np.exp(wide))) - wide[5]]), dtype="float32", ulp=2
    )


def test_infinities_and_nan_arise_without_warnings(small_blocks):
    question = Question("bce of logits", "value_and_gradient", "float32")
    x, t = question.arrays()
    x = x.copy()
    x[0, :3] = np.inf, -np.inf, np.nan
    total, gradient = question.run([x, t])
    assert np.isnan(total)
    assert np.isnan(gradient[0, 2])
    assert_close(
        gradient[0, :2], np.float32(SEED) * (np.asarray([1, 0], t.dtype) - t[0, :2]), ulp=2
    )


def test_nothing_to_do():
    question = Question("ce", "value_and_gradient", "float32")
    assert question.kernel(
        (0,), 4, [np.empty((0, 4), "f4"), np.empty(0, int)], [SEED], [np.empty((0, 4), "f4")]
    ) == [0.0]


# ------------------------------------------------------------------------- choosing
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("density", [0.0, 0.001, 0.4, 1.0])
@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, np.nan, "row", "whole"])
def test_choosing_takes_every_bit(dtype, density, value, rng):
    memory = rng.normal(size=(30, 40)).astype(dtype)
    memory[0, :2] = np.inf, np.nan
    if value == "row":
        value = rng.normal(size=(30, 1)).astype(dtype)
    elif value == "whole":
        value = rng.normal(size=(30, 40)).astype(dtype)
    condition = rng.random((30, 40)) < density
    expected = np.where(condition, np.asarray(value, dtype), memory)
    copy_where(memory, value, condition)
    bits = f"i{memory.itemsize}"
    assert np.array_equal(memory.view(bits), expected.view(bits))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_signs_of_the_smallest_and_the_largest(dtype):
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.smallest_normal, 1e-3, 1, 2.5, info.max, np.inf]
    x = np.array([sign * size for size in sizes for sign in (1, -1)] + [np.nan], dtype)
    memory = np.empty_like(x)
    with np.errstate(over="ignore"):
        assert sign(x, out=memory) is memory
    np.testing.assert_array_equal(memory, np.sign(x))
    np.testing.assert_array_equal(sign(np.array([-3, 0, 5])), [-1, 0, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logarithms_of_one_and_a_little(dtype, rng):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.concatenate([rng.random(1 << 18), np.exp(-80 * rng.random(1 << 18)), [0, 1, tiny]])
    x = x.astype(dtype)
    square, terms, out = (np.empty_like(x) for _ in range(3))
    log1p_unit(x, square, terms, out=out)
    exact = np.log1p(x.astype(np.longdouble))
    assert (abs(out - exact) <= 2 * np.spacing(exact.astype(dtype))).all()
    assert out[-3] == 0
    log1p_unit(x, square, terms, out=x)
    assert np.array_equal(x, out)
    x[0] = np.nan
    log1p_unit(x, square, terms, out=out)
    assert np.isnan(out[0])
