"""The only door to the compiler: from a formula's graph to its derivatives, and to kernels.

    trace -> recognise -> (differentiate) -> simplify -> lower -> simplify -> emit -> bind
                                                                           -> schedule -> blocks

Each arrow is one function from graph to graph or from graph to text; what runs the text is the
engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorweaver.compiler import differentiate
from tensorweaver.compiler.emit_python import emit_python
from tensorweaver.compiler.engines import fused_kernels
from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    as_real,
    category_of,
    constant,
    input_node,
    operation,
    topological,
)
from tensorweaver.compiler.interpret import bind
from tensorweaver.compiler.kernel import Kernel, Setting
from tensorweaver.compiler.simplify import lower, recognise, simplify
from tensorweaver.compiler.trace import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tensorweaver.compiler.cuda.engine import CudaKernel
    from tensorweaver.compiler.fused import FusedKernel
    from tensorweaver.compiler.schedule import Output

__all__ = [
    "COUNT_SEED",
    "SEED",
    "Setting",
    "gradient_graph",
    "hessian_diagonal_graph",
    "hessian_product_graph",
    "mean_gradient_graph",
    "prepare",
    "reduces_rows",
    "trace_formula",
    "weave",
    "weave_cuda",
    "weave_fused",
]

SEED = input_node("seed", Level.SCALAR)
"""What the derivative is multiplied by: for a mean, one over the divisor."""

COUNT_SEED = input_node("count_seed", Level.SCALAR)
"""What the derivative of the divisor is multiplied by: for a mean, minus the mean over the divisor.
"""


def trace_formula(
    formula: Callable[..., Any], inputs: Sequence[Node | None], **options: Any
) -> Graph:
    """The graph of a formula's results, as real numbers."""
    graph = trace(formula, inputs, **options)
    return recognise(graph.with_outputs(*map(as_real, graph.outputs)))


def reduces_rows(graph: Graph) -> bool:
    """Whether any result depends on how elements stand in rows."""
    elementwise = {"elementwise", "predicate"}
    inner = (node for node in topological(graph.outputs) if node.arguments)
    return any(category_of(node.name) not in elementwise for node in inner if node.name != "spread")


def gradient_graph(
    graph: Graph, wrt: Sequence[Node], seed: Node = SEED, *, value: bool = True
) -> Graph:
    """The value (if wanted) and `seed` times its derivative by each of `wrt`."""
    primal = graph.outputs[0]
    gradients = differentiate.pullback(primal, seed, wrt)
    outputs = (primal, *gradients) if value else tuple(gradients)
    return Graph((*graph.inputs, seed), outputs, graph.names)


def mean_gradient_graph(graph: Graph, wrt: Sequence[Node]) -> Graph:
    """The derivative of a mean whose divisor, the graph's second output, depends on `wrt` too."""
    of_loss = differentiate.pullback(graph.outputs[0], SEED, wrt)
    of_count = differentiate.pullback(graph.outputs[1], COUNT_SEED, wrt)
    gradients = map(differentiate.add_cotangents, of_loss, of_count)
    return Graph((*graph.inputs, SEED, COUNT_SEED), tuple(gradients), graph.names)


def hessian_diagonal_graph(graph: Graph, variable: Node) -> Graph:
    """`seed` times the second derivative by each element of `variable`."""
    gradient = simplify(gradient_graph(graph, [variable], value=False))
    curvature = differentiate.diagonal(gradient.outputs[0], variable)
    return Graph(gradient.inputs, (curvature,), graph.names)


def hessian_product_graph(
    graph: Graph, along: Sequence[Node], wrt: Sequence[Node], seed: Node = SEED
) -> Graph:
    """`seed` times the second derivative times a vector, one input `vector_<name>` for each of
    `along`, for each of `wrt`.
    """
    gradient = simplify(gradient_graph(graph, along, seed, value=False))
    vectors = [input_node(f"vector_{node.value}", node.level) for node in along]
    products = [constant(0.0)] * len(wrt)
    for output, vector in zip(gradient.outputs, vectors, strict=True):
        # A slope that all elements of a row share is given back what all of them are given.
        shared = vector.level is Level.ELEMENT and output.level is Level.ROW
        cotangent = operation("sum", vector) if shared else vector
        for i, share in enumerate(differentiate.pullback(output, cotangent, wrt)):
            products[i] = differentiate.add_cotangents(products[i], share)
    return Graph((*gradient.inputs, *vectors), tuple(products), graph.names)


def prepare(graph: Graph) -> Graph:
    """The graph in basic operations only, ready for an engine."""
    return simplify(lower(simplify(graph)))


def weave(graph: Graph, setting: Setting) -> Kernel:
    """A kernel that computes `graph` with the library's own functions, one a step."""
    text = emit_python(prepare(graph))
    return Kernel(bind(text, setting), text.source, "interpret")


def weave_fused(
    graph: Graph, outputs: tuple[Output, ...], engine: str, dtype: str, *, rowwise: bool
) -> FusedKernel:
    """A kernel that computes `graph` block by block on NumPy arrays, by `engine`."""
    return fused_kernels(engine)(prepare(graph), outputs, dtype, rowwise=rowwise)


def weave_cuda(
    graph: Graph, outputs: tuple[Output, ...], dtype: str, *, rowwise: bool
) -> CudaKernel:
    """A kernel that computes `graph` on a GPU."""
    from tensorweaver.compiler.cuda.engine import CudaKernel

    return CudaKernel(prepare(graph), outputs, dtype, rowwise=rowwise)
