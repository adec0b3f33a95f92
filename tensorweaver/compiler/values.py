"""The walk that two emitters share: what is known at one place of a text, and what comes before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tensorweaver.compiler.graph import Node

__all__ = ["Values"]

Value = TypeVar("Value")


class Values(Generic[Value]):
    """The values known at one place of a text, however the text calls them.

    Parameters
    ----------
    given
        The value of a node that need not be computed here; None for one that must.
    names
        The formula's names for its steps.
    """

    def __init__(self, given: Callable[[Node], Value | None], names: Mapping[Node, str]) -> None:
        self.given = given
        self.names = names
        self.known: dict[Node, Value] = {}

    def value(self, wanted: Node) -> Value:
        """The value of a node; what it depends on comes before it in the text."""
        stack = [wanted]
        while stack:
            node = stack[-1]
            if node not in self.known:
                found = self.literal(node) if node.is_constant else self.given(node)
                if found is None:
                    unknown = [a for a in node.arguments if a not in self.known]
                    if unknown:
                        stack.extend(unknown)
                        continue
                    found = self.operation(node)
                self.known[node] = found
            stack.pop()
        return self.known[wanted]

    def literal(self, node: Node) -> Value:
        """A number of the formula."""
        raise NotImplementedError

    def operation(self, node: Node) -> Value:
        """One operation on known values."""
        raise NotImplementedError
