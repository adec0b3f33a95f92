"""What is known at one place of a kernel's text, and how more is computed from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tensorweaver.compiler.cuda.functions import HELPERS, INTEGER_EXPRESSIONS, REAL_EXPRESSIONS
from tensorweaver.compiler.cuda.text import number
from tensorweaver.compiler.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorweaver.compiler.cuda.text import Text
    from tensorweaver.compiler.graph import Node

__all__ = ["Scope", "helpers_called"]


class Scope(Values[str]):
    """The values known at one place of the text, as variables or literals of C.

    Parameters
    ----------
    text
        Where the lines go.
    real
        What real numbers are here: `float` or `double`.
    given, names
        See `Values`.
    alias
        How the text calls the type of real numbers.
    """

    def __init__(
        self,
        text: Text,
        real: str,
        given: Callable[[Node], str | None],
        names: Mapping[Node, str],
        alias: str = "real",
    ) -> None:
        super().__init__(given, names)
        self.text = text
        self.real = real
        self.alias = alias

    def operation(self, node: Node) -> str:
        """A variable with the result of one operation."""
        return self.variable(node, self.expression(node))

    def variable(self, node: Node, expression: str) -> str:
        """A new variable for a node's value, called as the formula calls it."""
        name = self.text.fresh(self.names.get(node, str(node.value or node.name)))
        kind = self.alias if node.kind == "real" else self.type_of(node)
        self.text.line(f"const {kind} {name} = {expression};")
        return name

    def type_of(self, node: Node) -> str:
        """What holds a node's value here."""
        return {"real": self.real, "integral": "long long", "boolean": "bool"}[node.kind]

    def literal(self, node: Node) -> str:
        """A number of the formula."""
        return number(node.value, self.type_of(node))

    def expression(self, node: Node) -> str:
        """One operation on known values."""
        arguments = [self.known[argument] for argument in node.arguments]
        if node.name == "as_real":
            return f"static_cast<{self.alias}>({arguments[0]})"
        numbers = node.arguments[1:] if node.name == "where" else node.arguments
        real = any(argument.kind == "real" for argument in numbers)
        table = REAL_EXPRESSIONS if real else INTEGER_EXPRESSIONS
        suffix = "f" if self.real == "float" else ""
        return table[node.name].format(*arguments, f=suffix)

    def real_value(self, node: Node) -> str:
        """The value as real numbers."""
        value = self.value(node)
        return value if node.kind == "real" else f"static_cast<{self.alias}>({value})"


def helpers_called(text: str) -> str:
    """The functions that a kernel's text calls and CUDA C does not have."""
    words = set(re.findall(r"\w+", text))
    return "".join(body for name, body in HELPERS.items() if name in words)
