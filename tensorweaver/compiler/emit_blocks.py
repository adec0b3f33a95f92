"""A graph as plain Python text that works on one block of large NumPy arrays.

Every step on elements writes into memory that it is handed, and a value's memory is used again once
nobody reads it any more. For the mean squared error with its gradient the text reads

    def kernel(predictions, targets, row_size, seed, real_0, result_1):
        subtract(predictions, targets, out=result_1)  # difference
        square(result_1, out=real_0)
        total_0 = total(real_0)
        multiply(2.0 * seed, result_1, out=result_1)
        return (total_0,)

What is one number a row or a call is small and stands in ordinary expressions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler import emit_python
from tensorweaver.compiler.graph import (
    GRAPH_OPERATIONS,
    Graph,
    Level,
    Node,
    category_of,
    is_log1p_of_decay,
    operation,
    replace,
    topological,
)
from tensorweaver.compiler.schedule import CLASS_INDEX, by_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tensorweaver.compiler.schedule import Output

__all__ = ["BlocksText", "emit_blocks"]

OWN_NAMES = ("real_", "boolean_", "integral_", "result_", "total_")
"""How the names of memory and of totals begin."""

CALLED = {"copyto", "copy_where", "log1p_unit", "total", "float", "bool"}
"""What a text calls beyond the vocabulary."""


MIRRORED = {
    "less": "greater", "less_equal": "greater_equal",
    "greater": "less", "greater_equal": "less_equal",
}  # fmt: skip
"""How a comparison with zero reads for a number turned round."""


class BlocksText(NamedTuple):
    """The text of a kernel for one block.

    Its parameters are the graph's inputs, the buffers, and `result_i` for each output that is an
    array; it returns the totals.

    Attributes
    ----------
    source
        The text.
    constants
        The numbers it refers to by name: name -> (value, kind).
    buffers
        The memory it works in, a block's elements each: name -> kind.
    """

    source: str
    constants: Mapping[str, tuple[float, str]]
    buffers: Mapping[str, str]


def emit_blocks(graph: Graph, outputs: tuple[Output, ...]) -> BlocksText:
    """The text of a prepared graph.

    The results may be computed in either order; the one that needs less memory is taken.
    """
    spread = [node.level is Level.ELEMENT for node in graph.outputs]
    graph = read_at_labels(graph)
    orders = (topological(graph.outputs), topological(reversed(graph.outputs)))
    texts = [BlockWriter(graph, outputs, spread, order).write_block() for order in orders]
    return min(texts, key=memory_needed)


def memory_needed(text: BlocksText) -> int:
    """How many bytes an element takes in the buffers of a float32 kernel."""
    return sum(1 if kind == "boolean" else 4 for kind in text.buffers.values())


def read_at_labels(graph: Graph) -> Graph:
    """The graph with `take_along_axis` of inputs only: a few numbers a row in place of a pass.

    A graph that knows its elements' places in the row already stays as it is.
    """
    found = graph if CLASS_INDEX in graph.inputs else replace(by_index(graph), write_at_label)
    found = replace(found, of_the_number)
    names = {node: name for node, name in found.names.items() if not name.startswith(OWN_NAMES)}
    return Graph(graph.inputs, found.outputs, names)


def write_at_label(node: Node, arguments: tuple[Node, ...]) -> Node:
    if node.name == "where" and arguments[0].name == "equal":
        place, labels = arguments[0].arguments
        if place is CLASS_INDEX:
            return operation("put_along_axis", arguments[2], labels, arguments[1])
    return node if arguments == node.arguments else operation(node.name, *arguments)


def of_the_number(node: Node, arguments: tuple[Node, ...]) -> Node:
    """The size of a number turned round is the number's own, and its sign the other one: said so,
    the number turned round need not be kept, and what depends on the size is often shared.
    """
    if arguments and arguments[0].name == "negative":
        inner = arguments[0].arguments[0]
        if node.name == "abs":
            return operation("abs", inner)
        if node.name in MIRRORED and arguments[1].is_constant and arguments[1].value == 0:
            return operation(MIRRORED[node.name], inner, arguments[1])
    return node if arguments == node.arguments else operation(node.name, *arguments)


class BlockWriter(emit_python.Writer):
    """What is known while one text is written."""

    def __init__(
        self, graph: Graph, outputs: tuple[Output, ...], spread: list[bool], order: list[Node]
    ) -> None:
        super().__init__(graph)
        self.order = order
        self.outputs = list(zip(graph.outputs, outputs, strict=True))
        self.spread = spread
        self.buffers: dict[str, str] = {}
        self.free: dict[str, list[str]] = {"real": [], "boolean": [], "integral": []}
        self.home: dict[Node, str] = {}
        self.results = self.find_results()
        self.targets = self.find_targets()

    def name_parameters(self) -> dict[Node, str]:
        """The inputs' own names, but for those of memory and functions."""
        self.taken |= CALLED
        names = super().name_parameters()
        for node, name in names.items():
            if name.startswith(OWN_NAMES):
                names[node] = f"input_{name}"
        self.taken.update(names.values())
        return names

    # ---------------------------------------------------------------------------- where values live
    def find_results(self) -> dict[Node, str]:
        """The values of elements that are computed right where an output wants them."""
        results: dict[Node, str] = {}
        for i, (node, output) in enumerate(self.outputs):
            if not output.total and is_computed(node):
                results.setdefault(node, f"result_{i}")
        return results

    def find_targets(self) -> dict[Node, str]:
        """What is computed in an output's memory: the outputs, and what each of them, in its
        last steps, is computed from in place.
        """
        targets: dict[Node, str] = {}
        place = {node: i for i, node in enumerate(self.order)}
        for node, memory in self.results.items():
            current: Node | None = node
            while current is not None:
                targets[current] = memory
                current = next(
                    (
                        operand
                        for operand in overwritable(current)
                        if operand not in self.results
                        and operand not in targets
                        and max(place[user] for user in self.users[operand]) == place[current]
                    ),
                    None,
                )
        return targets

    def is_last(self, operand: Node, user: Node) -> bool:
        """Whether the operand's memory is free once `user` has read it."""
        if operand not in self.home or operand in self.results:
            return False
        return all(other is user or other in self.evaluated for other in self.users[operand])

    def memory_for(self, node: Node) -> str:
        """Where a step writes: its output's memory, an operand's that dies, else a free buffer."""
        if node in self.targets:
            return self.targets[node]
        dying = [operand for operand in overwritable(node) if self.is_last(operand, node)]
        lent = [self.home[operand] for operand in dying if operand not in self.targets]
        return lent[0] if lent else self.acquire(node.kind)

    def acquire(self, kind: str) -> str:
        if self.free[kind]:
            return self.free[kind].pop()
        count = sum(other == kind for other in self.buffers.values())
        name = f"{kind}_{count}"
        self.buffers[name] = kind
        return name

    def release(self, name: str) -> None:
        kind = self.buffers.get(name)
        if kind is not None and name not in self.free[kind]:
            self.free[kind].append(name)

    # ---------------------------------------------------------------------------- the text
    def write_block(self) -> BlocksText:
        """The text in this order of steps."""
        for node in self.order:
            self.write_node(node)
            self.evaluated.add(node)
        returned = self.write_outputs()
        parameters = [self.parameters[node] for node in self.graph.inputs]
        buffers = dict(sorted(self.buffers.items(), key=lambda item: item[1] != "real"))
        parameters += buffers
        parameters += [
            f"result_{i}" for i, (_, output) in enumerate(self.outputs) if not output.total
        ]
        body = [*self.lines, f"return ({returned})"]
        source = f"def kernel({', '.join(parameters)}):\n"
        source += "".join(f"    {line}\n" for line in body)
        return BlocksText(source, self.constants, buffers)

    def write_node(self, node: Node) -> None:
        if is_computed(node):
            self.write_step(node)
        elif reads_elements(node):  # at once: what it reads will be overwritten
            self.texts[node] = name = self.fresh_name(node)
            self.lines.append(f"{name} = {self.expression(node)}")
            self.release_operands(node, "")
        else:
            super().write_node(node)

    def finish_statement(self, node: Node) -> None:
        """Nothing: what is small need not be freed."""

    def write_step(self, node: Node) -> None:
        """One step on elements."""
        memory = self.memory_for(node)
        if node.name == "where":
            lines = self.selection(node, memory)
        elif node.name == "put_along_axis":
            lines = self.writing_at_labels(node, memory)
        elif node.name in GRAPH_OPERATIONS:
            lines = [f"copyto({memory}, {self.bare(node.arguments[0])})"]
        elif is_log1p_of_decay(node):
            lines = [self.log1p_of_decay(node, memory)]
        elif node.name == "reciprocal":
            lines = [f"divide(1.0, {self.bare(node.arguments[0])}, out={memory})"]
        else:
            operands = ", ".join(map(self.bare, node.arguments))
            lines = [f"{node.name}({operands}, out={memory})"]
        name = self.graph.names.get(node)
        if name is not None:
            lines[-1] += f"  # {name}"
        self.lines += lines
        self.home[node] = self.texts[node] = memory
        self.release_operands(node, memory)
        self.use_result(node)
        if node not in self.results and not self.users[node]:
            self.release(memory)

    def log1p_of_decay(self, node: Node, memory: str) -> str:
        """The logarithm by a few terms, which need room to be added up."""
        room = [self.acquire("real") for _ in range(2)]
        for buffer in room:
            self.release(buffer)
        return f"log1p_unit({self.bare(node.arguments[0])}, {', '.join(room)}, out={memory})"

    def selection(self, node: Node, memory: str) -> list[str]:
        """`where`: one branch with the other copied over it."""
        condition, chosen, other = node.arguments
        mask = self.bare(condition)
        if (chosen.is_constant and other.is_constant) and (chosen.value, other.value) == (1, 0):
            return [f"copyto({memory}, {mask})"]
        if self.home.get(chosen) == memory:
            return self.other_over_chosen(node, memory)
        lines = [f"copy_where({memory}, {self.bare(chosen)}, {mask})"]
        if self.home.get(other) != memory:
            lines.insert(0, f"copyto({memory}, {self.bare(other)})")
        return lines

    def other_over_chosen(self, node: Node, memory: str) -> list[str]:
        """`where` in the memory of its first branch, the condition turned round."""
        condition, _, other = node.arguments
        mask = self.bare(condition)
        if condition.level is not Level.ELEMENT:
            return [f"copy_where({memory}, {self.bare(other)}, logical_not({mask}))"]
        inverse = mask
        if not self.is_last(condition, node):
            inverse = self.acquire("boolean")
            self.release(inverse)
        return [
            f"logical_not({mask}, out={inverse})",
            f"copy_where({memory}, {self.bare(other)}, {inverse})",
        ]

    def writing_at_labels(self, node: Node, memory: str) -> list[str]:
        base, labels, value = node.arguments
        copied = [] if self.home.get(base) == memory else [f"copyto({memory}, {self.bare(base)})"]
        places = self.places_of(labels)
        return [*copied, f"put_in_place({memory}, {places}, {self.bare(value)})"]

    def release_operands(self, node: Node, memory: str) -> None:
        """Free the memory of what has been read for the last time."""
        for operand in dict.fromkeys(node.arguments):
            if self.is_last(operand, node) and self.home[operand] != memory:
                self.release(self.home[operand])

    # ---------------------------------------------------------------------------- results
    def use_result(self, node: Node) -> None:
        """Sum up or copy a value on elements that is an output, as long as its memory stands."""
        for i, (wanted, output) in enumerate(self.outputs):
            if wanted is node and output.total:
                self.lines.append(f"total_{i} = total({self.texts[node]})")
            elif wanted is node and self.results[node] != f"result_{i}":
                self.lines.append(f"copyto(result_{i}, {self.texts[node]})")

    def write_outputs(self) -> str:
        """What is no computed element is stored last; gives the totals."""
        totals = []
        for i, (node, output) in enumerate(self.outputs):
            if output.total:
                totals.append(f"total_{i}" if is_computed(node) else self.total_of(i, node))
            elif not is_computed(node):
                self.lines.append(f"copyto(result_{i}, {self.bare(node)})")
        return "".join(f"{total}, " for total in totals)[: -1 if len(totals) == 1 else -2]

    def total_of(self, number: int, node: Node) -> str:
        """The sum of a row value; laid out over the elements, each counts as often as there are."""
        laid_out = self.spread[number] and node.level is not Level.ELEMENT
        return f"{'row_size * ' if laid_out else ''}total({self.bare(node)})"

    # ---------------------------------------------------------------------------- expressions
    def expression(self, node: Node) -> str:
        if node.level is not Level.SCALAR:
            return super().expression(node)
        if node.name in emit_python.INFIX or node.name == "negative":
            return super().expression(node)
        # A number stays a Python one, which takes part in any dtype.
        wanted = "bool" if node.kind == "boolean" else "float"
        return f"{wanted}({node.name}({', '.join(map(self.argument, node.arguments))}))"

    def bare(self, node: Node) -> str:
        """An operand, without the brackets round an expression of one operation."""
        text = self.text_of(node)
        return text[1:-1] if is_bracketed(text) else text


def is_bracketed(text: str) -> bool:
    """Whether the first bracket is closed by the last character."""
    if not text.startswith("("):
        return False
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(text) - 1
    return False


def is_computed(node: Node) -> bool:
    """Whether it is a value on elements that some step makes."""
    return node.level is Level.ELEMENT and bool(node.arguments)


def reads_elements(node: Node) -> bool:
    """Whether it is a row value made of computed elements, or a reduction."""
    if not node.arguments or node.level is Level.ELEMENT:
        return False
    return category_of(node.name) == "reduction" or any(map(is_computed, node.arguments))


def overwritable(node: Node) -> Iterable[Node]:
    """The computed operands over which the step may write its result."""
    if node.name == "put_along_axis":
        operands = node.arguments[:1]
    elif node.name == "where":
        condition, chosen, other = node.arguments
        operands = (other, chosen) if condition not in (chosen, other) else ()
    else:
        operands = node.arguments
    return [operand for operand in operands if is_computed(operand) and operand.kind == node.kind]
