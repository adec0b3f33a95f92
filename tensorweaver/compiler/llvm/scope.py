"""What is known at one place of a kernel's text, and how more is computed from it."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from tensorweaver.compiler.graph import is_decay, is_log1p_of_decay
from tensorweaver.compiler.llvm.code import PLACE
from tensorweaver.compiler.llvm.functions import FUNCTIONS
from tensorweaver.compiler.llvm.integers import INTEGER_FUNCTIONS
from tensorweaver.compiler.llvm.precision import at_least, at_most
from tensorweaver.compiler.llvm.vector import Type, Vector
from tensorweaver.compiler.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorweaver.compiler.graph import Node
    from tensorweaver.compiler.llvm.code import Code

__all__ = ["Scope"]

OPERATORS: dict[str, Callable[..., Vector]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "positive": lambda x: x,
    "spread": lambda x: x,
    "square": lambda x: x * x,
    "abs": abs,
    "maximum": Vector.maximum,
    "minimum": Vector.minimum,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "logical_and": operator.and_,
    "logical_or": operator.or_,
    "logical_xor": operator.xor,
    "logical_not": operator.invert,
    "where": Vector.choose,
}
"""What vectors do themselves; all else is a function."""

BOUNDED = {"maximum": at_least, "minimum": at_most}
"""What is done in one instruction where one of the two is a number: only the other may be NaN."""


class Scope(Values[Vector]):
    """The values known at one place of the text, all with the same lanes.

    Parameters
    ----------
    code
        Where the text goes.
    real
        The type of real numbers here.
    given, names
        See `Values`.
    """

    def __init__(
        self,
        code: Code,
        real: Type,
        given: Callable[[Node], Vector | None],
        names: Mapping[Node, str],
    ) -> None:
        super().__init__(given, names)
        self.code = code
        self.real = real

    def type_of(self, node: Node) -> Type:
        """What holds a node's value here."""
        kind = {"real": self.real.kind, "integral": "i64", "boolean": "i1"}[node.kind]
        return self.real.of(kind)

    def literal(self, node: Node) -> Vector:
        """A number of the formula."""
        return self.code.number(node.value, self.type_of(node))

    def operation(self, node: Node) -> Vector:
        """The instructions of one operation on known values."""
        arguments = [self.known[argument] for argument in node.arguments]
        found = self.apply(node, arguments)
        name = self.names.get(node, "")
        return self.code.rename(found, name) if name else found

    def apply(self, node: Node, arguments: list[Vector]) -> Vector:
        """A vector's own operation, or a call of a function."""
        if node.name == "as_real":
            return arguments[0].to(self.real.kind)
        if {PLACE, "i64"} <= {argument.type.kind for argument in arguments}:
            arguments = [a.to(PLACE) if a.type.kind == "i64" else a for a in arguments]
        if node.name in BOUNDED and arguments[0].type.real:
            for number, other in ((1, 0), (0, 1)):
                bound = node.arguments[number]
                if bound.is_constant and not math.isnan(bound.value):
                    return BOUNDED[node.name](arguments[other], bound.value)
        if node.name in OPERATORS:
            return OPERATORS[node.name](*arguments)
        if not arguments[0].type.real:
            return INTEGER_FUNCTIONS[node.name](*arguments)
        name = node.name
        if is_decay(node):
            name = "decay"
        elif is_log1p_of_decay(node):
            name = "log1p_unit"
        return self.code.call_inline(name, FUNCTIONS[name], *arguments)

    def real_value(self, node: Node) -> Vector:
        """The value as real numbers."""
        return self.value(node).to(self.real.kind)
