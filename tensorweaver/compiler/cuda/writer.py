"""What the kinds of kernels have in common: parameters, scalars and sums.

A kernel is called with its sizes, then for each scalar a number and the address of another that is
taken instead where it is not null, then the arrays, and at last what becomes of the sums.

Results are written in the last pass, each place after all inputs there were read for the last time,
so a result may be an input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.cuda.functions import CALLED, HELPERS
from tensorweaver.compiler.cuda.memory import HALVES, MEMORY_TYPES, REAL
from tensorweaver.compiler.cuda.prelude import FINISH, RESERVED, preamble
from tensorweaver.compiler.cuda.scope import Scope, helpers_called
from tensorweaver.compiler.cuda.text import Text
from tensorweaver.compiler.graph import Level, Node
from tensorweaver.compiler.schedule import array_inputs, elements_read, scalar_inputs
from tensorweaver.compiler.trace import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensorweaver.compiler.schedule import Output, Schedule

__all__ = ["Array", "Shape", "Writer", "base"]


class Shape(NamedTuple):
    """How much a thread has in hand at a time.

    Attributes
    ----------
    neighbours
        How many elements are read together.
    unroll
        How many of these reads are under way at once.
    threads
        The most threads that a block has.
    many_registers
        Whether a thread needs more registers than the compiler would give it to have more blocks.
    """

    neighbours: int
    unroll: int
    threads: int
    many_registers: bool = False

    @property
    def elements(self) -> int:
        """All elements in hand."""
        return self.neighbours * self.unroll

    @property
    def bounds(self) -> tuple[int, ...]:
        """What the compiler is told of a block's threads, and of blocks on a multiprocessor."""
        return (self.threads, 1) if self.many_registers else (self.threads,)


def no_node(node: Node) -> bool:
    """Whether to stop at a node: never."""
    del node
    return False


class Array(NamedTuple):
    """An array of the call: its name, its type in memory, its level."""

    name: str
    type: str
    level: Level


class Writer:
    """A schedule as the text of one kernel.

    Parameters
    ----------
    schedule
        What to compute.
    outputs
        What becomes of each of the graph's outputs.
    dtype
        The dtype of all real numbers inside.
    memory
        The dtypes of the arrays, inputs first.
    shape
        How much a thread has in hand.
    """

    entry: str
    sizes: tuple[str, ...]

    def __init__(
        self,
        schedule: Schedule,
        outputs: tuple[Output, ...],
        dtype: str,
        memory: tuple[str, ...],
        shape: Shape,
    ) -> None:
        self.schedule = schedule
        self.outputs = list(zip(schedule.graph.outputs, outputs, strict=True))
        self.real = REAL[dtype]
        self.shape = shape
        self.names = schedule.graph.names
        self.text = Text({*RESERVED, *CALLED, *HELPERS, *self.words()})
        self.scalar_names = {
            node: self.text.fresh(f"{node.value}_given") for node in scalar_inputs(schedule.graph)
        }
        inputs = array_inputs(schedule.graph)
        types = [MEMORY_TYPES[name] for name in memory]
        self.arrays = {
            node: Array(self.text.fresh(f"{node.value}_array"), kind, node.level)
            for node, kind in zip(inputs, types, strict=False)
        }
        filled = [i for i, (_, output) in enumerate(self.outputs) if not output.total]
        self.filled = {
            i: Array(self.text.fresh("result_array"), kind, self.outputs[i][1].level)
            for i, kind in zip(filled, types[len(inputs) :], strict=True)
        }
        self.totals = {
            i: self.text.fresh(f"{self.names.get(node, 'value')}_sum")
            for i, (node, output) in enumerate(self.outputs)
            if output.total
        }
        self.scalars = Scope(self.text, "double", self.scalar, self.names, "double")
        self.rounded: dict[Node, str] = {}

    @property
    def all_arrays(self) -> list[Array]:
        """Inputs, then results."""
        return [*self.arrays.values(), *self.filled.values()]

    def words(self) -> tuple[str, ...]:
        """The names that the kernel's own text uses."""
        return (*self.sizes, "divisor", "divisor_at", "partial", "first_block", "all_blocks", "n")

    # ------------------------------------------------------------------------------ parameters
    def parameters(self) -> list[str]:
        """All of them, in order."""
        found = [f"{'int' if name == 'group' else 'long long'} {name}" for name in self.sizes]
        for name in self.scalar_names.values():
            found += [f"double {name}", f"const double *{name}_at"]
        for array in self.arrays.values():
            found += [f"const {array.type} *{array.name}", *self.steps(array)]
        for array in self.filled.values():
            found += [f"{array.type} *{array.name}", *self.steps(array)]
        if self.totals:
            found += ["double divisor", "const double *divisor_at", "Sum *partial"]
            found += ["long long first_block", "long long all_blocks"]
        for name in self.totals.values():
            found += [f"real *{name}_quotient", f"double *{name}_count"]
        return found

    def steps(self, array: Array) -> list[str]:
        """The parameters that tell how an array lies."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------ scalars
    def scalar(self, node: Node) -> str | None:
        """A number that the caller brings."""
        if node is ROW_SIZE:
            return self.scalars.variable(node, "static_cast<double>(classes)")
        if node.name == "input":
            name = self.scalar_names[node]
            return self.scalars.variable(node, f"{name}_at ? *{name}_at : {name}")
        return None

    def write_scalars(self) -> None:
        """Numbers of the whole call: computed in double, then rounded once."""
        order = self.schedule.order
        read = {a for node in order if node.level > Level.SCALAR for a in node.arguments}
        read |= {node for node, _ in self.outputs}
        for node in order:
            if node in read and node.level is Level.SCALAR and not node.is_constant:
                value = self.scalars.value(node)
                kind = {"real": "real", "integral": "long long", "boolean": "bool"}[node.kind]
                wanted = self.names.get(node, str(node.value or node.name))
                name = self.text.fresh(f"{wanted}_rounded")
                rounded = f"static_cast<real>({value})" if node.kind == "real" else value
                self.text.line(f"const {kind} {name} = {rounded};")
                self.rounded[node] = name

    # ------------------------------------------------------------------------------ the text
    def write(self) -> str:
        """The whole text: what the kernel needs, it, and the kernel that ends its sums."""
        listed = ",\n    ".join(self.parameters())
        bounds = f"__launch_bounds__({', '.join(map(str, self.shape.bounds))})"
        with self.text.block(f'extern "C" __global__ void {bounds} {self.entry}(\n    {listed}\n)'):
            self.write_scalars()
            for name in self.totals.values():
                self.text.line(f"Sum {name} = Sum::none();")
            self.body()
            self.write_totals()
        kernel = str(self.text)
        ending = FINISH if self.totals else ""
        before = preamble(self.real, helpers_called(kernel), online=" follow(" in kernel)
        return f"{before}\n{kernel}{ending}"

    def body(self) -> None:
        """The loops."""
        raise NotImplementedError

    def write_totals(self) -> None:
        """The sums of all threads of the block, then out."""
        for place, name in enumerate(self.totals.values()):
            self.text.line(f"{name} = over_group({name}, blockDim.x);")
            with self.text.block("if (threadIdx.x == 0)"):
                out = f"divisor, divisor_at, {name}_quotient, {name}_count"
                before = f"{place} * all_blocks + " if place else ""
                slot = f"{before}first_block + blockIdx.x"
                self.text.line(f"if (all_blocks == 1) settle({name}.total(), {out});")
                self.text.line(f"else partial[{slot}] = {name};")

    def is_rough(self, i: int) -> bool:
        """Whether a result is rounded to half precision."""
        return i in self.filled and self.filled[i].type in HALVES

    def rough_nodes(self, precise: list[Node]) -> frozenset[Node]:
        """The elements' values that nothing but results in half precision is computed from, where
        `precise` is computed as well.
        """
        outputs = [(i, node) for i, (node, _) in enumerate(self.outputs)]
        exact = [node for i, node in outputs if not self.is_rough(i)]
        wanted = elements_read([node for i, node in outputs if self.is_rough(i)], no_node)
        return frozenset(wanted) - frozenset(elements_read([*precise, *exact], no_node))

    def finish(
        self,
        level: Level,
        scope: Scope,
        add: Callable[[str, str], None],
        keep: Callable[[int, str], None],
    ) -> None:
        """Add to the sums, and hand on the results, of one level."""
        found = {
            i: scope.real_value(node)
            for i, (node, output) in enumerate(self.outputs)
            if (node.level if output.total else output.level) is level
        }
        for i, value in found.items():
            if i in self.totals:
                add(self.totals[i], value)
        for i, value in found.items():
            if i in self.filled:
                keep(i, value)


def base(array: Array) -> str:
    """What an array is called after."""
    return array.name.removesuffix("_array")
