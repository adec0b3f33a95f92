"""Running a formula on stand-ins, to learn what it does.

A `Tracer` is an array-API array: `tw.array_namespace(x)` gives a namespace made from the
vocabulary, and every operation adds a node to a graph. So tracing a formula is calling it.
"""

from __future__ import annotations

import difflib
import math
import sys
from typing import TYPE_CHECKING, Any

from tensorweaver.compiler.graph import (
    Graph,
    Level,
    Node,
    as_real,
    constant,
    input_node,
    operation,
)
from tensorweaver.errors import TraceError
from tensorweaver.primitives import VOCABULARY, Primitive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

__all__ = ["ROW_SIZE", "Tracer", "TracerNamespace", "namespace", "trace", "unwrap"]

ROW_SIZE = input_node("row_size", Level.SCALAR)
"""The number of classes in a row; the caller of the kernel supplies it."""

WRITE_WHERE = "a formula is traced before there are numbers: write xp.where(condition, a, b)"


class Tracer:
    """A value of a formula while it is being traced.

    `row_axis_kept` is False once a reduction has dropped the class axis: such a value no longer
    lines up with elements, exactly as a plain array would not.
    """

    __slots__ = ("node", "row_axis_kept")
    __array_ufunc__ = None

    def __init__(self, node: Node, *, row_axis_kept: bool = True) -> None:
        self.node = node
        self.row_axis_kept = row_axis_kept

    def __array_namespace__(self, *, api_version: str | None = None) -> TracerNamespace:
        return namespace

    @property
    def dtype(self) -> str:
        """The kind of number, as `xp.isdtype` understands it."""
        return self.node.kind

    def __bool__(self) -> bool:
        message = f"a traced value is neither true nor false; {WRITE_WHERE}"
        raise TraceError(message)

    def number_wanted(self, *_: Any) -> Any:
        """Refuse to be a number."""
        message = f"a traced value has no number yet; {WRITE_WHERE}"
        raise TraceError(message)

    __float__ = __int__ = __index__ = number_wanted

    def structure_wanted(self, *_: Any) -> Any:
        """Refuse to have a shape."""
        message = (
            "a formula sees one element or one row: it has no shape, length or index; use axis=-1"
        )
        raise TraceError(message)

    __len__ = __iter__ = __getitem__ = structure_wanted
    shape = ndim = size = property(structure_wanted)

    def __repr__(self) -> str:
        return f"Tracer({self.node!r})"

    def __hash__(self) -> int:
        return id(self)


def unwrap(value: Any) -> Node:
    """The node behind a traced value or a number."""
    if isinstance(value, Tracer):
        return value.node
    if isinstance(value, bool | int | float):
        return constant(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return constant(value.item())
    message = f"a formula can use numbers and its own arguments, got {type(value).__name__}"
    raise TraceError(message)


def wrap(node: Node, *, row_axis_kept: bool = True) -> Any:
    """A traced value; a constant comes back as the number that it is, for rules to look at."""
    return node.value if node.is_constant else Tracer(node, row_axis_kept=row_axis_kept)


def apply_elementwise(primitive: Primitive, *values: Any) -> Any:
    if len(values) != primitive.arity:
        message = f"{primitive.name} takes {primitive.arity} arguments, got {len(values)}"
        raise TraceError(message)
    nodes = [unwrap(value) for value in values]
    if primitive.kind == "elementwise" and primitive.name != "where":
        nodes = [as_real(node) if node.kind == "boolean" else node for node in nodes]
    kept = all(value.row_axis_kept for value in values if isinstance(value, Tracer))
    if not kept and any(node.level is Level.ELEMENT for node in nodes):
        message = (
            f"{primitive.name} of a reduced value beside elements: "
            "reduce with keepdims=True so that it lines up with its row"
        )
        raise TraceError(message)
    return Tracer(operation(primitive.name, *nodes), row_axis_kept=kept)


def check_row_axis(name: str, axis: Any) -> None:
    if axis not in {-1, (-1,)}:
        message = f"{name} in a formula reduces the row: write axis=-1 (got axis={axis!r})"
        raise TraceError(message)


def apply_reduction(
    primitive: Primitive, value: Any, *, axis: Any = None, keepdims: bool = False
) -> Any:
    check_row_axis(primitive.name, axis)
    if primitive.name == "mean" and primitive.formula is not None:
        reduced = primitive.formula(namespace, value, axis=axis, keepdims=True)
        return Tracer(reduced.node, row_axis_kept=keepdims)
    node = unwrap(value)
    # A row value is an axis of length one, of which the sum is itself.
    reduced = operation(primitive.name, node) if node.level is Level.ELEMENT else node
    return Tracer(reduced, row_axis_kept=keepdims)


def apply_to_row(primitive: Primitive, *values: Any, axis: int = -1) -> Any:
    check_row_axis(primitive.name, axis)
    return Tracer(operation(primitive.name, *(unwrap(value) for value in values)))


APPLY: dict[str, Callable[..., Any]] = {
    "elementwise": apply_elementwise,
    "predicate": apply_elementwise,
    "reduction": apply_reduction,
    "rowwise": apply_to_row,
    "label": apply_to_row,
}


class TracerNamespace:
    """The array API as a formula sees it: the vocabulary, and what is composed of it here."""

    pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None
    float32 = float64 = "real"
    int32 = int64 = "integral"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        primitive = VOCABULARY.get(name)
        if primitive is None or primitive.kind not in APPLY:
            close = difflib.get_close_matches(name, VOCABULARY, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            message = f"a formula cannot use xp.{name}{hint}"
            raise AttributeError(message)
        apply = APPLY[primitive.kind]

        def function(*values: Any, **options: Any) -> Any:
            return apply(primitive, *values, **options)

        function.__name__ = name
        self.__dict__[name] = function
        return function

    def isdtype(self, dtype: str, kind: str | tuple[str, ...]) -> bool:
        """Whether `dtype` is of a kind, in the standard's words."""
        kinds = {kind} if isinstance(kind, str) else set(kind)
        standard = {
            "real": {"real", "real floating", "numeric"},
            "integral": {"integral", "signed integer", "numeric"},
            "boolean": {"boolean", "bool"},
        }
        return bool(standard[dtype] & kinds)

    def astype(self, x: Any, dtype: str, *, copy: bool = True) -> Any:
        """Booleans and labels as real numbers; real numbers stay as they are."""
        return Tracer(operation("as_real", x.node)) if x.dtype != dtype == "real" else x

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002 - the standard's names
        """Limit `x`; the slope at either end is 0."""
        lowered = x if min is None else self.maximum(x, min)
        return lowered if max is None else self.minimum(lowered, max)

    def var(
        self, x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False
    ) -> Any:
        """The variance of a row."""
        deviation = x - self.mean(x, axis=axis, keepdims=True)
        total = self.sum(self.square(deviation), axis=axis, keepdims=keepdims)
        return total / (self.count(x, axis) - correction)

    def std(
        self, x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False
    ) -> Any:
        """The standard deviation of a row; that of equal numbers has slope 0, of smallest norm."""
        variance = self.var(x, axis=axis, correction=correction, keepdims=keepdims)
        root = self.sqrt(self.where(variance == 0, 1.0, variance))
        return self.where(variance == 0, 0.0, root)

    def squeeze(self, x: Any, axis: int) -> Any:
        """Drop the class axis of a row value."""
        check_row_axis("squeeze", axis)
        return Tracer(x.node, row_axis_kept=False)

    def expand_dims(self, x: Any, *, axis: int = 0) -> Any:
        """Give a row value its class axis back."""
        check_row_axis("expand_dims", axis)
        return Tracer(x.node)

    def zeros_like(self, x: Any) -> Any:
        """As many zeros as `x` has numbers."""
        return self.full_like(x, 0.0)

    def ones_like(self, x: Any) -> Any:
        """As many ones as `x` has numbers."""
        return self.full_like(x, 1.0)

    def full_like(self, x: Any, fill_value: Any) -> Any:
        """The same number as often as `x` has numbers."""
        node = as_real(unwrap(fill_value))
        several = isinstance(x, Tracer) and x.node.level is Level.ELEMENT
        return Tracer(operation("spread", node)) if several else wrap(node)

    def spread(self, g: Any, x: Any, axis: Any, keepdims: Any) -> Any:
        """A row value already stands beside its elements."""
        return g

    def count(self, x: Any, axis: Any) -> Any:
        """How many numbers a reduction makes one of: a row value is an axis of length one."""
        several = isinstance(x, Tracer) and x.node.level is Level.ELEMENT
        return Tracer(ROW_SIZE) if several else 1.0


# Inside the class the name would hide the type from annotations.
setattr(TracerNamespace, "bool", "boolean")  # noqa: B010

namespace = TracerNamespace()


def install_operators(cls: type[Tracer]) -> None:
    def binary(name: str, *, reflected: bool) -> Callable[[Any, Any], Any]:
        def operator(self: Any, other: Any) -> Any:
            if not isinstance(other, Tracer | bool | int | float) and not hasattr(other, "item"):
                return NotImplemented
            pair = (other, self) if reflected else (self, other)
            return getattr(namespace, name)(*pair)

        return operator

    binaries = {
        "add": "add",
        "sub": "subtract",
        "mul": "multiply",
        "truediv": "divide",
        "pow": "pow",
    }
    binaries |= {"mod": "remainder", "floordiv": "floor_divide"}
    binaries |= {"and": "logical_and", "or": "logical_or", "xor": "logical_xor"}
    for symbol, name in binaries.items():
        setattr(cls, f"__{symbol}__", binary(name, reflected=False))
        setattr(cls, f"__r{symbol}__", binary(name, reflected=True))
    comparisons = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
    comparisons |= {"eq": "equal", "ne": "not_equal"}
    for symbol, name in comparisons.items():
        setattr(cls, f"__{symbol}__", binary(name, reflected=False))
    for symbol, name in {"neg": "negative", "abs": "abs", "invert": "logical_not"}.items():
        setattr(cls, f"__{symbol}__", lambda self, name=name: getattr(namespace, name)(self))
    setattr(cls, "__pos__", lambda self: self)  # noqa: B010 - as above, for all operators


install_operators(Tracer)


def trace(formula: Callable[..., Any], inputs: Sequence[Node | None], **options: Any) -> Graph:
    """Call `formula` on one stand-in an input (`None` stays `None`) and keep what it did.

    The names that the formula gives to its local variables become the names of the graph's steps.
    """
    stand_ins = [None if node is None else Tracer(node) for node in inputs]
    options = {
        key: Tracer(value) if isinstance(value, Node) else value for key, value in options.items()
    }
    result, local_names = call_and_keep_locals(formula, stand_ins, options)
    outputs = tuple(unwrap(value) for value in (result if isinstance(result, tuple) else (result,)))
    given = [*inputs, *(value.node for value in options.values() if isinstance(value, Tracer))]
    names = {
        value.node: name
        for name, value in local_names.items()
        if isinstance(value, Tracer) and value.node.name != "input"
    }
    return Graph((*(node for node in given if node is not None), ROW_SIZE), outputs, names)


def call_and_keep_locals(
    formula: Callable[..., Any], values: Sequence[Any], options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    code = getattr(formula, "__code__", None)
    kept: dict[str, Any] = {}

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "return" and frame.f_code is code:
            kept.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        result = formula(*values, **options)
    finally:
        # A profiler written in C, as cProfile is, comes back by its own method alone.
        getattr(before, "enable", lambda: sys.setprofile(before))()
    return result, kept
